"""The review function on AppSync's own events: shapes, roles, bounds, errors."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from review_slides.filters import read_filter
from review_slides.graphql_errors import ERROR_TYPE_BY_KIND, ReviewError
from review_slides.handler import lambda_handler
from vsv import errors, runtime
from vsv.errors import UnavailableError
from vsv.ingest import not_imported
from vsv.records.models import ImportState, Status
from vsv.records.stores import Page
from vsv.services import Services
from vsv.settings import Settings

from tests.support.stores.store_records import FULL_SLIDE, slide, slide_import
from vsv_local.composition import standalone

IAM = {
    "accountId": "123456789012",
    "userArn": "arn:aws:sts::123456789012:assumed-role/stream-role/stream-function",
    "username": "AROAEXAMPLE:stream-function",
    "cognitoIdentityAuthType": None,
}


def user(*groups: str, name: str = "ann") -> dict[str, Any]:
    """Return an identity as AppSync passes it for a Cognito user."""
    return {
        "sub": "11111111-2222-3333-4444-555555555555",
        "issuer": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_example",
        "username": name,
        "claims": {"cognito:groups": list(groups), "token_use": "access"},
        "groups": list(groups),
        "sourceIp": ["192.0.2.1"],
        "defaultAuthStrategy": "ALLOW",
    }


TECHNICIAN, PATHOLOGIST, ADMIN = (
    user("Technicians"),
    user("Pathologists", name="pat"),
    user("Admins", name="eve"),
)
NOBODY = user(name="new hire")


def event(parent: str, field: str, arguments: Any, identity: Any, source: Any = None) -> dict[str, Any]:
    """Return a direct resolver's event."""
    return {
        "arguments": arguments,
        "identity": identity,
        "source": source,
        "request": {
            "headers": {"host": "example.appsync-api.eu-central-1.amazonaws.com"},
            "domainName": None,
        },
        "prev": None,
        "info": {
            "fieldName": field,
            "parentTypeName": parent,
            "variables": {},
            "selectionSetList": ["ImageID"],
        },
        "stash": {},
    }


def ask(field: str, identity: Any = TECHNICIAN, **arguments: Any) -> Any:
    return lambda_handler(event("Query", field, arguments, identity), None)


def change(field: str, identity: Any = TECHNICIAN, **arguments: Any) -> Any:
    return lambda_handler(event("Mutation", field, arguments, identity), None)


def update(identity: Any = TECHNICIAN, **fields: Any) -> Any:
    return change("updateSlide", identity, input=fields)


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    with standalone(tmp_path / "secret-folder") as (services, _intake):
        yield services


@pytest.fixture
def slides(services: Services) -> Any:
    for number in range(25):
        status = Status.BAD if number % 5 == 0 else Status.NEW
        case, mpp = f"C{number // 10}", 0.25 if number % 2 else 0.5
        services.slides.put_new(
            slide(
                f"i{number:02d}",
                slide_id=f"S{number:02d}",
                case_id=case,
                status=status,
                mpp=mpp,
                app_mag="40",
            )
        )
    return services.slides


UNSUPPORTED = [
    "a\0b",
    "a\x1b[2Jb",
    "a\x85b",
    "a\u202eb",
    "a\u2066b",
    "a\u200fb",
    "a\u061cb",
    "a\u2028b",
    "a\ud800b",
]


@pytest.fixture
def own_pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    monkeypatch.setenv(
        "VSV_ID_PATTERN", r"(?P<slide>(?P<case>P\d{1,4})-(?P<block>[A-Z])(?:-(?P<stain>\w{1,8}))?) ?"
    )
    with standalone(tmp_path / "own") as (services, _intake):
        yield services


