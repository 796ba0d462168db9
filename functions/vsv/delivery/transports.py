"""Handing a document over to a destination: done when this ends without an error, and harmless to repeat.

An address acknowledges with a status of 200 to 299. Every request carries the same ``Idempotency-Key`` (RFC draft
"The Idempotency-Key HTTP Header Field"), so that whoever has the document already can say so again.
"""

import time
from pathlib import Path

import urllib3
from urllib3.exceptions import HTTPError

from vsv.aws.extra import require_boto3
from vsv.delivery.destinations import Destination
from vsv.errors import BadRequestError, UnavailableError
from vsv.storage import atomic_write

CONNECT_S, SILENCE_S, WHOLE_S = 5.0, 15.0, 60.0
MAX_ANSWER_BYTES = 64 * 1024
# Refusals that may pass: request timeout, conflict with a delivery under way, too early, too many requests.
_PASSING = {408, 409, 423, 425, 429}


def deliver(destination: Destination, key: str, document: bytes) -> None:
    """Hand a JSON document over.

    Raises UnavailableError where another attempt may succeed, BadRequestError where the destination refuses it.
    """
    if destination.url:
        _post(destination, key, document)
    elif destination.folder:
        _drop(destination, key, document)
    else:
        _put(destination, key, document)


def _post(destination: Destination, key: str, document: bytes) -> None:
    headers = {
        **destination.headers,
        "content-type": "application/json",
        "idempotency-key": key,
        "user-agent": "virtual-slide-viewer",
    }
    timeout = urllib3.Timeout(connect=CONNECT_S, read=SILENCE_S)
    until = time.monotonic() + WHOLE_S
    with urllib3.PoolManager(retries=False, timeout=timeout) as pool:
        try:
            response = pool.request(
                "POST", destination.url, body=document, headers=headers, redirect=False, preload_content=False
            )
            _read(response, until)
        except (HTTPError, OSError) as error:
            raise UnavailableError(f"{destination.name} does not answer now") from error
    _check_status(destination, response.status)


def _read(response: urllib3.BaseHTTPResponse, until: float) -> None:
    """Read what is answered, not all of it and not for ever: a connection that breaks off acknowledges nothing."""
    left = MAX_ANSWER_BYTES
    try:
        while left > 0 and (data := response.read1(min(left, 4096))):
            left -= len(data)
            if time.monotonic() > until:
                raise TimeoutError("the answer does not end")
    finally:
        response.close()


def _check_status(destination: Destination, status: int) -> None:
    if 200 <= status < 300:
        return
    if status >= 500 or status in _PASSING:
        raise UnavailableError(f"{destination.name} cannot accept the slide now (status {status})")
    # A redirect, too: patients' data goes where an administrator said, and nowhere else.
    raise BadRequestError(
        f"{destination.name} rejected the slide (status {status}): see its own log for the reason"
    )


def _drop(destination: Destination, key: str, document: bytes) -> None:
    path = Path(destination.folder) / f"{key}.json"
    try:
        atomic_write.write(path, document)
    except OSError as error:
        raise UnavailableError(f"the folder of {destination.name} cannot be written to now") from error


def _put(destination: Destination, key: str, document: bytes) -> None:
    require_boto3()
    from vsv.aws.s3_documents import put_json  # noqa: PLC0415  one machine has no buckets

    bucket, _slash, prefix = destination.bucket.removeprefix("s3://").partition("/")
    name = f"{prefix.rstrip('/')}/{key}.json" if prefix else f"{key}.json"
    failed = f"the bucket of {destination.name} cannot be written to now"
    put_json((bucket, name), document, (CONNECT_S, SILENCE_S), failed)
