"""What the webgateway tells of a slide: ``imgData`` in OMERO's structure, histograms, thumbnails; and to whom."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from vsv.errors import UnavailableError
from vsv.records.models import SlideRecord
from vsv.services import Services
from vsv.storage.numeric_ids import candidates
from vsv.timestamps import now_utc

from tests.support.servers.webgateway_site import (
    HEIGHT,
    NAMED,
    NUMBER,
    SMALL,
    TILE,
    WIDTH,
    ask,
    body,
    document,
    picture,
    put_slide,
    served,
)
from tests.support.slides.aperio import TAGS, Plan, texture
from tests.support.slides.opened import decibels, decoded, stored_level

ADDRESS = f"imgData/{NUMBER}/"
NAMED_NUMBER = next(candidates(NAMED))
RECORD = SlideRecord(
    image_id=NUMBER,
    slide_id="S17-001234-A1",
    case_id="S17-001234",
    filename="a.svs",
    scan_date="2017-03-04T05:06:07-05:00",
    app_mag="40",
    mpp=0.2525,
    width=WIDTH,
    height=HEIGHT,
    file_size=1,
    tags={"Patient": "Jane Roe"},
    last_modified=now_utc(),
)
# Keys and types of OMERO.web's imgData, for a big RGB image: omeroweb/webgateway/marshal.py's imageMarshal and the
# image region microservice's ImageDataRequestHandlerTest describe the same document.
CHANNEL = {
    "emissionWave": type(None), "label": str, "color": str, "inverted": bool, "reverseIntensity": bool, "family": str,
    "coefficient": float, "window": {"min": float, "max": float, "start": float, "end": float}, "active": bool,
}  # fmt: skip
PANELS = {"width": int, "height": int, "border": int, "gridx": int, "gridy": int}
IMAGE = {
    "id": int,
    "meta": {
        "imageName": str, "imageDescription": str, "imageAuthor": str, "imageArchived": bool, "projectName": str,
        "projectId": type(None), "projectDescription": str, "datasetName": str, "datasetId": type(None),
        "datasetDescription": str, "wellSampleId": str, "wellId": str, "imageTimestamp": float, "imageId": int,
        "pixelsType": str,
    },
    "perms": {"canAnnotate": bool, "canEdit": bool, "canDelete": bool, "canLink": bool},
    "tiles": bool,
    "tile_size": {"width": int, "height": int},
    "levels": int,
    "resolutions": {str(level): {"sizeX": int, "sizeY": int} for level in range(4)},
    "zoomLevelScaling": {str(level): float for level in range(4)},
    "interpolate": bool,
    "size": {"width": int, "height": int, "z": int, "t": int, "c": int},
    "pixel_size": {"x": float, "y": float, "z": type(None)},
    "init_zoom": int,
    "nominalMagnification": float,
    "pixel_range": [int, int],
    "channels": [CHANNEL] * 3,
    "split_channel": {"g": PANELS, "c": PANELS},
    "rdefs": {"model": str, "projection": str, "defaultZ": int, "defaultT": int, "invertAxis": bool},
}  # fmt: skip


class Records:
    """The one method that the tile function asks of the slide store."""

    def __init__(self, found: SlideRecord | Exception | None) -> None:
        self.found = found

    def get(self, image_id: str) -> SlideRecord | None:
        assert image_id == NUMBER
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with served(tmp_path_factory.mktemp("data")) as services:
        yield services


@pytest.fixture
def records(services: Services) -> Iterator[Records]:
    """Yield records that the tile function can read, as in the standalone server."""
    found = Records(RECORD)
    services.__dict__["slides"] = found
    yield found
    del services.__dict__["slides"]


def structure(found: Any) -> Any:
    if isinstance(found, dict):
        return {key: structure(value) for key, value in found.items()}
    return [structure(value) for value in found] if isinstance(found, list) else type(found)


class TestImageData:
    def test_keys_and_types_are_those_of_omero(self, services: Services) -> None:
        assert structure(document(ADDRESS)) == IMAGE

    def test_values_are_those_of_slide_and_record(self, records: Records) -> None:
        found = document(ADDRESS)
        assert found["id"] == found["meta"]["imageId"] == int(NUMBER)
        assert found["size"] == {"width": WIDTH, "height": HEIGHT, "z": 1, "t": 1, "c": 3}
        assert found["tile_size"] == {"width": TILE, "height": TILE}
        assert (found["tiles"], found["levels"]) == (True, 4)
        assert found["resolutions"]["3"] == {"sizeX": 162, "sizeY": 132}
        assert found["zoomLevelScaling"]["0"] == 1
        assert found["zoomLevelScaling"]["2"] == pytest.approx(0.25, abs=1e-3)
        assert found["pixel_size"] == {"x": 0.2525, "y": 0.2525, "z": None}
        assert found["nominalMagnification"] == 40
        assert found["pixel_range"] == [0, 255]
        assert [channel["color"] for channel in found["channels"]] == ["FF0000", "00FF00", "0000FF"]
        assert found["channels"][1]["window"] == {"min": 0, "max": 255, "start": 0, "end": 255}
        assert found["meta"]["pixelsType"] == "uint8"
        assert not any(found["perms"].values())
        # Two by two panels for three channels, and for the three and their sum, with 2 pixels between.
        panels = {"width": 2 * WIDTH + 6, "height": 2 * HEIGHT + 6, "border": 2, "gridx": 2, "gridy": 2}
        assert found["split_channel"] == {"g": panels, "c": panels}

    def test_names_and_time_are_those_of_the_record(self, records: Records) -> None:
        meta = document(ADDRESS)["meta"]
        assert (meta["imageName"], meta["datasetName"]) == ("S17-001234-A1", "S17-001234")
        assert meta["imageTimestamp"] == datetime(2017, 3, 4, 10, 6, 7, tzinfo=UTC).timestamp()
        assert "Jane" not in body(ask(ADDRESS)).decode()

    def test_record_without_values_answers_defaults(self, records: Records) -> None:
        records.found = replace(RECORD, slide_id=None, case_id=None, mpp=None, app_mag="20X", scan_date=None)
        found = document(ADDRESS)
        assert (found["meta"]["imageName"], found["meta"]["datasetName"]) == (NUMBER, "Multiple")
        assert found["pixel_size"]["x"] is None
        assert "nominalMagnification" not in found
        assert found["meta"]["imageTimestamp"] > 1.6e9

    @pytest.mark.parametrize("missing", [None, UnavailableError("the store is away")])
    def test_missing_record_answers_values_of_the_file(self, records: Records, missing: Any) -> None:
        records.found = missing
        found = document(ADDRESS)
        assert (found["meta"]["imageName"], found["meta"]["datasetName"]) == (NUMBER, "Multiple")
        assert found["pixel_size"]["x"] == 0.499
        assert found["nominalMagnification"] == 20
        # The file names no time zone: its wall clock counts as UTC.
        assert found["meta"]["imageTimestamp"] == datetime(2009, 12, 29, 9, 59, 15, tzinfo=UTC).timestamp()

    def test_unreadable_records_are_logged_and_absent_from_the_answer(
        self, records: Records, caplog: pytest.LogCaptureFixture
    ) -> None:
        records.found = UnavailableError("the store is away")
        records.found.__cause__ = OSError("AccessDeniedException")
        assert "AccessDenied" not in str(document(ADDRESS))
        assert "AccessDenied" in caplog.text

    def test_installation_without_store_answers_values_of_the_file(self, services: Services) -> None:
        assert document(ADDRESS)["pixel_size"]["x"] == 0.499

    def test_slide_with_assigned_number_is_served_under_that_number(self, services: Services) -> None:
        found = document(f"imgData/{NAMED_NUMBER}/")
        assert found["id"] == NAMED_NUMBER < 2**53
        assert found["meta"]["imageName"] == NAMED
        assert picture(f"render_image_region/{NAMED_NUMBER}/0/0/", "tile=0,1,1").shape == (500 - 256, 256, 3)

    def test_slide_of_single_tile_has_no_levels_and_no_tile_size(self, services: Services) -> None:
        found = document(f"imgData/{SMALL}/")
        assert found["tiles"] is False
        assert not {"levels", "tile_size", "zoomLevelScaling", "resolutions"} & set(found)

    @pytest.mark.parametrize(
        ("key", "part"),
        [
            ("size", {"width": WIDTH, "height": HEIGHT, "z": 1, "t": 1, "c": 3}),
            ("rdefs.model", "color"),
            ("meta.pixelsType", "uint8"),
            ("split_channel.g.border", 2),
            ("levels", 4),
            ("resolutions.0.sizeX", WIDTH),
            ("nothing", None),
            ("size.depth", None),
            ("size.width.more", None),
            ("channels.0", None),
            (".", None),
            ("a" + ".a" * 80, None),
        ],
    )
    def test_key_in_address_answers_that_part_or_null(self, services: Services, key: str, part: Any) -> None:
        assert document(f"imgData/{NUMBER}/{key}/") == document(f"imgData/{NUMBER}/{key}") == part

    def test_unknown_image_is_not_found_and_malformed_number_is_refused(self, services: Services) -> None:
        assert ask("imgData/12/")["statusCode"] == 404
        assert ask("imgData/x/")["statusCode"] == 400
        assert ask("imgData/")["statusCode"] == 400
        assert ask(f"imgData/{NUMBER}/size/width/")["statusCode"] == 400

    def test_caching_headers_require_revalidation(self, services: Services) -> None:
        assert ask(ADDRESS)["headers"]["cache-control"] == "private, no-cache"

    def test_get_defaults_answers_the_same_document(self, services: Services) -> None:
        assert document(ADDRESS, "getDefaults=true") == document(ADDRESS)


class TestOtherSites:
    """A page of another site, open in the same browser, may show slides but not read whose they are."""

    @pytest.mark.parametrize(
        ("headers", "query"),
        [
            ({"sec-fetch-site": "cross-site"}, ""),
            ({"sec-fetch-site": "same-site"}, ""),
            ({"origin": "https://elsewhere.example"}, ""),
            ({"origin": "null"}, ""),
            ({}, "callback=show"),
            ({"sec-fetch-site": "cross-site"}, "callback=show"),
        ],
    )
    def test_page_of_another_site_reads_no_names(
        self, records: Records, headers: dict[str, str], query: str
    ) -> None:
        for address in (
            ADDRESS,
            f"{ADDRESS}meta/",
            f"{ADDRESS}meta.imageName/",
            f"{ADDRESS}meta.datasetName",
        ):
            answer = ask(address, query, headers=headers)
            assert answer["statusCode"] == 200
            assert "S17" not in body(answer).decode()
            assert answer["headers"]["vary"] == "Origin, Sec-Fetch-Site"

    @pytest.mark.parametrize("headers", [{}, {"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}])
    def test_own_pages_and_programs_read_names(self, records: Records, headers: dict[str, str]) -> None:
        assert "S17-001234-A1" in body(ask(ADDRESS, headers=headers)).decode()

    def test_page_of_allowed_origin_reads_names(self, records: Records, services: Services) -> None:
        object.__setattr__(services.settings, "allow_origin", "https://viewer.example")
        try:
            headers = {"origin": "https://viewer.example", "sec-fetch-site": "cross-site"}
            assert "S17-001234-A1" in body(ask(ADDRESS, headers=headers)).decode()
        finally:
            object.__setattr__(services.settings, "allow_origin", "*")

    def test_valid_callback_wraps_the_answer_in_javascript(self, services: Services) -> None:
        answer = ask(f"{ADDRESS}size.width/", "callback=show_it$1")
        assert answer["headers"]["content-type"] == "application/javascript"
        assert body(answer) == b"show_it$1(1293)"

    @pytest.mark.parametrize("name", ["", "1a", "a.b", "a(b)", "a b", "a\n", "<script>", "a" * 101])
    def test_invalid_callbacks_are_bad_requests(self, services: Services, name: str) -> None:
        assert ask(ADDRESS, {"callback": name})["statusCode"] == 400


class TestHistograms:
    @pytest.mark.parametrize("channel", [0, 1, 2])
    def test_histogram_of_small_slide_counts_each_pixel(self, services: Services, channel: int) -> None:
        found = document(f"histogram_json/{SMALL}/channel/{channel}/", "theZ=0&theT=0")
        pixels = stored_level(services.files.slide(SMALL), 0)[..., channel]
        there = np.bincount(pixels.ravel(), minlength=256)
        assert len(found["data"]) == 256
        assert sum(found["data"]) == pixels.size
        # Two JPEG decoders may differ by a grey level here and there.
        assert np.abs(np.cumsum(found["data"]) - np.cumsum(there)).max() < pixels.size * 0.02
        assert (found["min"], found["max"]) == (0, 255)

    @pytest.mark.parametrize("bins", [1, 2, 16, 255, 256, 300, 1024])
    def test_bins_parameter_sets_number_of_bins(self, services: Services, bins: int) -> None:
        found = document(f"histogram_json/{SMALL}/channel/0", f"bins={bins}")["data"]
        assert (len(found), sum(found)) == (bins, 200 * 150)

    def test_histogram_counts_the_finest_level_within_plane_limits(self, services: Services) -> None:
        for query, pixels in (
            ("", 647 * 526),
            ("maxPlaneWidth=2000&maxPlaneHeight=2000", WIDTH * HEIGHT),
            ("maxPlaneWidth=400&maxPlaneHeight=2000", 324 * 263),
            ("maxPlaneWidth=1&maxPlaneHeight=1", 1),
        ):
            assert sum(document(f"histogram_json/{NUMBER}/channel/1/", query)["data"]) == pixels

    @pytest.mark.parametrize(
        ("channel", "query"), [("3", ""), ("0", "theZ=1"), ("0", "theT=1"), ("0", "z=1")]
    )
    def test_missing_channel_or_plane_is_not_found(
        self, services: Services, channel: str, query: str
    ) -> None:
        assert ask(f"histogram_json/{NUMBER}/channel/{channel}/", query)["statusCode"] == 404

    @pytest.mark.parametrize(
        "query", ["bins=0", "bins=1025", "bins=x", "bins=", "theZ=x", "maxPlaneWidth=0", "maxPlaneHeight=-1"]
    )
    def test_malformed_parameters_are_bad_requests(self, services: Services, query: str) -> None:
        assert ask(f"histogram_json/{NUMBER}/channel/0/", query)["statusCode"] == 400

    @pytest.mark.parametrize("rest", ["", "/channel", "/channel/x", "/channel/0/0", "/0", "/band/0"])
    def test_malformed_addresses_are_bad_requests(self, services: Services, rest: str) -> None:
        assert ask(f"histogram_json/{NUMBER}{rest}")["statusCode"] == 400


class TestThumbnails:
    @pytest.mark.parametrize(
        ("rest", "size"),
        [
            ("", (96, 78)),
            ("200/", (200, 163)),
            ("200/100", (200, 100)),  # as OMERO: both are taken at their word
            ("1/", (1, 1)),
            ("1500/", (1500, 1219)),
        ],
    )
    def test_size_in_address_sets_size_of_the_jpeg(
        self, services: Services, rest: str, size: tuple[int, int]
    ) -> None:
        answer = ask(f"render_thumbnail/{NUMBER}/{rest}")
        assert answer["headers"]["content-type"] == "image/jpeg"
        assert decoded(body(answer)).shape == (size[1], size[0], 3)

    def test_webclient_address_takes_size_before_image(self, services: Services) -> None:
        assert picture(f"render_thumbnail/size/120/{NUMBER}/", prefix="/webclient/").shape == (98, 120, 3)

    def test_thumbnail_shows_the_pixels_of_the_slide(self, services: Services) -> None:
        whole = Image.fromarray(texture(WIDTH, HEIGHT)).resize((256, 208), Image.Resampling.BOX)
        assert decibels(picture(f"render_thumbnail/{NUMBER}/256/208/"), np.asarray(whole)) > 28

    def test_birds_eye_view_equals_the_thumbnail(self, services: Services) -> None:
        for rest in ("", "300/"):
            there = body(ask(f"render_thumbnail/{NUMBER}/{rest}"))
            assert body(ask(f"render_birds_eye_view/{NUMBER}/{rest}")) == there
        assert ask(f"render_birds_eye_view/{NUMBER}/300/200/")["statusCode"] == 400

    def test_slide_without_thumbnail_page_shows_its_pixels_not_the_label(self, services: Services) -> None:
        """OpenSlide takes the second page for the thumbnail; ours is made of the slide's own pixels."""
        description = f"Aperio Image Library v11.2.1 \r\n600x500{TAGS}"
        put_slide(services.files, "92", Plan(600, 500, description=description, thumbnail=False))
        whole = Image.fromarray(texture(600, 500)).resize((96, 80), Image.Resampling.BOX)
        assert decibels(picture("render_thumbnail/92/"), np.asarray(whole)) > 28

    @pytest.mark.parametrize("name", ["render_thumbnail", "render_birds_eye_view", "get_thumbnail"])
    @pytest.mark.parametrize(
        ("rest", "status"), [("12", 404), ("x", 400), ("", 400), (f"{NUMBER}/0", 400), (f"{NUMBER}/x", 400),
                             (f"{NUMBER}/99999", 400), (f"{NUMBER}/5/5/5", 400), (f"{NUMBER}/-5", 400)]
    )  # fmt: skip
    def test_unknown_images_and_malformed_sizes_are_refused(
        self, services: Services, name: str, rest: str, status: int
    ) -> None:
        assert ask(f"{name}/{rest}")["statusCode"] == status

    def test_plane_other_than_0_is_not_found(self, services: Services) -> None:
        assert ask(f"render_thumbnail/{NUMBER}/", "z=0&t=0&rdefId=5")["statusCode"] == 200
        assert ask(f"render_thumbnail/{NUMBER}/", "z=1")["statusCode"] == 404
        assert ask(f"render_thumbnail/{NUMBER}/", "rdefId=x")["statusCode"] == 400

    def test_get_thumbnail_answers_the_jpeg_as_data_uri(self, services: Services) -> None:
        found = document(f"get_thumbnail/{NUMBER}/50/")
        assert base64.b64decode(found.removeprefix("data:image/jpeg;base64,")) == body(
            ask(f"render_thumbnail/{NUMBER}/50/")
        )


