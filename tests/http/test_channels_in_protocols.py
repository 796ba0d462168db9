"""Slides of several channels over all protocols: the same composite, and OMERO's settings on the stored samples."""

import base64
import io
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from serve_image.handler import lambda_handler
from vsv.ingest.steps import render
from vsv.lifecycle import job_runner, pyramid_checks
from vsv.pyramids.renderer import render_pyramid
from vsv.pyramids.self_contained import complete
from vsv.records.models import JobKind, JobState
from vsv.storage.numeric_ids import assign_number

from tests.support.servers.running import Site
from tests.support.slides.aperio import Plan, write_slide
from tests.support.slides.channels import (
    APERIO,
    SIZE,
    composite,
    deep,
    difference,
    halved,
    mapped,
    write,
    write_ome,
)
from tests.support.slides.opened import decibels, decoded, opened
from vsv_local.server.api_gateway_events import http_event

PLANES = [deep(seed) for seed in (0, 3, 5, 7)]
COLORS = [(0, 0, 255), (0, 255, 0), (255, 0, 0), (255, 255, 0)]
CHANNEL: dict[str, Any] = {
    "Name": ["DAPI", "FITC", "TRITC", "Cy5"],
    "Color": [int.from_bytes(bytes((*color, 255)), signed=True) for color in COLORS],
    "EmissionWavelength": [461, 519, 572, 668],
}
WINDOWS = [tuple(float(value) for value in np.percentile(plane, [1, 99.9])) for plane in PLANES]
EXPECTED = composite([mapped(plane) for plane in PLANES], COLORS)


def ask(path: str, query: str = "", **headers: str) -> dict[str, Any]:
    sent = [
        (b"host", b"x"),
        *((key.replace("_", "-").encode(), value.encode()) for key, value in headers.items()),
    ]
    return lambda_handler(http_event("GET", path, query, sent), None)


def body(answer: dict[str, Any]) -> bytes:
    assert answer["statusCode"] == 200, answer["body"]
    return base64.b64decode(answer["body"]) if answer["isBase64Encoded"] else answer["body"].encode()


@pytest.fixture
def image_id(site: Site) -> str:
    """Import a fluorescent slide of four channels and return its ImageID."""
    path = write_ome(site.scanner / "cells.ome.tif", PLANES, CHANNEL)
    assert site.bring(path.name, path.read_bytes()) == 200
    (record,) = site.records()
    site.services.slide_cache.forget(record.image_id)  # it was opened before its pyramid was there
    return record.image_id


@pytest.fixture
def omero(site: Site, image_id: str) -> str:
    return f"/webgateway/{{}}/{assign_number(site.services.files, image_id)}"


def region(omero: str, query: str) -> NDArray[np.uint8]:
    """Return a lossless region of full resolution, drawn with settings."""
    path = omero.format("render_image_region") + "/0/0/"
    return decoded(body(ask(path, f"region=100,50,300,200&format=png&{query}")))


def part(picture: NDArray[Any]) -> NDArray[Any]:
    return picture[50:250, 100:400]


