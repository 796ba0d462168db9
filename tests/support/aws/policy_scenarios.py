"""Everything that each function does, so that its calls can be recorded: one scenario for each real handler.

A scenario takes every path of its function that calls AWS differently; its preparations are not recorded.
"""

import hashlib
import importlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlencode

import boto3
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from vsv import runtime
from vsv.barcodes.reader import Barcode
from vsv.errors import UnreadableSlideError
from vsv.ingest import receive, runs, steps
from vsv.lifecycle import purging, requests
from vsv.lifecycle.daily_schedule import LOOKS
from vsv.records.models import ImportRecord, ImportState, JobKind, JobRecord, JobState, Status
from vsv.services import Services
from vsv.storage.slide_files import OPENED
from vsv.timestamps import now_utc
from vsv.workflow import job_queue
from vsv.workflow.transitions import Decider, change

from tests.support.aws.cloudformation import GIVEN, REGION, Function, arn
from tests.support.aws.recorded_calls import Answers, Right, recording
from tests.support.paths import STREAM_RECORDS
from tests.support.servers.registry import serving
from tests.support.slides.damaged import FULL, zeroed
from tests.support.slides.small import OLD, other_scan, put, slide_bytes
from tests.support.stores.store_records import slide_import
from vsv_local.server.api_gateway_events import http_event

NAME, SIZE, IMAGE_ID = "a.svs", len(slide_bytes()), "1004486"
ADMIN = Decider("eve", is_admin=True)
# An event that wakes a function that runs jobs; its content does not matter.
WOKEN: dict[str, Any] = {"Records": [{"eventName": "INSERT"}]}
LONG_AGO = "2000-01-01T00:00:00.000000Z"
# The settings of unrecorded work, whatever the function's own settings are.
ALL_SETTINGS = {
    "VSV_SLIDES_TABLE": GIVEN["SlidesTableName"],
    "VSV_REVIEW_TABLE": GIVEN["ReviewTableName"],
    "VSV_IMPORTS_TABLE": GIVEN["ImportsTableName"],
    "VSV_JOBS_TABLE": GIVEN["JobsTableName"],
    "VSV_DESTINATIONS": GIVEN["RegistrySecretArn"],
}


class Context:
    """Lambda's context, with enough time left."""

    aws_request_id = "00000000-0000-0000-0000-000000000000"
    function_name = "function"
    function_version = "$LATEST"
    invoked_function_arn = arn("lambda", "function:function")
    memory_limit_in_mb = 1024

    def get_remaining_time_in_millis(self) -> int:
        return 899_000


