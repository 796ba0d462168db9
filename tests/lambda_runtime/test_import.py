"""An import from the scanner's first question to its tiles, by the built functions alone."""

import base64
import io
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from openslide import OpenSlide
from PIL import Image
from vsv.storage.numeric_id_hash import candidates

from benchmarks.label_images import code_image
from tests.lambda_runtime.built import PYTHON, function, layer_folder
from tests.lambda_runtime.deployment import EDGE_SECRET, Deployment, ask
from tests.support.aws_site.edge import opens
from tests.support.slides.aperio import Plan, write_slide
from vsv_local.server.api_gateway_events import http_event


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


def test_posted_slide_is_imported_and_served(deployment: Deployment, tmp_path: Path) -> None:
    slide = write_slide(tmp_path / "a.svs", Plan(1200, 900, 240, downsamples=(1, 4)))
    event = deployment.bring(slide)
    check_tiles(deployment, event["imageId"], slide, 240)
    check_documents(deployment, event["imageId"])
    check_what_cannot_be_sent(deployment, event["imageId"])
    record = ask(deployment, event["imageId"])
    assert (record["Filename"], record["Status"], record["width"]) == ("a.svs", "NEW", 1200)
    log = deployment.running("ServeImageFunction").log.read_text()
    assert "REPORT RequestId:" in log


def test_dropped_slide_is_imported_and_served(deployment: Deployment, tmp_path: Path) -> None:
    slide = write_slide(tmp_path / "b.svs", Plan(1200, 900, 240, downsamples=(1, 4)))
    content = slide.read_bytes()
    put = deployment.dropped.put_object(Key="2026/b.svs", Body=content)
    told = {
        "key": put.key,
        "size": len(content),
        "version-id": put.version_id,
        "sequencer": "00617F08299329D189",
    }
    event = {"detail": {"bucket": {"name": deployment.dropped.name}, "object": told}}
    assert deployment("ReceiveDroppedFunction", event) == {"state": "TRANSFERRING"}
    started = deployment.start("b.svs")
    assert deployment("CopyDroppedFunction", started)["done"] is True
    image_id = deployment.take_in(started)["imageId"]
    check_tiles(deployment, image_id, slide, 240)
    assert (deployment.mounted / f"slides/{image_id}/slide.svs").read_bytes() == content


def test_label_and_session_are_answered_by_group(deployment: Deployment, tmp_path: Path) -> None:
    slide = write_slide(tmp_path / "a.svs", Plan(600, 500, 240))
    image_id = deployment.bring(slide)["imageId"]
    key = rsa.generate_private_key(65537, 2048)
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    deployment.keep_signing_key(key.private_bytes(encoding, form, serialization.NoEncryption()).decode())
    statuses = {}
    for group in ("Technicians", "Pathologists", "Nobody"):
        label = asked_by(group, "GET", f"/DeepZoom/{image_id}_files/label.jpeg")
        session = asked_by(group, "POST", "/session")
        answers = deployment("ServeLabelFunction", label), deployment("MintSessionFunction", session)
        statuses[group] = [one["statusCode"] for one in answers]
        if group == "Technicians":
            assert Image.open(io.BytesIO(base64.b64decode(answers[0]["body"]))).format == "JPEG"
            cookies = "; ".join(one.partition(";")[0] for one in answers[1]["cookies"])
            address = f"https://slides.example/DeepZoom/{image_id}_files/0/0_0.jpeg"
            assert opens(cookies, address, {"K2JCJMDEHXQW5F": key.public_key()})
    assert statuses == {"Technicians": [200, 200], "Pathologists": [403, 200], "Nobody": [403, 403]}


def asked_by(group: str, method: str, path: str) -> dict[str, Any]:
    """Return the event of a request through the edge by a user in a group."""
    event = http_event(method, path, "", [(b"x-vsv-edge", EDGE_SECRET.encode())])
    claims = {"cognito:groups": f"[{group}]"}
    event["requestContext"]["authorizer"] = {"jwt": {"claims": claims, "scopes": None}}
    return event


def test_import_metrics_are_written_to_the_log(deployment: Deployment, tmp_path: Path) -> None:
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


def test_barcode_is_read_with_libdmtx_of_the_layer(deployment: Deployment, tmp_path: Path) -> None:
    """Run the layer's own reader, in the environment that a function has."""
    drawn = tmp_path / "label.png"
    label = Image.new("L", (300, 300), 235)
    label.paste(code_image("S23-1", "Data Matrix", 4.0), (80, 80))
    label.convert("RGB").save(drawn)
    script = (
        "import sys\nfrom PIL import Image\nfrom vsv.barcodes.reader import read_label, libdmtx_missing\n"
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


def test_real_slide_is_imported_and_served(deployment: Deployment, real_slide: Path) -> None:
    event = deployment.bring(real_slide)
    assert event["imageId"] == "1004486"
    check_tiles(deployment, "1004486", real_slide, 240)
