"""Pseudonyms, the names of a study's copies: whether a name reveals the slide's own names, or its scan date."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import PurePath

from vsv.records.models import SlideRecord

_OWN_NAMES = ("image_id", "slide_id", "case_id", "barcode")
_DATES = ("%m/%d/%y", "%m/%d/%Y", "%Y-%m-%d", "%Y%m%d", "%d.%m.%Y", "%d/%m/%Y", "%Y:%m:%d", "%d-%m-%Y", "%b %d %Y",
          "%d %b %Y")  # fmt: skip


def find_revealed(name: str, record: SlideRecord) -> tuple[str, ...]:
    """Return which attributes of the original's record a copy's name would reveal, such as ``scan date``."""
    texts = [(attribute.replace("_", " "), getattr(record, attribute) or "") for attribute in _OWN_NAMES]
    texts.append(("file name", PurePath(record.filename).stem))
    texts += (("candidate of its ID", text) for text in record.id_candidates or {})
    texts += (("scan date", day) for day in written_days(record.scan_date or ""))
    revealed = (attribute for attribute, text in texts if len(text) > 3 and text.lower() in name.lower())
    return tuple(dict.fromkeys(revealed))


def refusal(revealed: tuple[str, ...]) -> str:
    """Return the message that refuses a name which reveals these attributes."""
    names = ", ".join(revealed)
    return f"The name of a published slide must not contain its present IDs ({names}): choose another."


def written_days(moment: str) -> Iterator[str]:
    """Yield the day of an ISO 8601 moment in the common date formats; no text for other input."""
    with suppress(ValueError):
        day = date.fromisoformat(moment[:10])
        yield from (day.strftime(form) for form in _DATES)
