"""What QuPath's OMERO extensions ask of a server that they do not log in to, in their order, read as they read it.

Written from their source, since QuPath cannot be run here (github.com, qupath/):

- ``qupath-extension-omero`` 0.2.5, commit 499d15a (main, abadf1e, has the same code): ``core/Client.java``,
  ``core/RequestSender.java``, ``core/apis/json/JsonApi.java`` and its ``serverinformation/``, ``jsonentities/``,
  ``core/apis/webclient/WebclientApi.java``, ``core/apis/webgateway/*.java``, ``core/pixelapis/*/*Api.java``,
  ``core/imageserver/*.java``, ``core/apis/json/repositoryentities/Server.java``.
- ``qupath-extension-omero-web`` 0.4.0, commit c1bd010: ``OmeroWebClient.java``, ``OmeroWebImageServer.java``,
  ``OmeroWebImageServerBuilder.java``, ``OmeroRequests.java``, ``OmeroTools.java``.
- ``qupath`` e7662d8: ``ImageServerMetadata.java`` for the sizes of levels.
"""

import io
import json
import re
from collections.abc import Iterator
from math import ceil
from typing import Any
from urllib.parse import quote_plus, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from serve_image.omero.documents import SlideMetadata, image_data
from vsv.records.models import SlideRecord
from vsv.slides.deepzoom_grid import Grid
from vsv.storage.numeric_ids import candidates

from tests.support.servers.running import Answer, Server, running_site, server
from tests.support.slides.small import slide_bytes

JSON_LINKS = ["experimenters", "experimentergroups", "projects", "datasets", "images", "screens", "plates"]
SCHEMA = "http://www.openmicroscopy.org/Schemas/OME/2016-06#"
CHANNELS = "1|0:255$FF0000,2|0:255$00FF00,3|0:255$0000FF"
NOT_INVERTED = ",".join(["{%22inverted%22:{%22enabled%22:false}}"] * 3)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, list[SlideRecord]]]:
    """A slide with a number of its own, and one without."""
    folder = tmp_path_factory.mktemp("served")
    with running_site(folder) as site:
        for name, image_id in (("a.svs", "1004486"), ("b.svs", "S17-a")):
            assert site.bring(name, slide_bytes(image_id)) == 200
        found = sorted(site.records(), key=lambda record: record.filename)
    with server(folder / "data") as running:
        yield running, found


class Extension:
    """Sends requests as ``RequestSender`` does: redirects are followed, all but 200 is an error."""

    def __init__(self, running: Server) -> None:
        self.running = running
        self.server = f"http://127.0.0.1:{running.port}"
        self.asked: list[str] = []

    def get(self, address: str) -> Answer:
        assert address.startswith(f"{self.server}/")
        path = address.removeprefix(self.server)
        self.asked.append(path)
        answer = self.running.ask(path)
        if answer.status in {301, 302, 303, 307, 308}:
            return self.get(f"{self.server}{answer.headers['location'].split('#')[0]}")
        assert answer.status == 200, path
        return answer

    def json(self, address: str) -> Any:
        return json.loads(self.get(address).body)

    def paginated(self, address: str) -> list[Any]:
        """``RequestSender.getPaginated``: one page is all."""
        found = self.json(address)
        assert isinstance(found["data"], list)
        assert type(found["meta"]["limit"]) is type(found["meta"]["totalCount"]) is int
        assert found["meta"]["totalCount"] <= found["meta"]["limit"]
        assert found["meta"]["totalCount"] == len(found["data"])
        return list(found["data"])

    def picture(self, address: str) -> Image.Image:
        return Image.open(io.BytesIO(self.get(address).body))


def connect(extension: Extension) -> dict[str, str]:
    """``JsonApi``'s constructor for a public user; gives the links."""
    versions = extension.json(f"{extension.server}/api/")["data"]
    links: dict[str, str] = extension.json(next(one["url:base"] for one in versions if one["version"] == "0"))
    for name in (*JSON_LINKS, "token", "servers", "login"):
        assert links[f"url:{name}"].startswith(extension.server)
        assert links[f"url:{name}"].endswith("/")
    token, (found,) = extension.json(links["url:token"])["data"], extension.json(links["url:servers"])["data"]
    assert isinstance(token, str)
    assert {name: type(found[name]) for name in ("host", "id", "port")} == {
        "host": str,
        "id": int,
        "port": int,
    }
    return links


def levels(data: dict[str, Any]) -> list[tuple[int, int]]:
    """The widths and heights that QuPath gives the levels: ``ImageResolutionLevel.addLevelByDownsample``."""
    size = data["size"]
    downsamples = [1.0 / data["zoomLevelScaling"][str(level)] for level in range(data["levels"])]
    return [(int(size["width"] / one), int(size["height"] / one)) for one in downsamples]


