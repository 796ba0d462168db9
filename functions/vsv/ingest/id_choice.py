"""Choice of a slide's IDs among its texts: the label's codes, the scanner's Barcode tag and the filename.

A code that fits the pattern wins where exactly one does. Where texts of label and tag name different slides or cases,
none is taken: a person chooses among the candidates.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from vsv.barcodes.agreement import Barcode
from vsv.identifiers import MAX_ID_TEXT, unsupported_character
from vsv.ingest.id_pattern import SlideIds, parse_ids
from vsv.records.models import SlideRecord

TAG = "tag"
_SEPARATORS = re.compile(r"[\s._;/-]+")


@dataclass(frozen=True, slots=True)
class IdTexts:
    """The texts that may name a slide; ``tag`` is the text of the scanner's Barcode tag."""

    codes: tuple[Barcode, ...] = ()
    tag: str | None = None
    filename: str = ""

    def of(self, source: str) -> tuple[str, ...]:
        """Return the texts of one of the sources that VSV_ID_ORDER names."""
        if source == "barcode":
            return tuple(code.text for code in self.codes)
        text = self.tag if source == TAG else self.filename
        return (text,) if text else ()


@dataclass(frozen=True, slots=True)
class IdChoice:
    """What was chosen: the IDs, None where none is certain; the label's code, None where none of several is taken.

    ``candidates`` are the texts of label and tag, by text the code's format or ``tag``, where there are several.
    """

    ids: SlideIds | None = None
    code: Barcode | None = None
    candidates: Mapping[str, str] | None = None

    def attributes(self, image_id: str) -> dict[str, Any]:
        """Return the attributes of the slide's record; without IDs it is its own slide and case, as no other is."""
        ids, code = self.ids, self.code
        return {
            "slide_id": ids.slide if ids else image_id,
            "case_id": ids.case if ids else image_id,
            "id_not_confirmed": None if ids else True,
            "barcode": code.text if code else None,
            "barcode_format": (code.format or None) if code else None,
            "id_candidates": self.candidates,
        }


def id_texts(codes: Sequence[Barcode], tags: Mapping[str, str] | None, filename: str) -> IdTexts:
    """Return a slide's texts; a tag that cannot be shown, or is too long for an ID, counts as none."""
    tag = (tags or {}).get("Barcode", "").strip()
    is_shown = tag.isprintable() and len(tag) <= MAX_ID_TEXT and unsupported_character(tag) is None
    return IdTexts(tuple(codes), tag if tag and is_shown else None, PurePath(filename).stem.strip())


def stored_texts(record: SlideRecord) -> IdTexts:
    """Return the texts of a slide that is there: of several codes of its label, all are kept as candidates."""
    codes = [
        Barcode(text, kind, "stored") for text, kind in (record.id_candidates or {}).items() if kind != TAG
    ]
    if record.barcode is not None and record.barcode not in {code.text for code in codes}:
        codes.append(Barcode(record.barcode, record.barcode_format or "", "stored"))
    return id_texts(codes, record.tags, record.filename)


def choose_ids(texts: IdTexts, order: Iterable[str], pattern: str) -> IdChoice:
    """Return the choice by the order of the sources and the pattern; see the module."""
    order = tuple(order)
    fitting = {source: _fitting(texts.of(source), pattern) for source in ("barcode", TAG, "filename")}
    code, candidates = _code_of(texts.codes, fitting["barcode"]), _candidates(texts)
    if _is_ambiguous(fitting, order):
        return IdChoice(None, code, candidates)
    ids = next((one for source in order for one in fitting[source].values()), None)
    return IdChoice(ids, code, candidates)


def _fitting(texts: Iterable[str], pattern: str) -> Mapping[str, SlideIds]:
    """Return the IDs of the texts that fit the pattern."""
    found = {text: parse_ids(text, pattern) for text in texts if text.isprintable()}
    return {text: ids for text, ids in found.items() if ids.confirmed}


def _code_of(codes: Sequence[Barcode], fitting: Mapping[str, SlideIds]) -> Barcode | None:
    """Return the label's code: the one that fits, or a lone one; None where several are as good."""
    if not fitting:
        return codes[0] if len(codes) == 1 else None
    if not _name_one_slide(fitting.values()):
        return None
    return next(code for code in codes if code.text in fitting)


def _is_ambiguous(fitting: Mapping[str, Mapping[str, SlideIds]], order: tuple[str, ...]) -> bool:
    """Return whether codes of the label name different slides, or label and tag different cases."""
    if "barcode" in order and not _name_one_slide(fitting["barcode"].values()):
        return True
    asked = [ids for source in ("barcode", TAG) if source in order for ids in fitting[source].values()]
    return len({_folded(ids.case) for ids in asked}) > 1


def _name_one_slide(fitting: Iterable[SlideIds]) -> bool:
    return len({(ids.slide, ids.case) for ids in fitting}) <= 1


def _candidates(texts: IdTexts) -> Mapping[str, str] | None:
    """Return the texts of label and tag by their kind, None for a single one; a tag that repeats a code is none."""
    candidates = {code.text: code.format for code in texts.codes}
    if texts.tag is not None and _folded(texts.tag) not in {_folded(text) for text in candidates}:
        candidates[texts.tag] = TAG
    return candidates if len(candidates) > 1 else None


def _folded(text: str) -> str:
    """Return a text without case, and with one kind of separator, for comparison only."""
    return _SEPARATORS.sub("-", text.strip()).casefold()
