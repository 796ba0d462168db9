"""OMERO's JSON API and webclient's pages: what is refused, what other sites' pages are told, what may be kept."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from vsv.records.models import SlideRecord
from vsv.rendering.channels import NAMES
from vsv.services import Services
from vsv.storage.numeric_ids import candidates

from tests.support.servers.webgateway_site import (
    HEIGHT,
    NAMED,
    NUMBER,
    SMALL,
    WIDTH,
    ask,
    body,
    picture,
    served,
)

HOST = {"host": "127.0.0.1:8080"}
IMAGE = f"v0/m/images/{NUMBER}"


class Records:
    """The one method that the tile function asks of the slide store."""

    def get(self, image_id: str) -> SlideRecord:
        return SlideRecord(
            image_id=image_id, filename="a.svs", file_size=1, slide_id="S17-001234-A1", case_id="S17-001234",
            mpp=0.2525, scan_date="2017-03-04T10:06:07", width=WIDTH, height=HEIGHT,
            last_modified="2026-11-21T00:00:00Z",
        )  # fmt: skip


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with served(tmp_path_factory.mktemp("data")) as installation:
        yield installation


@pytest.fixture
def records(services: Services) -> Iterator[None]:
    services.__dict__["slides"] = Records()
    yield
    del services.__dict__["slides"]


def api(address: str, query: str = "", **more: Any) -> dict[str, Any]:
    headers = more.pop("headers", {})
    return ask(address, query, prefix="/api/", headers=HOST | headers, **more)


def read(address: str, query: str = "", **more: Any) -> Any:
    answer = api(address, query, **more)
    assert answer["statusCode"] == 200, answer["body"]
    assert answer["headers"]["content-type"] == "application/json"
    return json.loads(body(answer))


class TestDocuments:
    def test_start_documents_answer_addresses_and_server(self, services: Services) -> None:
        base = "http://127.0.0.1:8080/api/v0/"
        assert read("") == {"data": [{"version": "0", "url:base": base}]}
        kinds = [
            "experimenters",
            "experimentergroups",
            "projects",
            "datasets",
            "images",
            "screens",
            "plates",
            "rois",
        ]
        assert read("v0/") == read("v0") == {
            **{f"url:{kind}": f"{base}m/{kind}/" for kind in kinds},
            **{f"url:{name}": f"{base}{name}/" for name in ("token", "servers", "login")},
            "url:schema": "http://www.openmicroscopy.org/Schemas/OME/2016-06",
        }  # fmt: skip
        assert read("v0/servers/") == {
            "data": [{"id": 1, "host": "127.0.0.1", "port": 8080, "server": "slides"}]
        }

    def test_edge_host_header_replaces_host_in_addresses(self, services: Services) -> None:
        headers = {"x-vsv-host": "slides.example.org"}
        (version,) = read("", headers=headers)["data"]
        assert version["url:base"] == "https://slides.example.org/api/v0/"
        (found,) = read("v0/servers/", headers=headers)["data"]
        assert (found["host"], found["port"]) == ("slides.example.org", 443)

    def test_image_has_keys_and_types_of_omero(self, services: Services, records: None) -> None:
        found = read(IMAGE)["data"]
        assert set(found) == {
            "@id", "@type", "Name", "AcquisitionDate", "Pixels", "omero:details", "url:datasets", "url:rois",
        }  # fmt: skip
        assert found["AcquisitionDate"] == 1488621967000
        length = {"@type": "TBD#LengthI", "Unit": "MICROMETER", "Symbol": "µm", "Value": 0.2525}
        assert found["Pixels"] == {
            "@type": "http://www.openmicroscopy.org/Schemas/OME/2016-06#Pixels", "@id": int(NUMBER),
            "PhysicalSizeX": length, "PhysicalSizeY": length, "SignificantBits": 8,
            "SizeX": WIDTH, "SizeY": HEIGHT, "SizeZ": 1, "SizeC": len(NAMES), "SizeT": 1,
            "DimensionOrder": {"@type": "TBD#DimensionOrder", "value": "XYZCT"},
            "Type": {"@type": "TBD#PixelsType", "value": "uint8"},
        }  # fmt: skip
        details = found["omero:details"]
        assert {key for key, value in details["permissions"].items() if value is True} == {
            "isGroupRead",
            "isUserRead",
        }

    def test_slide_with_assigned_number_is_answered_under_that_number(self, services: Services) -> None:
        number = next(candidates(NAMED))
        found = read(f"v0/m/images/{number}/")["data"]
        assert (found["@id"], found["Name"]) == (number, NAMED)

    def test_lists_of_slides_and_containers_are_empty(self, services: Services) -> None:
        for kind in ("images", "projects", "datasets", "screens", "plates", "rois"):
            meta = {"offset": 0, "limit": 200, "maxLimit": 500, "totalCount": 0}
            assert read(f"v0/m/{kind}/", "childCount=true&orphaned=true") == {"data": [], "meta": meta}

    def test_limit_and_offset_select_the_page(self, services: Services) -> None:
        found = read("v0/m/experimenters/", "limit=1000&offset=1")
        assert found == {"data": [], "meta": {"offset": 1, "limit": 500, "maxLimit": 500, "totalCount": 1}}
        assert read("v0/m/experimenters/", "limit=0")["data"] == []
        (one,) = read("v0/m/experimentergroups/")["data"]
        assert one["url:experimenters"].endswith("/api/v0/m/experimentergroups/2/experimenters/")

    def test_slide_of_single_tile_is_drawn_by_tile_and_by_region(self, services: Services) -> None:
        """As both extensions ask for it: the newer knows no tile size, the older no levels."""
        whole = picture(f"render_image_region/{SMALL}/0/0/", "tile=0,0,0,200,150&m=c&q=0.900000")
        assert whole.shape == (150, 200, 3)
        assert (picture(f"render_image_region/{SMALL}/0/0/", "region=0,0,200,150&m=c&q=0.9") == whole).all()


class TestPrivacy:
    @pytest.mark.parametrize(
        ("headers", "query"),
        [
            ({"sec-fetch-site": "cross-site"}, ""),
            ({"origin": "https://elsewhere.example"}, ""),
            ({}, "callback=show"),
        ],
    )
    def test_page_of_another_site_reads_no_name(
        self, services: Services, records: None, headers: dict[str, str], query: str
    ) -> None:
        answer = api(IMAGE, query, headers=headers)
        assert answer["statusCode"] == 200
        assert "S17" not in body(answer).decode()
        assert answer["headers"]["vary"] == "Origin, Sec-Fetch-Site"

    @pytest.mark.parametrize("headers", [{}, {"sec-fetch-site": "same-origin"}])
    def test_own_pages_and_programs_read_the_name_without_the_case(
        self, services: Services, records: None, headers: dict[str, str]
    ) -> None:
        found = read(IMAGE, headers=headers)
        assert found["data"]["Name"] == "S17-001234-A1"
        assert json.dumps(found).count("S17") == 1


class TestErrors:
    @pytest.mark.parametrize(
        "address",
        [
            "v1/", "v0/m/", "v0/login/", "v0/m/save/", "v0/token/1", "v0//", "v0/m/images/5/other/",
            "v0/m/images/12/", "v0/m/images/12/rois/", "v0/m/projects/1/", "v0/m/projects/1/datasets/",
            "v0/m/experimenters/2/experimentergroups/", "v0/m/experimentergroups/1/experimenters/",
            "v0/m/experimenters/1/experimentergroups/2/", "../slides",
        ],
    )  # fmt: skip
    def test_unknown_addresses_are_not_found(self, services: Services, address: str) -> None:
        assert api(address)["statusCode"] == 404

    @pytest.mark.parametrize(
        ("address", "query"),
        [
            ("v0/m/images/012/", ""),
            ("v0/m/images/-1/", ""),
            ("v0/m/images/x/", ""),
            ("v0/m/images/9007199254740993/", ""),
            ("v0/m/images/٣/", ""),
            ("v0/m/images/..%2F/rois/", ""),
            ("v0/m/projects/", "limit=-1"),
            ("v0/m/projects/", "offset=1e9"),
            ("v0/m/projects/", "limit=" + "9" * 300),
            ("v0/m/" + "a" * 200, ""),
        ],
    )
    def test_malformed_numbers_and_pages_are_bad_requests(
        self, services: Services, address: str, query: str
    ) -> None:
        assert api(address, query)["statusCode"] == 400

    @pytest.mark.parametrize("host", ["", "a b", "evil.example/@x", "a" * 256, '"><script>'])
    def test_malformed_host_header_is_a_bad_request(self, services: Services, host: str) -> None:
        assert api("", headers={"host": host})["statusCode"] == 400

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
    def test_writing_methods_are_not_allowed(self, services: Services, method: str) -> None:
        answer = api(IMAGE, method=method)
        assert (answer["statusCode"], answer["headers"]["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("address", ["", "v0/", "v0/token/", "v0/m/projects/", "v0/m/experimenters/", IMAGE])
def test_documents_require_revalidation_and_answer_304_when_unchanged(
    services: Services, address: str
) -> None:
    answer = api(address)
    headers = answer["headers"]
    assert headers["cache-control"] == "private, no-cache"
    head = api(address, method="HEAD")
    assert (head["statusCode"], head["body"], head["headers"]["etag"]) == (200, "", headers["etag"])
    assert api(address, headers={"if-none-match": headers["etag"]})["statusCode"] == 304


class TestWebclient:
    @pytest.mark.parametrize(
        ("address", "query", "prefix"),
        [
            ("", f"show=image-{NUMBER}", "/webclient/"),
            (f"img_detail/{NUMBER}/", "", "/webclient/"),
            (f"img_detail/{NUMBER}", "", "/webgateway/"),
        ],
    )
    def test_address_of_a_slide_redirects_to_the_viewer(
        self, services: Services, address: str, query: str, prefix: str
    ) -> None:
        answer = ask(address, query, prefix=prefix)
        assert (answer["statusCode"], answer["headers"]["location"]) == (303, f"/#/view/{NUMBER}")
        assert answer["headers"]["cache-control"] == "private, no-cache"

    def test_assigned_number_redirects_to_the_viewer_of_its_slide(self, services: Services) -> None:
        answer = ask("", f"show=image-{next(candidates(NAMED))}", prefix="/webclient/")
        assert answer["headers"]["location"] == f"/#/view/{NAMED}"

    def test_start_page_contains_no_scripts(self, services: Services) -> None:
        answer = ask("", prefix="/webclient/")
        assert answer["headers"]["content-type"] == "text/html; charset=utf-8"
        assert answer["headers"]["content-security-policy"].startswith("default-src 'none'")
        assert b"<script" not in body(answer)

    @pytest.mark.parametrize(
        ("address", "query", "prefix", "status"),
        [
            ("", "show=image-12", "/webclient/", 404),
            ("", "show=dataset-1", "/webclient/", 404),
            ("", f"show=image-{NUMBER}|image-7", "/webclient/", 404),
            ("", "show=image-" + "1" * 300, "/webclient/", 400),
            ("", "show=image-012", "/webclient/", 400),
            ("", "", "/webgateway/", 404),
            ("/imgData", "", "/webclient/", 404),
            ("img_detail/", "", "/webclient/", 400),
            ("img_detail/12/", "", "/webclient/", 404),
            ("img_detail/..%2f/", "", "/webclient/", 400),
            ("keepalive_ping/1/", "", "/webclient/", 404),
        ],
    )
    def test_unknown_and_malformed_addresses_are_refused(
        self, services: Services, address: str, query: str, prefix: str, status: int
    ) -> None:
        assert ask(address, query, prefix=prefix)["statusCode"] == status

    def test_keepalive_ping_answers_ok(self, services: Services) -> None:
        answer = ask("keepalive_ping/", "_=1700000000000", prefix="/webclient/")
        assert (answer["statusCode"], body(answer)) == (200, b"OK")
        assert answer["headers"]["content-type"].startswith("text/plain")