@dataclass
class World:
    """One function, moto's tables and bucket, a data folder, and what was recorded."""

    function: Function
    data: Path
    needed: set[Right] = field(default_factory=set)
    changes_files: bool = False

    def call(self, event: Any, answers: Answers | None = None) -> Any:
        """Call the handler in its own environment and record the rights that it needs."""
        before = self._files()
        with self._environment(self.function.environment), recording(answers or {}) as needed:
            module = importlib.import_module(f"{self.function.folder}.handler")
            result = module.lambda_handler(event, Context())
        self.needed |= needed
        self.changes_files |= self._files() != before
        return result

    def ask(self, method: str, path: str, body: Any = None, answers: Answers | None = None) -> int:
        """Call the handler as API Gateway does for a technician behind the edge; return the status."""
        edge = (b"x-vsv-edge", self.function.environment.get("VSV_EDGE_SECRET", "").encode())
        site = (b"x-vsv-host", b"slides.example.org")
        event = http_event(method, path, "", [edge, site], b"" if body is None else json.dumps(body).encode())
        event["requestContext"]["authorizer"] = {"jwt": {"claims": {"cognito:groups": "[Technicians]"}}}
        return int(self.call(event, answers)["statusCode"])

    @contextmanager
    def unrecorded(self) -> Iterator[Services]:
        """Yield the whole installation; its calls are not recorded."""
        with self._environment(ALL_SETTINGS | {"VSV_DATA": "/mnt/slides"}):
            yield runtime.current()

    @contextmanager
    def _environment(self, settings: Mapping[str, str]) -> Iterator[None]:
        kept = {name: text for name, text in os.environ.items() if not name.startswith("VSV_")}
        kept |= {**settings, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}
        if "VSV_DATA" in settings:
            kept["VSV_DATA"] = str(self.data)
        runtime.use(None)
        with patch.dict(os.environ, kept, clear=True):
            yield
        runtime.use(None)

    def _files(self) -> dict[Path, tuple[int, int]]:
        # A function that only shows slides may not write, and then does not note when slides are opened.
        found = ((path, path.stat()) for path in self.data.rglob("*") if path.name != OPENED)
        return {path: (stat.st_size, 0 if path.is_dir() else stat.st_mtime_ns) for path, stat in found}

    def waiting(self, name: str = NAME, **fields: Any) -> dict[str, Any]:
        """Store a run that waits for its transfer; return its event."""
        run = slide_import(
            name,
            f"run-of-{name}",
            **({"size": SIZE, "started_at": now_utc(), "updated_at": LONG_AGO} | fields),
        )
        with self.unrecorded() as services:
            services.files.prepare()
            services.imports.start(run, replaces=None)
        return {"filename": name, "size": run.size, "runId": run.run_id, "source": run.source}

    def _after(self, event: dict[str, Any], *steps: Callable[[Services, ImportRecord], Any]) -> None:
        with self.unrecorded() as services:
            for step in steps:
                step(services, runs.current_run(services, event["filename"], event["runId"]))

    def transferred(self, name: str = NAME, content: bytes | None = None) -> dict[str, Any]:
        """Put a run's file into ``incoming/``; return the inspection's event."""
        event = self.waiting(name, **({} if content is None else {"size": len(content)}))
        put(self.data / "incoming", name, content, OLD)
        transfer = {
            "done": True,
            "execution": None,
            "completed": 1,
            "errors": 0,
            "rounds": 1,
            "waitSeconds": 1,
        }
        return event | {"transfer": transfer}

    def inspected(self, name: str = NAME, content: bytes | None = None) -> dict[str, Any]:
        """Inspect a run's file; return the extraction's event."""
        event = self.transferred(name, content)
        self._after(event, steps.inspect_run)
        return event

    def changed(self, name: str, content: bytes) -> dict[str, Any]:
        """Inspect an extracted file that changed before its slide was ready; return the extraction's event."""
        with self.unrecorded() as services:
            earlier = services.imports.get(name)
            assert earlier is not None
            receive.begin(services, name, earlier.size, earlier, changed=earlier)
            run = services.imports.get(name)
            assert run is not None
        put(self.data / "incoming", name, content, OLD)
        event = {"filename": name, "size": run.size, "runId": run.run_id, "source": run.source}
        self._after(event, steps.inspect_run)
        return event

    def extracted(self, name: str = NAME, content: bytes | None = None) -> dict[str, Any]:
        """Extract a slide's record; return the rendering's event."""
        event = self.inspected(name, content)
        self._after(event, steps.extract_run)
        return event | {"imageId": "1004486"}

    def imported(self, name: str = NAME) -> None:
        """Import a slide to the end."""
        self._after(
            self.extracted(name), lambda services, run: steps.render_run(services, run, lambda *_: None)
        )

    def decided(self, status: Status) -> None:
        """Set the slide's status as an Admin."""
        with self.unrecorded() as services:
            change(services, IMAGE_ID, {"status": status}, ADMIN)

    def become(self, changes: Mapping[str, Any]) -> None:
        """Change the slide's record, and end all of its jobs."""
        with self.unrecorded() as services:
            for job in job_queue.slide_jobs(services, IMAGE_ID):
                services.jobs.advance(job, {"state": JobState.DONE})
            services.slides.update(IMAGE_ID, changes, by="eve")

    def job(self, kind: JobKind) -> JobRecord:
        """Return the slide's stored job of a kind."""
        with self.unrecorded() as services:
            found = services.jobs.get(IMAGE_ID, kind)
        assert found is not None
        return found


SCENARIOS: dict[str, Callable[[World], None]] = {}


def scenario(function: str) -> Callable[[Callable[[World], None]], Callable[[World], None]]:
    """Register a scenario under its function's logical id."""

    def known(run: Callable[[World], None]) -> Callable[[World], None]:
        SCENARIOS[function] = run
        return run

    return known


@scenario("ImportSlideFunction")
def import_slide(world: World) -> None:
    assert world.ask("POST", "/ImportSlide", {"filename": "new.svs", "size": 1}) == 202
    world.waiting("lost.svs")
    assert (
        world.ask("POST", "/ImportSlide", {"filename": "lost.svs", "size": SIZE}) == 202
    )  # touched, so that it starts after all
    world.imported()
    assert world.ask("POST", "/ImportSlide", {"filename": NAME, "size": SIZE}) == 200


