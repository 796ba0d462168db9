"""AppSync's resolvers: one a field, and between AppSync and the review function nothing gets lost or out."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphql import ObjectTypeDefinitionNode, parse, value_from_ast_untyped
from review_slides.graphql_errors import ERROR_TYPE_BY_KIND, ReviewError
from review_slides.handler import lambda_handler
from review_slides.identity import READERS
from vsv.services import Services

from tests.http.test_graphql_events import NOBODY, PATHOLOGIST, TECHNICIAN, user
from tests.support.aws.cloudformation import template
from tests.support.paths import ROOT
from tests.support.servers.javascript import needs_node, run
from tests.support.stores.store_records import slide
from vsv_local.composition import standalone
from vsv_local.graphql.limits import MAX_DEPTH, MAX_ROOT_FIELDS
from vsv_local.graphql.schema import SCHEMA

REVIEW = template(ROOT / "stacks/review.yaml")
RESOLVERS = ROOT / "stacks/resolvers"
FIELD, LABEL_URL, FOLLOW = (
    (RESOLVERS / f"{name}.js").read_text() for name in ("field", "label_url", "follow_slides")
)
# What one answer of Lambda and one call of it may hold.
LAMBDA_BYTES = 6_000_000
MOST_SLIDES = 1000


def schema_fields(type_name: str) -> dict[str, Any]:
    """Return the definitions of a type's fields, as AppSync gets them."""
    for one in parse(SCHEMA.read_text()).definitions:
        if isinstance(one, ObjectTypeDefinitionNode) and one.name.value == type_name:
            return {field.name.value: field for field in one.fields}
    raise KeyError(type_name)


def resolvers() -> dict[tuple[str, str], dict[str, Any]]:
    """Return the template's resolvers by type and field."""
    found = {
        (r["Properties"]["TypeName"], r["Properties"]["FieldName"]): r["Properties"]
        for r in REVIEW.resources("AWS::AppSync::Resolver").values()
    }
    assert len(found) == len(REVIEW.resources("AWS::AppSync::Resolver"))
    return found


def context(parent: str, field: str, identity: Any, arguments: Any = None, **more: Any) -> dict[str, Any]:
    """Return AppSync's context object ("Resolver context object reference", AppSync developer guide)."""
    headers = {"host": "example.appsync-api.eu-central-1.amazonaws.com", "authorization": "a token"}
    return {
        "args": arguments or {},
        "arguments": arguments or {},
        "identity": identity,
        "source": None,
        "stash": {},
        "request": {"headers": headers, "domainName": None},
        "info": {
            "fieldName": field,
            "parentTypeName": parent,
            "variables": {"id": "i01"},
            "selectionSetList": ["ImageID", "SlideID"],
            "selectionSetGraphQL": "{\n  ImageID\n  SlideID\n}",
        },
    } | more


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    with standalone(tmp_path / "data") as (services, _intake):
        services.slides.put_new(slide("i01", slide_id="S01"))
        yield services


@pytest.fixture
def resolve(services: Services, tmp_path: Path) -> Any:
    """Resolve a field as AppSync does: request handler, the review function itself, response handler."""

    def resolved(asked: dict[str, Any]) -> dict[str, Any]:
        ((request),) = run(FIELD, tmp_path, ("request", asked))
        assert request["value"]["operation"] == "Invoke"
        try:
            answered: dict[str, Any] = {"result": lambda_handler(request["value"]["payload"], None)}
        except ReviewError as error:
            answered = {"error": {"message": str(error), "type": "Lambda:Unhandled"}, "result": None}
        return run(FIELD, tmp_path, ("response", asked | answered))[0]

    return resolved


