"""Rule for deleting the scanner's file: whether the scanner may delete its copy, as tables of cases.

A scheduled task at the scanner calls ``POST /ImportSlide`` again and again; on a 200 the task deletes its file.
The contract of that answer, and where each part of the contract is enforced:

1. A slide is recorded under that filename and that size, its stored file has that size and, unless the slide was
   deleted or archived, opens, and all files of a set are stored: ``Facts.slides`` holds no other slides
   (``stored_slides.is_whole``).
2. Where the scanner named a checksum, the slide has that content: CASES 2 and 3, RUN_CASES 3.
3. Where the scanner's folder can be seen, it holds no other content under that name and size: CASES 4 to 6.
4. Where no slide has exactly a named checksum, a run that failed confirms no slide, and a run that is under way
   confirms only its own slide: CASES 4 and 7, RUN_CASES.
5. The stored file is not a mere link to the scanner's own: ``safety``.
6. Content that was confirmed is never replaced, and content that is being replaced not confirmed: ``replacement``.

All functions here are pure: ``receive`` gathers the facts, expensive facts only when a decision asks for them.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from vsv.ingest.runs import UNDER_WAY, is_object
from vsv.ingest.stored_slides import is_summed_in_part
from vsv.records.models import ImportRecord, ImportState, SlideRecord
from vsv.storage.stored_set import is_set_checksum


class Safety(Enum):
    """Whether the scanner may delete its copy of a file."""

    SAFE = "stored and readable here: the scanner's copy may go"
    IN_PLACE = "imported, but the scanner's copy is the only one"
    NOT_YET = "under way or failed: the scanner's copy must stay"


class Decision(Enum):
    """Action to take when a scanner asks about a file."""

    CONFIRM = "confirm a slide that is stored"
    START = "start an import in the latest run's place"
    LOOK_AT_SOURCE = "look into the scanner's folder, then decide again"
    FOLLOW_RUN = "decide by RUN_CASES"
    REPORT_FAILURE = "report why the run failed"
    RESTART = "start an import again with what the run was about"
    CONFIRM_OWN = "confirm the run's own slide"
    WAIT = "report that the run is under way"


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts known about a file when its scanner asks.

    ``checksum`` is the SHA-256 that the scanner named, if any. ``latest`` is the latest run of the filename, whatever
    its size. ``slides`` are the slides recorded under that filename and size and stored whole. ``is_source_seen``
    says that the scanner's folder was looked into; ``new_source`` is the folder in which content was seen that has
    none of ``known_checksums``. ``is_lost`` says that no process works on ``latest`` any more.
    """

    filename: str
    size: int
    checksum: str | None
    latest: ImportRecord | None
    slides: Sequence[SlideRecord]
    is_source_seen: bool = False
    new_source: str | None = None
    is_lost: bool = False

    @property
    def run(self) -> ImportRecord | None:
        """Latest run if its file has that size, else None: a run of another size is about another scan."""
        return self.latest if self.latest is not None and self.latest.size == self.size else None

    @property
    def exact(self) -> Sequence[SlideRecord]:
        """Slides with the checksum that the scanner named."""
        return [
            slide for slide in self.slides if self.checksum is not None and slide.checksum == self.checksum
        ]

    @property
    def candidates(self) -> Sequence[SlideRecord]:
        """Slides that may be the scanner's file where no slide has exactly the checksum that was named."""
        return [slide for slide in self.slides if self.checksum is None or is_summed_in_part(slide)]

    @property
    def confirmed_slide(self) -> SlideRecord:
        """Slide that CONFIRM is about: an exact slide, else the latest run's candidate, else the first candidate."""
        if self.exact:
            return self.exact[0]
        own = (slide for slide in self.candidates if self.run and slide.image_id == self.run.image_id)
        return next(own, self.candidates[0])

    @property
    def own_slide(self) -> SlideRecord | None:
        """Slide that the latest run has stored, if any: another of that name and size may be an earlier scan."""
        slides, run = self.slides if _is_object_under_way(self) else self.candidates, self.latest
        own = (s for s in slides if run and (s.image_id, s.checksum) == (run.image_id, run.checksum))
        return next(own, None)

    @property
    def known_checksums(self) -> Collection[str]:
        """Checksums of content that is stored or being imported: a rescan may have the same name and size."""
        known = {slide.checksum for slide in self.candidates if slide.checksum}
        if self.run is not None and self.run.state is not ImportState.READY and self.run.checksum:
            known.add(self.run.checksum)
        return known