class TestComposite:
    def test_every_protocol_answers_the_same_tile_of_all_channels(
        self, site: Site, image_id: str, omero: str
    ) -> None:
        level = site.services.slide_cache.slide(image_id).max_level
        tile = body(ask(f"/DeepZoom/{image_id}_files/{level}/1_1.jpeg"))
        assert body(ask(f"/iiif/{image_id}/256,256,256,256/max/0/default.jpg")) == tile
        assert body(ask(omero.format("render_image_region") + "/0/0/", "tile=0,1,1")) == tile
        spelled = ",".join(
            f"{number}|{start!r}:{end!r}${bytes(color).hex()}"
            for number, ((start, end), color) in enumerate(zip(WINDOWS, COLORS, strict=True), 1)
        )
        named = f"tile=0,1,1&c={quote(spelled)}&m=c"
        assert body(ask(omero.format("render_image_region") + "/0/0/", named)) == tile
        assert decibels(decoded(tile), EXPECTED[256:512, 256:512].round().astype(np.uint8)) > 30

    def test_thumbnail_and_coarse_levels_show_all_channels(
        self, site: Site, image_id: str, omero: str
    ) -> None:
        stored = decoded(body(ask(f"/DeepZoom/{image_id}_files/thumbnail.jpeg")))
        assert stored.shape == (SIZE[1], SIZE[0], 3)
        drawn = decoded(body(ask(omero.format("render_thumbnail") + "/96/")))
        single = decoded(body(ask(f"/DeepZoom/{image_id}_files/6/0_0.jpeg")))
        for picture in (stored, drawn, single):
            assert np.abs(picture.mean(axis=(0, 1)) - EXPECTED.mean(axis=(0, 1))).max() < 3
            assert picture.std() > 20

    def test_windows_are_stored_by_the_import_and_used(self, site: Site, image_id: str) -> None:
        stored = site.services.files.folder(image_id) / "channels.json"
        channels = json.loads(stored.read_text())["channels"]
        found = [(channel["start"], channel["end"]) for channel in channels]
        assert np.allclose(found, WINDOWS)
        (record,) = site.records()
        assert record.tags["Channel 1"] == "DAPI, #0000FF, 461 nm"  # type: ignore[index]
        assert (record.mpp, record.width, record.height) == (0.325, *SIZE)

    def test_grey_slide_of_12_bits_is_the_same_over_all_protocols(self, site: Site) -> None:
        path = write(site.scanner / "grey.svs", PLANES[0], description=APERIO)
        assert site.bring(path.name, path.read_bytes()) == 200
        site.services.slide_cache.forget("1004486")
        level = site.services.slide_cache.slide("1004486").max_level
        tile = body(ask(f"/DeepZoom/1004486_files/{level}/1_1.jpeg"))
        number = assign_number(site.services.files, "1004486")
        assert body(ask("/iiif/1004486/256,256,256,256/max/0/default.jpg")) == tile
        assert body(ask(f"/webgateway/render_image_region/{number}/0/0/", "tile=0,1,1")) == tile
        expected = composite([mapped(PLANES[0])], [(255, 255, 255)])[256:512, 256:512]
        assert decibels(decoded(tile), expected.round().astype(np.uint8)) > 36
        data = json.loads(body(ask(f"/webgateway/imgData/{number}/")))
        assert (data["rdefs"]["model"], data["size"]["c"], data["meta"]["pixelsType"]) == (
            "greyscale",
            1,
            "uint16",
        )


class TestDescriptors:
    def test_img_data_lists_the_channels(self, omero: str) -> None:
        data = json.loads(body(ask(omero.format("imgData") + "/")))
        assert (data["size"]["c"], data["pixel_range"], data["meta"]["pixelsType"]) == (
            4,
            [0, 65535],
            "uint16",
        )
        assert data["rdefs"]["model"] == "color"
        for channel, name, color, window, wave, plane in zip(
            data["channels"],
            CHANNEL["Name"],
            COLORS,
            WINDOWS,
            CHANNEL["EmissionWavelength"],
            PLANES,
            strict=True,
        ):
            assert (channel["label"], channel["color"]) == (name, bytes(color).hex().upper())
            assert (channel["emissionWave"], channel["active"], channel["inverted"]) == (wave, True, False)
            assert channel["window"] == {
                "min": float(plane.min()), "max": float(plane.max()), "start": window[0], "end": window[1],
            }  # fmt: skip

    def test_json_api_has_number_and_type_of_channels(self, site: Site, image_id: str) -> None:
        number = assign_number(site.services.files, image_id)
        pixels = json.loads(body(ask(f"/api/v0/m/images/{number}/")))["data"]["Pixels"]
        assert (pixels["SizeC"], pixels["Type"]["value"], pixels["SignificantBits"]) == (4, "uint16", 16)

    def test_dzi_and_info_name_the_channels(self, image_id: str) -> None:
        image = ElementTree.fromstring(body(ask(f"/DeepZoom/{image_id}.dzi")))
        channels = json.loads(image.attrib["{urn:x-vsv:colour}Channels"])
        assert [channel["name"] for channel in channels] == CHANNEL["Name"]
        assert channels[1] == {
            "name": "FITC", "color": "00FF00", "start": WINDOWS[1][0], "end": WINDOWS[1][1], "emission_nm": 519.0,
        }  # fmt: skip
        for version in ("", "2/"):
            (service,) = json.loads(body(ask(f"/iiif/{version}{image_id}/info.json")))["service"]
            assert service["channels"] == channels

    def test_histogram_counts_the_stored_samples(self, omero: str) -> None:
        for channel, plane in enumerate(PLANES):
            found = json.loads(body(ask(f"{omero.format('histogram_json')}/channel/{channel}/", "bins=32")))
            ends = int(plane.min()), int(plane.max())
            assert (found["min"], found["max"]) == ends
            assert found["data"] == np.histogram(plane, 32, ends)[0].tolist()
        assert ask(f"{omero.format('histogram_json')}/channel/4/")["statusCode"] == 404


