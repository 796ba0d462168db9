"""OMERO's webgateway through the server that users start: addresses and queries as clients write them."""

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from vsv.records.models import SlideRecord
from vsv.storage.numeric_ids import candidates

from tests.support.servers.running import Server, running_site, server
from tests.support.slides.small import slide_bytes


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, list[SlideRecord]]]:
    folder = tmp_path_factory.mktemp("served")
    with running_site(folder) as site:
        assert site.bring("a.svs", slide_bytes()) == 200
        assert site.bring("b.svs", slide_bytes("")) == 200
        found = sorted(site.records(), key=lambda record: record.filename)
    with server(folder / "data") as running:
        yield running, found


def test_webgateway_tile_equals_the_deep_zoom_tile(records: tuple[Server, list[SlideRecord]]) -> None:
    """As QuPath asks for it."""
    running, (one, _) = records
    channels = quote("1|0:255$FF0000,2|0:255$00FF00,3|0:255$0000FF")
    address = f"render_image_region/{one.image_id}/0/0/?tile=1,1,0,240,240&c={channels}&m=c&q=0.900000"
    there = running.ask(f"/DeepZoom/{one.image_id}_files/9/1_0.jpeg")
    for prefix in ("/webgateway/", "/webclient/"):
        found = running.ask(prefix + address)
        assert (found.status, found.body) == (200, there.body)
        assert found.headers["access-control-allow-origin"] == "*"


def test_webgateway_returns_record_names_and_assigned_numbers(
    records: tuple[Server, list[SlideRecord]],
) -> None:
    running, found = records
    assert found[0].image_id == "1004486"
    given = str(next(candidates(found[1].image_id)))
    assert (running.log.with_suffix("") / "numbers" / given).exists()
    for record, number in zip(found, ("1004486", given), strict=True):
        data = json.loads(running.ask(f"/webgateway/imgData/{number}/").body)
        assert data["id"] == int(number)
        assert data["meta"]["imageName"] == record.slide_id
        assert data["meta"]["datasetName"] == record.case_id
        assert data["pixel_size"]["x"] == record.mpp
    thumbnails = running.ask(f"/webgateway/get_thumbnails/?id=1004486&id={given}&id=1")
    assert {key: bool(uri) for key, uri in json.loads(thumbnails.body).items()} == {
        "1004486": True, given: True, "1": False,
    }  # fmt: skip


def test_webgateway_answers_options_and_head_and_refuses_post_and_root(
    records: tuple[Server, list[SlideRecord]],
) -> None:
    running, _ = records
    address = "/webgateway/imgData/1004486/"
    assert running.ask(address, "POST").status == 405
    assert running.ask(address, "OPTIONS").status == 204
    assert running.ask(address, "HEAD").body == b""
    assert running.ask("/webgateway/").status == 404
    assert running.ask("/webgateway").status == 404