def read_metadata(data: dict[str, Any], record: SlideRecord) -> None:
    """``ImageMetadataResponseParser``: name, size and calibration; 8-bit RGB, or QuPath's web API refuses."""
    assert data["meta"]["imageName"] == (record.slide_id or record.image_id)
    assert data["meta"]["pixelsType"] == "uint8"
    assert data["size"] == {"width": 600, "height": 500, "c": 3, "z": 1, "t": 1}
    assert [data["pixel_size"][axis] for axis in "xyz"] == [record.mpp, record.mpp, None]
    assert [channel["label"] for channel in data["channels"]] == ["Red", "Green", "Blue"]
    assert [channel["color"] for channel in data["channels"]] == ["FF0000", "00FF00", "0000FF"]
    assert data["tile_size"] == {"width": 240, "height": 240}
    assert data["nominalMagnification"] == 20
    assert levels(data) == [(600, 500), (300, 250), (150, 125)]


def numbers(found: list[SlideRecord]) -> list[tuple[SlideRecord, int]]:
    own, given = found
    return [(own, int(own.image_id)), (given, next(candidates(given.image_id)))]


def tile_of_deep_zoom(running: Server, record: SlideRecord, level: int, x: int, y: int) -> bytes:
    return running.ask(f"/DeepZoom/{record.image_id}_files/{10 - level}/{x}_{y}.jpeg").body


@pytest.mark.parametrize("which", [0, 1])
def test_newer_extension_opens_slide_by_address(
    records: tuple[Server, list[SlideRecord]], which: int
) -> None:
    """``OmeroImageServerBuilder``: connect, then see whether the address answers, then ``OmeroImageServer``."""
    running, found = records
    record, number = numbers(found)[which]
    extension = Extension(running)
    connect(extension)
    shown = extension.get(f"{extension.server}/webclient/?show=image-{number}")
    assert b"<title>" in shown.body
    data = extension.json(f"{extension.server}/webgateway/imgData/{number}/")
    read_metadata(data, record)
    for level, (width, height) in enumerate(levels(data)):
        for y in range(ceil(height / 240)):
            for x in range(ceil(width / 240)):
                tile = f"tile={level},{x},{y},240,240&c={quote_plus(CHANNELS)}&m=c&q=0.900000"
                address = f"{extension.server}/webgateway/render_image_region/{number}/0/0/?{tile}"
                assert extension.get(address).body == tile_of_deep_zoom(running, record, level, x, y)
    thumbnail = extension.picture(f"{extension.server}/webgateway/render_thumbnail/{number}/600/")
    assert thumbnail.size == (600, 500)
    assert extension.paginated(f"{extension.server}/api/v0/m/rois/?image={number}") == []  # readPathObjects
    assert extension.asked[:4] == ["/api/", "/api/v0/", "/api/v0/token/", "/api/v0/servers/"]
    assert extension.asked[4:6] == [f"/webclient/?show=image-{number}", "/"]


def test_pixel_buffer_options_request_is_not_allowed(records: tuple[Server, list[SlideRecord]]) -> None:
    """``MsPixelBufferApi`` would be preferred were ``OPTIONS /tile`` 200; Ice is only for who logs in."""
    running, _ = records
    assert running.ask("/tile", "OPTIONS").status == 405


def test_login_and_logout_answer_405_without_body(records: tuple[Server, list[SlideRecord]]) -> None:
    """Of both answers the status is not read. No ``LoginResponse`` can be made of an empty one: logging in fails."""
    running, _ = records
    form = {"content-type": "application/x-www-form-urlencoded", "x-csrftoken": "nothing-is-written-here"}
    for address, body in (
        ("/api/v0/login/", b"server=1&username=a&password=b"),
        ("/webclient/logout/", b"a=b"),
    ):
        answer = running.ask(address, "POST", form, body)
        assert (answer.status, answer.headers["allow"], answer.body) == (405, "GET, HEAD", b"")


def test_server_browser_lists_public_user_and_group_without_slides(
    records: tuple[Server, list[SlideRecord]],
) -> None:
    """``Server``'s constructor, then its children: "Browse server" in QuPath's menu ends in an empty list."""
    extension = Extension(records[0])
    links = connect(extension)
    page = extension.get(f"{extension.server}/webclient/").body.decode()
    matched = re.search(r"WEBCLIENT.USER = \{'id': (.+?), 'fullName':", page)
    assert matched
    user = int(matched[1])
    (group,) = extension.paginated(f"{links['url:experimenters']}{user}/experimentergroups/")
    assert group["@type"] == f"{SCHEMA}ExperimenterGroup"
    assert group["Name"] not in {"system", "user"}
    permissions = group["omero:details"]["permissions"]
    assert [permissions[f"isGroup{what}"] for what in ("Read", "Annotate", "Write")] == [True, False, False]
    (person,) = extension.paginated(group["url:experimenters"])
    assert (person["@type"], person["@id"]) == (f"{SCHEMA}Experimenter", user)
    assert [person[f"{name}Name"] for name in ("First", "Last", "User")] == ["Public", "User", "public"]
    for kind, more in (
        ("projects", "childCount=true"), ("screens", "childCount=true"),
        ("datasets", "childCount=true&orphaned=true"), ("plates", "childCount=true&orphaned=true"),
        ("images", "orphaned=true"),
    ):  # fmt: skip
        query = f"?normalize=true&{more}&owner={user}&group={group['@id']}"
        assert extension.paginated(links[f"url:{kind}"] + query) == []


