"""The function on DynamoDB's streams, against a server that answers as AppSync does."""

import copy
import json
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLInputObjectType, GraphQLObjectType, OperationDefinitionNode, parse, validate
from graphql.execution.values import get_variable_values
from lambda_support.function_settings import graphql_from_environment
from moto.events.models import EventPattern
from notify_subscribers.handler import lambda_handler
from notify_subscribers.notices import IMPORT_FIELDS, REPORT_IMPORT, REPORT_JOB, REPORT_SLIDE
from vsv.errors import SettingsError, UnavailableError

from tests.http.test_graphql_events import IAM, change
from tests.support.aws.cloudformation import template
from tests.support.paths import ROOT, STREAM_RECORDS
from tests.support.stores.store_records import FULL_SLIDE
from vsv_local.composition import standalone
from vsv_local.graphql.schema import load_schema

RECORDED = STREAM_RECORDS
SLIDE, IMPORT, JOB = (
    json.loads((RECORDED / f"{kind}.json").read_text()) for kind in ("slide", "import", "job")
)
DONE = {"data": {"reportSlideUpdate": {"ImageID": "i01"}}}


class Context:
    """Lambda's context with as much time left as each call finds."""

    def __init__(self, *left: int) -> None:
        self.left = list(left)

    def get_remaining_time_in_millis(self) -> int:
        return self.left.pop(0) if self.left else 30_000


