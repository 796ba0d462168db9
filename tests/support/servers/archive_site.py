"""Slides that tests archive and restore, and all answers about one."""

from collections.abc import Iterator
from typing import Any

from serve_image.handler import lambda_handler as serve_image
from serve_label.handler import lambda_handler as serve_label
from vsv.lifecycle import job_runner, requests
from vsv.records.models import JobRecord, SlideRecord
from vsv.services import Services
from vsv.storage.numeric_ids import assign_number
from vsv.workflow.transitions import Decider

from tests.support.servers.running import Site
from vsv_local.server.api_gateway_events import http_event

ADMIN = Decider("dr.k", is_admin=True)
Answer = tuple[int, str, tuple[tuple[str, str], ...]]


def archived(services: Services, image_id: str) -> JobRecord:
    """Archive a slide as an Admin does; return the job."""
    return job_runner.run(services, requests.archive(services, image_id, ADMIN))


def restored(services: Services, image_id: str) -> JobRecord:
    """Restore a slide as an Admin does; return the job."""
    return job_runner.run(services, requests.restore(services, image_id, ADMIN))


def record(services: Services, image_id: str) -> SlideRecord:
    """Return a slide's record; fail if there is none."""
    found = services.slides.get(image_id)
    assert found is not None
    return found


def history(services: Services, image_id: str) -> list[tuple[str, str | None, str | None]]:
    """Return the changes of a slide's record, oldest first."""
    found = reversed(services.slides.history(image_id, 100).items)
    return [(change.field, change.old, change.new) for change in found]


def answers(services: Services, image_id: str) -> dict[str, Answer]:
    """Return the answers for all tiles and pictures of a slide, in every protocol, without what its files change."""
    return {address: _answer(address) for address in _addresses(services, image_id)}


def etags(services: Services, image_id: str) -> dict[str, str]:
    """Return the ETags of all tiles."""
    return {
        address: dict(_headers(_result(address)))["etag"]
        for address in _addresses(services, image_id)
        if address.endswith(("_0.jpeg", "_0.png"))
    }


def _addresses(services: Services, image_id: str) -> Iterator[str]:
    slide = services.slide_cache.slide(image_id)
    base, grid, number = f"/DeepZoom/{image_id}_files", slide.grid, assign_number(services.files, image_id)
    yield f"/DeepZoom/{image_id}.dzi"
    yield f"/DeepZoom/{image_id}.dzi?icc=srgb"
    for level_dz in range(grid.level_count):
        columns, rows = grid.tile_counts(level_dz)
        for col in range(columns):
            for row in range(rows):
                yield f"{base}/{level_dz}/{col}_{row}.jpeg"
        yield f"{base}/{level_dz}/0_0.png"
        yield f"{base}/{level_dz}/{columns - 1}_{rows - 1}.jpeg?icc=srgb"
        yield f"{base}/{level_dz}/0_0.jpeg?tilesize=300&overlap=2"
    for name in ("thumbnail.jpeg", "thumbnail.jpeg?icc=srgb", "profile.icc", "label.jpeg", "macro.jpeg"):
        yield f"{base}/{name}"
    yield f"/iiif/{image_id}/info.json"
    for asked in (
        "full/max/0/default.jpg",
        "100,120,301,203/150,/90/gray.png",
        "pct:10,10,50,50/77,/0/default.jpg",
    ):
        yield f"/iiif/{image_id}/{asked}"
    for asked in ("imgData", "render_image_region", "render_thumbnail", "render_image"):
        yield f"/webgateway/{asked}/{number}/" + ("0/0/?region=5,6,201,99" if "region" in asked else "")


def _result(address: str) -> dict[str, Any]:
    path, _, query = address.partition("?")
    handler = serve_label if path.endswith(("label.jpeg", "macro.jpeg")) else serve_image
    event = http_event("GET", path, query, [(b"host", b"slides.test")])
    event["requestContext"]["authorizer"] = {"jwt": {"claims": {"cognito:groups": "[Admins]"}}}
    result: dict[str, Any] = handler(event, None)
    return result


def _headers(result: dict[str, Any]) -> list[tuple[str, str]]:
    return sorted((name.lower(), value) for name, value in result["headers"].items())


def _answer(address: str) -> Answer:
    result = _result(address)
    kept = tuple((name, value) for name, value in _headers(result) if name != "etag")
    return result["statusCode"], result["body"], kept


def brought(site: Site, content: bytes, name: str = "a.svs") -> str:
    """Import a file; return its ImageID."""
    assert site.bring(name, content) == 200
    image_id = next(found.image_id for found in site.records() if found.filename == name)
    site.services.slide_cache.forget(image_id)  # it was opened before its pyramid was finished
    return image_id
