"""The built functions together, as a deployment: one file system, tables and a bucket."""

import base64
import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3
from boto3.dynamodb.types import TypeSerializer

from tests.lambda_runtime.built import Running, function, run
from tests.support.aws.dynamo_tables import create_tables
from vsv_local.server.api_gateway_events import http_event

REGION = "eu-central-1"
EDGE_SECRET = "what only the edge knows, and long enough"


def bucket_name(name: str) -> str:
    """Return the name of a deployment's bucket."""
    return name.lower().replace("_", "-")[:63].strip("-")


class Deployment:
    """Functions that share a file system and tables; each is started at its first event."""

    def __init__(self, endpoint: str, mounted: Path, name: str, stack: ExitStack) -> None:
        self.mounted, self._stack, self._running = mounted, stack, dict[str, Running]()
        self._settings = {
            "AWS_ENDPOINT_URL": endpoint,
            "VSV_SLIDES_TABLE": name,
            "VSV_IMPORTS_TABLE": f"{name}-imports",
            "VSV_REVIEW_TABLE": f"{name}-review",
            "VSV_JOBS_TABLE": f"{name}-jobs",
            "VSV_DATA": str(mounted),
            "AWS_LAMBDA_FUNCTION_TIMEOUT": "900",  # no job is begun with little time left
            "VSV_ARCHIVE": f"s3://{bucket_name(name)}/originals",
            "VSV_PUBLISHED": f"s3://{bucket_name(name)}/published",
            "VSV_DROP_BUCKET": f"drop-{bucket_name(name)}"[:63].strip("-"),
            "VSV_IMPORT_MACHINE": f"arn:aws:states:{REGION}:123456789012:stateMachine:{name}",
            "VSV_EDGE_SECRET": EDGE_SECRET,
            "VSV_SITE": "https://slides.example",
            "VSV_KEY_ID": "K2JCJMDEHXQW5F",
        }
        where = {"endpoint_url": endpoint, "region_name": REGION}
        where |= {"aws_access_key_id": "fake", "aws_secret_access_key": "fake"}
        create_tables(boto3.client("dynamodb", **where), name, f"{name}-imports")
        self.imports = boto3.resource("dynamodb", **where).Table(f"{name}-imports")
        self.bucket = boto3.resource("s3", **where).Bucket(bucket_name(name))
        self.bucket.create(CreateBucketConfiguration={"LocationConstraint": REGION})
        self.dropped = boto3.resource("s3", **where).Bucket(self._settings["VSV_DROP_BUCKET"])
        self.dropped.create(CreateBucketConfiguration={"LocationConstraint": REGION})
        self.dropped.Versioning().enable()
        self._machines, self._secrets = (
            boto3.client(service, **where) for service in ("stepfunctions", "secretsmanager")
        )
        definition = {"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}
        role = "arn:aws:iam::123456789012:role/machine"
        self._machines.create_state_machine(name=name, definition=json.dumps(definition), roleArn=role)

    def keep_signing_key(self, pem: str) -> None:
        """Put a private key where the session function looks for it; before that function's first event."""
        kept = self._secrets.create_secret(
            Name=self._settings["VSV_SLIDES_TABLE"], SecretString=json.dumps({"privateKey": pem})
        )
        self._settings["VSV_SIGNING_SECRET"] = kept["ARN"]

    def start(self, filename: str) -> dict[str, Any]:
        """Deliver the stream record of a waiting import; return the input of the import machine's execution."""
        assert self("StartImportFunction", {"Records": [self._told(filename)]}) == {"batchItemFailures": []}
        machine = self._settings["VSV_IMPORT_MACHINE"]
        found = self._machines.list_executions(stateMachineArn=machine)["executions"]
        inputs = [
            self._machines.describe_execution(executionArn=one["executionArn"])["input"] for one in found
        ]
        (event,) = (one for one in map(json.loads, inputs) if one["filename"] == filename)
        return dict(event)

    def _told(self, filename: str) -> dict[str, Any]:
        item = self.imports.get_item(Key={"Filename": filename})["Item"]
        image = {name: TypeSerializer().serialize(value) for name, value in item.items()}
        told = {"Keys": {"Filename": image["Filename"]}, "NewImage": image, "SequenceNumber": "1"}
        return {"eventName": "INSERT", "eventSource": "aws:dynamodb", "dynamodb": told}

    def running(self, name: str) -> Running:
        """Return a running function; start it if necessary."""
        if name not in self._running:
            started = run(function(name), self.mounted.parent, **self._settings)
            self._running[name] = self._stack.enter_context(started)
        return self._running[name]

    def __call__(self, name: str, event: object) -> Any:
        """Return a function's answer to an event."""
        return self.running(name).invoke(event)

    def post(self, filename: str, size: int) -> tuple[int, dict[str, Any]]:
        """Ask as the scanner's script does."""
        body = json.dumps({"filename": filename, "size": size}).encode()
        answer = self("ImportSlideFunction", http_event("POST", "/ImportSlide", "", (), body))
        return answer["statusCode"], json.loads(answer["body"])

    def get(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Ask for an image."""
        answer = self("ServeImageFunction", http_event("GET", path, "", [(b"x-vsv-host", b"slides.example")]))
        body = answer["body"]
        return (
            answer["statusCode"],
            answer["headers"],
            base64.b64decode(body) if answer["isBase64Encoded"] else body.encode(),
        )

    def bring(self, slide: Path) -> dict[str, Any]:
        """Import a slide, step by step as the import machine does; give the last step's answer."""
        name, size = slide.name, slide.stat().st_size
        assert self.post(name, size) == (202, {"state": "TRANSFERRING"})
        event = self.start(name)
        incoming = self.mounted / "incoming"
        incoming.mkdir(exist_ok=True)
        (incoming / name).write_bytes(slide.read_bytes())  # as DataSync does
        event = self.take_in(event)
        assert self.post(name, size) == (200, {"filename": name, "size": size})
        return event

    def take_in(self, event: dict[str, Any]) -> dict[str, Any]:
        """Make a slide of a file that is here, step by step as the import machine does."""
        for step in ("InspectFileFunction", "ExtractMetadataFunction", "RenderPyramidFunction"):
            event = self(step, event)
            assert "errorType" not in event, event
        return event


def ask(
    deployment: Deployment,
    image_id: str,
    field: str = "getSlide",
    kind: str = "Query",
    group: str = "Technicians",
    **more: str,
) -> dict[str, Any]:
    """Ask for a field of a slide as a person of a group does over GraphQL."""
    event = {
        "arguments": {"ImageID": image_id, **more},
        "identity": {"username": "ann", "groups": [group], "claims": {"cognito:groups": [group]}},
        "info": {"parentTypeName": kind, "fieldName": field, "selectionSetList": ["ImageID"]},
        "source": None,
    }
    found = deployment("ReviewSlidesFunction", event)
    assert isinstance(found, dict)
    return found
