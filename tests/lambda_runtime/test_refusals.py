"""Every built function answers: what it refuses, it refuses in its own words, and the runtime does not break."""

from pathlib import Path
from typing import Any

import pytest

from tests.lambda_runtime.built import Function, functions, run
from vsv_local.server.api_gateway_events import http_event

SETTINGS = {
    "VSV_SLIDES_TABLE": "none",
    "VSV_IMPORTS_TABLE": "none-imports",
    "VSV_REVIEW_TABLE": "none-review",
    "VSV_JOBS_TABLE": "none-jobs",
    "VSV_IMPORT_MACHINE": "arn:aws:states:eu-central-1:123456789012:stateMachine:none",
    "VSV_TRANSFER_TASK": "arn:aws:datasync:eu-central-1:123456789012:task/task-0123456789abcdef0",
    "VSV_DROP_BUCKET": "none",
    "VSV_GRAPHQL_URL": "https://example.appsync-api.eu-central-1.amazonaws.com/graphql",
    "VSV_SITE": "https://example.org",
    "VSV_SIGNING_SECRET": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:none",
    "VSV_KEY_ID": "K2JCJMDEHXQW5F",
    "VSV_DISTRIBUTION": "E2QWRUHAPOMQZL",
    "VSV_EDGE_SECRET": "secret" * 10,
}
STEP = {"filename": "../a.svs", "size": 1, "runId": "none", "source": None}
# An event that each refuses or passes over, and what it answers then; Lambda's own failures have other types.
EVENTS: dict[str, tuple[object, Any]] = {
    "ImportSlideFunction": (http_event("POST", "/ImportSlide", "", (), b"[]"), 400),
    "ServeImageFunction": (http_event("GET", "/DeepZoom/../x.dzi", "", ()), 400),
    "ServeLabelFunction": (http_event("GET", "/DeepZoom/1_files/label.jpeg", "", ()), 403),
    "MintSessionFunction": (http_event("POST", "/session", "", ()), 403),
    "ReviewSlidesFunction": ({"info": {"parentTypeName": "Query", "fieldName": "getSlide"}}, "ReviewError"),
    "StartImportFunction": ({"Records": []}, {"batchItemFailures": []}),
    "NotifySubscribersFunction": ({"Records": []}, {"batchItemFailures": []}),
    "ForgetDeletedFunction": ({"Records": []}, {"batchItemFailures": []}),
    "ReceiveDroppedFunction": ({"detail": {}}, "BadRequestError"),  # into the queue of what fails
    "RecordFailureFunction": ({}, {"recorded": False}),
    "TransferFileFunction": (STEP, "InvalidNameError"),
    "CopyDroppedFunction": (STEP, "InvalidNameError"),
    "InspectFileFunction": (STEP, "InvalidNameError"),
    "ExtractMetadataFunction": (STEP, "InvalidNameError"),
    "RenderPyramidFunction": (STEP, "InvalidNameError"),
    "ManageFilesFunction": ({"look": "nothing"}, "BadRequestError"),
    "SendSlidesFunction": ({}, "UnavailableError"),  # there is no such table: Lambda is to try again
}


@pytest.mark.parametrize("built", functions(), ids=lambda built: built.logical_id)
def test_function_refuses_or_ignores_event_with_its_own_answer(
    built: Function, mounted: Path, aws_endpoint: str
) -> None:
    event, expected = EVENTS[built.logical_id]
    settings = {**SETTINGS, "AWS_ENDPOINT_URL": aws_endpoint, "VSV_DATA": str(mounted)}
    with run(built, mounted.parent, **settings) as running:
        answer = running.invoke(event)
        log = running.log.read_text()
    if isinstance(expected, int):
        assert answer["statusCode"] == expected, log
    elif isinstance(expected, str):
        assert answer["errorType"] == expected, log
    else:
        assert answer == expected, log
    assert "Runtime.ImportModuleError" not in log
