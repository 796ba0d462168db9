"""Lists and their tokens: one contract, two stores."""

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vsv.errors import InvalidQueryError, InvalidTokenError
from vsv.records.models import ImportState, SlideRecord, Status
from vsv.records.pagination import encode_token
from vsv.records.stores import ImportStore, Page, SlideStore

from tests.support.stores.store_records import NOT_KEYS, Stores, slide, slide_import

pytest_plugins = ["tests.support.stores.store_fixtures"]
quick = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)


def traverse(
    read: Callable[..., Page[Any]], limit: int, between: Callable[[], None] | None = None
) -> list[Any]:
    """Return all items of a list, read page by page; ``between`` runs after each page."""
    found: list[Any] = []
    token = None
    while True:
        page = read(limit=limit, token=token)
        assert len(page.items) <= limit
        found += page.items
        token = page.next_token
        if token is None:
            return found
        assert page.items
        if between:
            between()


SlideReader = Callable[[SlideStore], Callable[..., Page[SlideRecord]]]
SLIDE_LISTS: dict[str, SlideReader] = {
    "list_all": lambda store: store.list_all,
    "by_status": lambda store: lambda **page: store.by_status(Status.NEW, **page),
    "by_case": lambda store: lambda **page: store.by_case("case", **page),
    "by_filename": lambda store: lambda **page: store.by_filename("same.svs", **page),
}
every_list = pytest.mark.parametrize("list_name", SLIDE_LISTS)


def listed_slide(number: int, prefix: str = "old") -> SlideRecord:
    """Return a record that every list contains; a third have no SlideID, of the others several share one."""
    slide_id = None if number % 3 == 0 else f"S-{number // 7:02d}"
    name = f"{prefix}-{number * 37 % 100:02d}"
    return slide(name, slide_id=slide_id, case_id="case", filename="same.svs")


class TestPages:
    @every_list
    def test_each_row_is_listed_once(self, slides: SlideStore, list_name: str) -> None:
        records = [listed_slide(number) for number in range(57)]
        for record in [*records, slide("other", status=Status.BAD, case_id="Case")]:
            slides.put_new(record)
        found = [r for r in traverse(SLIDE_LISTS[list_name](slides), 10) if r.image_id != "other"]
        assert sorted(found, key=lambda r: r.image_id) == sorted(records, key=lambda r: r.image_id)

    @every_list
    def test_rows_added_or_removed_between_pages_do_not_displace_others(
        self, slides: SlideStore, list_name: str
    ) -> None:
        records = [listed_slide(number) for number in range(57)]
        for record in records:
            slides.put_new(record)
        read = SLIDE_LISTS[list_name](slides)
        seen: list[str] = []
        removed: set[str] = set()
        new_numbers = itertools.count()

        def read_and_note(**page: Any) -> Page[SlideRecord]:
            answer = read(**page)
            seen.extend(record.image_id for record in answer.items)
            return answer

        def disturb() -> None:
            unseen = sorted(r.image_id for r in records if r.image_id not in {*seen, *removed})
            for image_id in [seen[-1], *unseen[:1]]:  # seen[-1] is where the next page starts
                slides.remove(image_id)
                removed.add(image_id)
            for _ in range(3):
                slides.put_new(listed_slide(next(new_numbers), prefix="new"))

        traverse(read_and_note, 10, disturb)
        assert len(seen) == len(set(seen))
        assert {r.image_id for r in records} - removed <= set(seen)

    @every_list
    @pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 20])
    def test_full_last_page_has_no_token(self, slides: SlideStore, list_name: str, count: int) -> None:
        for number in range(count):
            slides.put_new(listed_slide(number))
        read = SLIDE_LISTS[list_name](slides)
        page = read(limit=10)
        assert (len(page.items), page.next_token is None) == (min(count, 10), count <= 10)
        if page.next_token:
            rest = read(limit=10, token=page.next_token)
            assert (len(rest.items), rest.next_token) == (count - 10, None)

    def test_default_limit_is_twenty(self, slides: SlideStore) -> None:
        for number in range(21):
            slides.put_new(listed_slide(number))
        assert [len(SLIDE_LISTS[name](slides)().items) for name in SLIDE_LISTS] == [20] * 4
        assert len(slides.list_all(limit=1000).items) == 21

    @every_list
    @pytest.mark.parametrize("limit", [0, -1, 1001, 10**30, True, 1.5, "5", None])
    def test_wrong_limit_is_refused(self, slides: SlideStore, list_name: str, limit: Any) -> None:
        with pytest.raises(InvalidQueryError):
            SLIDE_LISTS[list_name](slides)(limit=limit)

    def test_status_list_is_ordered_by_slide_id(self, slides: SlideStore) -> None:
        ids = {
            "m": None,
            "a": "S2",
            "b": "S10",
            "c": "S1",
            "d": "S1",
            "Z": None,
            "e": "é",
            "f": "😀",
            "g": "\uffee",
        }
        for image_id, slide_id in ids.items():
            slides.put_new(slide(image_id, slide_id=slide_id))
        found = [r.slide_id or r.image_id for r in traverse(SLIDE_LISTS["by_status"](slides), 2)]
        assert found == ["S1", "S1", "S10", "S2", "Z", "m", "é", "\uffee", "😀"]

    def test_lists_follow_updates(self, slides: SlideStore) -> None:
        slides.put_new(slide(case_id="C1", status=Status.NEW, slide_id="S1"))
        slides.update("image-1", {"case_id": "C2", "status": "GOOD", "filename": "b.svs"}, by="me")
        assert not slides.by_case("C1").items
        assert not slides.by_status(Status.NEW).items
        assert not slides.by_filename("image-1.svs").items
        (found,) = slides.by_case("C2").items
        assert (found,) == slides.by_status(Status.GOOD).items == slides.by_filename("b.svs").items

    @pytest.mark.parametrize("value", ["nothing", *NOT_KEYS])
    def test_list_without_matches_is_an_empty_page(self, slides: SlideStore, value: str) -> None:
        slides.put_new(slide(case_id="C1"))
        assert slides.by_case(value) == slides.by_filename(value) == Page(())


