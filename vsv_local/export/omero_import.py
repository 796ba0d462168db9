"""Write the files with which OMERO's own programs register slides in place: ``vsv omero-import``.

``bulk.yml`` and ``slides.tsv`` are for ``omero import --bulk``, ``slides.csv`` and ``keys.yml`` for ``omero metadata
populate``; docs/omero.md has the commands. Sources: OMERO's documentation, "Bulk imports" and "Import targets"; how
the files are read: omero-py, plugins/import.py; the README of omero-metadata.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from vsv.errors import BadRequestError, UnavailableError
from vsv.records.models import SlideRecord, Status
from vsv.services import Services
from vsv.storage import atomic_write
from vsv.storage.slide_files import SLIDE

from vsv_local.bulk.rendering import all_slides

MAX_NAME = 255  # characters, of a name in OMERO's database
# No part of this text is input. File-Size-64: each original's SHA-256 was compared at its import, and OMERO's own
# checksum would read the file twice more. clientpath: files registered from the same path are skipped.
BULK = """---
path: "slides.tsv"
columns: ["target", "name", "path"]
transfer: "ln_s"
exclude: "clientpath"
checksum_algorithm: "File-Size-64"
continue: true
"""
_KEYS = {
    "ImageID": "image_id", "SlideID": "slide_id", "CaseID": "case_id", "Status": "status", "ScanDate": "scan_date",
    "AppMag": "app_mag", "MPP": "mpp", "ScannerID": "scanner_id", "SHA256": "checksum",
}  # fmt: skip
_NOTES = {"Reviewer": "reviewer", "Note": "note"}
_WRITTEN = ("ImageID", "Dataset Name", "Image Name")


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """The slides to write, and how OMERO shows them.

    ``folder`` is the data folder's path on OMERO's server. ``suffix`` is the text that OMERO adds to the name of a
    slide's main image where its file holds label or macro as well.
    """

    folder: str
    project: str
    suffix: str = " [0]"
    status: Status | None = None
    case_id: str | None = None
    new_only: bool = False
    with_notes: bool = False


@dataclass(slots=True)
class Report:
    """How many slides were written, why others were not, and how many written before are gone."""

    written: int = 0
    known: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    gone: int = 0


def write_import(services: Services, target: Path, options: ImportOptions) -> Report:
    """Write the files into ``target``; raises BadRequestError for impossible names, else UnavailableError."""
    _check(options)
    try:
        target.mkdir(parents=True, exist_ok=True)
        return _Writer(services, target, options).write()
    except OSError as error:
        raise UnavailableError("the files could not be written: is the disk full or read only?") from error


def _check(options: ImportOptions) -> None:
    if (problem := _unfit(options.project)) is not None or not options.project:
        raise BadRequestError(f"the project's name cannot be used: {problem or 'it is empty'}")
    if not PurePosixPath(options.folder).is_absolute() or not options.folder.isprintable():
        raise BadRequestError(
            "--omero-data must be the folder's whole path on OMERO's server, such as /OMERO/vsv"
        )
    if not options.suffix.isprintable():
        raise BadRequestError("--image-suffix must be plain text")


class _Writer:
    def __init__(self, services: Services, target: Path, options: ImportOptions) -> None:
        self._services, self._target, self._options = services, target, options
        self._places = {row[0]: (row[1], row[2]) for row in _rows(target / "written.csv")}
        self._image_ids = {place: image_id for image_id, place in self._places.items()}
        self._keys = _KEYS | (_NOTES if options.with_notes else {})
        self.report = Report()

    def write(self) -> Report:
        """Write all files; after an interruption, all are written again."""
        slides, keys = io.StringIO(newline=""), io.StringIO(newline="")
        imports = csv.writer(slides, delimiter="\t", lineterminator="\n")
        values = csv.writer(keys, lineterminator="\n")
        columns = ("Image Name", "Dataset Name", *self._keys)
        keys.write(f"# header {','.join('s' for _ in columns)}\n")  # all text: 40 is not a number to sort by
        values.writerow(columns)
        for record in self._chosen():
            dataset, name = self._place(record)
            imports.writerow((self._target_of(dataset), name, self._path(record)))
            values.writerow((name + self._suffix(record), dataset, *self._values(record)))
            self.report.written += 1
        self._put("slides.tsv", slides.getvalue())
        self._put("slides.csv", keys.getvalue())
        self._put("bulk.yml", BULK)
        self._put("keys.yml", keys_yaml(self._keys))
        self._put("gone.csv", _text([(*_WRITTEN, "Reason"), *self._gone()]))
        self._put("written.csv", _text([_WRITTEN, *((i, *place) for i, place in self._places.items())]))
        return self.report

    def _chosen(self) -> Iterator[SlideRecord]:
        for record in all_slides(self._services):
            if self._options.status not in {None, record.status}:
                continue
            if self._options.case_id not in {None, record.case_id}:
                continue
            if (problem := self._refusal(record)) is not None:
                self.report.left_out[problem] = self.report.left_out.get(problem, 0) + 1
            elif self._options.new_only and record.image_id in self._places:
                self.report.known += 1
            else:
                yield record

    def _refusal(self, record: SlideRecord) -> str | None:
        """Return why OMERO cannot register a slide, None where it can."""
        if (problem := _absence(record)) is not None:
            return problem
        if not record.filename.lower().endswith(".svs"):
            return "no Aperio file: OMERO goes by the suffix, and every original is called slide.svs here"
        if self._services.files.in_place(record.image_id):
            return "in place: the original lies in the scanner's folder"
        return _unfit(_case(record)) or _unfit(_slide(record))

    def _place(self, record: SlideRecord) -> tuple[str, str]:
        """Return a slide's dataset and name, which never change; two slides of one SlideID get different names."""
        if (place := self._places.get(record.image_id)) is None:
            place = (_case(record), _slide(record))
            if self._image_ids.setdefault(place, record.image_id) != record.image_id:
                place = (place[0], f"{place[1][: MAX_NAME - 80]} ({record.image_id})")
            self._places[record.image_id] = place
            self._image_ids[place] = record.image_id
        return place

    def _target_of(self, dataset: str) -> str:
        return f"Project:name:{self._options.project}/Dataset:name:{dataset}"

    def _path(self, record: SlideRecord) -> str:
        return str(PurePosixPath(self._options.folder) / "slides" / record.image_id / SLIDE)

    def _suffix(self, record: SlideRecord) -> str:
        files = self._services.files
        has_more = any(files.associated(record.image_id, name).exists() for name in ("label", "macro"))
        return self._options.suffix if has_more else ""

    def _values(self, record: SlideRecord) -> Iterator[str]:
        for attribute in self._keys.values():
            value = getattr(record, attribute)
            yield "" if value is None else _plain(str(value))

    def _gone(self) -> Iterator[tuple[str, ...]]:
        """Yield the slides written before whose original OMERO cannot read any more."""
        for image_id, place in self._places.items():
            record = self._services.slides.get(image_id)
            problem = _absence(record) if record is not None else "removed"
            if problem is not None:
                self.report.gone += 1
                yield image_id, *place, problem

    def _put(self, name: str, text: str) -> None:
        atomic_write.write(self._target / name, text.encode("utf-8"))