class TestIds:
    def test_ids_of_a_text_are_those_of_the_default_pattern(self, services: Services) -> None:
        assert ask("idsOf", text=" S23-12345-A1-CD3 ") == {
            "SlideID": "S23-12345-A1-CD3",
            "CaseID": "S23-12345",
            "Block": "A1",
            "Stain": "CD3",
        }
        assert ask("idsOf", text="20240102") == {
            "SlideID": "20240102",
            "CaseID": None,
            "Block": None,
            "Stain": None,
        }

    def test_ids_of_a_text_are_those_of_the_laboratory(self, own_pattern: Services) -> None:
        assert ask("idsOf", text="P77-A-HE")["CaseID"] == "P77"
        assert ask("idsOf", text="S23-12345-A1")["CaseID"] is None

    def test_candidates_say_what_they_would_name_those_that_fit_first(self, services: Services) -> None:
        candidates = {"LOT123456": "QR", "S24-99999-B2": "tag", "S23-12345-A1": "Code 128"}
        services.slides.put_new(slide("i1", id_candidates=candidates))
        services.slides.put_new(slide("i2"))
        assert ask("getSlide", PATHOLOGIST, ImageID="i1")["IDCandidates"] == [
            {"Text": "S23-12345-A1", "Source": "Code 128", "SlideID": "S23-12345-A1", "CaseID": "S23-12345"},
            {"Text": "S24-99999-B2", "Source": "tag", "SlideID": "S24-99999-B2", "CaseID": "S24-99999"},
            {"Text": "LOT123456", "Source": "QR", "SlideID": "LOT123456", "CaseID": None},
        ]
        assert ask("getSlide", ImageID="i2")["IDCandidates"] is None

    def test_undone_choice_of_a_candidate_opens_the_choice_again(self, services: Services) -> None:
        candidates = {"S24-99999-B2": "tag", "S23-12345-A1": "Code 128"}
        stored = slide("i1", slide_id="i1", case_id="i1", id_not_confirmed=True, id_candidates=candidates)
        services.slides.put_new(stored)
        taken = update(ImageID="i1", SlideID="S23-12345-A1", CaseID="S23-12345")
        assert (taken["IDNotConfirmed"], len(taken["IDCandidates"])) == (None, 2)
        assert update(ImageID="i1", SlideID="i1", CaseID="i1")["IDNotConfirmed"] is True


class TestDuplicates:
    def test_search_lists_the_slides_with_marks_alone(self, slides: Any) -> None:
        assert ask("searchSlides", duplicates=True)["items"] == []
        changed = update(ImageID="i02", SlideID="S01")
        assert (changed["SameIDAs"], changed["SameFileAs"]) == ("i01", None)
        for identity in (TECHNICIAN, PATHOLOGIST):
            found = ask("searchSlides", identity, duplicates=True)["items"]
            assert [(one["ImageID"], one["SameIDAs"]) for one in found] == [("i02", "i01"), ("i01", "i02")]
        assert len(ask("searchSlides", duplicates=False, limit=100)["items"]) == 25
        assert ask("searchSlides", duplicates=True, text="s02")["items"] == []
        update(ImageID="i02", SlideID="S02", expectedVersion=changed["Version"])
        assert ask("searchSlides", duplicates=True)["items"] == []


class TestUnsupportedCharacters:
    @pytest.mark.parametrize("text", UNSUPPORTED)
    @pytest.mark.parametrize("name", ["SlideID", "CaseID", "Reviewer", "Note"])
    def test_update_slide_refuses_text_that_may_change_how_others_are_shown(
        self, slides: Any, name: str, text: str
    ) -> None:
        with refused("BAD_REQUEST", rf"{name} has a character that is not supported \(U\+[0-9A-F]{{4}}\)"):
            update(ImageID="i01", **{name: text})
        with refused("BAD_REQUEST"):
            change("assignSlide", ImageID="i01", reviewer=text)
        assert ask("getSlide", ImageID="i01")["Version"] == 1

    @pytest.mark.parametrize("text", ["S1\n2", "S1\t2", "S1\u200b2", "S1\u200d2", "S1\ufeff2", "S\u00ad1"])
    def test_update_slide_refuses_id_that_looks_like_another(self, slides: Any, text: str) -> None:
        for name in ("SlideID", "CaseID"):
            with refused("BAD_REQUEST", name):
                update(ImageID="i01", **{name: text})

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("SlideID", "Fall 26/1 – Ü@^~|"), ("CaseID", "病理 26-1"),
            ("Reviewer", "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627"),
            ("Note", "first line\r\n\tsecond"), ("Note", "👩\u200d🔬"), ("SlideID", "x" * 200),
        ],
    )  # fmt: skip
    def test_update_slide_accepts_texts_of_every_language(self, slides: Any, name: str, text: str) -> None:
        assert update(ImageID="i01", **{name: text})[name] == text

    def test_update_slide_refuses_id_of_more_than_200_characters(self, slides: Any) -> None:
        with refused("BAD_REQUEST", "at most 200 characters"):
            update(ImageID="i01", SlideID="x" * 201)


