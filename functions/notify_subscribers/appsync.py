"""Call AppSync's GraphQL endpoint, signed as the function's own IAM role (Signature Version 4)."""

import json
import re
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError
from botocore.httpsession import URLLib3Session
from botocore.session import Session
from lambda_support.function_settings import GraphQLSettings
from urllib3.exceptions import HTTPError
from vsv.errors import UnavailableError

CONNECT_S, READ_S = 2, 5
MAX_ANSWER = 1 << 20
_KIND = re.compile(r"[A-Za-z][A-Za-z_:]{0,39}")


class AppSync:
    """A client of the API for one batch of changes, over one connection; ``close`` it."""

    def __init__(self, settings: GraphQLSettings) -> None:
        self._url = settings.url
        self._signer = SigV4Auth(_credentials(), "appsync", settings.region)
        self._http = URLLib3Session(timeout=(CONNECT_S, READ_S))

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def mutate(self, mutation: str, variables: Mapping[str, Any]) -> None:
        """Send a mutation; raises UnavailableError unless it was carried out, or the slide or import is gone."""
        body = json.dumps({"query": mutation, "variables": variables}, allow_nan=False).encode()
        status, content = self._post(body)
        if status != 200:
            raise UnavailableError(f"AppSync answered {status}.")
        error_types = _error_types(content)
        # NOT_FOUND: the slide has been removed since. Subscribers need no notice of it, and a retry would fail again.
        if set(error_types) - {"NOT_FOUND"}:
            raise UnavailableError(f"AppSync refused: {', '.join(error_types)}.")

    def _post(self, body: bytes) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"}
        request = AWSRequest("POST", self._url, headers, body, stream_output=True)
        self._signer.add_auth(request)
        try:
            response = self._http.send(request.prepare())
            with closing(response.raw) as raw:
                return response.status_code, raw.read(MAX_ANSWER + 1)
        except (BotoCoreError, HTTPError, OSError):
            raise UnavailableError("AppSync cannot be reached now.") from None


def _credentials() -> Any:
    try:
        credentials = Session().get_credentials()
    except BotoCoreError:
        credentials = None
    if credentials is None:
        raise UnavailableError("There are no AWS credentials to sign with.")
    return credentials.get_frozen_credentials()


def _error_types(content: bytes) -> list[str]:
    """Return the types of the errors in a GraphQL answer, at most three.

    Raises UnavailableError where the content is no GraphQL answer.
    """
    try:
        answer = json.loads(content[:MAX_ANSWER])
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict) or not (answer.get("errors") or isinstance(answer.get("data"), dict)):
        raise UnavailableError("AppSync gave no GraphQL answer.")
    errors = answer.get("errors") or []
    return sorted({_error_type(error) for error in errors} if isinstance(errors, list) else {"unknown"})[:3]


def _error_type(error: object) -> str:
    """Return an error's type, which may precede its message; never the message, which may quote the variables."""
    fields = error if isinstance(error, dict) else {}
    lead, colon, _ = str(fields.get("message")).partition(": ")
    candidates = (
        text for text in (lead if colon else "", str(fields.get("errorType"))) if _KIND.fullmatch(text)
    )
    return next(candidates, "unknown")