def keys_yaml(names: Iterable[str]) -> str:
    """Return the configuration that makes key-value pairs of a table's columns."""
    columns = "".join(f"- name: {name}\n  include: yes\n" for name in names)
    return f"---\nname: vsv\nversion: 1\ndefaults:\ncolumns:\n{columns}"


def _absence(record: SlideRecord) -> str | None:
    if record.status is Status.DELETED:
        return "deleted"
    if record.original is not None or record.status is Status.ARCHIVED:
        return "archived, or on its way there or back"
    return None


def _case(record: SlideRecord) -> str:
    return (record.case_id or "").strip() or record.image_id


def _slide(record: SlideRecord) -> str:
    return (record.slide_id or "").strip() or record.image_id


def _unfit(name: str) -> str | None:
    """Return why OMERO cannot take a name; its files and its target syntax cannot hold every text."""
    if not name.isprintable():
        return "its SlideID or CaseID has characters that cannot be written"
    if len(name) > MAX_NAME:
        return f"its SlideID or CaseID has more than {MAX_NAME} characters"
    if "/Dataset:" in name or "/Project:" in name:
        return "its SlideID or CaseID reads like an import target"
    return None


def _plain(text: str) -> str:
    """Return a value in one line that no spreadsheet program takes for a formula."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return f"'{line}" if line[:1] in {"=", "+", "@"} else line


def _rows(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield the rows written before; a malformed row is skipped."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return
    for row in list(csv.reader(io.StringIO(text, newline="")))[1:]:
        if len(row) == len(_WRITTEN):
            yield row[0], row[1], row[2]


def _text(rows: Iterable[tuple[str, ...]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
