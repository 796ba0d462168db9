"""Alarms and dashboard: every metric they name is one that is really there, and every alarm is explained."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from vsv import metrics
from vsv.records.models import JobKind

from tests.support.aws.cloudformation import ACCOUNT, nested_templates, root_template, template
from tests.support.paths import ROOT

OPERATIONS = template(ROOT / "stacks/operations.yaml")
GUIDE_PAGES = sorted((ROOT / "docs/operating").rglob("*.md"))
GUIDE = "\n".join(page.read_text() for page in GUIDE_PAGES)

# What AWS publishes: namespace, dimensions, names. The document's title stands above each namespace.
AWS_METRICS: dict[str, dict[tuple[str, ...], set[str]]] = {
    # "Types of metrics for Lambda functions" and "Monitoring Lambda function URLs", AWS Lambda developer guide.
    "AWS/Lambda": {
        ("FunctionName",): {
            *("Duration", "Errors", "Invocations", "IteratorAge", "Throttles"),
            *("Url4xxCount", "Url5xxCount", "UrlRequestCount", "UrlRequestLatency"),
        }
    },
    # "Monitoring Step Functions metrics using Amazon CloudWatch", AWS Step Functions developer guide.
    "AWS/States": {
        ("StateMachineArn",): {
            *("ExecutionTime", "ExecutionsAborted", "ExecutionsFailed"),
            *("ExecutionsStarted", "ExecutionsSucceeded", "ExecutionsTimedOut"),
        }
    },
    # "Working with metrics for HTTP APIs", Amazon API Gateway developer guide.
    "AWS/ApiGateway": {("ApiId",): {"4xx", "5xx", "Count"}},
    # "Using CloudWatch to monitor and log GraphQL API data", AWS AppSync developer guide.
    "AWS/AppSync": {("GraphQLAPIId",): {"5XXError", "Latency", "Requests"}},
    # "Available CloudWatch metrics for Amazon SQS", Amazon SQS developer guide.
    "AWS/SQS": {("QueueName",): {"ApproximateNumberOfMessagesVisible"}},
    # "CloudWatch metrics for Amazon EFS", Amazon EFS user guide.
    "AWS/EFS": {
        ("FileSystemId",): {
            *("BurstCreditBalance", "DataReadIOBytes", "DataWriteIOBytes"),
            *("PercentIOLimit", "PermittedThroughput", "TotalIOBytes"),
        },
        ("FileSystemId", "StorageClass"): {"StorageBytes"},
    },
    # "DynamoDB metrics and dimensions", Amazon DynamoDB developer guide.
    "AWS/DynamoDB": {
        ("TableName",): {
            *("ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"),
            *("ReadThrottleEvents", "WriteThrottleEvents"),
        },
        ("Operation", "TableName"): {"SystemErrors"},
    },
    # "Monitoring Amazon EventBridge", Amazon EventBridge user guide.
    "AWS/Events": {("RuleName",): {"Invocations"}},
    # "Monitoring data transfers with Amazon CloudWatch metrics", AWS DataSync user guide.
    "AWS/DataSync": {("TaskId",): {"BytesTransferred", "FilesTransferred"}},
    # "Types of metrics for CloudFront", Amazon CloudFront developer guide: in us-east-1 only.
    "AWS/CloudFront": {
        ("DistributionId", "Region"): {
            *("4xxErrorRate", "5xxErrorRate", "BytesDownloaded", "BytesUploaded", "Requests")
        }
    },
}
SHOWN = {
    *("ImportsReady", "ImportsFailed", "ScanToViewableMinutes", "TransferMinutes", "LabelRefused"),
    *("BytesPurged", "FilesPurged", "JobDone", "JobFailed", "JobWaitMinutes"),
}
# Alarms for which silence is bad news.
MUST_BE_HEARD = {"BackupMissing", "JobsWaiting"}
ALARM, COMPOSITE = "AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"


def own_metrics() -> dict[tuple[str, ...], set[str]]:
    """Return the metrics of our functions, and those that are derived from their logs, by dimensions."""
    for_all = {*metrics.COUNTS, *metrics.BYTES, *metrics.MINUTES, *metrics.BY_KIND}
    logged = {
        one["MetricName"]
        for r in OPERATIONS.resources("AWS::Logs::MetricFilter").values()
        for one in r["Properties"]["MetricTransformations"]
        if one["MetricNamespace"] == "VSV"
    }
    return {("service",): for_all, ("Kind", "service"): set(metrics.BY_KIND), (): logged}


def is_published(metric: "Metric") -> bool:
    """Return whether the metric is published with exactly these dimensions."""
    known = AWS_METRICS | {"VSV": own_metrics()}
    return metric.name in known[metric.namespace].get(metric.dimensions, set())


@dataclass(frozen=True)
class Metric:
    """A metric that an alarm or the dashboard names."""

    namespace: str
    name: str
    dimensions: tuple[str, ...]
    region: str = "eu-central-1"

    def __str__(self) -> str:
        return f"{self.namespace} {self.name}"


def alarms() -> dict[str, dict[str, Any]]:
    """Return the alarms on metrics, as deployed."""
    return {name: OPERATIONS.value(OPERATIONS.properties(name)) for name in OPERATIONS.resources(ALARM)}


def composites() -> dict[str, dict[str, Any]]:
    """Return the composite alarms."""
    return {name: OPERATIONS.value(OPERATIONS.properties(name)) for name in OPERATIONS.resources(COMPOSITE)}


def alarm_metrics() -> Iterator[Metric]:
    """Yield the metrics of all alarms."""
    for alarm in alarms().values():
        named = [one["MetricStat"]["Metric"] for one in alarm.get("Metrics", []) if "MetricStat" in one]
        for one in named or [alarm]:
            dimensions = tuple(sorted(each["Name"] for each in one.get("Dimensions", [])))
            yield Metric(one["Namespace"], one["MetricName"], dimensions)


def dashboard() -> list[dict[str, Any]]:
    """Return the dashboard's widgets, as deployed."""
    body = OPERATIONS.value(OPERATIONS.properties("Dashboard")["DashboardBody"])
    widgets: list[dict[str, Any]] = json.loads(body)["widgets"]
    return widgets


