"""The rule for deleting the scanner's file, case by case in the order of ``deletion_rule``, then over combinations.

Every question goes through the handler of ``POST /ImportSlide``; only a 200 lets a scanner's script delete its file.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from vsv.errors import ConflictError, NotFoundError, UnavailableError, UnreadableSlideError
from vsv.ingest.deletion_rule import CASES, RUN_CASES
from vsv.records.models import ImportState

from tests.support.servers.scanner_question import (
    ENDS,
    FOLDER,
    OBJECT,
    OTHER,
    OTHER_SIZE,
    SIZE,
    THIS,
    Stored,
    World,
    ask,
    run_of,
)

TRANSFERRING, IMPORTING = ImportState.TRANSFERRING, ImportState.IMPORTING
READY, FAILED = ImportState.READY, ImportState.FAILED

FIND = ["get_run", "by_filename"]
CHECK = ["stored_size", "is_hidden", "exists", "open"]
BEGIN = ["prepare", "begin", "start"]


class Row(NamedTuple):
    """A question, its answer, and the stores and files that it may cost, in order."""

    case: str
    world: World
    checksum: str | None
    status: int
    calls: list[str]


ROWS = [
    Row("1 object under way", World((), run_of(TRANSFERRING, source=OBJECT, checksum=None, image_id=None)), None,
        202, [*FIND, "has_ended", "start"]),
    Row("1 object of another size under way", World((), run_of(IMPORTING, source=OBJECT, size=OTHER_SIZE)), THIS,
        202, [*FIND, "has_ended", "start"]),
    Row("2 checksum stored", World(run=run_of()), THIS,
        200, [*FIND, *CHECK, "in_place"]),
    Row("2 checksum stored, latest run failed", World(run=run_of(FAILED)), THIS,
        200, [*FIND, *CHECK, "in_place", "confirm"]),
    Row("2 checksum stored, scanner has other content by now", World(run=run_of(), content=OTHER), THIS,
        200, [*FIND, *CHECK, "in_place"]),
    Row("3 checksum not stored", World(run=run_of()), OTHER,
        202, [*FIND, *CHECK, "describe_source", *BEGIN]),
    Row("3 run brings another checksum", World((), run_of(IMPORTING, image_id=None)), OTHER,
        202, [*FIND, "describe_source", *BEGIN]),
    Row("3 run was asked for another checksum",
        World((), run_of(TRANSFERRING, image_id=None, checksum=None, expected=THIS)), OTHER,
        202, [*FIND, "describe_source", *BEGIN]),
    Row("4 run reads the file now", World(run=run_of(TRANSFERRING, checksum=None, image_id=None), content=OTHER),
        None, 202, [*FIND, *CHECK, "has_ended", "start"]),
    Row("5 folder holds the file with other sizes only", World(run=run_of(), is_changing=True), None,
        503, [*FIND, *CHECK, "new_source"]),
    Row("6 folder holds a rescan of the same size", World(run=run_of(), content=OTHER), None,
        202, [*FIND, *CHECK, "new_source", *BEGIN]),
    Row("7 run has failed", World((), run_of(FAILED, error="why")), None,
        422, [*FIND, "new_source"]),
    Row("7 run has failed, an earlier scan is stored",
        World(run=run_of(FAILED, image_id=None, checksum=OTHER)), None,
        422, [*FIND, *CHECK, "new_source"]),
    Row("7 run brings what the folder holds", World((), run_of(IMPORTING, image_id=None), content=THIS), None,
        202, [*FIND, "new_source", "has_ended", "start"]),
    Row("7 run is under way", World((), run_of(IMPORTING, image_id=None)), THIS,
        202, [*FIND, "new_source", "has_ended", "start"]),
    Row("8 nothing stored", World(()), None,
        202, [*FIND, "new_source", "describe_source", *BEGIN]),
    Row("8 record without its file", World((Stored(size_on_disk=None),), run_of()), None,
        202, [*FIND, "stored_size", "new_source", "describe_source", *BEGIN]),
    Row("9 stored", World(run=run_of()), None,
        200, [*FIND, *CHECK, "new_source", "in_place"]),
    Row("9 stored, no run known", World(), None,
        200, [*FIND, *CHECK, "new_source", "in_place"]),
    Row("9 stored, a run of another size is under way", World(run=run_of(IMPORTING, size=OTHER_SIZE)), None,
        200, [*FIND, *CHECK, "new_source", "in_place"]),
]  # fmt: skip
RUN_ROWS = [
    Row("1 failed", World((), run_of(FAILED, error="why")), None,
        422, [*FIND, "new_source"]),
    Row("2 lost", World((), run_of(IMPORTING, image_id=None), has_ended=True), None,
        202, [*FIND, "new_source", "has_ended", "describe_source", *BEGIN]),
    Row("2 lost, own slide stored", World(run=run_of(IMPORTING), has_ended=True), None,
        202, [*FIND, *CHECK, "new_source", "has_ended", *BEGIN]),
    Row("3 own slide stored, pyramid missing", World(run=run_of(IMPORTING)), None,
        200, [*FIND, *CHECK, "new_source", "has_ended", "start", "in_place", "confirm"]),
    Row("3 own slide of an object stored", World(run=run_of(IMPORTING, source=OBJECT)), None,
        200, [*FIND, *CHECK, "has_ended", "start", "in_place", "confirm"]),
    Row("4 only an earlier scan stored", World(run=run_of(IMPORTING, image_id="i2", checksum=OTHER)), None,
        202, [*FIND, *CHECK, "new_source", "has_ended", "start"]),
]  # fmt: skip


def numbers(words: list[str]) -> list[str]:
    """Return the numbers that texts begin with, each once."""
    return list(dict.fromkeys(one.partition(" ")[0] for one in words))


def test_rows_cover_every_case_of_the_rule_in_the_same_order() -> None:
    assert numbers([row.case for row in ROWS]) == numbers([case.words for case in CASES])
    assert numbers([row.case for row in RUN_ROWS]) == numbers([case.words for case in RUN_CASES])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.case)
def test_case_answers_its_status_with_only_its_calls(row: Row) -> None:
    status, _, parts = ask(row.world, row.checksum)
    assert (status, parts.calls) == (row.status, row.calls)


@pytest.mark.parametrize("row", RUN_ROWS, ids=lambda row: row.case)
def test_case_of_a_run_answers_its_status_with_only_its_calls(row: Row) -> None:
    status, _, parts = ask(row.world, row.checksum)
    assert (status, parts.calls) == (row.status, row.calls)


# Each part of the contract's first sentence, on its own.


@pytest.mark.parametrize(
    "fault",
    [
        {"filename": "b.svs"}, {"recorded_size": OTHER_SIZE}, {"size_on_disk": OTHER_SIZE}, {"size_on_disk": None},
        {"trouble": UnreadableSlideError}, {"trouble": ConflictError}, {"trouble": NotFoundError},
        {"trouble": UnavailableError}, {"is_in_place": True},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("checksum", [None, THIS])
def test_slide_with_a_single_fault_never_answers_200(fault: dict[str, Any], checksum: str | None) -> None:
    assert ask(World(run=run_of()), checksum)[0] == 200
    assert ask(World((replace(Stored(), **fault),), run_of()), checksum)[0] in {202, 503}


@pytest.mark.parametrize("fate", [{"is_deleted": True}, {"is_archived": True}])
def test_deleted_or_archived_slide_answers_200_by_size_alone(fate: dict[str, Any]) -> None:
    out_of_sight = replace(Stored(trouble=NotFoundError), **fate)
    assert ask(World((out_of_sight,), run_of()))[0] == 200
    assert ask(World((replace(out_of_sight, size_on_disk=OTHER_SIZE),), run_of()))[0] == 202
    assert ask(World((replace(out_of_sight, is_in_place=True),), run_of()))[0] == 202


def test_only_answer_200_names_the_file() -> None:
    for row in ROWS + RUN_ROWS:
        status, body, _ = ask(row.world, row.checksum)
        assert ("filename" in body) is (status == 200)


def test_started_import_has_the_requested_content() -> None:
    (begun,) = ask(World(run=run_of(), content=OTHER))[2].begun
    assert (begun.size, begun.source, begun.expected, begun.image_id) == (SIZE, FOLDER, None, None)
    (begun,) = ask(World(run=run_of()), OTHER)[2].begun
    assert (begun.size, begun.expected, begun.checksum) == (SIZE, OTHER, None)


def test_restarted_import_keeps_slide_that_may_be_the_only_copy() -> None:
    (begun,) = ask(World(run=run_of(IMPORTING), has_ended=True))[2].begun
    assert (begun.image_id, begun.checksum, begun.source) == ("i1", THIS, FOLDER)


# The contract in plain Python, told apart from how the program decides.


def may_delete(world: World, checksum: str | None) -> bool:
    """Return whether the contract lets the scanner's file go: some stored slide must be that file for certain."""
    return any(_is_that_file(world, slide, checksum) for slide in world.slides)


