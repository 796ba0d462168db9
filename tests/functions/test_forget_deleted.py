"""Deleted slides, from the table's stream to CloudFront's invalidations."""

import copy
import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from forget_deleted import handler
from forget_deleted.deletions import Deletion
from forget_deleted.handler import lambda_handler
from moto import mock_aws
from moto.events.models import EventPattern
from vsv.errors import SettingsError

from tests.support.aws.cloudformation import template
from tests.support.paths import ROOT, STREAM_RECORDS

RECORDED = json.loads((STREAM_RECORDS / "slide.json").read_text())
DISTRIBUTION = "E1ABCDEFGHIJKL"


def deleted(image_id: str = "i01", number: int = 1, status: Any = "DELETED") -> dict[str, Any]:
    record = copy.deepcopy(RECORDED)
    record["dynamodb"]["Keys"] = {"ImageID": {"S": image_id}}
    record["dynamodb"]["NewImage"] |= {"ImageID": {"S": image_id}, "Status": {"S": status}}
    record["dynamodb"]["SequenceNumber"] = str(number)
    return record


def handle(*records: Any) -> list[str]:
    """Return the sequence numbers that failed."""
    answer = lambda_handler({"Records": list(records)}, None)
    assert answer.keys() == {"batchItemFailures"}
    return [one["itemIdentifier"] for one in answer["batchItemFailures"]]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {
        "AWS_ACCESS_KEY_ID": "fake",
        "AWS_SECRET_ACCESS_KEY": "fake",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("VSV_DISTRIBUTION", DISTRIBUTION)


@pytest.fixture
def cloudfront(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """Answer as CloudFront does, by its own model; what is not expected fails."""
    client = boto3.client("cloudfront")
    monkeypatch.setattr(handler, "_cloudfront", lambda: client)
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()


def paths_of(image_id: str) -> list[str]:
    """Return the invalidated paths; an ImageID's number is the hash of docs/protocols.md, or the ID itself."""
    digest = hashlib.sha256(f"0/{image_id}".encode()).digest()[:16]
    number = image_id if image_id == "1004486" else 10**15 + int.from_bytes(digest, "big") % (2**53 - 10**15)
    return [
        f"/DeepZoom/{image_id}.dzi*",
        f"/DeepZoom/{image_id}_files/*",
        f"/iiif/{image_id}/*",
        f"/iiif/2/{image_id}/*",
        f"/iiif/3/{image_id}/*",
        f"/webgateway/render_image_region/{number}/*",
        f"/webclient/render_image_region/{number}/*",
    ]


def batch(image_id: str, number: int) -> dict[str, Any]:
    return {
        "DistributionId": DISTRIBUTION,
        "InvalidationBatch": {
            "Paths": {"Quantity": 7, "Items": paths_of(image_id)},
            "CallerReference": f"{image_id}-{number}",
        },
    }


def expect(stub: Stubber, image_id: str, number: int) -> None:
    stub.add_response("create_invalidation", {"Location": "https://example.org"}, batch(image_id, number))


def test_deleted_slide_invalidates_its_own_addresses(cloudfront: Stubber) -> None:
    expect(cloudfront, "i01", 1)
    assert handle(deleted()) == []


def withdrawn(
    old: Any, new: Any, number: int = 1, field: str = "PublishedAs", status: str = "GOOD"
) -> dict[str, Any]:
    record = deleted(number=number, status=status)
    for image, name in (("OldImage", old), ("NewImage", new)):
        record["dynamodb"][image] = dict(record["dynamodb"]["NewImage"])
        if name is not None:
            record["dynamodb"][image][field] = name
    return record


def test_withdrawn_copy_invalidates_addresses_of_its_published_name(cloudfront: Stubber) -> None:
    expect(cloudfront, "STUDY-7", 1)
    assert handle(withdrawn({"S": "STUDY-7"}, None)) == []


def test_stream_filter_passes_deletions_and_withdrawals_alone() -> None:
    web = template(ROOT / "stacks/web.yaml")
    (source,) = web.resources("AWS::Lambda::EventSourceMapping")
    filters = web.properties(source)["FilterCriteria"]["Filters"]
    passes = [EventPattern.load(one["Pattern"]).matches_event for one in filters]
    records = [deleted(), withdrawn({"S": "STUDY-7"}, None), deleted(status="GOOD"), withdrawn(None, None)]
    assert [any(one(record) for one in passes) for record in records] == [True, True, False, False]
    taken_back = withdrawn({"S": "STUDY-7"}, None, field="PublishingAs")
    assert any(one(taken_back) for one in passes)


def test_copy_of_a_failed_publication_is_invalidated(cloudfront: Stubber) -> None:
    expect(cloudfront, "STUDY-7", 1)
    assert handle(withdrawn({"S": "STUDY-7"}, None, field="PublishingAs")) == []


def test_copy_of_a_deleted_slide_is_invalidated_as_well(cloudfront: Stubber) -> None:
    expect(cloudfront, "i01", 1)
    expect(cloudfront, "STUDY-7", 1)
    taken_back = withdrawn({"S": "STUDY-7"}, None, field="PublishingAs", status="DELETED")
    assert handle(taken_back) == []


def test_completed_publication_invalidates_no_address(cloudfront: Stubber) -> None:
    completed = withdrawn({"S": "STUDY-7"}, None, field="PublishingAs")
    completed["dynamodb"]["NewImage"]["PublishedAs"] = {"S": "STUDY-7"}
    assert handle(completed) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (None, None),
        (None, {"S": "STUDY-7"}),
        ({"S": "STUDY-7"}, {"S": "STUDY-7"}),
        ({"S": "*"}, None),
        ({"S": "../x"}, None),
        ({"N": "7"}, None),
        ("STUDY-7", None),
    ],
)
def test_records_without_withdrawal_are_ignored(cloudfront: Stubber, old: Any, new: Any) -> None:
    expect(cloudfront, "good", 9)
    assert handle(withdrawn(old, new), deleted("good", 9)) == []