@dataclass
class Api:
    """A fake endpoint: the requests that it received, and its answers by requested key."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)

    def answer(self, key: str, content: Any, status: int = 200) -> None:
        self.answers[key] = status, content if isinstance(content, bytes) else json.dumps(content).encode()

    @property
    def told(self) -> list[str]:
        return [key_of(one["variables"]) for one in self.asked]


def key_of(variables: dict[str, Any]) -> str:
    given: dict[str, str] = variables.get("input", variables)
    return given.get("Filename") or given["ImageID"]


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    known = Api()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            known.asked.append(body)
            known.headers.append((f"{self.command} {self.path}", dict(self.headers)))
            status, content = known.answers.get(key_of(body["variables"]), (200, json.dumps(DONE).encode()))
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            if 300 <= status < 400:
                self.send_header("Location", known.url)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        known.url = f"http://127.0.0.1:{server.server_port}/graphql"
        set_environment(monkeypatch, known.url)
        yield known
        server.shutdown()
        thread.join()


def set_environment(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    for name, value in {
        "VSV_GRAPHQL_URL": url,
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "never-shown",
        "AWS_SESSION_TOKEN": "a-session",
    }.items():
        monkeypatch.setenv(name, value)


def changed(record: Any = SLIDE, name: str = "ImageID", value: str = "i01", number: int = 1) -> Any:
    """Return a recorded stream record for another key."""
    record = copy.deepcopy(record)
    stream = record["dynamodb"]
    stream["Keys"] = {name: {"S": value}}
    stream["NewImage"][name] = {"S": value}
    stream["SequenceNumber"] = str(number)
    return record


def slides(*image_ids: str) -> list[Any]:
    return [changed(value=image_id, number=number) for number, image_id in enumerate(image_ids, 1)]


def handle(*records: Any, context: Any = None) -> list[str]:
    """Return the sequence numbers that failed."""
    answer = lambda_handler({"Records": list(records)}, context or Context())
    assert answer.keys() == {"batchItemFailures"}
    return [one["itemIdentifier"] for one in answer["batchItemFailures"]]


class TestReports:
    def test_slide_is_reported_by_its_image_id_alone(self, api: Api) -> None:
        assert handle(SLIDE) == []
        assert api.asked == [{"query": REPORT_SLIDE, "variables": {"ImageID": "i01"}}]

    def test_slide_without_new_image_is_reported(self, api: Api) -> None:
        record = changed()
        del record["dynamodb"]["NewImage"]
        assert handle(record) == []
        assert api.told == ["i01"]

    def test_import_is_reported_without_internal_fields(self, api: Api) -> None:
        assert handle(IMPORT) == []
        told = {
            "Filename": "12345.svs",
            "Size": 1938955,
            "State": "IMPORTING",
            "Progress": 0.5,
            "StartedAt": "2026-11-21T06:10:58.000042Z",
            "UpdatedAt": "2026-11-21T06:11:02.120000Z",
        }
        assert api.asked == [{"query": REPORT_IMPORT, "variables": {"input": told}}]
        assert "secret" not in json.dumps(api.asked)

    def test_job_is_reported_by_its_slide_and_kind_alone(self, api: Api) -> None:
        assert handle(JOB) == []
        assert api.asked == [{"query": REPORT_JOB, "variables": {"ImageID": "i01", "kind": "ARCHIVE"}}]

    def test_change_of_a_job_is_reported_though_its_row_was_removed_again(self, api: Api) -> None:
        removed = with_stream(JOB, SequenceNumber="2") | {"eventName": "REMOVE"}
        assert handle(JOB | {"eventName": "INSERT"}, removed) == []
        assert api.told == ["i01"]

    def test_request_is_signed_for_appsync(self, api: Api) -> None:
        handle(SLIDE)
        ((line, headers),) = api.headers
        assert line == "POST /graphql"
        assert headers["Content-Type"] == "application/json"
        assert headers["X-Amz-Security-Token"] == "a-session"
        signed = r"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/\d{8}/eu-central-1/appsync/aws4_request, "
        assert re.fullmatch(
            signed
            + r"SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature=[0-9a-f]{64}",
            headers["Authorization"],
        )

    def test_mutations_and_variables_are_valid_in_the_schema(self, api: Api) -> None:
        handle(SLIDE, IMPORT, JOB)
        assert len(api.asked) == 3
        for asked in api.asked:
            document = parse(asked["query"])
            assert validate(load_schema(), document) == []
            (operation,) = document.definitions
            assert isinstance(operation, OperationDefinitionNode)
            coerced = get_variable_values(load_schema(), operation.variable_definitions, asked["variables"])
            assert not isinstance(coerced, list), coerced  # a list is of errors

    def test_mutations_select_each_field_that_all_subscribers_may_read(self) -> None:
        slide, imported, job = (load_schema().type_map[name] for name in ("Slide", "Import", "Job"))
        assert isinstance(slide, GraphQLObjectType)
        assert isinstance(imported, GraphQLObjectType)
        assert isinstance(job, GraphQLObjectType)
        assert selected(REPORT_JOB) == job.fields.keys()
        assert selected(REPORT_SLIDE) == slide.fields.keys() - {
            "LabelURL",
            "PublishedAs",
            "Predecessor",
            "GoesAt",
        }
        assert selected(REPORT_IMPORT) == imported.fields.keys()

    def test_import_fields_are_those_of_the_input_type(self) -> None:
        given = load_schema().type_map["ImportProgressInput"]
        assert isinstance(given, GraphQLInputObjectType)
        assert IMPORT_FIELDS.keys() == given.fields.keys()


def test_stream_filter_passes_changes_of_jobs_alone() -> None:
    source = template(ROOT / "stacks/review.yaml").properties("JobsToSubscribers")
    (one,) = source["FilterCriteria"]["Filters"]
    passes = EventPattern.load(one["Pattern"]).matches_event
    indexed = with_stream(JOB, Keys={"Set": {"S": "terms NEW"}, "Place": {"S": "s26 i01"}})
    assert [passes(record) for record in (JOB, indexed)] == [True, False]


def selected(mutation: str) -> set[str]:
    (operation,) = parse(mutation).definitions
    (root,) = operation.selection_set.selections  # type: ignore[attr-defined]
    return {one.name.value for one in root.selection_set.selections}


class TestBatches:
    def test_last_change_of_a_key_is_reported_once(self, api: Api) -> None:
        early, late = changed(IMPORT, "Filename", "a.svs", 2), changed(IMPORT, "Filename", "a.svs", 4)
        late["dynamodb"]["NewImage"]["State"] = {"S": "READY"}
        assert handle(changed(number=1), early, changed(number=3), late) == []
        assert api.told == ["i01", "a.svs"]
        assert api.asked[1]["variables"]["input"]["State"] == "READY"

    def test_failed_key_is_returned_under_its_last_sequence_number(self, api: Api) -> None:
        api.answer("i01", b"", 500)
        assert handle(*slides("i01", "i02", "i01")) == ["3"]
        assert api.told == ["i02", "i01"]

    def test_removed_slide_is_not_reported(self, api: Api) -> None:
        removed = changed(value="i02", number=4) | {"eventName": "REMOVE"}
        assert handle(*slides("i01", "i02", "i03"), removed) == []
        assert api.told == ["i01", "i03"]

    def test_slide_inserted_after_removal_is_reported(self, api: Api) -> None:
        inserted = changed(number=2) | {"eventName": "INSERT"}
        assert handle(changed() | {"eventName": "REMOVE"}, inserted) == []
        assert api.told == ["i01"]

    def test_failed_change_alone_is_returned(self, api: Api) -> None:
        api.answer("i02", {"data": None, "errors": [{"errorType": "Lambda:Unhandled", "message": "boom"}]})
        assert handle(*slides("i01", "i02", "i03")) == ["2"]
        assert api.told == ["i01", "i02", "i03"]

    def test_changes_without_time_left_are_returned_without_request(self, api: Api) -> None:
        assert handle(*slides("i01", "i02", "i03"), context=Context(30_000, 9_999, 20)) == ["2", "3"]
        assert api.told == ["i01"]

    @pytest.mark.parametrize("event", [{}, {"Records": None}, {"Records": []}, {"Records": "x"}])
    def test_event_without_records_reports_no_failures(self, api: Api, event: Any) -> None:
        assert lambda_handler(event, Context()) == {"batchItemFailures": []}


FOREIGN: list[Any] = [
    None,
    {},
    {"eventName": "MODIFY", "dynamodb": None},
    {"eventName": "MODIFY", "dynamodb": {"Keys": ["ImageID"], "SequenceNumber": "1"}},
    changed(name="Reviewer"),
    changed(value="../../etc/passwd"),
    changed(value="x" * 65),
    changed(IMPORT, "Filename", "../12345.svs"),
    changed(IMPORT, "Filename", "\ud800.svs"),
    changed(IMPORT, "Filename", "notes.txt"),
    changed() | {"eventName": "DROP"},
    changed() | {"eventName": ["MODIFY"]},
]


def with_stream(record: Any, **parts: Any) -> Any:
    record = copy.deepcopy(record)
    record["dynamodb"] |= parts
    return record


def with_image(**parts: Any) -> Any:
    return with_stream(IMPORT, NewImage=IMPORT["dynamodb"]["NewImage"] | parts)


FOREIGN += [
    with_stream(SLIDE, Keys={"Set": {"S": "status#NEW"}, "Place": {"S": "i01"}}),  # the review index
    with_stream(SLIDE, Keys={"ImageID": {"S": "i01"}, "at": {"S": "2026"}}),
    with_stream(SLIDE, Keys={"ImageID": {"N": "1"}}),
    with_stream(SLIDE, Keys={"ImageID": {"S": None}}),
    with_stream(SLIDE, SequenceNumber=None),
    *(
        with_stream(JOB, Keys={"Set": {"S": "jobs"}, "Place": {"S": place}})
        for place in ("LOCK.SEND.i01", "SEND.", "SEND.../i01", "DROP.i01", "i01", "")
    ),
    with_stream(JOB, Keys={"Set": {"S": "changes i01"}, "Place": {"S": "ARCHIVE.i01"}}),
    with_stream(JOB, Keys={"Set": {"S": "jobs"}, "Place": {"N": "1"}}),
    with_stream(IMPORT, NewImage=None),
    with_image(Filename={"S": "another.svs"}),
    with_image(State={"S": "EXPLODED"}),
    with_image(State={"SS": ["READY"]}),
]


class TestForeignRecords:
    @pytest.mark.parametrize("record", FOREIGN, ids=lambda record: json.dumps(record)[:40])
    def test_foreign_record_is_ignored(self, api: Api, record: Any) -> None:
        assert handle(record, changed(value="i09")) == []
        assert api.told == ["i09"]

    @pytest.mark.parametrize("size", [{"N": "NaN"}, {"N": "1e999"}, {"N": "many"}, {"S": "5"}, 5, {"N": 5}])
    def test_field_of_another_type_is_omitted(self, api: Api, size: Any) -> None:
        assert handle(with_image(Size=size)) == []
        assert "Size" not in api.asked[0]["variables"]["input"]


class TestFailures:
    def test_slide_not_found_is_not_a_failure(self, api: Api) -> None:
        message = "NOT_FOUND: Slide not found."
        api.answer("i01", {"data": None, "errors": [{"errorType": "Lambda:Unhandled", "message": message}]})
        api.answer("i02", {"data": None, "errors": [{"errorType": "NOT_FOUND", "message": "no"}]})
        assert handle(*slides("i01", "i02")) == []

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"<html>",
            b"[]",
            b"{}",
            b"\xff",
            b"[" * 5000,
            {"data": None},
            {"errors": "x"},
            {"errors": [None]},
            {"data": {}, "errors": [{"errorType": "Unauthorized", "message": "Not Authorized to access"}]},
            {"errors": [{"errorType": "NOT_FOUND"}, {"errorType": "INTERNAL"}]},
            b'{"data": {"a": "' + b"x" * (1 << 20) + b'"}}',  # more than is read
        ],
        ids=lambda content: str(content)[:30],
    )
    def test_answer_200_without_valid_data_is_a_failure(self, api: Api, content: Any) -> None:
        api.answer("i01", content)
        assert handle(*slides("i01", "i02")) == ["1"]

    @pytest.mark.parametrize("status", [302, 400, 401, 429, 500, 503])
    def test_other_status_is_a_failure_without_redirect(self, api: Api, status: int) -> None:
        api.answer("i01", DONE, status)
        assert handle(*slides("i01", "i02")) == ["1"]
        assert len(api.asked) == 2  # nothing follows a redirect with a signature

    def test_unreachable_endpoint_returns_all_changes_as_failed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with socket.socket() as unheard:  # bound, so that nobody else gets the port, and not listening
            unheard.bind(("127.0.0.1", 0))
            set_environment(monkeypatch, f"http://127.0.0.1:{unheard.getsockname()[1]}/graphql")
            assert handle(*slides("i01", "i02")) == ["1", "2"]

    def test_failure_is_logged_without_content_of_the_answer(
        self, api: Api, caplog: pytest.LogCaptureFixture
    ) -> None:
        quoted = {"errorType": "/secret/path", "message": "12345.svs of Jane Doe never-shown"}
        api.answer("12345.svs", {"errors": [quoted]})
        assert handle(IMPORT) == ["200000000000000000001"]
        assert caplog.messages == ["change 200000000000000000001 was not told: AppSync refused: unknown."]

    def test_missing_credentials_raise_unavailable_error(
        self, api: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("botocore.session.Session.get_credentials", lambda _self: None)
        with pytest.raises(UnavailableError, match="credentials"):
            handle(SLIDE)
        assert api.asked == []


class TestSettings:
    @pytest.mark.parametrize(
        "url",
        ["", "x", "http://example.com/graphql", "http://127.0.0.1.example.com", "https://", "https://["],
    )
    def test_address_without_https_is_refused(self, url: str) -> None:
        with pytest.raises(SettingsError, match="VSV_GRAPHQL_URL"):
            graphql_from_environment({"VSV_GRAPHQL_URL": url, "AWS_REGION": "eu-central-1"})

    def test_missing_region_is_refused(self) -> None:
        with pytest.raises(SettingsError, match="AWS_REGION"):
            graphql_from_environment({"VSV_GRAPHQL_URL": "https://example.com/graphql"})


def test_report_mutations_write_no_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise each notice would be a change, and each change a notice."""
    with standalone(tmp_path) as (services, _intake):
        services.slides.put_new(FULL_SLIDE)
        stored = services.slides.get(FULL_SLIDE.image_id)

        def refuse(*_args: Any, **_kwargs: Any) -> None:
            raise AssertionError("written")

        for store, names in (
            (services.slides, ("put_new", "update", "remove")),
            (services.imports, ("start", "advance")),
        ):
            for name in names:
                monkeypatch.setattr(store, name, refuse)
        told = change("reportSlideUpdate", IAM, ImageID=FULL_SLIDE.image_id)
        assert told["Version"] == FULL_SLIDE.version
        change("reportImportProgress", IAM, input={"Filename": "12345.svs", "State": "READY"})
        assert services.slides.get(FULL_SLIDE.image_id) == stored
        assert services.imports.get("12345.svs") is None
