"""Search, counts, cases and history: one contract, two stores."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vsv.errors import InvalidQueryError, InvalidTokenError, SlideNotFoundError, VersionConflictError
from vsv.records import review_queries
from vsv.records.models import SlideRecord, Status
from vsv.records.pagination import MAX_KEY_BYTES, encode_token
from vsv.records.review_index import MAX_TERM_BYTES, UNDATED, fold, moment, scan_moment, terms
from vsv.records.stores import SlideQuery, SlideStore

from tests.support.stores.store_records import FULL_SLIDE, NOT_KEYS, slide

pytest_plugins = ["tests.support.stores.store_fixtures"]
quick = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)


def searched_ids(slides: SlideStore, limit: int = 7, **query: Any) -> list[str]:
    """Return the IDs of all slides that a search finds, read page by page."""
    image_ids: list[str] = []
    token = None
    while True:
        page = slides.search(SlideQuery(**query), limit, token)
        assert len(page.items) <= limit
        image_ids += [record.image_id for record in page.items]
        if (token := page.next_token) is None:
            return image_ids


class TestSearch:
    def test_text_matches_prefixes_of_slide_id_case_id_and_filename(self, slides: SlideStore) -> None:
        slides.put_new(slide("1", slide_id="S26-1;A", case_id="S26-1", filename="scan one.svs"))
        slides.put_new(slide("2", slide_id="S26-2;A", case_id="S26-2", filename="SCAN two.svs"))
        slides.put_new(slide("3", filename="S26.svs"))
        assert searched_ids(slides, text="s26-") == ["1", "2"]
        assert searched_ids(slides, text=" S26 ") == ["1", "2", "3"]
        assert searched_ids(slides, text="Scan  T") == ["2"]
        assert searched_ids(slides, text="s26-1;a ") == ["1"]
        assert (
            searched_ids(slides, text="26")
            == searched_ids(slides, text="%")
            == searched_ids(slides, text="s26_")
            == []
        )

    @pytest.mark.parametrize("text", ["straße", "STRASSE", "\uff33trasse", "stra"])
    def test_text_matches_regardless_of_case_and_unicode_form(self, slides: SlideStore, text: str) -> None:
        slides.put_new(slide("1", slide_id="Straße 病理\x1d🔬"))
        assert searched_ids(slides, text=text) == ["1"]
        assert searched_ids(slides, text="strasse 病理 🔬") == ["1"]

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    def test_slide_that_matches_by_all_texts_is_listed_once(self, slides: SlideStore, limit: int) -> None:
        for number in range(9):
            name = f"S26-{number:02d}"
            slides.put_new(
                slide(f"i{8 - number}", slide_id=f"{name}-A", case_id=name, filename=f"{name}-A.svs")
            )
        assert searched_ids(slides, limit, text="S26") == [f"i{8 - number}" for number in range(9)]

    def test_empty_text_lists_newest_scans_first(self, slides: SlideStore) -> None:
        dates = {
            "c": "2026-11-20T10:00:00+01:00",
            "b": "2026-11-20T09:30:00",
            "d": "2026-11-20T08:00:00Z",
            "a": None,
            "e": "2026-11-20T08:00:00.5Z",
        }
        for image_id, date in dates.items():
            slides.put_new(slide(image_id, scan_date=date))
        assert searched_ids(slides, limit=2) == ["b", "c", "e", "d", "a"]

    def test_status_and_time_filters_limit_the_results(self, slides: SlideStore) -> None:
        for number in range(28):
            status = list(Status)[number % 7]
            date = f"2026-11-{number + 1:02d}T12:00:00"
            slides.put_new(slide(f"{number:02d}", slide_id=f"S{number}", status=status, scan_date=date))
        assert searched_ids(slides, status=Status.BAD) == ["23", "16", "09", "02"]
        assert searched_ids(slides, status=Status.DELETED) == ["27", "20", "13", "06"]
        assert (
            len(searched_ids(slides)) == len(searched_ids(slides, text="s")) == 24
        )  # all but the deleted ones
        some = {"since": "2026-11-03T12:00:00Z", "until": "2026-11-06T12:00:00Z"}
        assert searched_ids(slides, **some) == ["05", "04", "03", "02"]
        assert searched_ids(slides, text="s", **some) == ["02", "03", "04", "05"]
        assert searched_ids(slides, text="s", status=Status.BAD, **some) == ["02"]
        assert searched_ids(slides, until="2026-11-02T12:00:00Z") == ["01", "00"]
        assert searched_ids(slides, since="2026-11-27T12:00:00Z") == ["26"]

    def test_time_filter_excludes_slide_without_scan_date(self, slides: SlideStore) -> None:
        slides.put_new(slide("1", slide_id="S"))
        assert searched_ids(slides, until="2099-01-01T00:00:00Z") == []
        assert searched_ids(slides, text="s", since="1970-01-01T00:00:00Z") == []

    def test_results_follow_updates_and_removals(self, slides: SlideStore) -> None:
        slides.put_new(slide("1", slide_id="Old", case_id="C"))
        slides.update("1", {"slide_id": "New", "status": "GOOD"}, by="me")
        assert (searched_ids(slides, text="old"), searched_ids(slides, text="new")) == ([], ["1"])
        assert (searched_ids(slides, status=Status.NEW), searched_ids(slides, status=Status.GOOD)) == (
            [],
            ["1"],
        )
        slides.remove("1")
        assert searched_ids(slides) == searched_ids(slides, text="new") == []

    def test_rows_added_or_removed_between_pages_do_not_displace_others(self, slides: SlideStore) -> None:
        names = [f"{number:02d}" for number in range(30)]
        for name in names:
            slides.put_new(slide(name, slide_id=f"S{name}", case_id=f"S{name}"))
        first = slides.search(SlideQuery("s"), 10)
        for name in ("09", "10"):  # where the next page starts
            slides.remove(name)
        slides.put_new(slide("new", slide_id="S05"))
        slides.update("20", {"status": "BAD"}, by="me")
        rest = slides.search(SlideQuery("s"), 100, first.next_token)
        seen = [r.image_id for r in first.items + rest.items]
        assert seen == [name for name in names if name != "10"]

    def test_sparse_matches_end_page_early_with_a_token(
        self, slides: SlideStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It ends early with a token; the next page goes on from there."""
        monkeypatch.setattr(review_queries, "MAX_EXTRA_ROWS", 10)
        for number in range(30):
            slides.put_new(slide(f"{number:04d}", slide_id=f"S{number:04d}", scan_date="2026-11-01T00:00:00"))
        slides.put_new(slide("last", slide_id="S9", scan_date="2026-11-02T00:00:00"))
        query = SlideQuery("s", since="2026-11-02T00:00:00Z")
        first = slides.search(query, 10)
        assert (first.items, first.next_token is None) == ((), False)
        second = slides.search(query, 10, first.next_token)
        assert ([r.image_id for r in second.items], second.next_token) == (["last"], None)

    def test_longest_texts_can_be_searched(self, slides: SlideStore) -> None:
        longest = [
            "x" * MAX_KEY_BYTES,
            '"' * (MAX_KEY_BYTES // 2),
            "\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}" * 100,
        ]
        for number, text in enumerate(longest):
            slides.put_new(slide(f"{number}", slide_id=text, case_id=text))
            slides.put_new(slide(f"{number}b", slide_id=text))
            assert searched_ids(slides, limit=1, text=text) == [f"{number}", f"{number}b"]

    @pytest.mark.parametrize("limit", [0, 1001, True, "5"])
    def test_wrong_limit_is_refused(self, slides: SlideStore, limit: Any) -> None:
        with pytest.raises(InvalidQueryError):
            slides.search(SlideQuery(), limit)

    def test_token_of_another_search_is_refused(self, slides: SlideStore) -> None:
        for name in ("a", "b"):
            slides.put_new(slide(name, slide_id=f"S{name}", case_id="SC", scan_date="2026-11-20T10:00:00"))
        queries = [
            SlideQuery(),
            SlideQuery("s"),
            SlideQuery("S", Status.NEW),
            SlideQuery(status=Status.NEW),
            SlideQuery(since="2026-11-19T10:00:00Z"),
            SlideQuery(until="2026-11-21T10:00:00Z"),
        ]
        for owner in queries:
            token = slides.search(owner, 1).next_token
            assert token
            for query in queries:
                if query is not owner:
                    with pytest.raises(InvalidTokenError):
                        slides.search(query, 1, token)

    @quick
    @given(key=st.lists(st.text(), min_size=2, max_size=2))
    def test_forged_position_is_refused_or_moves_the_start(self, slides: SlideStore, key: list[str]) -> None:
        try:
            token = encode_token(("search", "terms", "s", "None", "None", "None"), key)
            slides.search(SlideQuery("s"), token=token)
        except (InvalidTokenError, UnicodeEncodeError):
            return

    @settings(quick, max_examples=12)
    @given(st.data())
    def test_results_equal_a_scan_of_every_slide(self, slides: SlideStore, data: st.DataObject) -> None:
        texts = st.text(st.sampled_from("aAbBßéÉ 1-\t\x1d病"), min_size=1, max_size=5)
        dates = st.none() | st.sampled_from(
            ["2026-11-01T00:00:00", "2026-11-01T00:00:00+01:00", "2026-11-03T00:00:00Z"]
        )
        for number in range(data.draw(st.integers(1, 5))):
            slides.remove(f"{number}")
            record = slide(
                f"{number}",
                slide_id=data.draw(st.none() | texts),
                case_id=data.draw(st.none() | texts),
                filename=data.draw(texts),
                scan_date=data.draw(dates),
                status=data.draw(st.sampled_from(Status)),
            )
            slides.put_new(record)
        query = SlideQuery(
            data.draw(st.just("") | texts),
            data.draw(st.none() | st.sampled_from(Status)),
            data.draw(st.none() | st.just("2026-11-01T00:00:00Z")),
            data.draw(st.none() | st.just("2026-11-02T00:00:00Z")),
        )
        every = [r for r in slides.list_all(1000).items if is_found(query, r)]
        seen = searched_ids(slides, data.draw(st.integers(1, 5)), **vars(query))
        assert sorted(seen) == sorted(record.image_id for record in every)
        assert len(seen) == len(set(seen))


def is_found(query: SlideQuery, record: SlideRecord) -> bool:
    """Say plainly what a search finds."""
    item = record.to_item()
    scanned = scan_moment(item)
    return (
        record.status in query.statuses
        and (not fold(query.text) or any(term.startswith(fold(query.text)) for term in terms(item)))
        and (query.since is None or (scanned != UNDATED and query.since <= scanned))
        and (query.until is None or (scanned != UNDATED and scanned <= query.until))
    )


class TestCounts:
    def test_counts_include_every_status(self, slides: SlideStore) -> None:
        assert slides.counts() == dict.fromkeys(Status, 0)
        for number in range(5):
            slides.put_new(slide(f"{number}", status=[Status.NEW, Status.BAD][number % 2]))
        slides.update("0", {"status": "GOOD"}, by="me")
        slides.update("0", {"case_id": "C"}, by="me")
        slides.remove("1")
        slides.remove("1")
        assert slides.counts() == dict.fromkeys(Status, 0) | {Status.NEW: 2, Status.GOOD: 1, Status.BAD: 1}

    def test_refused_updates_change_no_count(self, slides: SlideStore) -> None:
        slides.put_new(slide("1"))
        with pytest.raises(VersionConflictError):
            slides.update("1", {"status": "GOOD"}, by="me", expected_version=7)
        with pytest.raises(SlideNotFoundError):
            slides.update("2", {"status": "GOOD"}, by="me")
        assert slides.counts() == dict.fromkeys(Status, 0) | {Status.NEW: 1}
        assert len(slides.history("1").items) == 1


class TestCases:
    def test_each_case_is_listed_once_in_order(self, slides: SlideStore) -> None:
        for number in range(12):
            slides.put_new(slide(f"{number}", case_id=f"C{number // 3}"))
        slides.put_new(slide("none"))
        first = slides.list_cases(3)
        assert first.items == ("C0", "C1", "C2")
        assert slides.list_cases(3, first.next_token).items == ("C3",)
        assert slides.list_cases().next_token is None

    def test_case_is_removed_with_its_last_slide(self, slides: SlideStore) -> None:
        for name in "abc":
            slides.put_new(slide(name, case_id=name))
        slides.update("a", {"case_id": "b"}, by="me")
        slides.update("c", {"status": "DELETED"}, by="me")
        assert slides.list_cases().items == ("b",)
        slides.update("c", {"status": "NEW"}, by="me")
        assert slides.list_cases().items == ("b", "c")


class TestHistory:
    def test_history_lists_each_change_with_user_field_and_values(self, slides: SlideStore) -> None:
        slides.put_new(slide("1", modified_by="import"))
        slides.update("1", {"case_id": "C1", "status": Status.GOOD}, by="Ann")
        last = slides.update("1", {"case_id": None, "mpp": 0.5, "tags": {"a": "ä"}}, by="Bob")
        told = [(c.version, c.by, c.field, c.old, c.new) for c in slides.history("1").items]
        assert told == [
            (3, "Bob", "Tags", None, '{"a": "ä"}'),
            (3, "Bob", "MPP", None, "0.5"),
            (3, "Bob", "CaseID", "C1", None),
            (2, "Ann", "Status", "NEW", "GOOD"),
            (2, "Ann", "CaseID", None, "C1"),
            (1, "import", "Status", None, "NEW"),
        ]
        assert slides.history("1").items[0].at == last.last_modified
        assert {change.image_id for change in slides.history("1").items} == {"1"}

    def test_update_without_differences_adds_no_entry(self, slides: SlideStore) -> None:
        slides.put_new(slide("1", case_id="C"))
        slides.update("1", {"case_id": "C"}, by="me")
        slides.update("1", {}, by="me")
        assert [change.version for change in slides.history("1").items] == [1]

    def test_pages_continue_without_overlap_despite_new_changes(self, slides: SlideStore) -> None:
        slides.put_new(slide("1"))
        slides.put_new(slide("2"))
        for number in range(11):
            slides.update("1", {"note": f"{number}"}, by="me")
        first = slides.history("1", 5)
        slides.update("1", {"note": "later"}, by="me")
        second = slides.history("1", 5, first.next_token)
        third = slides.history("1", 5, second.next_token)
        versions = [c.version for page in (first, second, third) for c in page.items]
        assert (versions, third.next_token) == ([*range(12, 0, -1)], None)
        with pytest.raises(InvalidTokenError):
            slides.history("2", 5, first.next_token)

    def test_history_is_kept_after_slide_is_removed(self, slides: SlideStore) -> None:
        slides.put_new(slide("1"))
        slides.remove("1")
        slides.put_new(slide("1", last_modified="2026-11-22T00:00:00.000000Z"))
        assert len(slides.history("1").items) == 2

    @pytest.mark.parametrize("image_id", ["nowhere", *NOT_KEYS])
    def test_unknown_slide_has_empty_history(self, slides: SlideStore, image_id: str) -> None:
        assert slides.history(image_id).items == ()


class TestFolding:
    @given(st.text())
    def test_fold_limits_length_and_removes_control_characters(self, text: str) -> None:
        folded = fold(text)
        assert len(folded.encode()) <= MAX_TERM_BYTES
        assert not any(c in folded for c in "\t\n\x00\x1d")

    @given(st.datetimes(timezones=st.none() | st.timezones()))
    def test_moment_returns_utc_text_of_fixed_length(self, when: Any) -> None:
        told = moment(when.isoformat())
        assert told is None or (len(told) == 20 and told.endswith("Z"))

    @pytest.mark.parametrize(
        "text", [None, "", "yesterday", 5, "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"]
    )
    def test_moment_returns_none_for_invalid_dates(self, text: Any) -> None:
        assert moment(text) is None


def test_search_finds_full_record_by_each_of_its_texts(slides: SlideStore) -> None:
    slides.put_new(FULL_SLIDE)
    for text in (FULL_SLIDE.slide_id, FULL_SLIDE.case_id, FULL_SLIDE.filename):
        assert text
        assert Counter(searched_ids(slides, text=text)) == {FULL_SLIDE.image_id: 1}