@scenario("StartImportFunction")
def start_import(world: World) -> None:
    image = {
        "Filename": {"S": NAME}, "Size": {"N": "1"}, "State": {"S": "TRANSFERRING"}, "RunID": {"S": "0f" * 16},
    }  # fmt: skip
    record = {"eventName": "INSERT", "dynamodb": {"NewImage": image, "SequenceNumber": "1"}}
    started = {"stepfunctions:StartExecution": lambda _: {"executionArn": "arn"}}
    assert world.call({"Records": [record]}, started) == {"batchItemFailures": []}


@scenario("TransferFileFunction")
def transfer_file(world: World) -> None:
    task = world.function.environment["VSV_TRANSFER_TASK"]
    execution = f"{task}/execution/exec-1"
    idle = {
        "datasync:DescribeTask": lambda _: {},
        "datasync:StartTaskExecution": lambda _: {"TaskExecutionArn": execution},
    }
    event = world.waiting()
    transfer = world.call(event, idle)
    assert transfer["execution"] == execution
    for status, done in (("TRANSFERRING", False), ("ERROR", False), ("SUCCESS", True)):
        told = {"Status": status, "StartTime": datetime.now(UTC), "Result": {}}
        busy = {
            "datasync:DescribeTask": lambda _: {"CurrentTaskExecutionArn": execution},
            "datasync:DescribeTaskExecution": lambda _, told=told: told,
        }
        assert world.call(event | {"transfer": transfer}, busy)["done"] is done
    world.waiting("second.svs", state=ImportState.IMPORTING)
    world.call(event | {"transfer": {"done": True, "completed": 1}}, idle)  # asked for once more


@scenario("CopyDroppedFunction")
def copy_dropped(world: World) -> None:
    bucket = boto3.client("s3", REGION)
    put_object = bucket.put_object(Bucket=GIVEN["DropInBucketName"], Key=NAME, Body=slide_bytes())
    named = f"s3://{GIVEN['DropInBucketName']}/{NAME}?"
    assert world.call(world.waiting(source=f"{named}versionId={put_object['VersionId']}"))["done"]
    # A bucket that was handed in may keep no versions.
    event = world.waiting("b.svs", source=named + urlencode({"etag": put_object["ETag"].strip('"')}))
    assert world.call(event)["done"]


@scenario("ReceiveDroppedFunction")
def receive_dropped(world: World) -> None:
    dropped = {"key": NAME, "size": 1, "version-id": "v1", "etag": "e", "sequencer": "01"}
    event = {"detail": {"bucket": {"name": GIVEN["DropInBucketName"]}, "object": dropped}}
    assert world.call(event) == {"state": "TRANSFERRING"}
    with world.unrecorded() as services:
        found = services.imports.get(NAME)
        assert found is not None
    boto3.client("dynamodb", REGION).update_item(
        TableName=GIVEN["ImportsTableName"],
        Key={"Filename": {"S": NAME}},
        UpdateExpression="SET UpdatedAt = :then",
        ExpressionAttributeValues={":then": {"S": LONG_AGO}},
    )
    assert world.call(event) == {"state": "TRANSFERRING"}  # twice: touched, since its start may be lost


@scenario("InspectFileFunction")
def inspect_file(world: World) -> None:
    world.call(world.transferred())
    event = world.transferred("bad.svs", b"x" * SIZE)
    try:
        world.call(event)
    except UnreadableSlideError:
        return
    raise AssertionError("what is no slide was taken for one")


@scenario("ExtractMetadataFunction")
def extract_metadata(world: World) -> None:
    event = world.inspected(content=slide_bytes(label=True))
    code = Barcode("S26-1-A", "Code 128", "zxing")
    with patch("vsv.ingest.extraction.read_codes", lambda *_: (code,)):
        assert world.call(event)["imageId"] == "1004486"
        with world.unrecorded() as services:  # a crash has left the mark of a duplicate that is gone
            services.slides.update(IMAGE_ID, {"same_id_as": "gone"}, by="vsv")
        world.call(event)  # again, as after a lost answer
    world.call(world.changed(NAME, other_scan(slide_bytes(label=True))))
    with world.unrecorded() as services:
        (record,) = services.slides.list_all().items
    assert (record.image_id, record.scan_date) == (IMAGE_ID, "2009-12-30T09:59:15")


