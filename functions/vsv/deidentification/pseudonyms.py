"""Names that a study gives to copies: whether one tells what the slide is called here, or when it was scanned."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import PurePath

from vsv.records.models import SlideRecord

_NAMES_HERE = ("image_id", "slide_id", "case_id", "barcode")
_DATES = ("%m/%d/%y", "%m/%d/%Y", "%Y-%m-%d", "%Y%m%d", "%d.%m.%Y", "%d/%m/%Y", "%Y:%m:%d", "%d-%m-%Y", "%b %d %Y",
          "%d %b %Y")  # fmt: skip


def told_by_name(name: str, record: SlideRecord) -> tuple[str, ...]:
    """Name what of an original's record a study's name for its copy would tell."""
    texts = [(attribute.replace("_", " "), getattr(record, attribute) or "") for attribute in _NAMES_HERE]
    texts.append(("file name", PurePath(record.filename).stem))
    texts += (("scan date", day) for day in written_days(record.scan_date or ""))
    found = (what for what, text in texts if len(text) > 3 and text.lower() in name.lower())
    return tuple(dict.fromkeys(found))


def refusal(told: tuple[str, ...]) -> str:
    """Say why a name that tells something is not taken."""
    return (
        f"The name of a published slide must not contain its present IDs ({', '.join(told)}): choose another."
    )


def written_days(moment: str) -> Iterator[str]:
    """Give a moment's day in the formats that it may be written in."""
    with suppress(ValueError):
        day = date.fromisoformat(moment[:10])
        yield from (day.strftime(form) for form in _DATES)
