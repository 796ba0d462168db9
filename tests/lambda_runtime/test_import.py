"""An import from the scanner's first question to its tiles, by the built functions alone."""

import base64
import io
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from built import PYTHON, Running, function, layer_folder, run
from dynamo_tables import create_tables
from openslide import OpenSlide
from PIL import Image
from slides import Plan, write_slide
from vsv.numbering import candidates

from benchmarks.label_images import code_image
from local.events import http_event

Invoke = Callable[..., Any]
MAX_ANSWER = 6 * 1024 * 1024  # "Lambda quotas", AWS Lambda developer guide: a synchronous answer


class Deployment:
    """Functions that share a file system and tables; each is started at its first event."""

    def __init__(self, endpoint: str, mounted: Path, name: str, stack: ExitStack) -> None:
        self.mounted, self._stack, self._running = mounted, stack, dict[str, Running]()
        self._settings = {
            "AWS_ENDPOINT_URL": endpoint,
            "VSV_SLIDES_TABLE": name,
            "VSV_IMPORTS_TABLE": f"{name}-imports",
            "VSV_REVIEW_TABLE": f"{name}-review",
            "VSV_DATA": str(mounted),
        }
        credentials = {"aws_access_key_id": "fake", "aws_secret_access_key": "fake"}
        client = boto3.client("dynamodb", "eu-central-1", endpoint_url=endpoint, **credentials)
        create_tables(client, name, f"{name}-imports")
        self.imports = boto3.resource("dynamodb", "eu-central-1", endpoint_url=endpoint, **credentials).Table(
            f"{name}-imports"
        )

    def running(self, name: str) -> Running:
        """Give a function that is up."""
        if name not in self._running:
            started = run(function(name), self.mounted.parent, **self._settings)
            self._running[name] = self._stack.enter_context(started)
        return self._running[name]

    def __call__(self, name: str, event: object) -> Any:
        """Give a function's answer to an event."""
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
        run_id = self.imports.get_item(Key={"Filename": name})["Item"]["RunID"]
        event = {"filename": name, "size": size, "runId": run_id, "source": None}
        incoming = self.mounted / "incoming"
        incoming.mkdir(exist_ok=True)
        (incoming / name).write_bytes(slide.read_bytes())  # as DataSync does
        for step in ("InspectFileFunction", "ExtractMetadataFunction", "RenderPyramidFunction"):
            event = self(step, event)
            assert "errorType" not in event, event
        assert self.post(name, size) == (200, {"filename": name, "size": size})
        return event


@pytest.fixture
def deployment(aws_endpoint: str, mounted: Path, request: pytest.FixtureRequest) -> Iterator[Deployment]:
    with ExitStack() as stack:
        yield Deployment(aws_endpoint, mounted, request.node.name.replace("[", "-").replace("]", ""), stack)


def check_tiles(deployment: Deployment, image_id: str, slide: Path, tile: int) -> None:
    """Compare tiles with what OpenSlide reads from the file: the stored ones bit for bit."""
    original = OpenSlide(slide)
    (width, height), top = original.dimensions, (max(original.dimensions) - 1).bit_length()
    status, headers, jpeg = deployment.get(f"/DeepZoom/{image_id}_files/{top}/1_1.jpeg")
    assert (status, headers["content-type"]) == (200, "image/jpeg")
    expected = np.asarray(original.read_region((tile, tile), 0, (tile, tile)).convert("RGB"))
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(jpeg))), expected)
    assert "immutable" in headers["cache-control"]
    status, _, reduced = deployment.get(f"/DeepZoom/{image_id}_files/{top - 1}/0_0.jpeg")
    assert status == 200
    wanted = original.read_region((0, 0), 0, (2 * tile, 2 * tile)).convert("RGB").resize((tile, tile), 4)
    difference = np.asarray(Image.open(io.BytesIO(reduced)), float) - np.asarray(wanted, float)
    assert np.sqrt((difference**2).mean()) < 12
    status, _, coarsest = deployment.get(f"/DeepZoom/{image_id}_files/0/0_0.jpeg")
    assert (status, Image.open(io.BytesIO(coarsest)).size) == (200, (1, 1))
    assert deployment.get(f"/DeepZoom/{image_id}_files/{top}/999_0.jpeg")[0] == 404
    status, _, descriptor = deployment.get(f"/DeepZoom/{image_id}.dzi")
    assert (status, f'Width="{width}" Height="{height}"' in descriptor.decode()) == (200, True)


def check_documents(deployment: Deployment, image_id: str) -> None:
    """Compare what the tile function tells of a slide with its record, which nothing but the table holds."""
    record = ask(deployment, image_id)
    status, _, manifest = deployment.get(f"/iiif/{image_id}/manifest.json")
    assert status == 200
    found = json.loads(manifest)
    assert found["id"] == f"https://slides.example/iiif/{image_id}/manifest.json"
    told = {one["label"]["en"][0]: one["value"]["none"][0] for one in found["metadata"]}
    assert told["Objective power"] == record["AppMag"]
    status, _, data = deployment.get(f"/webgateway/imgData/{next(candidates(image_id))}/")
    assert (status, json.loads(data)["pixel_size"]["x"]) == (200, record["MPP"])
    assert "told without" not in deployment.running("ServeImageFunction").log.read_text()