class TestTokens:
    @pytest.fixture
    def readers(self, stores: Stores) -> dict[str, Callable[..., Page[Any]]]:
        for number in range(4):
            stores.slides.put_new(
                slide(f"{number}", case_id="ab"[number % 2], filename="ab"[number % 2], slide_id="S")
            )
            stores.slides.update(f"{number}", {"status": ["NEW", "BAD"][number % 2]}, by="me")
            state = list(ImportState)[number % 2]
            stores.imports.start(slide_import(f"{number}", state=state), replaces=None)
        lists: list[tuple[Callable[..., Page[Any]], list[Any]]] = [
            (stores.slides.by_status, [Status.NEW, Status.BAD]),
            (stores.slides.by_case, ["a", "b"]),
            (stores.slides.by_filename, ["a", "b"]),
            (stores.imports.by_state, list(ImportState)[:2]),
        ]
        by_value = {
            f"{read.__name__}-{value}": partial(read, value) for read, values in lists for value in values
        }
        return {"slides": stores.slides.list_all, "imports": stores.imports.list_all, **by_value}

    def test_token_of_another_query_is_refused(self, readers: dict[str, Callable[..., Page[Any]]]) -> None:
        tokens = {name: read(limit=1).next_token for name, read in readers.items()}
        for (owner, token), (name, read) in itertools.product(tokens.items(), readers.items()):
            assert token
            if name == owner:
                assert read(limit=1, token=token).items
            else:
                with pytest.raises(InvalidTokenError):
                    read(limit=1, token=token)

    @quick
    @given(forged=st.text() | st.binary() | st.integers() | st.lists(st.text()))
    def test_forged_token_is_refused_by_every_list(
        self, readers: dict[str, Callable[..., Page[Any]]], forged: Any
    ) -> None:
        for read in readers.values():
            with pytest.raises(InvalidTokenError):
                read(token=forged)

    @pytest.mark.parametrize("character", ["A", "a", "-", "_", "=", " ", "\n", "é"])
    def test_altered_token_is_refused_by_every_list(
        self, readers: dict[str, Callable[..., Page[Any]]], character: str
    ) -> None:
        for read in readers.values():
            token = read(limit=1).next_token
            assert token
            for altered in [
                character + token[1:],
                token[:-1] + character,
                token + character,
                token[:9] + character,
            ]:
                if altered != token:
                    with pytest.raises(InvalidTokenError):
                        read(token=altered)

    @quick
    @given(key=st.lists(st.text() | st.just("x" * 341), max_size=3))
    def test_forged_key_is_refused_or_moves_the_start(self, stores: Stores, key: list[str]) -> None:
        for query in (["slides by status", "NEW"], ["SlideRecord", "Status-SlideID-index", "NEW"]):
            try:
                token = encode_token(query, key)
            except UnicodeEncodeError:
                continue
            try:
                assert stores.slides.by_status(Status.NEW, token=token) == Page(())
            except InvalidTokenError:
                continue


class TestImportLists:
    def test_each_import_is_listed_once(self, imports: ImportStore) -> None:
        names = [f"{number}.svs" for number in range(25)]
        for name in names:
            imports.start(slide_import(name), replaces=None)  # all with one time stamp
        assert sorted(r.filename for r in traverse(imports.list_all, 4)) == sorted(names)
        waiting = traverse(lambda **page: imports.by_state(ImportState.TRANSFERRING, **page), 4)
        assert sorted(r.filename for r in waiting) == sorted(names)
        assert imports.by_state(ImportState.FAILED) == Page(())

    def test_state_list_is_ordered_by_time(self, imports: ImportStore) -> None:
        for name in "abcde":
            imports.start(slide_import(name), replaces=None)
        for name in "dbeca":
            imports.advance(name, "run-1", {"state": ImportState.FAILED})
        failed = traverse(lambda **page: imports.by_state(ImportState.FAILED, **page), 2)
        assert "".join(r.filename for r in failed) == "dbeca"
        assert [r.updated_at for r in failed] == sorted(r.updated_at for r in failed)