class TestSettings:
    def test_windows_and_colours_apply_to_the_stored_samples(self, omero: str) -> None:
        found = region(omero, f"m=c&c={quote('1|500:3000$FF0000,3|0:65535$00FF00,-2,4|100:900$808080')}")
        planes = [
            mapped(PLANES[0], (500, 3000)),
            mapped(PLANES[2], (0, 65535)),
            mapped(PLANES[3], (100, 900)),
        ]
        expected = composite(planes, [(255, 0, 0), (0, 255, 0), (128, 128, 128)])
        assert difference(found, part(expected)) <= 3

    def test_channels_without_settings_keep_their_own(self, omero: str) -> None:
        found = region(omero, "m=c&c=2,4")
        expected = composite([mapped(PLANES[1]), mapped(PLANES[3])], [COLORS[1], COLORS[3]])
        assert difference(found, part(expected)) <= 2

    def test_greyscale_shows_the_first_active_channel(self, omero: str) -> None:
        found = region(omero, f"m=g&c={quote('-1,2|300:2000$00FF00,3')}")
        assert difference(found, part(composite([mapped(PLANES[1], (300, 2000))], [(255, 255, 255)]))) <= 1

    def test_no_active_channel_is_black(self, omero: str) -> None:
        assert not region(omero, "m=c&c=-1,-2").any()

    @pytest.mark.parametrize("coefficient", [0.5, 2.0])
    def test_inversion_and_curves_apply_to_the_window(self, coefficient: float, omero: str) -> None:
        maps = [
            {
                "inverted": {"enabled": True},
                "quantization": {"family": "polynomial", "coefficient": coefficient},
            }
        ]
        found = region(omero, f"m=c&c={quote('1|500:3000$FFFFFF')}&maps={quote(json.dumps(maps))}")
        curved = 255 - 255 * (mapped(PLANES[0], (500, 3000)) / 255) ** coefficient
        assert difference(found, part(composite([curved], [(255, 255, 255)]))) <= 1

    def test_flipped_and_coarse_regions_are_drawn_from_samples(self, omero: str) -> None:
        path = omero.format("render_image_region") + "/0/0/"
        setting = f"m=c&format=png&c={quote('1|500:3000$FF0000')}"
        small = decoded(body(ask(path, f"tile=1,0,0&{setting}")))
        mean = halved(PLANES[0])[:256, :256]
        assert difference(small, composite([mapped(mean, (500, 3000))], [(255, 0, 0)])) <= 1
        plain, flipped = (decoded(body(ask(path, f"tile=0,0,0&{setting}{flip}"))) for flip in ("", "&flip=h"))
        assert plain.shape == flipped.shape
        whole = composite([mapped(PLANES[0], (500, 3000))], [(255, 0, 0)])
        assert difference(flipped, whole[:256, ::-1][:, :256]) <= 1

    def test_settings_have_etags_of_their_own(self, omero: str) -> None:
        path = omero.format("render_image_region") + "/0/0/"
        queries = ["", "&c=1", "&c=1|5:900", "&c=1,2,3,4", "&m=g"]
        tags = [ask(path, f"tile=0,0,0{query}")["headers"]["etag"] for query in queries]
        assert len(set(tags)) == 4
        assert tags[0] == tags[3]


class TestArchivedOriginals:
    def test_archived_slide_keeps_channels_and_composite_and_refuses_other_settings(
        self, site: Site, image_id: str, omero: str
    ) -> None:
        path = omero.format("render_image_region") + "/0/0/"
        before = body(ask(path, "tile=0,1,1")), body(ask(omero.format("imgData") + "/channels/"))
        files, slide = site.services.files, site.services.slide_cache.slide(image_id)
        assert complete(slide, files.pyramid(image_id))
        files.slide(image_id).rename(site.scanner / "archived")
        note = {"size": 1, "sha256": "0" * 64, "key": "k", "modified": slide.stored_ns}
        (files.folder(image_id) / "archived.json").write_text(json.dumps(note))
        site.services.slide_cache.forget(image_id)
        after = body(ask(path, "tile=0,1,1")), body(ask(omero.format("imgData") + "/channels/"))
        assert after == before
        refused = ask(path, "tile=0,1,1&c=1")
        assert refused["statusCode"] == 409
        assert "unarchive it" in refused["body"]
        assert ask(f"{omero.format('histogram_json')}/channel/0/")["statusCode"] == 409