def check_what_cannot_be_sent(deployment: Deployment, image_id: str) -> None:
    """Ask for a picture that Lambda would fail on."""
    status, headers, body = deployment.get(f"/iiif/{image_id}/full/^4000,3000/0/default.tif")
    assert (status, headers["cache-control"]) == (413, "no-store")
    assert "JPEG" in json.loads(body)["error"]


def ask(deployment: Deployment, image_id: str) -> dict[str, Any]:
    """Read the slide's record as a technician does over GraphQL."""
    event = {
        "arguments": {"ImageID": image_id},
        "identity": {
            "username": "ann",
            "groups": ["Technicians"],
            "claims": {"cognito:groups": ["Technicians"]},
        },
        "info": {"parentTypeName": "Query", "fieldName": "getSlide", "selectionSetList": ["ImageID"]},
        "source": None,
    }
    found = deployment("ReviewSlidesFunction", event)
    assert isinstance(found, dict)
    return found


def test_a_slide_comes_in_and_is_looked_at(deployment: Deployment, tmp_path: Path) -> None:
    slide = write_slide(tmp_path / "a.svs", Plan(1200, 900, 240, downsamples=(1, 4)))
    event = deployment.bring(slide)
    check_tiles(deployment, event["imageId"], slide, 240)
    check_documents(deployment, event["imageId"])
    check_what_cannot_be_sent(deployment, event["imageId"])
    record = ask(deployment, event["imageId"])
    assert (record["Filename"], record["Status"], record["width"]) == ("a.svs", "NEW", 1200)
    log = deployment.running("ServeImageFunction").log.read_text()
    assert "REPORT RequestId:" in log


def test_what_is_counted_goes_to_the_log_as_metrics(deployment: Deployment, tmp_path: Path) -> None:
    deployment.bring(write_slide(tmp_path / "a.svs", Plan(600, 500, 240)))
    (tmp_path / "b.svs").write_bytes(b"not a slide")
    deployment.post("b.svs", 11)
    run_id = deployment.imports.get_item(Key={"Filename": "b.svs"})["Item"]["RunID"]
    (deployment.mounted / "incoming/b.svs").write_bytes(b"not a slide")
    failed = deployment("InspectFileFunction", {"filename": "b.svs", "size": 11, "runId": run_id})
    assert failed["errorType"] == "UnreadableSlideError"
    counted: dict[str, Any] = {}
    for name in ("InspectFileFunction", "ExtractMetadataFunction", "RenderPyramidFunction"):
        log = deployment.running(name).log.read_text()
        for start in (match.start() for match in re.finditer(r'{"_aws"', log)):
            found, _ = json.JSONDecoder().raw_decode(log, start)
            assert (found.pop("_aws")["CloudWatchMetrics"][0]["Namespace"], found.pop("service")) == (
                "VSV",
                "vsv",
            )
            counted |= found
    assert set(counted) == {"TransferMinutes", "ScanToViewableMinutes", "ImportsReady", "ImportsFailed"}
    assert counted["ImportsReady"] == counted["ImportsFailed"] == [1.0]
    assert 0 <= counted["TransferMinutes"][0] < 1


def test_a_label_is_read_with_libdmtx_from_the_layer(deployment: Deployment, tmp_path: Path) -> None:
    """Run the layer's own reader, in the environment that a function has."""
    drawn = tmp_path / "label.png"
    code_image("S23-1", "Data Matrix", 4.0).convert("RGB").save(drawn)
    script = (
        "import sys\nfrom PIL import Image\nfrom vsv.barcode import read_label, libdmtx_missing\n"
        "assert libdmtx_missing() is None, libdmtx_missing()\n"
        "print(read_label(Image.open(sys.argv[1]), 2.0, attempts=[]))\n"
        "print(next(line for line in open('/proc/self/maps') if 'libdmtx' in line))\n"
    )
    built = function("ExtractMetadataFunction")
    layers = built.layers_of("x86_64")
    environment = {
        "PATH": "/nowhere",  # as on Lambda: no compiler, linker or ldconfig to ask
        "LD_LIBRARY_PATH": ":".join(str(layer / "lib") for layer in layers),
        "PYTHONPATH": ":".join([str(built.x86_64), *(str(layer / "python") for layer in layers)]),
    }
    answer = subprocess.run(
        [PYTHON, "-c", script, str(drawn)],
        check=True,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    assert "Barcode(text='S23-1', format='Data Matrix', reader='libdmtx')" in answer
    assert str(layer_folder("BarcodeLayer", "x86_64") / "lib/libdmtx.so.0") in answer


def test_the_real_slide(deployment: Deployment, real_slide: Path) -> None:
    event = deployment.bring(real_slide)
    assert event["imageId"] == "1004486"
    check_tiles(deployment, "1004486", real_slide, 240)