class TestTemplate:
    def test_resolvers_exist_for_exactly_the_fields_of_the_schema(self) -> None:
        wanted = {(parent, field) for parent in ("Query", "Mutation") for field in schema_fields(parent)}
        assert resolvers().keys() == wanted | {("Slide", "LabelURL"), ("Subscription", "onUpdateSlide")}

    def test_resolver_names_its_code_data_source_and_runtime(self) -> None:
        for (parent, _), given in resolvers().items():
            code, source = {
                "Slide": ("label_url", "ReviewSlidesSource"),
                "Subscription": ("follow_slides", "NoSource"),
            }.get(parent, ("field", "ReviewSlidesSource"))
            assert given["CodeS3Location"] == f"resolvers/{code}.js"
            assert given["DataSourceName"] == {"Fn::GetAtt": [source, "Name"]}
            assert given["Runtime"]["Name"] == "APPSYNC_JS"

    def test_deployed_schema_is_the_schema_of_the_standalone_server(self) -> None:
        location = REVIEW.properties("GraphqlSchema")["DefinitionS3Location"]
        assert (REVIEW.path.parent / location).resolve() == SCHEMA

    def test_limits_equal_those_of_the_standalone_server(self) -> None:
        api = REVIEW.properties("GraphqlApi")
        assert api["QueryDepthLimit"] == MAX_DEPTH
        assert api["ResolverCountLimit"] >= MOST_SLIDES + MAX_ROOT_FIELDS
        assert resolvers()["Slide", "LabelURL"]["MaxBatchSize"] == MOST_SLIDES

    def test_notify_role_may_call_the_report_mutations_alone(self) -> None:
        (report,) = (
            s
            for s in REVIEW.properties("NotifySubscribersRole")["Policies"][0]["PolicyDocument"]["Statement"]
            if s["Action"] == "appsync:GraphQL"
        )
        fields = {REVIEW.value(one).rpartition("/types/")[2] for one in report["Resource"]}
        assert fields == {
            f"Mutation/fields/{name}"
            for name in ("reportSlideUpdate", "reportImportProgress", "reportJobUpdate")
        }


@pytest.mark.parametrize("name", ["field", "label_url", "follow_slides"])
def test_resolver_code_uses_only_javascript_that_appsync_supports(name: str) -> None:
    """ "Supported runtime features", AppSync developer guide: what is not supported fails the deployment."""
    code = (RESOLVERS / f"{name}.js").read_text()
    assert len(code) <= 32_000
    bare = re.sub(r"/\*.*?\*/|//[^\n]*|'[^'\n]*'", "''", code, flags=re.DOTALL)
    refused = r"\b(async|await|try|catch|finally|throw|while|do|continue|class|new|this|in|yield|delete)\b"
    assert not re.findall(refused, bare)
    assert not re.findall(r"\+\+|--|~|\bfor\s*\([^)]*;|`|=\s*/|\(/", bare)
    assert re.findall(r"^import .*$", bare, re.MULTILINE) == ["import { util } from '';"]


@needs_node
class TestFields:
    def test_request_payload_has_the_form_of_a_direct_resolver_event(self, tmp_path: Path) -> None:
        asked = context("Query", "getSlide", TECHNICIAN, {"ImageID": "i01"})
        payload = run(FIELD, tmp_path, ("request", asked))[0]["value"]["payload"]
        assert payload == {
            "arguments": {"ImageID": "i01"},
            "identity": TECHNICIAN,
            "source": None,
            "request": {
                "headers": {"host": "example.appsync-api.eu-central-1.amazonaws.com"},
                "domainName": None,
            },
            "prev": None,
            "stash": {},
            "info": asked["info"],
        }

    def test_result_of_the_function_is_returned(self, resolve: Any) -> None:
        found = resolve(context("Query", "getSlide", TECHNICIAN, {"ImageID": "i01"}))
        assert found["value"]["SlideID"] == "S01"
        assert resolve(context("Query", "getSlide", TECHNICIAN, {"ImageID": "nowhere"})) == {"value": None}

    @pytest.mark.parametrize(
        ("parent", "field", "arguments", "identity", "error_type", "message"),
        [
            ("Query", "getSlide", {"ImageID": "../x"}, TECHNICIAN, "BAD_REQUEST", "an ImageID is"),
            ("Query", "getSlide", {"ImageID": "i01"}, NOBODY, "Unauthorized", "Viewing slides needs"),
            ("Mutation", "retryImport", {"Filename": "a.svs"}, TECHNICIAN, "NOT_FOUND", "this import"),
            (
                "Mutation",
                "updateSlide",
                {"input": {"ImageID": "i01", "CaseID": "C", "expectedVersion": 9}},
                TECHNICIAN,
                "CONFLICT",
                "",
            ),
        ],
    )
    def test_error_is_returned_with_type_and_message_separated(
        self,
        resolve: Any,
        parent: str,
        field: str,
        arguments: Any,
        identity: Any,
        error_type: str,
        message: str,
    ) -> None:
        refused = resolve(context(parent, field, identity, arguments))
        assert (refused["errorType"], refused["error"][: len(message)]) == (error_type, message)
        assert error_type not in refused["error"]

    @pytest.mark.parametrize("code", [FIELD, LABEL_URL])
    def test_runtime_errors_are_answered_as_unavailable_without_details(
        self, tmp_path: Path, code: str
    ) -> None:
        asked = context("Query", "getSlide", TECHNICIAN)
        said = [
            "2026-11-21T10:00:00.000Z 4f1c Task timed out after 29.00 seconds",
            "Unable to import module 'review_slides.handler': /mnt/slides",
            "RequestId: 4f1c Error: Runtime exited",
            "",
            None,
        ]
        answers = run(code, tmp_path, *(("response", asked | {"error": {"message": one}}) for one in said))
        assert {one["errorType"] for one in answers} == {"UNAVAILABLE"}
        assert {one["error"] for one in answers} == {
            "The request could not be carried out now: try again in a minute."
        }

    @pytest.mark.parametrize("code", [FIELD, LABEL_URL])
    def test_each_error_type_of_the_function_is_recognized(self, tmp_path: Path, code: str) -> None:
        types = sorted(set(ERROR_TYPE_BY_KIND.values()))
        asked = context("Query", "getSlide", TECHNICIAN)
        calls = [("response", asked | {"error": {"message": f"{one}: it is: so"}}) for one in types]
        assert run(code, tmp_path, *calls) == [{"error": "it is: so", "errorType": one} for one in types]


