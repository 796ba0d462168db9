"""Date shift of a case: the same number of days each time, which cannot be guessed without the key."""

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

from vsv.deidentification.policy import Policy
from vsv.errors import UnavailableError
from vsv.storage import atomic_write

KEY_FILE = "publishing.key"
# Between a month and ten years, so that neither the season nor the year is revealed.
_LEAST_DAYS, _MOST_DAYS = 30, 3650
_KEY_CHARACTERS = 64


def days_earlier(policy: Policy, root: Path, case_id: str) -> int | None:
    """Return by how many days a case's dates are shifted to earlier; None where the policy drops dates.

    ``root`` is the data folder, which holds the key. Raises UnavailableError where the key cannot be read or created.
    """
    if policy.dates == "drop":
        return None
    key = policy.shift_key or _read_or_create_key(root / KEY_FILE)
    digest = hmac.digest(key.encode(), case_id.encode("utf-8", "surrogatepass"), hashlib.sha256)
    return _LEAST_DAYS + int.from_bytes(digest[:8]) % (_MOST_DAYS - _LEAST_DAYS + 1)


def _read_or_create_key(path: Path) -> str:
    """Return the key of the data folder, created on first use; concurrent callers get the same key."""
    try:
        with suppress(FileNotFoundError):
            return _check_key(path.read_text("ascii"))
        part = path.with_name(f"{path.name}.{os.urandom(4).hex()}{atomic_write.PART_SUFFIX}")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(_KEY_CHARACTERS // 2))
        atomic_write.flush(part)
        with suppress(FileExistsError):
            os.link(part, path)  # never replace an existing key: shifted dates would no longer agree
        part.unlink()
        atomic_write.flush(path.parent)
        return _check_key(path.read_text("ascii"))
    except (OSError, ValueError) as error:
        raise UnavailableError("the key that dates are shifted by cannot be read or made now") from error


def _check_key(text: str) -> str:
    if len(text) != _KEY_CHARACTERS:
        raise ValueError("the key is not whole")
    return text
