"""Destinations that slides' metadata is sent to: a JSON list that an administrator writes.

``[{"name": "registry", "url": "https://…", "headers": {"authorization": "Bearer …"}},
{"name": "drop", "folder": "/mnt/registry"}, {"name": "lake", "bucket": "s3://bucket/prefix"}]``: each destination has
a name and one of ``url``, ``folder``, ``bucket``. On a single machine the list is a file, on AWS a secret.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from vsv.aws.boto3_extra import require_boto3
from vsv.errors import SettingsError

MOST, MAX_BYTES = 10, 64 * 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", re.ASCII)
_HEADER = re.compile(r"[A-Za-z0-9-]{1,60}", re.ASCII)
_VALUE = re.compile(r"[\x20-\x7e]{1,4000}", re.ASCII)
_BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._/-]{1,200})?", re.ASCII)
_THIS_MACHINE = {"127.0.0.1", "::1", "localhost"}
_OWN_HEADERS = {
    "host",
    "content-length",
    "content-type",
    "idempotency-key",
    "transfer-encoding",
    "connection",
}


@dataclass(frozen=True, slots=True)
class Destination:
    """Receiver of metadata: an HTTPS address with its headers, a folder, or a bucket with a prefix."""

    name: str
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    folder: str = ""
    bucket: str = ""


def destinations_in(where: str) -> tuple[Destination, ...]:
    """Return the destinations in a file, or in a secret by its ARN; raise SettingsError, UnavailableError."""
    return read_destinations(_read_secret(where) if where.startswith("arn:") else _read_file(Path(where)))


def read_destinations(text: str) -> tuple[Destination, ...]:
    """Return the destinations of a JSON list; raise SettingsError that names the mistake without its value."""
    try:
        items = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SettingsError("the destinations are not JSON") from error
    if not isinstance(items, list) or not 1 <= len(items) <= MOST:
        raise SettingsError(f"the destinations must be a list of 1 to {MOST}")
    destinations = tuple(_parse_destination(number, item) for number, item in enumerate(items, 1))
    if len({destination.name for destination in destinations}) < len(destinations):
        raise SettingsError("two destinations have the same name")
    return destinations


def _parse_destination(number: int, item: Any) -> Destination:
    known = {"name", "url", "headers", "folder", "bucket"}
    if not isinstance(item, dict) or not item.keys() <= known:
        raise SettingsError(
            f"destination {number} may have name, url, headers, folder, bucket, and nothing else"
        )
    name, headers = item.get("name"), item.get("headers", {})
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SettingsError(f"destination {number} needs a name of letters, digits and dashes")
    kinds = [key for key in ("url", "folder", "bucket") if item.get(key)]
    if len(kinds) != 1 or not isinstance(item[kinds[0]], str):
        raise SettingsError(f"destination {name} needs one of url, folder, bucket")
    kind, value = kinds[0], item[kinds[0]]
    _CHECKS[kind](name, value)
    if headers and kind != "url":
        raise SettingsError(f"destination {name} has headers, but no url")
    _check_headers(name, headers)
    return Destination(**{"name": name, kind: value, "headers": headers})


def _check_url(name: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or not url.isascii() or not url.isprintable() or " " in url or parts.username is not None:
        raise SettingsError(f"the url of destination {name} is not an address")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _THIS_MACHINE):
        raise SettingsError(
            f"the url of destination {name} must begin with https://: it carries patients' data"
        )


def _check_folder(name: str, folder: str) -> None:
    if not Path(folder).is_absolute():
        raise SettingsError(f"the folder of destination {name} must be a whole path")


def _check_bucket(name: str, bucket: str) -> None:
    if not _BUCKET.fullmatch(bucket):
        raise SettingsError(f"the bucket of destination {name} must be like s3://bucket/prefix")


_CHECKS = {"url": _check_url, "folder": _check_folder, "bucket": _check_bucket}


def _check_headers(name: str, headers: Any) -> None:
    if not isinstance(headers, dict) or len(headers) > 20:
        raise SettingsError(f"the headers of destination {name} must be names with texts")
    for key, value in headers.items():
        if not _HEADER.fullmatch(key) or not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise SettingsError(f"a header of destination {name} cannot be sent")
        if key.lower() in _OWN_HEADERS:
            raise SettingsError(f"destination {name} sets a header that is set here: {key.lower()}")


def _read_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError("the file of destinations cannot be read") from error
    if len(data) > MAX_BYTES:
        raise SettingsError(f"the file of destinations is larger than {MAX_BYTES} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise SettingsError("the destinations are not JSON") from error


def _read_secret(arn: str) -> str:
    require_boto3()
    from vsv.aws.secrets import read_secret  # noqa: PLC0415  cold start, and a single machine has no secrets

    return read_secret(arn, "the secret that holds the destinations cannot be read now")
