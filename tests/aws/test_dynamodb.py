"""What only the DynamoDB stores have: how items lie in the table, batches, and boto3's errors."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from vsv.aws.dynamodb.jobs import FARTHEST, LOCK_FOR, DynamoJobStore
from vsv.aws.dynamodb.slides_and_imports import DynamoImportStore, DynamoSlideStore
from vsv.aws.dynamodb.table import BATCH_ATTEMPTS, BATCH_SIZE
from vsv.errors import AlreadyExistsError, UnavailableError, VersionConflictError
from vsv.records.models import ImportState, JobKind, Status
from vsv.records.stores import SlideQuery

from tests.support.aws.cloudformation import functions
from tests.support.aws.dynamo_tables import create_tables, mocked_dynamodb
from tests.support.stores.store_records import FULL_SLIDE, slide, slide_import, slide_job


class Wrapped:
    """A client of which a test replaces some operations."""

    def __init__(self, client: Any, **operations: Any) -> None:
        self._client = client
        self._operations = operations

    def __getattr__(self, name: str) -> Any:
        return self._operations.get(name) or getattr(self._client, name)


@pytest.fixture
def client() -> Iterator[Any]:
    with mocked_dynamodb() as client:
        create_tables(client, "slides", "imports")
        yield client


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seconds: list[float] = []
    monkeypatch.setattr("vsv.aws.dynamodb.table.time.sleep", seconds.append)
    return seconds


def raw_item(client: Any, image_id: str) -> dict[str, Any]:
    item: dict[str, Any] = client.get_item(TableName="slides", Key={"ImageID": {"S": image_id}})["Item"]
    return item


def test_slide_item_has_wire_names_and_types(client: Any) -> None:
    DynamoSlideStore("slides", client).put_new(FULL_SLIDE)
    item = raw_item(client, FULL_SLIDE.image_id)
    assert item["MPP"] == {"N": "0.2498"}
    assert item["FileSize"] == {"N": str(2**40 + 1)}
    assert item["Status"] == {"S": "NEW"}
    assert item["Tags"]["M"]["empty"] == {"S": ""}
    assert item.keys() == FULL_SLIDE.to_item().keys()


def test_slide_without_slide_id_is_indexed_by_its_image_id(client: Any) -> None:
    store = DynamoSlideStore("slides", client)
    store.put_new(slide())
    assert raw_item(client, "image-1")["SlideID"] == {"S": "image-1"}
    store.update("image-1", {"slide_id": "S1"}, by="me")
    assert "NoSlideID" not in raw_item(client, "image-1")
    store.update("image-1", {"slide_id": None}, by="me")
    assert raw_item(client, "image-1")["NoSlideID"] == {"BOOL": True}


def test_update_keeps_fields_of_a_newer_version(client: Any) -> None:
    store = DynamoSlideStore("slides", client)
    store.put_new(slide())
    client.put_item(TableName="slides", Item=raw_item(client, "image-1") | {"Stain": {"N": "1.5"}})
    store.update("image-1", {"status": Status.GOOD}, by="me")
    assert raw_item(client, "image-1")["Stain"] == {"N": "1.5"}


def test_get_many_requests_each_slide_once_in_bounded_batches(client: Any) -> None:
    sizes: list[int] = []

    def batch_get_item(**request: Any) -> Any:
        keys = [key["ImageID"]["S"] for key in request["RequestItems"]["slides"]["Keys"]]
        assert len(set(keys)) == len(keys)
        sizes.append(len(keys))
        return client.batch_get_item(**request)

    store = DynamoSlideStore("slides", Wrapped(client, batch_get_item=batch_get_item))
    names = [f"image-{number}" for number in range(250)]
    assert store.get_many(names + names) == []
    assert sizes == [BATCH_SIZE, BATCH_SIZE, 50]


def test_get_many_retries_unprocessed_keys_with_growing_pauses(client: Any, pauses: list[float]) -> None:
    def only_the_first(**request: Any) -> Any:
        keys = request["RequestItems"]["slides"]["Keys"]
        answer = client.batch_get_item(RequestItems={"slides": {"Keys": keys[:1]}})
        rest = {"slides": {"Keys": keys[1:]}} if keys[1:] else {}
        return answer | {"UnprocessedKeys": rest}

    store = DynamoSlideStore("slides", Wrapped(client, batch_get_item=only_the_first))
    for name in "abc":
        store.put_new(slide(name))
    assert [record.image_id for record in store.get_many(["c", "a", "b", "c"])] == ["c", "a", "b", "c"]
    assert pauses == [0.05, 0.1]


def test_get_many_raises_unavailable_after_bounded_retries(client: Any, pauses: list[float]) -> None:
    def nothing(**request: Any) -> Any:
        return {"Responses": {}, "UnprocessedKeys": request["RequestItems"]}

    store = DynamoSlideStore("slides", Wrapped(client, batch_get_item=nothing))
    with pytest.raises(UnavailableError):
        store.get_many(["a"])
    assert len(pauses) == BATCH_ATTEMPTS - 1


def test_by_status_continues_page_that_dynamodb_cut_short(client: Any) -> None:
    """DynamoDB ends a page at 1 MB, whatever the limit, and says where to go on."""

    def two_at_most(**request: Any) -> Any:
        return client.query(**(request | {"Limit": 2}))

    store = DynamoSlideStore("slides", Wrapped(client, query=two_at_most))
    for name in "abc":
        store.put_new(slide(name))
    first = store.by_status(Status.NEW)
    second = store.by_status(Status.NEW, token=first.next_token)
    assert [[r.image_id for r in page.items] for page in (first, second)] == [["a", "b"], ["c"]]
    assert second.next_token is None


def test_start_repeated_after_lost_answer_is_not_a_conflict(client: Any) -> None:
    def twice(**request: Any) -> Any:
        client.put_item(**request)
        return client.put_item(**request)

    store = DynamoImportStore("imports", Wrapped(client, put_item=twice))
    store.start(slide_import(), replaces=None)
    with pytest.raises(AlreadyExistsError):
        store.start(slide_import(run_id="run-2"), replaces=None)
    store.start(slide_import(run_id="run-2"), replaces="run-1")
    assert store.get("a.svs") == slide_import(run_id="run-2")


def client_error(code: str) -> ClientError:
    message = "arn:aws:dynamodb:eu-central-1:123456789012:table/secret"
    return ClientError({"Error": {"Code": code, "Message": message}}, "Operation")


@pytest.mark.parametrize(
    "error",
    [
        client_error("ProvisionedThroughputExceededException"),
        client_error("ThrottlingException"),
        client_error("ResourceNotFoundException"),
        client_error("AccessDeniedException"),
        client_error("InternalServerError"),
        EndpointConnectionError(endpoint_url="https://dynamodb.secret.example"),
    ],
)
def test_boto_errors_become_unavailable_without_internal_details(error: Exception) -> None:
    def fail(**_: Any) -> Any:
        raise error

    names = [
        "get_item",
        "put_item",
        "update_item",
        "delete_item",
        "batch_get_item",
        "query",
        "scan",
        "transact_write_items",
    ]
    failing = Wrapped(None, **dict.fromkeys(names, fail))
    slides, imports = DynamoSlideStore("secret", failing), DynamoImportStore("secret", failing)
    calls: list[Callable[[], Any]] = [
        lambda: slides.get("a"),
        lambda: slides.get_many(["a"]),
        lambda: slides.put_new(slide()),
        lambda: slides.update("a", {}, by="me"),
        lambda: slides.remove("a"),
        slides.list_all,
        lambda: slides.by_status(Status.NEW),
        lambda: imports.start(slide_import(), replaces=None),
        lambda: imports.advance("a", "run-1", {}),
        lambda: imports.by_state(ImportState.READY),
    ]
    for call in calls:
        with pytest.raises(UnavailableError) as caught:
            call()
        assert not any(word in str(caught.value) for word in ("secret", "arn:", "http"))


def test_missing_table_raises_unavailable_in_plain_words(client: Any) -> None:
    with pytest.raises(UnavailableError, match=r"^The record store refuses requests now"):
        DynamoSlideStore("no-such-table", client).get("a")


def cancelled(*codes: str) -> ClientError:
    reasons = [{"Code": code} for code in codes]
    response: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
    return ClientError(response, "TransactWriteItems")


def test_write_that_conflicts_with_another_is_retried(client: Any, pauses: list[float]) -> None:
    errors = [cancelled("None", "TransactionConflict"), cancelled("ThrottlingError")] * 2

    def busy(**request: Any) -> Any:
        if errors:
            raise errors.pop()
        return client.transact_write_items(**request)

    store = DynamoSlideStore("slides", Wrapped(client, transact_write_items=busy))
    store.put_new(slide())
    assert len(pauses) == 4
    errors.append(cancelled("TransactionConflict"))
    assert store.update("image-1", {"status": "GOOD"}, by="me").version == 2
    errors.append(cancelled("TransactionConflict"))
    store.remove("image-1")
    assert sum(store.counts().values()) == 0


def test_write_raises_unavailable_after_bounded_retries(client: Any, pauses: list[float]) -> None:
    def busy(**_: Any) -> Any:
        raise cancelled("TransactionConflict")

    DynamoSlideStore("slides", client).put_new(slide())
    store = DynamoSlideStore("slides", Wrapped(client, transact_write_items=busy))
    calls: list[Callable[[], Any]] = [
        lambda: store.put_new(slide("b")),
        lambda: store.update("image-1", {}, by="me"),
        lambda: store.remove("image-1"),
    ]
    for call in calls:
        with pytest.raises(UnavailableError, match="overloaded"):
            call()


def test_record_and_index_are_written_in_a_single_transaction(client: Any) -> None:
    sent: list[list[Any]] = []

    def transact(**request: Any) -> Any:
        sent.append(request["TransactItems"])
        return client.transact_write_items(**request)

    store = DynamoSlideStore("slides", Wrapped(client, transact_write_items=transact))
    store.put_new(FULL_SLIDE)
    fields = {"status": Status.GOOD, "case_id": "other", "slide_id": "other", "note": None, "reviewer": None}
    store.update(FULL_SLIDE.image_id, fields, by="me")
    store.remove(FULL_SLIDE.image_id)
    assert len(sent) == 3
    assert max(map(len, sent)) <= 25  # far from DynamoDB's bound of 100
    assert [next(iter(requests[0].values()))["TableName"] for requests in sent] == ["slides"] * 3


def test_search_reads_on_where_dynamodb_ended_a_page(client: Any) -> None:
    """A page ends at 1 MB, whatever the limit: more is read until the limit or the end."""

    def one_at_most(**request: Any) -> Any:
        return client.query(**(request | {"Limit": 1}))

    for name in "abc":
        DynamoSlideStore("slides", client).put_new(slide(name, slide_id="S"))
    store = DynamoSlideStore("slides", Wrapped(client, query=one_at_most))
    assert [r.image_id for r in store.search(SlideQuery("s")).items] == ["a", "b", "c"]


def test_each_change_of_a_job_is_signalled_by_a_row_that_does_not_stay(client: Any) -> None:
    written = []

    def put(**request: Any) -> Any:
        if request["TableName"] == "slides-review":
            written.append((request["Item"]["Set"]["S"], request["Item"]["Place"]["S"]))
        return client.put_item(**request)

    store = DynamoJobStore("slides-jobs", Wrapped(client, put_item=put), review_table="slides-review")
    store.start(slide_job("1"), replaces=None)
    store.advance(slide_job("1"), {"attempts": 1})
    with pytest.raises(VersionConflictError):
        store.advance(slide_job("1", run_id="another"), {"attempts": 2})
    assert written == [("jobs", "ARCHIVE.1")] * 2
    assert client.scan(TableName="slides-review")["Items"] == []


def test_change_of_a_job_that_cannot_be_signalled_is_made_all_the_same(client: Any) -> None:
    def lost(**request: Any) -> Any:
        if request["TableName"] == "slides-review":
            raise EndpointConnectionError(endpoint_url="https://dynamodb.example")
        return client.put_item(**request)

    store = DynamoJobStore("slides-jobs", Wrapped(client, put_item=lost), review_table="slides-review")
    store.start(slide_job("1"), replaces=None)
    assert store.get("1", JobKind.ARCHIVE) == slide_job("1")


@pytest.mark.parametrize("lasts", [timedelta(seconds=-1), timedelta(days=400)])
def test_sending_lock_of_a_killed_run_ends_by_its_expiry(
    client: Any, monkeypatch: pytest.MonkeyPatch, lasts: timedelta
) -> None:
    """A lock that a wrong clock has taken for years counts as ended, too."""
    store = DynamoJobStore("slides-jobs", client)
    killed = Wrapped(client, delete_item=lambda **_: None)
    with monkeypatch.context() as patched:
        patched.setattr("vsv.aws.dynamodb.jobs.LOCK_FOR", lasts)
        with DynamoJobStore("slides-jobs", killed).sending("1"):
            pass
    with store.sending("1"), pytest.raises(UnavailableError, match="another run"), store.sending("1"):
        raise AssertionError("two runs send one slide")


def test_sending_lock_that_has_expired_is_not_released_by_its_former_holder(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DynamoJobStore("slides-jobs", client)
    with monkeypatch.context() as patched:
        patched.setattr("vsv.aws.dynamodb.jobs.LOCK_FOR", timedelta(seconds=-1))
        late = store.sending("1")
        late.__enter__()
    with store.sending("1"):
        late.__exit__(None, None, None)
        with pytest.raises(UnavailableError), store.sending("1"):
            raise AssertionError("two runs send one slide")


def test_sending_lock_outlasts_the_longest_call_of_the_function() -> None:
    (function,) = (one for one in functions() if one.name == "SendSlidesFunction")
    assert function.properties["Timeout"] <= LOCK_FOR.total_seconds() < FARTHEST.total_seconds()