def damaged_slide(folder: Path) -> bytes:
    """Return a slide whose middle tile is zeros."""
    path = folder / "damaged.svs"
    path.write_bytes(slide_bytes())
    content = zeroed(path, FULL, 4).read_bytes()
    path.unlink()
    return content


@scenario("RenderPyramidFunction")
def render_pyramid(world: World) -> None:
    with patch(
        "vsv.ingest.tile_sample.FINEST_TILES", 1
    ):  # so that rendering finds a damaged tile that it did not
        event = world.extracted(content=damaged_slide(world.data))
    world.call(event)
    assert list(world.data.glob("slides/*/pyramid.tif"))
    bucket = boto3.client("s3", REGION)
    put_object = bucket.put_object(Bucket=GIVEN["DropInBucketName"], Key="b.svs", Body=b"")
    source = f"s3://{GIVEN['DropInBucketName']}/b.svs?versionId={put_object['VersionId']}"
    world.call(world.extracted("b.svs") | {"source": source})


@scenario("RecordFailureFunction")
def record_failure(world: World) -> None:
    error = {"Error": "UnreadableSlideError", "Cause": json.dumps({"errorMessage": "no slide"})}
    assert world.call(world.waiting() | {"error": error}) == {"recorded": True}


@scenario("ServeImageFunction")
def serve_image(world: World) -> None:
    world.imported()
    for path in (".dzi", "_files/10/0_0.jpeg", "_files/thumbnail.jpeg"):
        assert world.ask("GET", f"/DeepZoom/1004486{path}") == 200
    for path in ("/iiif/1004486/manifest.json", "/webgateway/imgData/1004486/"):  # with what the record says
        assert world.ask("GET", path) == 200


@scenario("ServeLabelFunction")
def serve_label(world: World) -> None:
    world.imported()
    (world.data / "slides/1004486/label.jpeg").write_bytes(b"a label")
    assert world.ask("GET", "/DeepZoom/1004486_files/label.jpeg") == 200


@scenario("MintSessionFunction")
def mint_session(world: World) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    read = {"secretsmanager:GetSecretValue": lambda _: {"SecretString": json.dumps({"privateKey": pem})}}
    assert world.ask("POST", "/session", answers=read) == 200
    assert world.ask("DELETE", "/session") == 204


@scenario("ForgetDeletedFunction")
def forget_deleted(world: World) -> None:
    record = json.loads((STREAM_RECORDS / "slide.json").read_text())
    record["dynamodb"]["NewImage"]["Status"]["S"] = "DELETED"
    done = {"cloudfront:CreateInvalidation": lambda _: {}}
    assert world.call({"Records": [record]}, done) == {"batchItemFailures": []}


@scenario("NotifySubscribersFunction")
def notify_subscribers(world: World) -> None:
    records = [
        json.loads((STREAM_RECORDS / f"{kind}.json").read_text()) for kind in ("slide", "import", "job")
    ]

    class Answer:
        status_code = 200

        class raw:  # noqa: N801  as urllib3 names it
            @staticmethod
            def read(_: int) -> bytes:
                return b'{"data": {}}'

            @staticmethod
            def close() -> None:
                return None

    with patch("notify_subscribers.appsync.URLLib3Session.send", lambda *_: Answer()):
        assert world.call({"Records": records}) == {"batchItemFailures": []}


@scenario("ManageFilesFunction")
def manage_files(world: World) -> None:
    world.imported()
    archive_and_restore(world)
    render_again(world)
    world.decided(Status.GOOD)
    publish_and_withdraw(world)
    world.decided(Status.DELETED)
    # As if the original was archived before originals were marked.
    mark = {"Bucket": GIVEN["ArchiveBucketName"], "Key": f"originals/{IMAGE_ID}/slide.svs.owner"}
    boto3.client("s3", REGION).delete_object(**mark)
    for look in LOOKS:
        world.call({"look": look})
    with patch("vsv.lifecycle.purging.waited_s", lambda *_: 8 * purging.DAY_S):
        assert world.call({"look": "deleted"}) == {"asked": 1}
    world.call(WOKEN)
    assert world.job(JobKind.PURGE).state is JobState.DONE