def _is_object_under_way(facts: Facts) -> bool:
    latest = facts.latest
    return latest is not None and is_object(latest.source) and latest.state in UNDER_WAY


def _cannot_be_this_content(facts: Facts) -> bool:
    return facts.checksum is not None and not facts.candidates and not _may_bring(facts.run, facts.checksum)


def _may_bring(run: ImportRecord | None, checksum: str) -> bool:
    if run is None or run.state is ImportState.READY:
        return False
    # The checksum of a slide of several files is of all of them, and the scanner names that of the index.
    is_possible = run.checksum in {None, checksum} or is_set_checksum(run.checksum)
    return is_possible and run.expected in {None, checksum}


def _is_being_read(facts: Facts) -> bool:
    return facts.run is not None and facts.run.state in UNDER_WAY and facts.run.checksum is None


def _is_unfinished(facts: Facts) -> bool:
    return facts.run is not None and facts.run.state is not ImportState.READY


def _has_failed(facts: Facts) -> bool:
    return facts.latest is not None and facts.latest.state is ImportState.FAILED


def _is_own_slide_stored(facts: Facts) -> bool:
    """Return whether the run's own slide is stored whole and, where a checksum was named, may have that content."""
    own = facts.own_slide
    return own is not None and (own in facts.exact or own in facts.candidates)


def _always(_facts: Facts) -> bool:
    return True


class Case(NamedTuple):
    """Row of the rule: its words, its condition on the facts, and the decision where the condition holds."""

    words: str
    holds: Callable[[Facts], bool]
    decision: Decision


# The first case that holds decides.
CASES = (
    Case("1 a dropped object's import is under way: an object is not dropped again, a scanner asks again",
         _is_object_under_way, Decision.FOLLOW_RUN),
    Case("2 a stored slide has the checksum that was named",
         lambda facts: bool(facts.exact), Decision.CONFIRM),
    Case("3 no stored slide can have the checksum that was named, nor can the run bring it",
         _cannot_be_this_content, Decision.START),
    Case("4 the run is reading the file now: its content can be compared when the scanner asks again",
         _is_being_read, Decision.FOLLOW_RUN),
    Case("5 the scanner's folder may hold other content of that name and size",
         lambda facts: not facts.is_source_seen, Decision.LOOK_AT_SOURCE),
    Case("6 it does: content that is neither stored nor being imported",
         lambda facts: facts.new_source is not None, Decision.START),
    Case("7 the run has failed or is under way",
         _is_unfinished, Decision.FOLLOW_RUN),
    Case("8 no slide of that name and size is stored whole",
         lambda facts: not facts.candidates, Decision.START),
    Case("9 a slide of that name and size is stored whole",
         _always, Decision.CONFIRM),
)  # fmt: skip
RUN_CASES = (
    Case("1 the run has failed",
         _has_failed, Decision.REPORT_FAILURE),
    Case("2 nothing works on the run any more, and its end was not recorded",
         lambda facts: facts.is_lost, Decision.RESTART),
    Case("3 the run's own slide is stored whole: only its pyramid is missing",
         _is_own_slide_stored, Decision.CONFIRM_OWN),
    Case("4 the run is under way",
         _always, Decision.WAIT),
)  # fmt: skip


def decide(facts: Facts) -> Decision:
    """Return the decision about a file by CASES."""
    return next(case.decision for case in CASES if case.holds(facts))


def decide_run(facts: Facts) -> Decision:
    """Return the decision by RUN_CASES about the latest run, which has failed or is under way."""
    return next(case.decision for case in RUN_CASES if case.holds(facts))


def safety(*, is_in_place: bool) -> Safety:
    """Return the safety of deleting the scanner's copy of a confirmed slide; in place, that copy is the original."""
    return Safety.IN_PLACE if is_in_place else Safety.SAFE