def _is_that_file(world: World, slide: Stored, checksum: str | None) -> bool:
    if not _is_stored_here(slide) or slide.is_in_place:
        return False
    if checksum is not None and slide.checksum != ENDS:
        return slide.checksum == checksum
    return _is_latest_content(world, slide, checksum)


def _is_stored_here(slide: Stored) -> bool:
    is_recorded = slide.filename == "a.svs" and slide.recorded_size == SIZE
    is_readable = slide.is_deleted or slide.is_archived or slide.trouble is None
    return is_recorded and slide.size_on_disk == SIZE and is_readable


def _is_latest_content(world: World, slide: Stored, checksum: str | None) -> bool:
    """Return whether nothing hints at another scan of the same name and size than the stored slide."""
    run = world.run if world.run is not None and world.run.size == SIZE else None
    if run is not None and run.state is not READY:
        is_own = (run.image_id, run.checksum) == (slide.image_id, slide.checksum)
        if run.state is FAILED or world.has_ended or not is_own:
            return False
        if run.source == OBJECT:
            return True  # what the scanner has meanwhile is compared when the object is done
    kept = [
        s.checksum for s in world.slides if _is_stored_here(s) and (checksum is None or s.checksum == ENDS)
    ]
    kept += [run.checksum] if run is not None and run.state is not READY else []
    is_known = world.content is None or world.content in kept or f"ends:{world.content[:59]}" in kept
    return is_known and not world.is_changing


