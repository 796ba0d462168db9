"""Pseudonyms, the names of a study's copies: whether a name reveals the slide's own names, or its scan date."""

import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import PurePath

from vsv.deidentification.written_dates import holds_day
from vsv.records.models import SlideRecord

# A text of fewer characters, or a number of fewer digits, is in many names by chance.
MIN_TEXT, MIN_DIGITS = 4, 5
_DIGITS = re.compile(r"\d+", re.ASCII)
_FULL_YEAR = re.compile(r"\A(?:19|20)(\d\d)\Z", re.ASCII)
_OWN_NAMES = ("image_id", "slide_id", "case_id", "barcode")
_DATES = ("%m/%d/%y", "%m/%d/%Y", "%Y-%m-%d", "%Y%m%d", "%d.%m.%Y", "%d/%m/%Y", "%Y:%m:%d", "%d-%m-%Y", "%b %d %Y",
          "%d %b %Y")  # fmt: skip


def find_revealed(name: str, record: SlideRecord) -> tuple[str, ...]:
    """Return which attributes of the original's record a copy's name would reveal, such as ``scan date``.

    Letters and digits alone are compared, whatever their case and what stands between them. Digits alone that name a
    case, such as its sequence number, reveal it as well.
    """
    texts = [(attribute.replace("_", " "), getattr(record, attribute) or "") for attribute in _OWN_NAMES]
    texts.append(("file name", PurePath(record.filename).stem))
    texts += (("candidate of its ID", text) for text in record.id_candidates or {})
    revealed = [attribute for attribute, text in texts if _holds(name, text)]
    revealed = revealed or [attribute for attribute, text in texts if _holds_digits(name, text)]
    if _holds_scan_date(name, record.scan_date or ""):
        revealed.append("scan date")
    return tuple(dict.fromkeys(revealed))


def _holds(name: str, text: str) -> bool:
    bare_text = bare(text)
    return len(bare_text) >= MIN_TEXT and bare_text in bare(name)


def _holds_digits(name: str, text: str) -> bool:
    runs = _DIGITS.findall(bare(name))
    digits = "".join(runs)
    return any(piece in (digits if is_joined else " ".join(runs)) for piece, is_joined in _pieces(text))


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    """Yield digits of an ID that name it: its longest numbers, and all of its digits, the year in two digits.

    The second value says that letters may stand between the digits.
    """
    numbers = _DIGITS.findall(text)
    pieces = {*numbers, *(number.lstrip("0") for number in numbers)}
    yield from ((piece, False) for piece in pieces if len(piece) >= MIN_DIGITS)
    whole = "".join(numbers)
    short = "".join(_FULL_YEAR.sub(r"\1", number) for number in numbers)
    longest = max(map(len, numbers), default=0)
    for digits in {whole, short}:
        if longest >= MIN_TEXT and len(digits) >= MIN_DIGITS:
            yield digits, True


def _holds_scan_date(name: str, moment: str) -> bool:
    try:
        day = date.fromisoformat(moment[:10])
    except ValueError:
        return False
    return holds_day(name, day)


def bare(text: str) -> str:
    """Return a text's letters and digits, without accents, in lower case."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in plain if c.isalnum())


def refusal(revealed: tuple[str, ...]) -> str:
    """Return the message that refuses a name which reveals these attributes."""
    names = ", ".join(revealed)
    return f"The name of a published slide must not contain its present IDs ({names}): choose another."


def written_days(moment: str) -> Iterator[str]:
    """Yield the day of an ISO 8601 moment in the common date formats; no text for other input."""
    with suppress(ValueError):
        day = date.fromisoformat(moment[:10])
        yield from (day.strftime(form) for form in _DATES)