def render_again(world: World) -> None:
    """Render a slide's levels again, and find a damaged tile that its record does not tell of."""
    path = world.data / f"slides/{IMAGE_ID}/slide.svs"
    whole = path.read_bytes()
    path.chmod(0o644)
    zeroed(path, FULL, 4)
    with world.unrecorded() as services:
        job_queue.request(services, IMAGE_ID, JobKind.RENDER, "check")
    world.call(WOKEN)
    assert world.job(JobKind.RENDER).state is JobState.DONE
    path.write_bytes(whole)


def archive_and_restore(world: World) -> None:
    """Archive in parts, after two killed uploads; restore, as from a storage class that needs a restore request."""
    sha256 = hashlib.sha256(slide_bytes()).hexdigest()
    bucket, place = unfinished_uploads("ArchiveBucketName", f"originals/{IMAGE_ID}/slide.svs", sha256)
    with world.unrecorded() as services:
        requests.archive(services, IMAGE_ID, ADMIN)
    with small_parts():
        world.call(WOKEN)
    assert world.job(JobKind.ARCHIVE).state is JobState.DONE, world.job(JobKind.ARCHIVE)
    told = bucket.head_object(**place)
    assert told["StorageClass"] == "INTELLIGENT_TIERING"
    with world.unrecorded() as services:
        requests.restore(services, IMAGE_ID, ADMIN)
    frozen = {
        "s3:HeadObject": lambda _: {**told, "StorageClass": "GLACIER"},
        "s3:RestoreObject": lambda _: {},
    }
    world.call(WOKEN, frozen)
    waiting = world.job(JobKind.RESTORE)
    assert (waiting.state, waiting.attempts) == (JobState.WAITING, 0)
    assert waiting.expected_at is not None
    with world.unrecorded() as services:
        services.jobs.advance(waiting, {"next_at": now_utc()})
    world.call(WOKEN)
    assert world.job(JobKind.RESTORE).state is JobState.DONE


def unfinished_uploads(bucket: str, key: str, sha256: str = "") -> tuple[Any, dict[str, str]]:
    """Begin two uploads of a file and leave them unfinished; return the client, and the file's bucket and key."""
    client, place = boto3.client("s3", REGION), {"Bucket": GIVEN[bucket], "Key": key}
    made = {"ChecksumAlgorithm": "SHA256", "Metadata": {"sha256": sha256}}
    for _ in range(2):
        client.create_multipart_upload(**place, **made, StorageClass="INTELLIGENT_TIERING")
    return client, place


def publish_and_withdraw(world: World) -> None:
    """Publish in parts; withdraw the published file and unfinished uploads of it."""
    with world.unrecorded() as services:
        requests.publish(services, IMAGE_ID, "STUDY-1", ADMIN)
    with small_parts():
        world.call(WOKEN)
    assert world.job(JobKind.PUBLISH).state is JobState.DONE, world.job(JobKind.PUBLISH)
    with world.unrecorded() as services:
        requests.withdraw(services, IMAGE_ID, ADMIN)
    unfinished_uploads("PublishBucketName", "published/STUDY-1.svs")
    world.call(WOKEN)
    assert world.job(JobKind.WITHDRAW).state is JobState.DONE


