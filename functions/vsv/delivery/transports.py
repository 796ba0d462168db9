"""Transport of a document to a destination: acknowledged when no error is raised, and idempotent.

An address acknowledges with a status of 200 to 299. Every request carries the same ``Idempotency-Key`` (RFC draft
"The Idempotency-Key HTTP Header Field"), so that a receiver that has the document already can acknowledge again.
"""

import time
from pathlib import Path

import urllib3
from urllib3.exceptions import HTTPError

from vsv.aws.boto3_extra import require_boto3
from vsv.delivery.destinations import Destination
from vsv.errors import BadRequestError, UnavailableError
from vsv.storage import atomic_write

CONNECT_S, SILENCE_S, WHOLE_S = 5.0, 15.0, 60.0
MAX_ANSWER_BYTES = 64 * 1024
# Refusals worth a retry: request timeout, conflict with a delivery under way, locked, too early, too many requests.
_RETRIED = {408, 409, 423, 425, 429}


def deliver(destination: Destination, key: str, document: bytes) -> None:
    """Send a JSON document to a destination.

    Raises UnavailableError where a retry may succeed, BadRequestError where the destination refuses the document.
    """
    if destination.url:
        _post(destination, key, document)
    elif destination.folder:
        _write_file(destination, key, document)
    else:
        _put_object(destination, key, document)


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
            _read_answer(response, until)
        except (HTTPError, OSError) as error:
            raise UnavailableError(f"{destination.name} does not answer now") from error
    _check_status(destination, response.status)


def _read_answer(response: urllib3.BaseHTTPResponse, until: float) -> None:
    """Read the answer, bounded in bytes and time: an answer whose connection breaks is no acknowledgement."""
    remaining = MAX_ANSWER_BYTES
    try:
        while remaining > 0 and (data := response.read1(min(remaining, 4096))):
            remaining -= len(data)
            if time.monotonic() > until:
                raise TimeoutError("the answer does not end")
    finally:
        response.close()


def _check_status(destination: Destination, status: int) -> None:
    if 200 <= status < 300:
        return
    if status >= 500 or status in _RETRIED:
        raise UnavailableError(f"{destination.name} cannot accept the slide now (status {status})")
    # A redirect is refused, too: PHI goes only to the address that an administrator configured.
    raise BadRequestError(
        f"{destination.name} rejected the slide (status {status}): see its own log for the reason"
    )


def _write_file(destination: Destination, key: str, document: bytes) -> None:
    path = Path(destination.folder) / f"{key}.json"
    try:
        atomic_write.write(path, document)
    except OSError as error:
        raise UnavailableError(f"the folder of {destination.name} cannot be written to now") from error


def _put_object(destination: Destination, key: str, document: bytes) -> None:
    require_boto3()
    from vsv.aws.s3_documents import put_json  # noqa: PLC0415  a single machine has no buckets

    bucket, _slash, prefix = destination.bucket.removeprefix("s3://").partition("/")
    name = f"{prefix.rstrip('/')}/{key}.json" if prefix else f"{key}.json"
    failed = f"the bucket of {destination.name} cannot be written to now"
    put_json((bucket, name), document, (CONNECT_S, SILENCE_S), failed)
