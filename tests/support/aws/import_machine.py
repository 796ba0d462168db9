"""The import machine as it is deployed, on moto: its definition, the real handlers behind its tasks, real records.

Step Functions' interpreter is moto's; DynamoDB, its stream and S3 are moto's; DataSync is ``fake_datasync``; EFS is a
folder. Waits and pauses before retries are noted and cut short.
"""

import hashlib
import importlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import boto3
import pytest
import yaml
from import_slide.handler import lambda_handler as import_slide
from moto import mock_aws
from moto.awslambda_simple.models import LambdaSimpleBackend
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import WaitFunction
from receive_dropped.handler import lambda_handler as receive_dropped
from record_failure.handler import lambda_handler as record_failure
from start_import import handler as start_import
from transfer_file import handler as transfer_file
from vsv import runtime
from vsv.aws.datasync import DataSyncTask
from vsv.aws.dynamodb.jobs import DynamoJobStore
from vsv.aws.dynamodb.slides_and_imports import DynamoImportStore, DynamoSlideStore
from vsv.aws.step_functions import StateMachine
from vsv.aws.stream_import_starter import StreamStarter
from vsv.records.models import ImportRecord, SlideRecord
from vsv.services import Services
from vsv.settings import Settings

from tests.support.aws.dynamo_tables import OneRequestAtATime, create_tables
from tests.support.aws.fake_datasync import TASK_ARN, FakeDataSync
from tests.support.paths import EVENTS, ROOT
from tests.support.servers.running import wait_until
from tests.support.slides.small import put
from vsv_local.server.api_gateway_events import http_event

REGION = "eu-central-1"
BUCKET = "drop-in"
STREAMS = f"https://streams.dynamodb.{REGION}.amazonaws.com"
DEFINITION = ROOT / "statemachines/import_slide.asl.yaml"
STEPS = (
    "inspect_file", "transfer_file", "copy_dropped", "extract_metadata", "render_pyramid", "record_failure"
)  # fmt: skip
RECORDED = EVENTS / "eventbridge"


@cache
def client_of(service: str) -> Any:
    """Return a client that all tests share: creating one takes as long as a whole test."""
    session = boto3.Session("fake", "fake", region_name=REGION)
    # The endpoint is given, since moto does not know the one that botocore derives from the account's number.
    return session.client(service, endpoint_url=STREAMS if service == "dynamodbstreams" else None)


def arn_of(step: str) -> str:
    return f"arn:aws:lambda:{REGION}:123456789012:function:{step}"


def definition() -> dict[str, Any]:
    """Return the machine's definition with its substitutions filled in as CloudFormation does."""
    names = {"".join(part.title() for part in step.split("_")) + "Arn": arn_of(step) for step in STEPS}
    text = re.sub(r"\$\{(\w+)\}", lambda found: names[found[1]], DEFINITION.read_text())
    filled: dict[str, Any] = yaml.safe_load(text)
    return filled


class Context:
    """Lambda's context, with all the time of a function left."""

    aws_request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