class TestManyThumbnails:
    def test_thumbnails_are_keyed_by_number_with_null_for_unreadable_slides(self, services: Services) -> None:
        put_slide(services.files, "93", Plan(300, 200))
        services.files.slide("93").write_bytes(b"no slide")
        found = document("get_thumbnails/", {"id": f"{NUMBER},{SMALL},12,93,{NAMED_NUMBER},{SMALL}"})
        assert list(found) == [NUMBER, SMALL, "12", "93", str(NAMED_NUMBER)]
        assert found["12"] is found["93"] is None
        for number in (NUMBER, SMALL, NAMED_NUMBER):
            uri = found[str(number)]
            assert base64.b64decode(uri.removeprefix("data:image/jpeg;base64,")) == body(
                ask(f"render_thumbnail/{number}")
            )

    def test_size_and_callback_apply_to_all_thumbnails(self, services: Services) -> None:
        answer = ask("get_thumbnails/20/", f"id={NUMBER}&callback=show", prefix="/webclient/")
        assert answer["headers"]["content-type"] == "application/javascript"
        content = json.loads(body(answer).decode().removeprefix("show(").removesuffix(")"))
        jpeg = base64.b64decode(content[NUMBER].partition(",")[2])
        assert decoded(jpeg).shape == (16, 20, 3)

    def test_more_than_50_thumbnails_or_too_many_pixels_are_bad_requests(self, services: Services) -> None:
        fifty = ",".join(str(number) for number in range(100, 150))
        assert len(document("get_thumbnails/", {"id": fifty})) == 50
        for address, ids, limit in (
            ("get_thumbnails/", f"{fifty},150", "50"),
            ("get_thumbnails/1000/", "1,2,3,4,5", "4194304"),
            ("get_thumbnails/3000/", "1", "4194304"),
        ):
            answer = ask(address, {"id": ids})
            assert answer["statusCode"] == 400
            assert limit in answer["body"]

    @pytest.mark.parametrize("ids", ["", ",", "x", "1,", "1,,2", "-1", "01", "1.5", "1" * 17])
    def test_malformed_numbers_are_bad_requests(self, services: Services, ids: str) -> None:
        assert ask("get_thumbnails/", {"id": ids})["statusCode"] == 400

    @pytest.mark.parametrize("rest", ["0/", "x/", "96/96/"])
    def test_malformed_addresses_are_bad_requests(self, services: Services, rest: str) -> None:
        assert ask(f"get_thumbnails/{rest}", f"id={NUMBER}")["statusCode"] == 400

    def test_missing_numbers_are_a_bad_request(self, services: Services) -> None:
        assert ask("get_thumbnails/")["statusCode"] == 400


def test_hidden_slide_is_not_found_at_any_address(tmp_path: Path) -> None:
    with served(tmp_path) as services:
        services.files.hide(NUMBER)
        for address, query in (
            (ADDRESS, ""), (f"render_image_region/{NUMBER}/0/0", "tile=0,0,0"), (f"render_thumbnail/{NUMBER}", ""),
            (f"histogram_json/{NUMBER}/channel/0", ""),
        ):  # fmt: skip
            assert ask(address, query)["statusCode"] == 404