@contextmanager
def small_parts() -> Iterator[None]:
    """Patch the limits so that small slides are uploaded in parts."""
    with (
        patch("vsv.aws.s3_multipart.SMALLEST_PART", SIZE // 3),
        patch("vsv.aws.s3_multipart.MIB", 1),
        patch("moto.settings.S3_UPLOAD_PART_MIN_SIZE", 1),
        patch("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1, create=True),
    ):
        yield


@scenario("SendSlidesFunction")
def send_slides(world: World) -> None:
    world.imported()
    world.decided(Status.GOOD)
    world.decided(Status.SENT)
    with serving() as registry:
        bucket = {"name": "lake", "bucket": f"s3://{GIVEN['RegistryBucket']}/slides"}
        destinations = json.dumps([{"name": "registry", "url": registry.url}, bucket])
        read = {"secretsmanager:GetSecretValue": lambda _: {"SecretString": destinations}}
        assert world.call(WOKEN, read) == {"batchItemFailures": []}
        assert len(registry.asked) == 1
    assert world.job(JobKind.SEND).state is JobState.DONE


# Every field of the schema that the review function resolves, with arguments that it accepts.
REVIEWS: list[tuple[str, str, dict[str, Any]]] = [
    ("Query", "getSlide", {"ImageID": "1004486"}),
    ("Query", "getSlides", {"ImageIDs": ["1004486"]}),
    ("Query", "listSlides", {}),
    ("Query", "listSlides", {"filter": {"CaseID": {"eq": "1004486"}}}),
    ("Query", "listCaseIDs", {}),
    ("Query", "querySlidesByStatus", {"Status": "NEW"}),
    ("Query", "searchSlides", {"text": "1004"}),
    ("Query", "searchSlides", {}),
    ("Query", "countSlides", {}),
    ("Query", "slideHistory", {"ImageID": "1004486"}),
    ("Query", "idsOf", {"text": "S23-12345-A1"}),
    ("Query", "listImports", {}),
    ("Query", "listNotImported", {}),
    ("Query", "listImports", {"state": "READY"}),
    ("Mutation", "updateSlide", {"input": {"ImageID": "1004486", "CaseID": "C2", "SlideID": "C2-1"}}),
    ("Mutation", "updateSlides", {"input": [{"ImageID": "1004486", "Status": "GOOD"}]}),
    ("Mutation", "updateSlide", {"input": {"ImageID": "1004486", "Status": "SENT"}}),
    ("Mutation", "updateSlide", {"input": {"ImageID": "1004486", "Status": "DELETED"}}),
    ("Mutation", "updateSlide", {"input": {"ImageID": "1004486", "Status": "NEW"}}),
    ("Mutation", "publishSlide", {"ImageID": "1004486", "name": "STUDY-1"}),
    ("Mutation", "withdrawSlide", {"ImageID": "1004486"}),
    ("Mutation", "archiveSlide", {"ImageID": "1004486"}),
    ("Mutation", "restoreSlide", {"ImageID": "1004486"}),
    ("Mutation", "purgeSlide", {"ImageID": "1004486", "confirm": "1004486"}),
    ("Mutation", "dismissJob", {"ImageID": "1004486", "kind": "PURGE"}),
    ("Mutation", "reportJobUpdate", {"ImageID": "1004486", "kind": "PURGE"}),
    ("Query", "slideJobs", {"ImageID": "1004486"}),
    ("Query", "listJobs", {}),
    ("Mutation", "assignSlide", {"ImageID": "1004486", "reviewer": "pat"}),
    ("Mutation", "retryImport", {"Filename": "failed.svs"}),
    ("Mutation", "retryImport", {"Filename": NAME}),
    ("Mutation", "reportImportProgress", {"input": {"Filename": NAME}}),
    ("Mutation", "reportSlideUpdate", {"ImageID": "1004486"}),
]
# The values that a slide's record needs for some of them.
READY_FOR: dict[str, dict[str, Any]] = {
    "publishSlide": {"status": Status.GOOD},
    "withdrawSlide": {"status": Status.PUBLISHED, "published_as": "STUDY-1"},
    "archiveSlide": {"status": Status.GOOD, "published_as": None},
    "restoreSlide": {"original": "ARCHIVED"},
    "purgeSlide": {"status": Status.DELETED, "original": None},
}


def review_event(kind: str, name: str, arguments: Mapping[str, Any], source: Any = None) -> dict[str, Any]:
    """Return a direct resolver's event of an Admin or, for reports, of the system."""
    user = {"username": "eve", "groups": ["Admins"], "claims": {"cognito:groups": ["Admins"]}}
    system = {"accountId": "123456789012", "userArn": "arn:aws:sts::123456789012:assumed-role/role/function"}
    return {
        "arguments": dict(arguments),
        "identity": system if name.startswith("report") else user,
        "source": source,
        "request": {"headers": {}},
        "info": {
            "fieldName": name,
            "parentTypeName": kind,
            "variables": {},
            "selectionSetList": ["items/SlideID"],
        },
    }


@scenario("ReviewSlidesFunction")
def review_slides(world: World) -> None:
    world.imported()
    world.waiting("failed.svs", state=ImportState.FAILED)
    for kind, name, arguments in REVIEWS:
        if name == "dismissJob":
            with world.unrecorded() as services:
                services.jobs.advance(world.job(JobKind.PURGE), {"state": JobState.FAILED})
        if changes := READY_FOR.get(name):
            world.become(changes)
        world.call(review_event(kind, name, arguments))
    assert world.call([review_event("Slide", "LabelURL", {}, {"ImageID": "1004486"})]) == [None]