def test_numeric_image_id_is_invalidated_as_its_own_number(cloudfront: Stubber) -> None:
    expect(cloudfront, "1004486", 1)
    assert handle(deleted("1004486")) == []


@pytest.mark.parametrize("image_id", ["i01", "1004486", "a" * 64, "S1.2-3_x"])
def test_paths_of_two_slides_fit_into_cloudfront_quota(image_id: str) -> None:
    paths = Deletion("1", image_id).paths
    # "Invalidation quotas" and "What you need to know when invalidating files", Amazon CloudFront developer guide.
    assert 2 * len(paths) <= 15
    assert all(re.fullmatch(r"/[A-Za-z0-9._/-]+\*", path) for path in paths)
    assert len(set(paths)) == len(paths)


def test_repeated_deletions_invalidate_once_with_the_last_number(cloudfront: Stubber) -> None:
    expect(cloudfront, "b", 2)
    expect(cloudfront, "a", 3)
    assert handle(deleted("a", 1), deleted("b", 2), deleted("a", 3)) == []


def test_failed_invalidation_is_reported_and_other_records_continue(
    cloudfront: Stubber, caplog: pytest.LogCaptureFixture
) -> None:
    cloudfront.add_client_error(
        "create_invalidation", "TooManyInvalidationsInProgress", "secret words", expected_params=batch("a", 1)
    )
    expect(cloudfront, "b", 2)
    assert handle(deleted("a", 1), deleted("b", 2)) == ["1"]
    assert "TooManyInvalidationsInProgress" in caplog.text
    assert "secret words" not in caplog.text


def test_repeated_record_keeps_its_caller_reference() -> None:
    with mock_aws():
        handler._cloudfront.cache_clear()
        client = boto3.client("cloudfront")
        config = {
            "CallerReference": "site",
            "Comment": "",
            "Enabled": True,
            "Origins": {"Quantity": 1, "Items": [{"Id": "o", "DomainName": "o.example.org"}]},
            "DefaultCacheBehavior": {"TargetOriginId": "o", "ViewerProtocolPolicy": "https-only"},
        }
        made = client.create_distribution(DistributionConfig=config)["Distribution"]["Id"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("VSV_DISTRIBUTION", made)
            assert handle(deleted()) == []
            assert handle(deleted()) == []
        listed = client.list_invalidations(DistributionId=made)["InvalidationList"]["Items"]
        found = [
            client.get_invalidation(DistributionId=made, Id=one["Id"])["Invalidation"]["InvalidationBatch"]
            for one in listed
        ]
        assert found
        assert {one["CallerReference"] for one in found} == {"i01-1"}  # by which CloudFront knows the second
        assert sorted(found[0]["Paths"]["Items"]) == sorted(paths_of("i01"))
        handler._cloudfront.cache_clear()


def hostile() -> Iterator[Any]:
    yield from (None, 1, "x", [], {}, {"dynamodb": None}, {"eventName": "MODIFY", "dynamodb": []})
    yield {**deleted(), "eventName": "INSERT"}
    yield {**deleted(), "eventName": "REMOVE"}
    for status in ("GOOD", "NEW", "deleted", "", None, 1, ["DELETED"]):
        yield deleted(status=status)
    for image_id in ("", "*", "../x", "a/b", "a*", "a?b", ".", "a" * 65, "a\n", None, 1):
        yield deleted(image_id)  # type: ignore[arg-type]
    for number in (None, 1, "", "x", "1" * 41, "\u0661"):
        record = deleted()
        record["dynamodb"]["SequenceNumber"] = number
        yield record
    record = deleted()
    record["dynamodb"]["Keys"] = {"Filename": {"S": "a.svs"}}
    yield record
    record = deleted()
    del record["dynamodb"]["NewImage"]
    yield record


@pytest.mark.parametrize("record", list(hostile()))
def test_records_without_valid_deletion_are_ignored(cloudfront: Stubber, record: Any) -> None:
    expect(cloudfront, "good", 9)
    assert handle(record, deleted("good", 9)) == []


@pytest.mark.parametrize("event", [{}, {"Records": None}, {"Records": "x"}, {"Records": []}])
def test_event_without_records_reports_no_failures(event: Any, cloudfront: Stubber) -> None:
    assert lambda_handler(event, None) == {"batchItemFailures": []}


def test_missing_distribution_setting_raises_settings_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VSV_DISTRIBUTION")
    with pytest.raises(SettingsError, match="VSV_DISTRIBUTION"):
        handle(deleted())