def darken(site: Site, image_id: str, folder: Path) -> None:
    """Put a black pyramid and thumbnail in place of a slide's, as an earlier version made them of deep samples."""
    files, out = site.services.files, io.BytesIO()
    black = write(folder / "black.tif", np.zeros((SIZE[1], SIZE[0], 3), np.uint8), photometric="rgb")
    render_pyramid(opened(black), files.pyramid(image_id), jobs=2)
    Image.new("RGB", SIZE).save(out, "JPEG")
    files.associated(image_id, "thumbnail").write_bytes(out.getvalue())
    (files.folder(image_id) / "channels.json").unlink()
    site.services.slide_cache.forget(image_id)


class TestOlderPyramids:
    def test_dark_pyramid_and_thumbnail_of_an_earlier_version_are_rendered_again(
        self, site: Site, image_id: str, tmp_path: Path
    ) -> None:
        files, cache = site.services.files, site.services.slide_cache
        darken(site, image_id, tmp_path)
        level = cache.slide(image_id).max_level
        dark = ask(f"/DeepZoom/{image_id}_files/{level}/1_1.jpeg")
        assert not decoded(body(dark)).any()
        assert render(site.services, image_id, lambda _done, _total: None)
        cache.forget(image_id)
        light = ask(f"/DeepZoom/{image_id}_files/{level}/1_1.jpeg")
        assert decibels(decoded(body(light)), EXPECTED[256:512, 256:512].round().astype(np.uint8)) > 30
        assert light["headers"]["etag"] != dark["headers"]["etag"]
        assert decoded(body(ask(f"/DeepZoom/{image_id}_files/thumbnail.jpeg"))).mean() > 60
        assert (files.folder(image_id) / "channels.json").exists()
        assert not render(site.services, image_id, lambda _done, _total: None)

    def test_daily_check_renders_dark_pyramid_and_thumbnail_again(
        self, site: Site, image_id: str, tmp_path: Path
    ) -> None:
        darken(site, image_id, tmp_path)
        assert [job.image_id for job in pyramid_checks.request_renewals(site.services)] == [image_id]
        done = job_runner.run_due(site.services, [JobKind.RENDER], lambda: True)
        assert [job.state for job in done] == [JobState.DONE]
        assert decoded(body(ask(f"/DeepZoom/{image_id}_files/thumbnail.jpeg"))).mean() > 60
        assert not render(site.services, image_id, lambda _done, _total: None)

    def test_dark_pyramid_of_a_plain_16_bit_image_is_rendered_again(self, site: Site, tmp_path: Path) -> None:
        path = write(site.scanner / "plain.tif", PLANES[0], tile=None, rowsperstrip=50)
        assert site.bring(path.name, path.read_bytes()) == 200
        black = write(tmp_path / "black.tif", np.zeros((SIZE[1], SIZE[0], 3), np.uint8), photometric="rgb")
        render_pyramid(opened(black), site.services.files.pyramid("plain"), jobs=2)
        site.services.slide_cache.forget("plain")
        assert render(site.services, "plain", lambda _done, _total: None)
        site.services.slide_cache.forget("plain")
        assert decoded(body(ask("/DeepZoom/plain_files/10/1_1.jpeg"))).mean() > 60
        assert not render(site.services, "plain", lambda _done, _total: None)

    def test_slides_of_8_bit_rgb_have_no_channels_of_their_own(self, site: Site) -> None:
        path = write_slide(site.scanner / "a.svs", Plan())
        assert site.bring(path.name, path.read_bytes()) == 200
        (record,) = site.records()
        assert site.services.slide_cache.slide(record.image_id).channels is None
        assert b"vsv" not in body(ask(f"/DeepZoom/{record.image_id}.dzi"))
        assert not (site.services.files.folder(record.image_id) / "channels.json").exists()
