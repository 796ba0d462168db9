"""De-identification policy: the metadata that a published copy may keep, as a small TOML file, docs/publishing.md.

Without a file all metadata is removed that might identify a person, a day or a machine.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vsv.errors import BadRequestError

MAX_BYTES = 10_000
MAX_KEEP_KEYS = 50
MIN_SHIFT_KEY = 16
_CHOICES = {
    "dates": ("drop", "shift"),
    "time": ("drop", "keep"),
    "scanner_serial": ("drop", "keep"),
    "icc": ("keep", "drop"),
    "thumbnail": ("keep", "drop"),
}
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9 ._-]{0,99}\Z", re.ASCII)
# Keys that keep_keys may not name, whatever their case and spaces: they identify a person or a slide.
_NEVER_KEPT = frozenset(
    (
        "user",
        "filename",
        "title",
        "imageid",
        "slideid",
        "caseid",
        "barcode",
        "patientid",
        "patientname",
        "patient",
        "name",
        "operator",
        "accession",
        "accessionnumber",
        "mrn",
        "dsrid",
        "sessionid",
        "serialnumber",
    )
)
_HAS_A_SETTING = {
    "date": "dates", "time": "time", "time zone": "time", "scanscope id": "scanner_serial",
    "scannerid": "scanner_serial", "icc profile": "icc",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Policy:
    """Metadata that is kept. Each attribute is a key of the file; ``shift_key`` None means the data folder's key."""

    dates: str = "drop"
    time: str = "drop"
    scanner_serial: str = "drop"
    icc: str = "keep"
    thumbnail: str = "keep"
    keep_keys: tuple[str, ...] = ()
    shift_key: str | None = None


def read_policy(text: str) -> Policy:
    """Return the policy of a file's text; an empty text is the default policy.

    Raises BadRequestError, which names the key and its allowed values.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise BadRequestError(f"the publishing policy is longer than {MAX_BYTES} bytes")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadRequestError(f"the publishing policy is not TOML: {error}") from error
    except RecursionError as error:
        raise BadRequestError("the publishing policy is not TOML that can be read") from error
    known = (*_CHOICES, "keep_keys", "shift_key")
    if unknown := sorted(table.keys() - set(known)):
        raise BadRequestError(
            f"the publishing policy has the unknown key {unknown[0][:50]!r}; it may have {', '.join(known)}"
        )
    choices = {name: _read_choice(table, name) for name in _CHOICES if name in table}
    return Policy(**choices, keep_keys=_read_keep_keys(table), shift_key=_read_shift_key(table))


def _read_choice(table: Mapping[str, Any], name: str) -> str:
    default, other = _CHOICES[name]
    if table[name] not in (default, other):
        raise BadRequestError(f'the publishing policy\'s {name} must be "{default}" or "{other}"')
    return str(table[name])


def _read_keep_keys(table: Mapping[str, Any]) -> tuple[str, ...]:
    keys = table.get("keep_keys", [])
    if not isinstance(keys, list) or len(keys) > MAX_KEEP_KEYS:
        raise BadRequestError(
            f"the publishing policy's keep_keys must be a list of at most {MAX_KEEP_KEYS} keys"
        )
    for key in keys:
        if not isinstance(key, str) or not _KEY.match(key):
            raise BadRequestError("the publishing policy's keep_keys must be keys of an image description")
        if re.sub(r"[ ._-]", "", key).lower() in _NEVER_KEPT:
            raise BadRequestError(
                f"the publishing policy's keep_keys may not name {key}: it can tell a person"
            )
        if setting := _HAS_A_SETTING.get(key.lower()):
            raise BadRequestError(
                f"the publishing policy's keep_keys may not name {key}: that is what {setting} is for"
            )
    return tuple(keys)


def _read_shift_key(table: Mapping[str, Any]) -> str | None:
    key = table.get("shift_key")
    if key is not None and not (isinstance(key, str) and len(key) >= MIN_SHIFT_KEY):
        raise BadRequestError(
            f"the publishing policy's shift_key must be a text of at least {MIN_SHIFT_KEY} characters"
        )
    return key