def test_image_document_has_values_that_the_extension_reads(
    records: tuple[Server, list[SlideRecord]],
) -> None:
    """``OmeroImage``, ``OmeroPixels`` and ``OmeroSimpleDetails``; and ``SimpleServerEntity.createFromJson``."""
    running, found = records
    extension = Extension(running)
    links = connect(extension)
    for record, number in numbers(found):
        data = extension.json(f"{links['url:images']}{number}")["data"]
        assert (data["@type"], data["@id"]) == (f"{SCHEMA}Image", number)
        assert data["Name"] == (record.slide_id or record.image_id)
        assert data["AcquisitionDate"] == 1262080755000  # 2009-12-29 09:59:15
        assert [data["omero:details"][one]["@id"] for one in ("owner", "group")] == [1, 2]
        pixels = data["Pixels"]
        assert pixels["@type"] == f"{SCHEMA}Pixels"
        assert [pixels[f"Size{axis}"] for axis in "XYZCT"] == [600, 500, 1, 3, 1]
        for axis in "XY":
            length = pixels[f"PhysicalSize{axis}"]
            assert (length["Symbol"], length["Value"]) == ("µm", record.mpp)
        assert pixels["Type"]["value"] == "uint8"
        parents = f"{extension.server}/webclient/api/paths_to_object/?image={number}"
        assert extension.json(parents)["paths"] == []
        assert extension.paginated(data["url:rois"]) == extension.paginated(data["url:datasets"]) == []


def test_older_extension_opens_slide_by_number(records: tuple[Server, list[SlideRecord]]) -> None:
    """``canConnectToOmero``, then ``OmeroWebImageServer``; it counts images in 32 bits, and encodes little."""
    running, ((record, _)) = records[0], (records[1])
    extension = Extension(running)
    number = record.image_id
    assert int(number) < 2**31
    versions = extension.json(f"{extension.server}/api/")["data"]
    links = extension.json(versions[-1]["url:base"])
    assert all(isinstance(address, str) for address in links.values())
    assert extension.json(links["url:servers"])["data"][0]["id"] == 1
    extension.get(f"{extension.server}/api/v0/m/images/{number}")  # canBeAccessed
    extension.get(f"{extension.server}/api/v0/m/projects")  # isLoggedIn
    data = extension.json(f"{extension.server}/webgateway/imgData/{number}")
    read_metadata(data, record)
    assert data["tiles"] is True
    settings = f"&c={CHANNELS}&maps=[{NOT_INVERTED}]&m=c&p=normal&q=0.9"
    for level, x, y in ((0, 2, 2), (1, 1, 0), (2, 0, 0)):
        address = f"/webgateway/render_image_region/{number}/0/0/?tile={level},{x},{y},240,240{settings}"
        body = extension.get(extension.server + address).body
        assert body == tile_of_deep_zoom(running, record, level, x, y)
    assert extension.get(f"{extension.server}/webclient/keepalive_ping/?_=1700000000000").body == b"OK"


@given(st.integers(1, 200_000), st.integers(1, 200_000), st.sampled_from([240, 256, 512, 1024]))
def test_level_sizes_of_the_extension_never_exceed_served_sizes(width: int, height: int, tile: int) -> None:
    """QuPath's levels are never larger than ours, and at most a pixel smaller."""
    grid = Grid(width, height, tile)
    data = image_data(grid, SlideMetadata(1, "a", None, None, None, None, 0.0))
    if not data["tiles"]:
        return
    for theirs, ours in zip(levels(data), data["resolutions"].values(), strict=True):
        for found, there in zip(theirs, (ours["sizeX"], ours["sizeY"]), strict=True):
            assert there - 1 <= found <= there


def test_api_addresses_use_the_requested_host(records: tuple[Server, list[SlideRecord]]) -> None:
    running, _ = records
    answer = running.ask("/api/", headers={"host": "localhost:1"})
    (version,) = json.loads(answer.body)["data"]
    assert urlsplit(version["url:base"]).netloc == "localhost:1"
