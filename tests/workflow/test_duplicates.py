"""Duplicates are marked on both sides, and both marks go: one contract, two stores."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vsv.records.models import SlideRecord, Status
from vsv.records.stores import SlideQuery, SlideStore
from vsv.services import Services
from vsv.workflow.duplicates import settle

from tests.support.stores.store_records import slide

pytest_plugins = ["tests.support.stores.store_fixtures"]
quick = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=15)


class Lab:
    """A store whose slides are imported and changed as the product does it: the write, then the marks."""

    def __init__(self, slides: SlideStore) -> None:
        self.slides = slides
        self.services = cast(Services, SimpleNamespace(slides=slides))

    def imported(self, image_id: str, **fields: Any) -> None:
        record = slide(image_id, **fields)
        self.slides.put_new(record)
        settle(self.services, record)

    def changed(self, image_id: str, **changes: Any) -> SlideRecord:
        before = self.slides.get(image_id)
        after = self.slides.update(image_id, changes, by="Ann")
        assert before is not None
        return settle(self.services, before, after).get(image_id, after)

    def marks(self) -> dict[str, tuple[str | None, str | None]]:
        records = self.slides.list_all(100).items
        return {r.image_id: (r.same_file_as, r.same_id_as) for r in records if r.is_duplicate}

    def listed(self, **query: Any) -> list[str]:
        found, token = [], None
        while True:
            page = self.slides.search(SlideQuery(duplicates=True, **query), 2, token)
            found += [record.image_id for record in page.items]
            if (token := page.next_token) is None:
                return found


@pytest.fixture
def lab(slides: SlideStore) -> Lab:
    return Lab(slides)


def test_same_bytes_under_another_name_are_marked_on_both_slides(lab: Lab) -> None:
    lab.imported("a", checksum="sha256:1", slide_id="a")
    assert lab.marks() == {}
    lab.imported("b", checksum="sha256:1", slide_id="b")
    lab.imported("c", checksum="sha256:2", slide_id="c")
    assert lab.marks() == {"a": ("b", None), "b": ("a", None)}


def test_one_slide_id_on_two_slides_is_marked_and_a_correction_takes_both_marks_away(lab: Lab) -> None:
    lab.imported("a", slide_id="S23-12345-A1")
    lab.imported("b", slide_id="S23-12345-A1")
    assert lab.marks() == {"a": (None, "b"), "b": (None, "a")}
    assert lab.changed("b", slide_id="S23-12345-A2").same_id_as is None
    assert lab.marks() == {}
    assert lab.changed("b", slide_id="S23-12345-A1").same_id_as == "a"
    assert lab.marks() == {"a": (None, "b"), "b": (None, "a")}


def test_slides_of_a_group_name_each_other_in_a_ring(lab: Lab) -> None:
    for image_id in ("b", "c", "a"):
        lab.imported(image_id, slide_id="S1", checksum="sha256:1")
    assert lab.marks() == {"a": ("b", "b"), "b": ("c", "c"), "c": ("a", "a")}
    lab.changed("b", slide_id="S2")
    assert lab.marks() == {"a": ("b", "c"), "b": ("c", None), "c": ("a", "a")}


def test_deleted_slide_is_no_duplicate_until_it_is_brought_back(lab: Lab) -> None:
    lab.imported("a", slide_id="S1", checksum="sha256:1")
    lab.imported("b", slide_id="S1", checksum="sha256:1")
    lab.changed("a", status=Status.DELETED)
    assert lab.marks() == {}
    lab.changed("a", status=Status.NEW)
    assert lab.marks() == {"a": ("b", "b"), "b": ("a", "a")}


def test_rescan_shares_the_slide_id_of_its_predecessor_but_not_its_bytes(lab: Lab) -> None:
    lab.imported("a", slide_id="S1", checksum="sha256:1", status=Status.DELETED)
    lab.imported("b", slide_id="S1", checksum="sha256:2", predecessor="a")
    lab.changed("a", status=Status.NEW)
    assert lab.marks() == {}
    lab.imported("c", slide_id="S1", checksum="sha256:2")
    assert lab.marks() == {"a": (None, "c"), "b": ("c", "c"), "c": ("b", "a")}


@pytest.mark.parametrize("other", ["s1", "S1 ", "S10", "S"])
def test_other_slide_id_is_no_duplicate(lab: Lab, other: str) -> None:
    lab.imported("a", slide_id="S1")
    lab.imported("b", slide_id=other, case_id="S1", filename="S1")
    lab.imported("c")
    lab.imported("d")
    assert lab.marks() == {}
    assert [record.image_id for record in lab.slides.by_slide_id("S1")] == ["a"]


def test_search_for_duplicates_lists_the_marked_slides_alone(lab: Lab) -> None:
    days = {"a": "2026-01-01", "b": "2026-01-03", "c": "2026-01-02", "d": "2026-01-04"}
    for image_id, day in days.items():
        lab.imported(image_id, slide_id="X" if image_id == "d" else "S1", scan_date=f"{day}T00:00:00Z")
    assert lab.listed() == ["b", "c", "a"]
    assert lab.listed(text="s1") == ["a", "b", "c"]
    assert lab.listed(since="2026-01-02T00:00:00Z") == ["b", "c"]
    lab.changed("c", status=Status.GOOD)
    assert (lab.listed(status=Status.NEW), lab.listed(status=Status.GOOD)) == (["b", "a"], ["c"])
    lab.changed("b", slide_id="S2")
    lab.changed("c", slide_id="S3")
    assert lab.listed() == []


def test_settling_again_changes_nothing(lab: Lab) -> None:
    lab.imported("a", slide_id="S1")
    lab.imported("b", slide_id="S1")
    before = lab.slides.list_all().items
    assert settle(lab.services, *before) == {}
    assert lab.slides.list_all().items == before


def test_mark_is_set_although_others_change_the_slide_at_the_same_moment(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.imported("a", slide_id="S1")
    real, done = lab.slides.update, []

    def disturbed(image_id: str, changes: Any, **options: Any) -> SlideRecord:
        if not done:
            done.append(real(image_id, {"note": "folded"}, by="Ben"))
        return real(image_id, changes, **options)

    monkeypatch.setattr(lab.slides, "update", disturbed)
    lab.imported("b", slide_id="S1")
    assert lab.marks() == {"a": (None, "b"), "b": (None, "a")}
    assert done[0].note == "folded"


STEPS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(["S1", "S2", "S3", "gone", "back"])), max_size=12
)


@quick
@given(steps=STEPS)
def test_marks_are_those_of_the_records_whatever_the_order_of_changes(lab: Lab, steps: Any) -> None:
    for record in lab.slides.list_all(100).items:
        lab.slides.remove(record.image_id)
    for number, image_id in enumerate("abcd"):
        lab.imported(image_id, slide_id=f"own {image_id}", checksum=f"sha256:{number // 2}")
    for image_id, step in steps:
        status = {"gone": Status.DELETED, "back": Status.NEW}.get(step)
        lab.changed(image_id, **({"slide_id": step} if status is None else {"status": status}))
    records = [r for r in lab.slides.list_all(100).items if r.status is not Status.DELETED]
    expected = {r.image_id for r in records if any(is_same(r, other) for other in records)}
    assert set(lab.marks()) == expected == set(lab.listed())


def is_same(first: SlideRecord, second: SlideRecord) -> bool:
    if first.image_id == second.image_id:
        return False
    return first.slide_id == second.slide_id or first.checksum == second.checksum