@dataclass
class Functions:
    """The handlers as Lambda runs them; ``fail`` makes the next calls of one fail."""

    calls: list[str] = field(default_factory=list)
    failures: dict[str, list[Any]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fail(self, step: str, *failures: Any) -> None:
        """Make the next calls raise these exceptions, or answer these error documents of Lambda (a dict)."""
        self.failures.setdefault(step, []).extend(failures)

    def invoke(self, name: str, body: str | bytes, headers: dict[str, str]) -> bytes:
        """Run a handler; return Lambda's error document if it raises."""
        step = name.rpartition(":")[2]
        try:
            with self.lock:
                self.calls.append(step)
                failure = self.failures[step].pop(0) if self.failures.get(step) else None
            if isinstance(failure, dict):
                headers["x-amz-function-error"] = "Unhandled"
                return json.dumps(failure).encode()
            if failure is not None:
                raise failure
            handler = importlib.import_module(f"{step}.handler").lambda_handler
            return json.dumps(handler(json.loads(body), Context())).encode()
        except Exception as error:
            headers["x-amz-function-error"] = "Unhandled"
            told = {"errorMessage": str(error), "errorType": type(error).__name__, "stackTrace": ["secret"]}
            return json.dumps(told).encode()


@dataclass
class Machine:
    """One deployment inside the test."""

    services: Services
    scanner: Path
    datasync: FakeDataSync
    functions: Functions
    arn: str
    sfn: Any
    s3: Any
    streams: Any
    table: str
    waits: list[float] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    on_wait: Callable[[float], None] = lambda _seconds: None
    _seen: int = 0

    def post(self, filename: str, size: int, **more: object) -> tuple[int, dict[str, Any]]:
        """Post a request as the scanner's script does; deliver its stream records at once."""
        body = json.dumps({"filename": filename, "size": size, **more}).encode()
        result = import_slide(http_event("POST", "/ImportSlide", "", (), body), None)
        self.deliver()
        return result["statusCode"], json.loads(result["body"])

    def bring(
        self, name: str = "a.svs", content: bytes | None = None, **more: object
    ) -> tuple[int, dict[str, Any]]:
        """Write a file as the scanner does, post it, wait for its import's end; return the next answer."""
        size = put(self.scanner, name, content).stat().st_size
        self.post(name, size, **more)
        self.finish()
        return self.post(name, size, **more)

    def drop(self, key: str, content: bytes) -> dict[str, Any]:
        """Put an object into the drop-in bucket; return EventBridge's event for it."""
        answer = self.s3.put_object(Bucket=BUCKET, Key=key, Body=content)
        event: dict[str, Any] = json.loads((RECORDED / "object_created.json").read_text())
        event["detail"]["object"] = {
            "key": key,
            "size": len(content),
            "etag": answer["ETag"].strip('"'),
            "version-id": answer["VersionId"],
            "sequencer": f"{time.time_ns():020X}",
        }
        return event

    def hear(self, event: dict[str, Any]) -> Any:
        """Deliver an event of the drop-in bucket, and the stream records that result."""
        answer = receive_dropped(event, Context())
        self.deliver()
        return answer

    def deliver(self, *, again: bool = False) -> list[dict[str, Any]]:
        """Deliver the stream's new records (or all of them again) to the function that listens."""
        records = self._stream()
        fresh = records if again else records[self._seen :]
        self._seen = len(records)
        start_import.lambda_handler({"Records": fresh}, Context())
        return fresh

    def _stream(self) -> list[dict[str, Any]]:
        streams = self.streams
        arn = streams.list_streams(TableName=self.table)["Streams"][0]["StreamArn"]
        shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
        start = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
        records: list[dict[str, Any]] = streams.get_records(ShardIterator=start["ShardIterator"])["Records"]
        return records

    def executions(self) -> list[dict[str, Any]]:
        """Return all executions, the oldest first."""
        found = self.sfn.list_executions(stateMachineArn=self.arn)["executions"]
        return sorted(found, key=lambda one: one["startDate"])

    def finish(self) -> None:
        """Wait until no execution is running."""
        wait_until(
            lambda: all(one["status"] != "RUNNING" for one in self.executions()), "the machine ended", 0.03
        )

    def status(self, run: ImportRecord | None = None) -> str:
        """Return the status of a run's execution; by default of the only one."""
        if run is None:
            (only,) = self.executions()
            return str(only["status"])
        name = hashlib.sha256(run.run_id.encode()).hexdigest()[:64]
        return str(next(one["status"] for one in self.executions() if one["name"] == name))

    def states(self, number: int = -1) -> list[str]:
        """Return the states that an execution went through."""
        arn = self.executions()[number]["executionArn"]
        events = self.sfn.get_execution_history(executionArn=arn, maxResults=1000)["events"]
        return [
            one["stateEnteredEventDetails"]["name"] for one in events if "stateEnteredEventDetails" in one
        ]

    def tell_of_the_end(self, number: int = -1, status: str | None = None) -> Any:
        """Deliver EventBridge's event of an execution that ended."""
        found = self.sfn.describe_execution(executionArn=self.executions()[number]["executionArn"])
        event = json.loads((RECORDED / "execution_ended.json").read_text())
        event["detail"] |= {"status": status or found["status"], "input": found["input"]}
        event["detail"] |= {"error": found.get("error"), "cause": found.get("cause")}
        return record_failure(event, Context())

    def run(self, name: str = "a.svs") -> ImportRecord:
        """Return the record of a file's import."""
        found = self.services.imports.get(name)
        assert found is not None
        return found

    def records(self) -> list[SlideRecord]:
        """Return every slide's record."""
        return list(self.services.slides.list_all(1000).items)

    def files(self) -> list[str]:
        """Return the relative paths of all files in the data folder."""
        root = self.services.files.root
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


@contextmanager
def machine(folder: Path) -> Iterator[Machine]:
    """Set up a deployment whose EFS and scanner's share are under ``folder``."""
    settings = {"lambda": {"use_docker": False}, "stepfunctions": {"execute_state_machine": True}}
    with pytest.MonkeyPatch.context() as patch, mock_aws(config=settings):  # type: ignore[arg-type]
        _patch_environment(patch)
        functions = Functions()
        patch.setattr(
            LambdaSimpleBackend,
            "invoke",
            lambda _self, name, _q, body, _h, headers: functions.invoke(name, body, headers),
        )
        made = _deployed(folder, functions, patch)
        runtime.use(made.services)
        try:
            yield made
            made.finish()
        finally:
            runtime.use(None)


def _patch_environment(patch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "fake",
        "AWS_SECRET_ACCESS_KEY": "fake",
        "AWS_DEFAULT_REGION": REGION,
    }.items():
        patch.setenv(name, value)


def _deployed(folder: Path, functions: Functions, patch: pytest.MonkeyPatch) -> Machine:
    scanner = folder / "share"
    scanner.mkdir()
    client, sfn, s3 = client_of("dynamodb"), client_of("stepfunctions"), client_of("s3")
    create_tables(client, "slides", "imports")
    client.update_table(
        TableName="imports",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    arn = sfn.create_state_machine(
        name="import-slide",
        definition=json.dumps(definition()),
        roleArn="arn:aws:iam::123456789012:role/import",
    )["stateMachineArn"]
    settings = Settings(data=folder / "efs", transfer_task=TASK_ARN, drop_bucket=BUCKET, import_machine=arn)
    services = _installation(settings, OneRequestAtATime(client))
    streams = client_of("dynamodbstreams")
    made = Machine(
        services,
        scanner,
        FakeDataSync(scanner, folder / "efs/incoming"),
        functions,
        arn,
        sfn,
        s3,
        streams,
        "imports",
    )
    patch.setenv("VSV_IMPORT_MACHINE", arn)
    patch.setattr(transfer_file, "_task", lambda _arn: DataSyncTask(TASK_ARN, made.datasync))
    # One client instead of a new one for each task, which takes longer than most tasks.
    patch.setattr(lambda_eval_utils, "boto_client_for", lambda service, **_: client_of(service))
    patch.setattr(start_import, "_machine", lambda arn: StateMachine(arn, sfn))
    _cut_waits_short(made, patch)
    return made


def _installation(settings: Settings, client: Any) -> Services:
    imports = DynamoImportStore("imports", client)
    return runtime.assemble(
        settings,
        slides=lambda: DynamoSlideStore("slides", client),
        imports=lambda: imports,
        starter=lambda: StreamStarter(imports),
        jobs=lambda: DynamoJobStore("slides-jobs", client),
    )


def _cut_waits_short(made: Machine, patch: pytest.MonkeyPatch) -> None:
    def wait(_self: WaitFunction, env: Any, wait_seconds: float) -> None:
        made.waits.append(wait_seconds)
        made.on_wait(wait_seconds)
        time.sleep(0.01)

    def pause(seconds: float) -> None:
        made.pauses.append(seconds)

    class Clock(datetime):
        """The time as if the waits were as long as the definition says."""

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(seconds=sum(made.waits))

    patch.setattr("vsv.ingest.writer_wait.datetime", Clock)
    patch.setattr(WaitFunction, "_wait_interval", wait)
    patch.setattr(retrier_decl, "time", SimpleNamespace(sleep=pause))