def dashboard_metrics() -> Iterator[Metric]:
    """Yield the widgets' metrics; check that each expression uses only identifiers of its own widget."""
    for widget in dashboard():
        lines = widget["properties"].get("metrics", [])
        ids = {one["id"] for line in lines for one in line if isinstance(one, dict) and "id" in one}
        for line in lines:
            texts = [one for one in line if isinstance(one, str)]
            if texts:
                dimensions = tuple(sorted(texts[2::2]))
                assert len(texts) % 2 == 0, line
                yield Metric(texts[0], texts[1], dimensions, widget["properties"]["region"])
            else:
                used = set(re.findall(r"\b[a-z]\w*\b", line[0]["expression"]))
                assert used and used <= ids, line


@pytest.mark.parametrize("metric", sorted({*alarm_metrics()}, key=str), ids=str)
def test_metric_of_alarm_is_published_in_the_region(metric: Metric) -> None:
    assert is_published(metric)
    assert metric.namespace != "AWS/CloudFront", "an alarm here cannot hear us-east-1"


def test_metrics_of_dashboard_are_published() -> None:
    shown = set(dashboard_metrics())
    for metric in shown:
        assert is_published(metric), metric
        assert (metric.region == "us-east-1") == (metric.namespace == "AWS/CloudFront"), metric
    assert {one.name for one in shown if one.namespace == "VSV"} == SHOWN


def test_dashboard_shows_each_kind_of_job() -> None:
    lines = [line for widget in dashboard() for line in widget["properties"].get("metrics", [])]
    for name in metrics.BY_KIND:
        assert {line[3] for line in lines if line[:3] == ["VSV", name, "Kind"]} == set(JobKind)


def test_alarm_expressions_use_metrics_of_their_own_alarm() -> None:
    for name, alarm in alarms().items():
        metrics = alarm.get("Metrics", [])
        ids = {one["Id"] for one in metrics}
        for one in metrics:
            used = set(re.findall(r"\b[a-z]\w*\b", one.get("Expression", "")))
            assert used <= ids - {one["Id"]}, name
        if metrics:
            assert [one.get("ReturnData", True) for one in metrics].count(True) == 1, name


def test_gigabyte_seconds_are_calculated_with_the_memory_of_the_function() -> None:
    memory = {
        name: one.properties(name)["MemorySize"]
        for one in nested_templates()
        for name in one.resources("AWS::Serverless::Function")
    }
    body = json.dumps(dashboard())
    told = dict(re.findall(r'm\d / 1000 \* (\d+) / 1024", "label": "(\w+)"', body))
    functions = {"tiles": "ServeImage", "review": "ReviewSlides", "rendering": "RenderPyramid"}
    assert set(told.values()) == functions.keys()
    for size, label in told.items():
        # Imports are a stack of their own, which may not be beside this one.
        assert int(size) == memory.get(f"{functions[label]}Function", int(size)), label


def test_each_alarm_notifies_once_directly_or_by_its_composite() -> None:
    children = [
        one for each in composites().values() for one in re.findall(r'ALARM\("(\w+)"\)', each["AlarmRule"])
    ]
    assert len(children) == len(set(children))
    assert set(children) <= alarms().keys()
    for name, alarm in alarms().items():
        assert ("AlarmActions" in alarm) == (name not in children), name
        assert alarm["TreatMissingData"] == ("breaching" if name in MUST_BE_HEARD else "notBreaching")
    assert all(one["AlarmActions"] for one in composites().values())