@needs_node
class TestLabels:
    def test_batch_of_label_requests_is_answered_by_the_function(
        self, services: Services, tmp_path: Path
    ) -> None:
        path = services.files.associated("i01", "label")
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
        sources = [{"ImageID": "i01", "Note": "long"}, {"ImageID": "i02"}]
        asked = [context("Slide", "LabelURL", TECHNICIAN, source=source) for source in sources]
        requests = run(LABEL_URL, tmp_path, *(("request", one) for one in asked))
        assert {one["value"]["operation"] for one in requests} == {"BatchInvoke"}
        values = lambda_handler([one["value"]["payload"] for one in requests], None)
        answers = [("response", one | {"result": value}) for one, value in zip(asked, values, strict=True)]
        assert run(LABEL_URL, tmp_path, *answers) == [
            {"value": "/DeepZoom/i01_files/label.jpeg"},
            {"value": None},
        ]

    def test_largest_batch_fits_into_a_lambda_call(self, tmp_path: Path) -> None:
        everything = {"variables": {"ids": ["x" * 64] * MOST_SLIDES}, "selectionSetList": None}
        identity = user("Technicians", name="n" * 128) | {"claims": {"all": "c" * 2000}}
        asked = context("Slide", "LabelURL", identity, source={"ImageID": "x" * 64, "Note": "n" * 2000})
        asked["info"] |= everything
        (one,) = run(LABEL_URL, tmp_path, ("request", asked))
        assert len(json.dumps([one["value"]["payload"]] * MOST_SLIDES)) < LAMBDA_BYTES

    def test_label_url_is_null_in_mutations_that_subscribers_follow(
        self, resolve: Any, tmp_path: Path
    ) -> None:
        (follows,) = (
            value_from_ast_untyped(one.arguments[0].value)
            for one in schema_fields("Subscription")["onUpdateSlide"].directives
            if one.name.value == "aws_subscribe"
        )
        fields = list(schema_fields("Mutation"))
        asked = [context("Mutation", field, TECHNICIAN) | {"result": {"ImageID": "i01"}} for field in fields]
        slides = run(FIELD, tmp_path, *(("response", one) for one in asked))
        labels = [
            context("Slide", "LabelURL", TECHNICIAN, source=one["value"]) | {"result": "/label"}
            for one in slides
        ]
        told = run(LABEL_URL, tmp_path, *(("response", one) for one in labels))
        silent = {field for field, one in zip(fields, told, strict=True) if one == {"value": None}}
        assert silent == set(follows)
        assert follows


@needs_node
def test_subscription_is_refused_for_identities_that_may_not_read_slides(tmp_path: Path) -> None:
    scanner = {"claims": {"scope": "vsv/import", "client_id": "scanner"}, "groups": None, "username": None}
    everyone = [TECHNICIAN, PATHOLOGIST, user("Admins"), NOBODY, user("Cleaners"), scanner]
    calls = [("request", context("Subscription", "onUpdateSlide", one)) for one in everyone]
    answers = run(FOLLOW, tmp_path, *calls)
    assert ["value" in one for one in answers] == [True, True, True, False, False, False]
    assert {one["errorType"] for one in answers[3:]} == {"Unauthorized"}
    assert set(re.findall(r"includes\('(\w+)'\)", FOLLOW)) == READERS
