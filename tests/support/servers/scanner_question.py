"""One request of a scanner to the real handler, over fake stores, files and a fake scanner's folder.

Each part records its calls, so that a test sees which stores and files an answer needs.
"""

import json
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from import_slide.handler import lambda_handler as import_slide
from vsv import runtime
from vsv.errors import FileChangingError
from vsv.records.models import ImportRecord, ImportState, SlideRecord
from vsv.records.stores import Page

from vsv_local.server.api_gateway_events import http_event

NAME, SIZE, OTHER_SIZE = "a.svs", 100, 101
THIS, OTHER = "a" * 64, "b" * 64
ENDS = "ends:" + "a" * 59  # of an original that stays in place only the ends are read
FOLDER, OBJECT = "/scans", "s3://drop-in/a.svs?versionId=1"


@dataclass(frozen=True)
class Stored:
    """A slide's record and its files; by default as an answer 200 requires."""

    image_id: str = "i1"
    filename: str = NAME
    recorded_size: int = SIZE
    size_on_disk: int | None = SIZE
    checksum: str | None = THIS
    is_deleted: bool = False
    is_archived: bool = False
    trouble: type[Exception] | None = None
    is_in_place: bool = False

    def record(self) -> SlideRecord:
        return SlideRecord(
            image_id=self.image_id, filename=self.filename, width=1, height=1, file_size=self.recorded_size,
            checksum=self.checksum, last_modified="2026-11-21T00:00:00.000000Z",
        )  # fmt: skip


@dataclass(frozen=True)
class World:
    """The state behind a request; ``content`` is the file in the scanner's folder, None if it cannot be read."""

    slides: tuple[Stored, ...] = (Stored(),)
    run: ImportRecord | None = None
    content: str | None = None
    is_changing: bool = False
    has_ended: bool = False


def run_of(state: ImportState = ImportState.READY, **more: Any) -> ImportRecord:
    """Return the record of the file's latest run, which has stored the slide i1 unless another is given."""
    given = {"size": SIZE, "image_id": "i1", "checksum": THIS, "source": FOLDER} | more
    return ImportRecord(
        filename=NAME, state=state, run_id="run-1", started_at="2026-11-21T00:00:00.000000Z",
        updated_at="2026-11-21T00:00:00.000000Z", **given,
    )  # fmt: skip


@dataclass
class Parts:
    """All parts of an installation in one object, over a world; ``calls`` are the calls that they received."""

    world: World
    calls: list[str] = field(default_factory=list)
    begun: list[ImportRecord] = field(default_factory=list)

    def installation(self) -> Any:
        imports = SimpleNamespace(get=self._run, start=self._begin, advance=self._confirm)
        slides = SimpleNamespace(by_filename=self._named, get=self._record)
        files = SimpleNamespace(
            stored_size=self._ask("stored_size", lambda slide: slide.size_on_disk),
            is_hidden=self._ask("is_hidden", lambda slide: slide.is_deleted),
            slide=lambda image_id: SimpleNamespace(exists=lambda: self._exists(image_id)),
            in_place=self._ask("in_place", lambda slide: slide.is_in_place),
            prepare=lambda: self.calls.append("prepare"),
        )
        slide_cache = SimpleNamespace(slide=self._open)
        starter = SimpleNamespace(
            describe_source=self._describe_source, new_source=self._new_source, start=self._start,
            has_ended=self._has_ended,
        )  # fmt: skip
        return SimpleNamespace(
            imports=imports, slides=slides, files=files, slide_cache=slide_cache, starter=starter
        )

    def _confirm(self, _filename: str, _run_id: str, changes: dict[str, Any]) -> None:
        assert changes == {"confirmed": True}
        self.calls.append("confirm")

    def _ask(self, name: str, answer: Callable[[Stored], Any]) -> Callable[[str], Any]:
        def ask(image_id: str) -> Any:
            self.calls.append(name)
            return answer(self._slide(image_id))

        return ask

    def _slide(self, image_id: str) -> Stored:
        return next(slide for slide in self.world.slides if slide.image_id == image_id)

    def _run(self, _filename: str) -> ImportRecord | None:
        self.calls.append("get_run")
        return self.world.run

    def _begin(self, run: ImportRecord, *, replaces: str | None) -> None:
        assert replaces == (self.world.run.run_id if self.world.run else None)
        self.calls.append("begin")
        self.begun.append(run)

    def _named(self, filename: str, limit: int, token: str | None) -> Page[SlideRecord]:
        self.calls.append("by_filename")
        named = tuple(slide.record() for slide in self.world.slides if slide.filename == filename)
        return Page(named, None)

    def _record(self, image_id: str) -> SlideRecord:
        self.calls.append("get_slide")
        return self._slide(image_id).record()

    def _exists(self, image_id: str) -> bool:
        self.calls.append("exists")
        return not self._slide(image_id).is_archived

    def _open(self, image_id: str, *, is_seen: bool) -> None:
        self.calls.append("open")
        if (trouble := self._slide(image_id).trouble) is not None:
            raise trouble("it does not open")

    def _describe_source(self, _filename: str, _size: int) -> str | None:
        self.calls.append("describe_source")
        return FOLDER if self.world.content else None

    def _new_source(
        self, _filename: str, _size: int, known: Collection[str], _run: ImportRecord | None
    ) -> str | None:
        self.calls.append("new_source")
        if self.world.is_changing:
            raise FileChangingError("the file has another size now")
        matches = self.world.content is None or any(_is_of(self.world.content, one) for one in known)
        return None if matches else FOLDER

    def _has_ended(self, _run: ImportRecord) -> bool:
        self.calls.append("has_ended")
        return self.world.has_ended

    def _start(self, run: ImportRecord) -> None:
        self.calls.append("start")


def _is_of(content: str, checksum: str) -> bool:
    """Return whether content has a checksum, which may be of its ends only."""
    return checksum in {content, "ends:" + content[:59]}


@contextmanager
def installed(world: World) -> Iterator[Parts]:
    """Make the handlers of this process use a fake world for the length of a block."""
    parts = Parts(world)
    runtime.use(parts.installation())
    try:
        yield parts
    finally:
        runtime.use(None)


def ask(world: World, checksum: str | None = None) -> tuple[int, dict[str, Any], Parts]:
    """Post the file's name, size and perhaps checksum; return status, body, and the parts that were asked."""
    asked = {"filename": NAME, "size": SIZE} | ({"sha256": checksum} if checksum else {})
    with installed(world) as parts:
        result = import_slide(http_event("POST", "/ImportSlide", "", (), json.dumps(asked).encode()), None)
    return result["statusCode"], json.loads(result["body"]), parts