def messages() -> dict[str, str]:
    """Return what each e-mail says, by the name of its alarm or rule."""
    sent = {
        name: alarm["AlarmDescription"]
        for name, alarm in (*alarms().items(), *composites().items())
        if "AlarmActions" in alarm
    }
    for name, rule in OPERATIONS.resources("AWS::Events::Rule").items():
        for target in rule["Properties"]["Targets"]:
            if "InputTransformer" in target:
                sent[name] = OPERATIONS.value(target["InputTransformer"]["InputTemplate"])
    return sent


def runbook(message: str) -> str:
    """Return the text of the page that a message names."""
    named = re.search(r"docs/operating/runbooks/[a-z-]+\.md", message)
    assert named, message
    return (ROOT / named[0]).read_text()


def short_name(alarm: dict[str, Any]) -> str:
    """Return the name of an alarm without the system's."""
    name: str = alarm["AlarmName"]
    return name.removeprefix("vsv ")


@pytest.mark.parametrize("name", sorted(messages()))
def test_runbook_of_each_message_exists_and_says_what_to_do(name: str) -> None:
    page = runbook(messages()[name])
    assert page.startswith("# Alarm ")
    assert re.search(r"^## ", page, re.MULTILINE) or "| what to do |" in page


def test_each_alarm_that_sends_a_message_has_a_page_of_its_own() -> None:
    sending = {k: v for k, v in (*alarms().items(), *composites().items()) if "AlarmActions" in v}
    pages = {name: runbook(alarm["AlarmDescription"]) for name, alarm in sending.items()}
    assert len(set(pages.values())) == len(pages) == len(list((ROOT / "docs/operating/runbooks").iterdir()))
    for name, alarm in sending.items():
        assert f'Alarm "{short_name(alarm)}"' in pages[name].splitlines()[0]


def test_each_alarm_of_a_composite_is_explained_on_the_page_of_the_composite() -> None:
    for composite in composites().values():
        page = runbook(composite["AlarmDescription"])
        for child in re.findall(r'ALARM\("(\w+)"\)', composite["AlarmRule"]):
            name = re.escape(short_name(alarms()[child]))
            assert re.search(rf"^(## {name}$|- \*\*{name}:\*\*)", page, re.MULTILINE), child


def test_contents_list_links_each_runbook() -> None:
    contents = (ROOT / "docs/operating/README.md").read_text()
    for page in (ROOT / "docs/operating/runbooks").iterdir():
        assert f"(runbooks/{page.name})" in contents


@pytest.mark.skipif(not (ROOT / "template.yaml").exists(), reason="the other stacks are not here")
def test_names_in_the_guide_exist_in_the_stacks() -> None:
    templates = [root_template(), *nested_templates()]
    known = {name for one in templates for name in (*one.parameters, *one.outputs, *one.resources())}
    named = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]*)+)`", GUIDE))
    assert named
    assert named <= known, named - known


def test_throttling_alarm_covers_interactive_functions_alone() -> None:
    """A step of an import that has a bound queues up at it by design: no alarm for a hundred slides at once."""
    refused = {
        one["MetricStat"]["Metric"]["Dimensions"][0]["Value"]
        for one in alarms()["Throttled"]["Metrics"]
        if "MetricStat" in one
    }
    waited_for = ("ServeImage", "ServeLabel", "ReviewSlides", "MintSession", "ImportSlide")
    assert refused == {OPERATIONS.value({"Ref": f"{name}FunctionName"}) for name in waited_for}


def test_event_rules_send_mail_without_a_role() -> None:
    """EventBridge takes the topic's policy; with a role as well it may fail on an encrypted topic."""
    for name in OPERATIONS.resources("AWS::Events::Rule"):
        assert all("RoleArn" not in target for target in OPERATIONS.properties(name)["Targets"]), name


def test_topic_is_encrypted_and_accepts_own_alarms_and_events_alone() -> None:
    statements = OPERATIONS.value(OPERATIONS.properties("TopicPolicy"))["PolicyDocument"]["Statement"]
    allowed = {s["Principal"]["Service"]: s.get("Condition") for s in statements if s["Effect"] == "Allow"}
    # "You can't use Condition blocks in Amazon SNS topic policies for EventBridge": their mails never come.
    # "Using resource-based policies for Amazon EventBridge", Amazon EventBridge user guide.
    account = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    assert allowed == {"cloudwatch.amazonaws.com": account, "events.amazonaws.com": None}
    key = OPERATIONS.value(OPERATIONS.properties("TopicKey"))["KeyPolicy"]["Statement"]
    assert any(s["Principal"].get("Service") == list(allowed) for s in key)
    assert OPERATIONS.properties("Topic")["KmsMasterKeyId"] == {"Ref": "TopicKey"}