slides = st.builds(
    Stored,
    filename=st.sampled_from(["a.svs", "a.svs", "a.svs", "b.svs"]),
    recorded_size=st.sampled_from([SIZE, SIZE, SIZE, OTHER_SIZE]),
    size_on_disk=st.sampled_from([SIZE, SIZE, SIZE, OTHER_SIZE, None]),
    checksum=st.sampled_from([THIS, THIS, OTHER, ENDS, None]),
    is_deleted=st.sampled_from([False, False, True]),
    is_archived=st.sampled_from([False, False, True]),
    trouble=st.sampled_from([None, None, None, UnreadableSlideError, ConflictError, NotFoundError]),
    is_in_place=st.sampled_from([False, False, True]),
)
# A run that has stored a slide has read it, so it knows the checksum.
done = st.sampled_from([("i1", THIS), ("i1", OTHER), ("i2", THIS), ("i2", ENDS), (None, THIS), (None, None)])
runs = st.none() | st.builds(
    lambda state, done, **more: run_of(state, image_id=done[0], checksum=done[1], **more),
    st.sampled_from(ImportState),
    done,
    size=st.sampled_from([SIZE, SIZE, OTHER_SIZE]),
    expected=st.sampled_from([None, THIS, OTHER]),
    source=st.sampled_from([None, FOLDER, FOLDER, OBJECT]),
)
worlds = st.builds(
    World,
    st.one_of(
        st.just(()), st.tuples(slides), st.tuples(slides, slides.map(lambda s: replace(s, image_id="i2")))
    ),
    runs,
    content=st.sampled_from([None, THIS, THIS, OTHER]),
    is_changing=st.sampled_from([False, False, False, True]),
    has_ended=st.sampled_from([False, False, True]),
)
named = st.sampled_from([None, THIS, OTHER])


def is_object_under_way(world: World) -> bool:
    return (
        world.run is not None and world.run.source == OBJECT and world.run.state in {TRANSFERRING, IMPORTING}
    )


@settings(max_examples=1000)
@given(world=worlds, checksum=named)
def test_answer_is_200_only_where_the_whole_contract_holds(world: World, checksum: str | None) -> None:
    if ask(world, checksum)[0] == 200:
        assert may_delete(world, checksum)


@settings(max_examples=1000)
@given(world=worlds, checksum=named)
def test_answer_is_200_wherever_the_contract_holds_without_objects_and_links(
    world: World, checksum: str | None
) -> None:
    assume(not is_object_under_way(world) and not any(slide.is_in_place for slide in world.slides))
    if may_delete(world, checksum):
        assert ask(world, checksum)[0] == 200


def test_running_object_import_answers_202_for_another_checksum() -> None:
    world = World(run=run_of(IMPORTING, source=OBJECT))
    assert not may_delete(world, OTHER)
    assert ask(world, OTHER)[0] == 202
    assert ask(world, THIS)[0] == 200
