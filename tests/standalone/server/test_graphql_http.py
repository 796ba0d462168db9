"""GraphQL over HTTP on the standalone server: the deployed frontend's operations, bounds, other sites' pages."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from graphql import GraphQLObjectType, get_introspection_query
from review_slides import serializers

from tests.support.servers.graphql_server import Server, run_apart, running_server
from tests.support.stores.store_records import FULL_IMPORT, FULL_JOB, FULL_SLIDE, slide
from vsv_local.graphql import limits
from vsv_local.graphql.execution import prepare, run
from vsv_local.graphql.resolvers import Request, User
from vsv_local.graphql.schema import load_schema

# As Amplify writes and sends them: named operations, every field, nulls and undefined variables.
FIELDS = "CaseID ImageID SlideID ScanDate AppMag MPP height width Status Filename"
LIST = f"""query ListSlides($filter: TableSlideFilterInput, $limit: Int, $nextToken: String) {{
  listSlides(filter: $filter, limit: $limit, nextToken: $nextToken) {{
    items {{ {FIELDS} __typename }} nextToken __typename
  }}
}}"""
BY_STATUS = f"""query QuerySlidesByStatus($Status: String!, $limit: Int, $nextToken: String) {{
  querySlidesByStatus(Status: $Status, limit: $limit, nextToken: $nextToken) {{ items {{ {FIELDS} }} nextToken }}
}}"""
GET = f"query GetSlide($ImageID: String!) {{ getSlide(ImageID: $ImageID) {{ {FIELDS} }} }}"
GET_MANY = f"query GetSlides($ImageIDs: [String]) {{ getSlides(ImageIDs: $ImageIDs) {{ {FIELDS} }} }}"
CASES = "query ListCaseIDs($nextToken: String) { listCaseIDs(nextToken: $nextToken) { items { CaseID } nextToken } }"
UPDATE = (
    f"""mutation UpdateSlide($input: UpdateSlideInput!) {{ updateSlide(input: $input) {{ {FIELDS} }} }}"""
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("secret-folder")) as server:
        for number in range(45):
            record = slide(
                f"i{number:02d}", slide_id=f"S{number:02d}", case_id=f"C{number // 15}", app_mag="40"
            )
            server.services.slides.put_new(record)
        yield server


class TestDeployedFrontendQueries:
    def test_list_slides_returns_every_slide_across_pages(self, server: Server) -> None:
        found: list[str] = []
        token = None
        while True:
            page = server.data_of(LIST, filter=None, limit=20, nextToken=token)["listSlides"]
            assert page["__typename"] == "SlideConnection"
            found += [one["ImageID"] for one in page["items"]]
            if (token := page["nextToken"]) is None:
                break
        assert sorted(found) == [f"i{number:02d}" for number in range(45)]

    def test_list_slides_returns_only_slides_that_match_the_filter(self, server: Server) -> None:
        wanted = {"CaseID": {"eq": "C1"}, "SlideID": {"beginsWith": "S2"}, "MPP": None}
        items = server.data_of(LIST, filter=wanted)["listSlides"]["items"]
        assert {one["SlideID"] for one in items} == {f"S{number}" for number in range(20, 30)}

    def test_query_slides_by_status_returns_twenty_slides_a_page_by_default(self, server: Server) -> None:
        first = server.data_of(BY_STATUS, Status="NEW", nextToken=None)["querySlidesByStatus"]
        assert len(first["items"]) == 20
        rest = server.data_of(BY_STATUS, Status="NEW", limit=100, nextToken=first["nextToken"])[
            "querySlidesByStatus"
        ]
        assert rest["nextToken"] is None

    def test_get_slide_and_get_slides_return_only_slides_that_exist(self, server: Server) -> None:
        assert server.data_of(GET, ImageID="i07")["getSlide"]["SlideID"] == "S07"
        assert server.data_of(GET, ImageID="nowhere") == {"getSlide": None}
        many = server.data_of(GET_MANY, ImageIDs=["i03", "nowhere", "i01"])["getSlides"]
        assert [one["ImageID"] for one in many] == ["i03", "i01"]
        strict = GET_MANY.replace("[String]", "[String!]!")
        assert len(server.data_of(strict, ImageIDs=["i03"])["getSlides"]) == 1
        assert server.data_of(
            "query($ImageIDs: [String!]) { getSlides(ImageIDs: $ImageIDs) { ImageID } }"
        ) == {"getSlides": []}

    def test_list_case_ids_returns_cases_in_order(self, server: Server) -> None:
        items = server.data_of(CASES, nextToken=None)["listCaseIDs"]["items"]
        assert [one["CaseID"] for one in items][:3] == ["C0", "C1", "C2"]

    def test_update_slide_returns_changed_fields_and_not_found_for_unknown_slide(
        self, server: Server
    ) -> None:
        changed = server.data_of(UPDATE, input={"ImageID": "i40", "CaseID": " C9 ", "SlideID": None})[
            "updateSlide"
        ]
        assert (changed["CaseID"], changed["SlideID"]) == ("C9", None)
        answer = server.ask(UPDATE, input={"ImageID": "nowhere", "CaseID": "C"})
        (error,) = answer["errors"]
        assert answer["data"] == {"updateSlide": None}
        assert (error["errorType"], error["path"]) == ("NOT_FOUND", ["updateSlide"])

    def test_query_with_aliases_and_fragments_returns_requested_fields(self, server: Server) -> None:
        query = """
          query Both($first: String!, $limit: Int) {
            a: getSlide(ImageID: $first) { ...Names }
            b: getSlide(ImageID: "i02") { id: ImageID ... on Slide { SlideID } }
            page: querySlidesByStatus(Status: "NEW", limit: $limit, nextToken: null) { items { ...Names } nextToken }
          }
          fragment Names on Slide { ImageID SlideID }
        """
        data = server.data_of(query, first="i01", limit=3)
        assert data["a"] == {"ImageID": "i01", "SlideID": "S01"}
        assert data["b"] == {"id": "i02", "SlideID": "S02"}
        assert len(data["page"]["items"]) == 3


class TestQueriesBeyondTheDeployedFrontend:
    def test_update_slide_with_outdated_version_answers_conflict(self, server: Server) -> None:
        mutation = "mutation($input: UpdateSlideInput!) { updateSlide(input: $input) { Version ModifiedBy } }"
        first = {"ImageID": "i41", "CaseID": "first", "expectedVersion": 1}
        assert server.data_of(mutation, input=first)["updateSlide"] == {"Version": 2, "ModifiedBy": "local"}
        (error,) = server.ask(mutation, input=first | {"CaseID": "second"})["errors"]
        assert (error["errorType"], error["message"].split(" ")[0]) == ("CONFLICT", "local")
        assert server.data_of(GET, ImageID="i41")["getSlide"]["CaseID"] == "first"

    def test_update_slides_allows_the_local_user_every_status_change(self, server: Server) -> None:
        mutation = "mutation($input: [UpdateSlideInput!]!) { updateSlides(input: $input) { error slide { Status } } }"
        inputs = [{"ImageID": "i42", "Status": s} for s in ("GOOD", "SENT", "DELETED", "NEW")]
        found = server.data_of(mutation, input=inputs)["updateSlides"]
        assert [one["error"] for one in found[:3]] == [None] * 3
        assert "permanently deleted" in found[3]["error"]  # a record without files does not come back

    def test_history_counts_search_and_imports_return_expected_records(self, server: Server) -> None:
        data = server.data_of(
            """{ slideHistory(ImageID: "i42", limit: 3) { items { by field from to Version at } nextToken }
                 countSlides { Status count } searchSlides(text: "s4", limit: 2) { items { SlideID } nextToken }
                 listImports(state: null) { items { Filename State Progress Error } nextToken } }"""
        )
        assert {(c["field"], c["to"]) for c in data["slideHistory"]["items"]} >= {
            ("Status", "DELETED"),
            ("Status", "SENT"),
        }
        assert sum(one["count"] for one in data["countSlides"]) == 45
        assert [one["SlideID"] for one in data["searchSlides"]["items"]] == ["S41", "S43"]
        assert data["listImports"] == {"items": [], "nextToken": None}

    def test_publish_request_appears_in_job_lists_and_withdraw_answers_conflict(self, server: Server) -> None:
        fields = "ImageID Kind State Name RequestedBy RequestedAt UpdatedAt ExpectedAt Attempts Error Result"
        update = "mutation($input: UpdateSlideInput!) { updateSlide(input: $input) { Status } }"
        server.data_of(update, input={"ImageID": "i43", "Status": "GOOD"})
        publish = f'mutation($id: String!) {{ publishSlide(ImageID: $id, name: "STUDY-7") {{ {fields} }} }}'
        asked = server.data_of(publish, id="i43")["publishSlide"]
        assert (asked["Kind"], asked["State"], asked["Name"]) == ("PUBLISH", "WAITING", "STUDY-7")
        followed = (
            f'{{ slideJobs(ImageID: "i43") {{ {fields} }} listJobs {{ items {{ {fields} }} nextToken }} }}'
        )
        assert server.data_of(followed) == {
            "slideJobs": [asked],
            "listJobs": {"items": [asked], "nextToken": None},
        }
        (error,) = server.ask('mutation { withdrawSlide(ImageID: "i43") { State } }')["errors"]
        assert (error["errorType"], error["message"]) == ("CONFLICT", "This slide is not published.")

    def test_label_addresses_of_a_page_are_resolved_in_a_single_call(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls: list[Any] = []
        known = Request.call

        async def counted(self: Request, event: Any) -> Any:
            calls.append(event)
            return await known(self, event)

        monkeypatch.setattr(Request, "call", counted)
        data = server.data_of("{ searchSlides(limit: 30) { items { LabelURL } } }")
        assert len(data["searchSlides"]["items"]) == 30
        assert [len(call) for call in calls if isinstance(call, list)] == [30]
        assert len(calls) == 2

    @pytest.mark.parametrize("date", ["2026-11-21T00:00:00Z", "2026-11-21T00:00:00.123+01:00"])
    def test_scan_date_filter_refuses_dates_without_time_and_offset(self, server: Server, date: str) -> None:
        query = "query($from: AWSDateTime) { searchSlides(scanDateFrom: $from) { nextToken } }"
        server.data_of(query, **{"from": date})
        for wrong in (date[:-6], "2026-11-21", "yesterday", 5, "2026-11-21T00:00:00" + "0" * 100 + "Z"):
            assert "errors" in server.ask(query, **{"from": wrong})


class TestSchemaAuthorization:
    def ask_as(self, server: Server, groups: set[str], query: str) -> dict[str, Any]:
        with ThreadPoolExecutor(1) as threads:
            request = Request(User("ann", frozenset(groups)), threads)
            return run_apart(run(prepare({"query": query}), request))

    @pytest.mark.parametrize(
        ("query", "groups"),
        [
            ('mutation { updateSlide(input: {ImageID: "i01", CaseID: "C"}) { ImageID } }', {"Pathologists"}),
            (
                'mutation { updateSlides(input: [{ImageID: "i01", CaseID: "C"}]) { ImageID } }',
                {"Pathologists"},
            ),
            ('mutation { assignSlide(ImageID: "i01", reviewer: "x") { ImageID } }', set()),
            ('mutation { retryImport(Filename: "a.svs") { Filename } }', {"Pathologists"}),
            ('{ slideHistory(ImageID: "i01") { nextToken } }', {"Pathologists"}),
            ("{ listImports { nextToken } }", {"Pathologists"}),
            ("{ listJobs { nextToken } }", {"Pathologists"}),
            ('{ slideJobs(ImageID: "i01") { Kind } }', {"Pathologists"}),
            (
                'mutation { publishSlide(ImageID: "i01", name: "x") { Kind } }',
                {"Technicians", "Pathologists"},
            ),
            ('mutation { withdrawSlide(ImageID: "i01") { Kind } }', {"Technicians", "Pathologists"}),
            ('mutation { archiveSlide(ImageID: "i01") { Kind } }', {"Technicians", "Pathologists"}),
            ('mutation { restoreSlide(ImageID: "i01") { Kind } }', {"Technicians", "Pathologists"}),
            (
                'mutation { purgeSlide(ImageID: "i01", confirm: "i01") { Kind } }',
                {"Technicians", "Pathologists"},
            ),
            ('mutation { reportSlideUpdate(ImageID: "i01") { ImageID } }', {"Technicians", "Admins"}),
            (
                'mutation { reportImportProgress(input: {Filename: "a"}) { Filename } }',
                {"Technicians", "Admins"},
            ),
        ],
    )
    def test_missing_group_is_refused_before_the_resolver_is_called(
        self, server: Server, monkeypatch: pytest.MonkeyPatch, query: str, groups: set[str]
    ) -> None:
        def never(*_: Any) -> None:
            raise AssertionError

        monkeypatch.setattr(Request, "call", never)
        (error,) = self.ask_as(server, groups, query)["errors"]
        assert error["errorType"] == "Unauthorized"
        assert error["message"].startswith("Not Authorized to access ")

    def test_pathologist_reads_slide_without_label_address(self, server: Server) -> None:
        path = server.services.files.associated("i01", "label")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        query = '{ getSlide(ImageID: "i01") { SlideID LabelURL } }'
        assert self.ask_as(server, {"Pathologists"}, query)["data"]["getSlide"] == {
            "SlideID": "S01",
            "LabelURL": None,
        }
        shown = self.ask_as(server, {"Technicians"}, query)["data"]["getSlide"]["LabelURL"]
        assert shown == "/DeepZoom/i01_files/label.jpeg"

    def test_every_root_field_has_an_authorization_directive(self) -> None:
        schema = load_schema()
        for parent in (schema.query_type, schema.mutation_type, schema.subscription_type):
            assert parent
            for name, one in parent.fields.items():
                assert one.ast_node
                directives = {directive.name.value for directive in one.ast_node.directives or ()}
                assert directives & {"aws_cognito_user_pools", "aws_iam"}, name


def test_serializers_return_exactly_the_fields_of_the_schema() -> None:
    types = load_schema().type_map
    records = {
        "Slide": serializers.slide(FULL_SLIDE) | {"LabelURL": None},
        "Import": serializers.imported(FULL_IMPORT),
        "Job": serializers.job(FULL_JOB),
    }
    for name, fields in records.items():
        assert isinstance(types[name], GraphQLObjectType)
        assert fields.keys() == types[name].fields.keys()


class TestRequestValidation:
    def refused(self, server: Server, query: str, **variables: Any) -> list[dict[str, Any]]:
        response = server.post({"query": query, "variables": variables})
        assert response.status_code == 400
        errors: list[dict[str, Any]] = response.json()["errors"]
        assert "secret" not in response.text
        return errors

    def test_introspection_query_returns_schema_types(self, server: Server) -> None:
        types = server.data_of(get_introspection_query())["__schema"]["types"]
        assert {"Slide", "AWSDateTime", "TableSlideFilterInput"} <= {one["name"] for one in types}

    @pytest.mark.parametrize(
        "query",
        [
            "",
            "{",
            "{ nothing }",
            "{ getSlide { ImageID } }",
            "query($x: Int!) { getSlide(ImageID: $x) { ImageID } }",
            "subscription { onUpdateSlide { ImageID } }",
            "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
            "query A { countSlides { count } } query B { countSlides { count } }",
            "{" * 4000,
            "{ getSlide(ImageID: " + "[" * 2000 + "]" * 2000 + ") { ImageID } }",
            "{ countSlides { count } } " + "#" * 10 + "\n" + "{ a } " * 3000,
        ],
    )
    def test_invalid_query_answers_400_with_errors(self, server: Server, query: str) -> None:
        assert self.refused(server, query)

    def test_query_with_too_many_root_fields_is_refused(self, server: Server) -> None:
        many = " ".join(f"a{n}: countSlides {{ count }}" for n in range(limits.MAX_ROOT_FIELDS + 1))
        assert "top-level fields" in self.refused(server, f"{{ {many} }}")[0]["message"]
        hidden = f"{{ ...A }} fragment A on Query {{ {many} }}"
        assert "top-level fields" in self.refused(server, hidden)[0]["message"]

    def test_query_whose_fragments_multiply_fields_is_refused(self, server: Server) -> None:
        """Each fragment doubles the last: written out it would be two to the thirtieth fields."""
        doubled = "".join(f"fragment F{n} on Slide {{ ...F{n + 1} ...F{n + 1} }} " for n in range(30))
        query = f'{{ getSlide(ImageID: "i01") {{ ...F0 }} }} {doubled} fragment F30 on Slide {{ ImageID }}'
        assert "fields" in self.refused(server, query)[0]["message"]

    def test_query_that_is_too_deep_is_refused(self, server: Server) -> None:
        query = "{ __schema { types { " + "fields { type { " * 10 + "name" + " } }" * 10 + " } } }"
        assert self.refused(server, query)

    @pytest.mark.parametrize(
        "body",
        [
            5,
            "x",
            [],
            {},
            {"query": 5},
            {"query": "{__typename}", "variables": []},
            {"query": "{__typename}", "operationName": 5},
        ],
    )
    def test_json_body_that_is_not_a_graphql_request_answers_400(self, server: Server, body: Any) -> None:
        assert server.post(body).status_code == 400

    def test_body_that_is_not_json_answers_400(self, server: Server) -> None:
        for content in (b"", b"{", b"\xff", b"[" * 100_000, b'{"query": ' + b"[" * 50_000):
            response = httpx.post(
                f"http://{server.address}/graphql",
                content=content,
                headers={"content-type": "application/json"},
            )
            assert response.status_code == 400

    def test_body_above_size_limit_answers_413(self, server: Server) -> None:
        response = server.post({"query": "{__typename}", "variables": {"x": "x" * limits.MAX_BODY_BYTES}})
        assert response.status_code == 413

    @pytest.mark.parametrize(
        "variables",
        [
            {"input": None},
            {"input": 5},
            {"input": {}},
            {"input": {"ImageID": 5}},
            {"input": {"ImageID": "a", "Extra": 1}},
            {"input": {"ImageID": "a", "expectedVersion": 2**40}},
            {"input": {"ImageID": "a", "CaseID": ["x"]}},
            {},
        ],
    )
    def test_variables_of_wrong_types_answer_errors_and_change_no_slide(
        self, server: Server, variables: dict[str, Any]
    ) -> None:
        answer = server.ask(UPDATE, **variables)
        assert answer["errors"]
        assert not (answer.get("data") or {}).get("updateSlide")

    def test_huge_variables_are_refused_with_a_short_message(self, server: Server) -> None:
        (error,) = server.ask(UPDATE, input={"ImageID": "i01", "CaseID": "x" * 500_000})["errors"]
        assert (error["errorType"], len(error["message"]) < 200) == ("BAD_REQUEST", True)
        answer = server.ask(UPDATE, input={"ImageID": "x" * 500_000})
        assert len(json.dumps(answer)) < 1000

    def test_failing_resolver_answers_internal_error_without_details(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: Any) -> Any:
            raise RuntimeError(str(server.data))

        monkeypatch.setattr(server.services.slides, "counts", fail)
        answer = server.ask("{ countSlides { count } }")
        (error,) = answer["errors"]
        assert (error["errorType"], answer["data"]) == ("INTERNAL", None)
        assert "secret" not in json.dumps(answer)


class TestCrossSiteRequests:
    def test_content_type_other_than_json_answers_415(self, server: Server) -> None:
        """A form or a plain text needs no permission to be sent by another site's page."""
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            assert server.post({"query": "{__typename}"}, {"content-type": kind}).status_code == 415
        assert server.post(
            {"query": "{__typename}"}, {"content-type": "application/json; charset=utf-8"}
        ).is_success

    def test_foreign_origin_answers_403(self, server: Server) -> None:
        for origin in (
            "https://evil.example",
            "null",
            f"http://{server.address}.evil.example",
            "http://127.0.0.1:1",
        ):
            assert server.post({"query": "{__typename}"}, {"origin": origin}).status_code == 403
        own = server.post({"query": "{__typename}"}, {"origin": f"http://{server.address}"})
        assert own.json() == {"data": {"__typename": "Query"}}

    def test_foreign_host_answers_421(self, server: Server) -> None:
        assert server.post({"query": "{__typename}"}, {"host": "evil.example"}).status_code == 421

    def test_methods_other_than_post_answer_405_without_cors_headers(self, server: Server) -> None:
        for method in ("GET", "OPTIONS", "PUT", "DELETE"):
            response = httpx.request(method, f"http://{server.address}/graphql")
            assert response.status_code == 405
            assert "access-control-allow-origin" not in response.headers
        assert server.post({"query": "{__typename}"}).headers["cache-control"] == "no-store"