def as_utc(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def refused(error_type: str, text: str = "") -> Any:
    return pytest.raises(ReviewError, match=f"^{error_type}: .*{text}")


class TestShapes:
    def test_get_slide_answers_the_fields_of_the_schema(self, services: Services) -> None:
        services.slides.put_new(FULL_SLIDE)
        found = ask("getSlide", ImageID=FULL_SLIDE.image_id)
        assert (
            found["ScanDate"] == "2026-11-20T23:59:59Z"
        )  # the scanner's wall clock, as AWSDateTime wants it
        assert found["TimeZone"] == "local"
        assert (found["AppMag"], found["MPP"], found["width"], found["Status"]) == (
            "40",
            0.2498,
            46000,
            "NEW",
        )
        assert not {"Tags", "Checksum"} & found.keys()
        assert ask("getSlide", ImageID="nowhere") is None

    def test_get_slides_answers_known_slides_in_requested_order(self, slides: Any) -> None:
        wanted = ["i03", "nowhere", "i01", None, "i03", "../etc"]
        assert [s["ImageID"] for s in ask("getSlides", ImageIDs=wanted)] == ["i03", "i01", "i03"]
        assert ask("getSlides") == ask("getSlides", ImageIDs=None) == []

    @pytest.mark.parametrize(
        ("field", "arguments"),
        [
            ("listSlides", {}),
            ("querySlidesByStatus", {"Status": "NEW"}),
            ("searchSlides", {}),
            ("searchSlides", {"text": "s"}),
        ],
    )
    def test_lists_answer_pages_of_twenty_by_default(self, slides: Any, field: str, arguments: Any) -> None:
        first = ask(field, **arguments, nextToken=None, limit=None)
        count = 20
        assert len(first["items"]) == count
        if first["nextToken"]:
            rest = ask(field, **arguments, nextToken=first["nextToken"], limit=100)
            assert rest["nextToken"] is None
            ids = [s["ImageID"] for s in first["items"] + rest["items"]]
            assert len(ids) == len(set(ids)) == (20 if field == "querySlidesByStatus" else 25)

    def test_list_case_ids_answers_each_case_once(self, slides: Any) -> None:
        found = ask("listCaseIDs")
        assert [s["CaseID"] for s in found["items"]] == ["C0", "C1", "C2"]
        assert all(s["ImageID"] for s in found["items"])
        asked = event("Query", "listCaseIDs", {}, TECHNICIAN)
        asked["info"]["selectionSetList"] = ["items", "items/CaseID", "nextToken"]
        assert lambda_handler(asked, None)["items"] == [{"CaseID": c} for c in ("C0", "C1", "C2")]

    def test_count_slides_answers_a_count_for_each_status(self, slides: Any) -> None:
        counts = {one["Status"]: one["count"] for one in ask("countSlides")}
        assert counts == dict.fromkeys(Status, 0) | {"NEW": 20, "BAD": 5}

    def test_list_not_imported_answers_what_the_watcher_found(self, services: Services) -> None:
        assert ask("listNotImported") == []
        tally = not_imported.Tally()
        for name in ("a.lif", "b.txt", "c\n.txt"):
            tally.add_file(Path("/secret") / name)
        not_imported.write(services.files.root, tally.found())
        assert ask("listNotImported") == [
            {
                "reason": "files are not slides that can be read",
                "count": 3,
                "names": ["a.lif (Leica LIF)", "b.txt (text)", "c .txt (text)"],
            }
        ]

    def test_list_imports_answers_errors_and_progress_without_paths(self, services: Services) -> None:
        services.imports.start(slide_import("a.svs", source="/secret"), replaces=None)
        services.imports.start(
            slide_import("b.svs", state=ImportState.FAILED, error="It is no slide."), replaces=None
        )
        services.imports.advance("a.svs", "run-1", {"progress": 0.25})
        assert [(i["Filename"], i["Progress"]) for i in ask("listImports")["items"]] == [
            ("a.svs", 0.25),
            ("b.svs", None),
        ]
        (failed,) = ask("listImports", state="FAILED")["items"]
        assert (failed["Error"], failed["State"]) == ("It is no slide.", "FAILED")
        assert "secret" not in str(ask("listImports"))
        with refused("BAD_REQUEST", "state must be one of TRANSFERRING, "):
            ask("listImports", state="failed")

    def test_batch_of_label_urls_is_answered_for_writers_alone(self, slides: Any, services: Services) -> None:
        path = services.files.associated("i01", "label")
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
        sources: list[Any] = [{"ImageID": "i01"}, {"ImageID": "i02"}, {"ImageID": "../x"}, {}, None]
        for identity, url in (
            (TECHNICIAN, "/DeepZoom/i01_files/label.jpeg"),
            (ADMIN, "/DeepZoom/i01_files/label.jpeg"),
            (PATHOLOGIST, None),
            (NOBODY, None),
        ):
            batch = [event("Slide", "LabelURL", {}, identity, source) for source in sources]
            assert lambda_handler(batch, None) == [url, None, None, None, None]


class TestFilters:
    @pytest.mark.parametrize(
        ("wanted", "count"),
        [
            (None, 25),
            ({}, 25),
            ({"SlideID": None}, 25),
            ({"SlideID": {"eq": None}}, 25),
            ({"SlideID": {"eq": "S03"}}, 1),
            ({"SlideID": {"beginsWith": "S1"}}, 10),
            ({"SlideID": {"contains": "4"}}, 3),
            ({"SlideID": {"notContains": "4"}}, 22),
            ({"SlideID": {"between": ["S03", "S05"]}}, 3),
            ({"SlideID": {"ge": "S03", "lt": "S05"}}, 2),
            ({"SlideID": {"gt": "S03", "le": "S05"}}, 2),
            ({"CaseID": {"eq": "C1"}}, 10),
            ({"CaseID": {"eq": "C1"}, "MPP": {"eq": 0.25}}, 5),
            ({"CaseID": {"eq": "nowhere"}}, 0),
            ({"CaseID": {"ne": "C1"}}, 15),
            ({"MPP": {"between": [0.2, 0.3]}}, 12),
            ({"MPP": {"gt": 0.25}}, 13),
            ({"ImageID": {"eq": "i07"}}, 1),
            ({"AppMag": {"eq": "40"}, "ScanDate": {"ge": "2026"}}, 0),
            ({"ScanDate": {"ne": "2026"}}, 25),
        ],
    )
    def test_filter_operator_selects_the_matching_slides(self, slides: Any, wanted: Any, count: int) -> None:
        found: list[str] = []
        token = None
        while True:
            page = ask("listSlides", filter=wanted, limit=3, nextToken=token)
            assert len(page["items"]) <= 3
            found += [s["ImageID"] for s in page["items"]]
            if (token := page["nextToken"]) is None:
                break
        assert len(found) == len(set(found)) == count

    @pytest.mark.parametrize(
        ("since", "until"),
        [
            ("2026-11-20T10:00:00+02:00", "2026-11-20T09:00:00Z"),
            ("2026-11-20T08:30:00Z", "2026-11-20T12:00:00+01:00"),
            ("2026-11-20T09:00:00Z", "2026-11-20T09:00:00+00:00"),
            ("2026-11-20", "2026-11-20T08:30:00Z"),
        ],
    )
    def test_list_slides_and_search_slides_compare_scan_dates_as_the_same_moments(
        self, services: Services, since: str, until: str
    ) -> None:
        moments = ("2026-11-20T10:00:00+02:00", "2026-11-20T09:00:00", "2026-11-20T05:30:00-05:00", None)
        for number, moment in enumerate(moments):
            services.slides.put_new(slide(f"i{number}", scan_date=moment))
        found = ask("searchSlides", scanDateFrom=since, scanDateTo=until, limit=10)["items"]
        listed = ask("listSlides", filter={"ScanDate": {"between": [since, until]}}, limit=10)["items"]
        bounds = ask("listSlides", filter={"ScanDate": {"ge": since, "le": until}}, limit=10)["items"]
        low, high = (as_utc(text) for text in (since, until))
        expected = {f"i{n}" for n, text in enumerate(moments) if text and low <= as_utc(text) <= high}
        assert {s["ImageID"] for s in found} == expected
        assert {s["ImageID"] for s in listed} == {s["ImageID"] for s in bounds} == expected

    @pytest.mark.parametrize("scanned", ["2024-01-02T03:00:00+24:00", "2024-01-02T03:00:00+99:99"])
    def test_scan_date_with_impossible_zone_is_not_given_out(self, services: Services, scanned: str) -> None:
        services.slides.put_new(slide("i1", scan_date=scanned, time_zone=scanned[-6:]))
        found = ask("getSlide", ImageID="i1")
        assert (found["ScanDate"], found["TimeZone"]) == (None, None)
        assert [s["ImageID"] for s in ask("searchSlides")["items"]] == ["i1"]
        assert update(ImageID="i1", Note="x")["ScanDate"] is None

    @pytest.mark.parametrize(
        "wanted",
        [
            {"Filename": {"eq": "a"}},
            {"SlideID": {"near": "a"}},
            {"MPP": {"beginsWith": 1.0}},
            {"MPP": {"eq": "1"}},
            {"SlideID": {"eq": 5}},
            {"SlideID": {"between": ["a"]}},
            {"SlideID": {"between": ["a", None]}},
            {"SlideID": {"eq": "x" * 1001}},
        ],
    )
    def test_malformed_filter_is_refused(self, services: Services, wanted: Any) -> None:
        with refused("BAD_REQUEST"):
            ask("listSlides", filter=wanted)

    @given(
        st.sampled_from(["ne", "eq", "le", "lt", "ge", "gt", "contains", "notContains", "beginsWith"]),
        st.text(),
        st.none() | st.text(),
    )
    def test_filter_operator_accepts_arbitrary_text(
        self, operator: str, operand: str, value: str | None
    ) -> None:
        fits = read_filter({"SlideID": {operator: operand[:100]}})
        assert fits({"SlideID": value}) in {True, False}

    def test_filter_with_few_matches_reads_a_bounded_number_of_slides(
        self, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reads: list[int] = []

        def list_all(limit: int, token: str | None) -> Page[Any]:
            reads.append(limit)
            return Page((slide(slide_id="other"),) * limit, "more")

        monkeypatch.setattr(services.slides, "list_all", list_all)
        page = ask("listSlides", filter={"SlideID": {"eq": "S"}}, limit=20)
        assert page == {"items": [], "nextToken": "more"}
        assert sum(reads) <= 1000
        ask("listSlides", filter={"SlideID": {"eq": "S"}}, limit=1000)
        assert len(reads) <= 20


class TestUpdates:
    def test_update_trims_text_removes_nulls_and_keeps_other_fields(self, slides: Any) -> None:
        changed = update(ImageID="i01", CaseID="  C9 ", Note="\ta fold\n", SlideID=None)
        assert (changed["CaseID"], changed["Note"], changed["SlideID"], changed["Status"]) == (
            "C9",
            "a fold",
            None,
            "NEW",
        )
        assert (changed["Version"], changed["ModifiedBy"]) == (2, "ann")
        assert update(ImageID="i01", CaseID="   ")["CaseID"] is None
        assert update(ImageID="i01", Reviewer="pat")["Note"] == "a fold"

    def test_update_of_an_older_version_is_a_conflict(self, slides: Any) -> None:
        update(ImageID="i01", CaseID="mine", expectedVersion=1)
        with refused("CONFLICT", "ann changed this slide"):
            update(ADMIN, ImageID="i01", CaseID="yours", expectedVersion=1)
        assert ask("getSlide", ImageID="i01")["CaseID"] == "mine"

    def test_update_of_unknown_slide_is_not_found(self, slides: Any) -> None:
        with refused("NOT_FOUND"):
            update(ImageID="nowhere", CaseID="C")

    def test_status_update_follows_the_allowed_transitions(self, slides: Any) -> None:
        with refused("BAD_REQUEST", "Mark the slide GOOD before sending it"):
            update(ImageID="i01", Status="SENT")
        with refused("BAD_REQUEST", "Status must be one of NEW, GOOD, "):
            update(ImageID="i01", Status="good")
        assert [update(ImageID="i01", Status=s)["Status"] for s in ("GOOD", "SENT", "BAD", None)] == [
            "GOOD",
            "SENT",
            "BAD",
            "NEW",
        ]

    def test_update_slides_answers_each_input_with_its_slide_or_error(self, slides: Any) -> None:
        inputs = [
            {"ImageID": "i01", "Status": "GOOD"},
            {"ImageID": "nowhere", "Status": "GOOD"},
            {"ImageID": "i02", "Status": "SENT"},
            {"ImageID": "i03", "Status": "GOOD", "expectedVersion": 5},
            {"ImageID": "../etc/passwd", "Status": "GOOD"},
            {"ImageID": "i04", "Status": "DELETED"},
            {"ImageID": "i01", "Status": "SENT", "expectedVersion": 2},
        ]
        found = change("updateSlides", input=inputs)
        assert [one["ImageID"] for one in found] == [one["ImageID"] for one in inputs]
        assert [one["errorType"] for one in found] == [
            None,
            "NOT_FOUND",
            "BAD_REQUEST",
            "CONFLICT",
            "BAD_REQUEST",
            "Unauthorized",
            None,
        ]
        assert [bool(one["slide"]) for one in found] == [one["error"] is None for one in found]
        assert found[-1]["slide"]["Status"] == "SENT"

    def test_assign_slide_sets_and_removes_the_reviewer(self, slides: Any) -> None:
        assert change("assignSlide", ImageID="i01", reviewer=" pat ")["Reviewer"] == "pat"
        with refused("CONFLICT"):
            change("assignSlide", ImageID="i01", reviewer="eve", expectedVersion=1)
        assert change("assignSlide", ImageID="i01", reviewer=None)["Reviewer"] is None

    def test_slide_history_answers_each_change(self, slides: Any) -> None:
        update(ImageID="i01", Status="BAD", Note="a fold")
        change("assignSlide", ADMIN, ImageID="i01", reviewer="pat")
        told = ask("slideHistory", ImageID="i01")
        assert [(c["by"], c["field"], c.get("from"), c["to"]) for c in told["items"]] == [
            ("eve", "Reviewer", None, "pat"),
            ("ann", "Status", "NEW", "BAD"),
            ("ann", "Note", None, "a fold"),
            ("import", "Status", None, "NEW"),
        ]

    def test_retry_import_starts_a_failed_import_once(
        self, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        started: list[str] = []
        monkeypatch.setattr(services.starter, "describe_source", lambda *_: None)
        monkeypatch.setattr(services.starter, "start", lambda run: started.append(run.run_id))
        services.imports.start(
            slide_import("a.svs", state=ImportState.FAILED, error="It is no slide."), replaces=None
        )
        found = change("retryImport", Filename="a.svs")
        assert (found["State"], found["Error"], len(started)) == ("TRANSFERRING", None, 1)
        assert change("retryImport", Filename="a.svs")["State"] == "TRANSFERRING"
        assert len(started) == 1
        with refused("NOT_FOUND"):
            change("retryImport", Filename="b.svs")
        with refused("BAD_REQUEST"):
            change("retryImport", Filename="../b.svs")

    def test_system_identity_reports_progress_and_slide_updates(self, slides: Any) -> None:
        told = {"Filename": "a.svs", "State": "IMPORTING", "Progress": 0.5}
        assert change("reportImportProgress", IAM, input=told) == told
        assert change("reportSlideUpdate", IAM, ImageID="i01")["SlideID"] == "S01"
        with refused("NOT_FOUND"):
            change("reportSlideUpdate", IAM, ImageID="nowhere")
        assert update(IAM, ImageID="i01", Status="DELETED")["ModifiedBy"] == "stream-function"


READS: list[tuple[str, dict[str, Any]]] = [
    ("getSlide", {"ImageID": "i01"}),
    ("getSlides", {"ImageIDs": ["i01"]}),
    ("listSlides", {}),
    ("listCaseIDs", {}),
    ("querySlidesByStatus", {"Status": "NEW"}),
    ("searchSlides", {}),
    ("countSlides", {}),
]
WRITERS_READS: list[tuple[str, dict[str, Any]]] = [
    ("slideHistory", {"ImageID": "i01"}),
    ("idsOf", {"text": "S23-12345-A1"}),
    ("listImports", {}),
    ("listNotImported", {}),
    ("slideJobs", {"ImageID": "i01"}),
    ("listJobs", {}),
]
WRITES: list[tuple[str, dict[str, Any]]] = [
    ("updateSlide", {"input": {"ImageID": "i01", "CaseID": "C"}}),
    ("updateSlides", {"input": [{"ImageID": "i01", "CaseID": "C"}]}),
    ("assignSlide", {"ImageID": "i01", "reviewer": "pat"}),
    ("retryImport", {"Filename": "a.svs"}),
]


class TestRoles:
    @pytest.mark.parametrize(("field", "arguments"), READS)
    def test_each_group_reads_and_other_identities_are_refused(
        self, slides: Any, field: str, arguments: Any
    ) -> None:
        for identity in (TECHNICIAN, PATHOLOGIST, ADMIN):
            ask(field, identity, **arguments)
        for identity in (NOBODY, None, {}, user("technicians")):
            with refused("Unauthorized"):
                ask(field, identity, **arguments)

    @pytest.mark.parametrize(("field", "arguments"), WRITERS_READS)
    def test_history_imports_and_jobs_are_read_by_writers_alone(
        self, slides: Any, field: str, arguments: Any
    ) -> None:
        for identity in (TECHNICIAN, ADMIN):
            ask(field, identity, **arguments)
        for identity in (PATHOLOGIST, NOBODY, None):
            with refused("Unauthorized"):
                ask(field, identity, **arguments)

    @pytest.mark.parametrize(("field", "arguments"), WRITES)
    def test_writes_are_refused_for_pathologists_and_unknown_identities(
        self, slides: Any, services: Services, field: str, arguments: Any
    ) -> None:
        services.imports.start(slide_import("a.svs"), replaces=None)
        before = slides.get("i01")
        for identity in (PATHOLOGIST, NOBODY, None, {}):
            with refused("Unauthorized"):
                change(field, identity, **arguments)
        assert slides.get("i01") == before
        for identity in (TECHNICIAN, ADMIN):
            change(field, identity, **arguments)

    def test_delete_is_refused_except_for_admins(self, slides: Any) -> None:
        with refused("Unauthorized", "Only Admins"):
            update(ImageID="i01", Status="DELETED")
        assert update(ADMIN, ImageID="i01", Status="DELETED")["Status"] == "DELETED"

    @pytest.mark.parametrize("status", ["PUBLISHED", "ARCHIVED"])
    def test_published_and_archived_status_are_refused_in_updates(self, slides: Any, status: str) -> None:
        update(ImageID="i01", Status="GOOD")
        with refused("BAD_REQUEST", "instead"):
            update(ADMIN, ImageID="i01", Status=status)

    def test_reports_are_refused_for_users(self, slides: Any) -> None:
        for identity in (TECHNICIAN, ADMIN, NOBODY, None):
            with refused("Unauthorized"):
                change("reportSlideUpdate", identity, ImageID="i01")
            with refused("Unauthorized"):
                change("reportImportProgress", identity, input={"Filename": "a.svs"})

    def test_user_with_a_system_arn_is_refused_reports(self, slides: Any) -> None:
        with refused("Unauthorized"):
            change("reportSlideUpdate", user("Admins") | {"userArn": IAM["userArn"]}, ImageID="i01")

    def test_groups_in_the_claims_alone_are_accepted(self, slides: Any) -> None:
        claims = {"username": "ann", "claims": {"cognito:groups": ["Technicians"]}, "groups": None}
        assert update(claims, ImageID="i01", CaseID="C")["ModifiedBy"] == "ann"


def test_concurrent_requests_are_each_answered_from_their_own_event(slides: Any) -> None:
    """The standalone server calls the function on many threads at once; the library keeps the event on a class."""

    def rename(number: int) -> tuple[str, str]:
        changed = update(
            user("Technicians", name=f"user{number}"), ImageID=f"i{number % 25:02d}", Note=f"{number}"
        )
        return changed["Note"], changed["ModifiedBy"]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(rename, range(25))) == [(f"{n}", f"user{n}") for n in range(25)]
        wanted = [f"i{number % 25:02d}" for number in range(300)]
        assert [
            found["ImageID"] for found in pool.map(lambda i: ask("getSlide", ImageID=i), wanted)
        ] == wanted


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


class TestErrors:
    def test_each_error_kind_has_a_graphql_error_type(self) -> None:
        def tree(kind: type[errors.VsvError]) -> set[type[errors.VsvError]]:
            return {kind}.union(*(tree(below) for below in kind.__subclasses__()))

        assert {error.kind for error in tree(errors.VsvError)} == set(ERROR_TYPE_BY_KIND)
        assert set(ERROR_TYPE_BY_KIND) == set(errors.ErrorKind)

    @pytest.mark.parametrize(
        "arguments",
        [
            {"CaseID": "x" * 201},
            {"SlideID": "x" * 201},
            {"SlideID": "病" * 200},
            {"Note": "x" * 2001},
            {"Reviewer": "x" * 101},
            {"CaseID": 5},
            {"CaseID": "\ud83d"},
            {"expectedVersion": "1"},
            {"expectedVersion": True},
            {"ImageID": "x" * 65},
            {"ImageID": None},
            {"ImageID": "a\n"},
        ],
    )
    def test_update_with_too_long_or_malformed_value_is_refused(
        self, slides: Any, arguments: dict[str, Any]
    ) -> None:
        with refused("BAD_REQUEST"):
            update(**({"ImageID": "i01"} | arguments))
        assert slides.get("i01").version == 1

    @pytest.mark.parametrize(
        ("field", "arguments"),
        [
            ("searchSlides", {"text": "x" * 201}),
            ("searchSlides", {"limit": 1001}),
            *(
                ("idsOf", {"text": text})
                for text in ("x" * 201, "S" * 10**6, "", "  ", "S23\u202e-1", "S23\n1", None)
            ),
            ("searchSlides", {"limit": 0}),
            ("searchSlides", {"status": "X"}),
            ("searchSlides", {"scanDateFrom": "yesterday"}),
            ("searchSlides", {"nextToken": "x"}),
            ("listSlides", {"limit": -1}),
            ("listSlides", {"limit": 10**9}),
            ("querySlidesByStatus", {"Status": None}),
            ("getSlides", {"ImageIDs": ["a"] * 1001}),
            ("getSlide", {"ImageID": "../x"}),
        ],
    )
    def test_query_with_argument_out_of_bounds_is_refused(
        self, services: Services, field: str, arguments: dict[str, Any]
    ) -> None:
        with refused("BAD_REQUEST"):
            ask(field, **arguments)

    def test_update_slides_refuses_more_than_100_inputs(self, slides: Any) -> None:
        with refused("BAD_REQUEST", "At most 100"):
            change("updateSlides", input=[{"ImageID": "i01", "CaseID": "C"}] * 101)
        assert slides.get("i01").version == 1

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
    @given(field=st.sampled_from([f for f, _ in READS + WRITERS_READS]), value=anything)
    def test_arbitrary_query_argument_is_answered_or_a_bad_request(
        self, slides: Any, field: str, value: Any
    ) -> None:
        names = [
            "ImageID",
            "ImageIDs",
            "filter",
            "limit",
            "nextToken",
            "Status",
            "text",
            "status",
            "scanDateFrom",
            "state",
        ]
        for name in names:
            try:
                ask(field, **{name: value})
            except ReviewError as error:
                assert error.error_type == "BAD_REQUEST", (name, value)

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
    @given(
        fields=st.dictionaries(
            st.sampled_from(["CaseID", "SlideID", "Status", "Note", "Reviewer", "expectedVersion"]), anything
        )
    )
    def test_arbitrary_update_input_is_answered_or_refused(self, slides: Any, fields: dict[str, Any]) -> None:
        try:
            update(**({"ImageID": "i01"} | fields))
        except ReviewError as error:
            assert error.error_type in {"BAD_REQUEST", "CONFLICT"}

    def test_internal_error_answers_the_request_id_without_paths(
        self, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: Any) -> Any:
            raise OSError(2, "No such file", "/secret-folder/records.sqlite")

        monkeypatch.setattr(services.slides, "get_many", fail)
        with refused("INTERNAL", "internal error, request -$") as caught:
            ask("getSlides", ImageIDs=["a"])
        assert "secret" not in str(caught.value)
        assert caught.value.__suppress_context__

    def test_unavailable_store_answers_unavailable(
        self, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: Any) -> Any:
            raise UnavailableError("The record store is busy: try again in a moment.")

        monkeypatch.setattr(services.slides, "counts", fail)
        with refused("UNAVAILABLE", "busy"):
            ask("countSlides")

    def test_missing_settings_answer_an_internal_error(self, tmp_path: Path) -> None:
        runtime.use(runtime.on_aws(Settings(data=tmp_path)))
        try:
            with refused("INTERNAL"):
                ask("countSlides")
        finally:
            runtime.use(None)

    def test_unknown_field_answers_an_internal_error(self, services: Services) -> None:
        with refused("INTERNAL"):
            ask("dropTables")
