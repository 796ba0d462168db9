"""Slides that are stored already are looked at again, and rendered again where they show white or untold damage."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
import tifffile
from serve_image.handler import lambda_handler as serve_image
from vsv.errors import ConflictError
from vsv.ingest.damage_notes import BY as IMPORT
from vsv.lifecycle import archiving, daily_schedule, job_runner, pyramid_checks
from vsv.pyramids.renderer import render_pyramid
from vsv.pyramids.self_contained import complete
from vsv.records.models import JobKind, JobRecord, JobState, Status
from vsv.slides.damage import NOTES
from vsv.workflow import job_queue
from vsv.workflow.transitions import change

from tests.support.servers.archive_site import ADMIN, archived, brought, record
from tests.support.servers.running import Site
from tests.support.slides.aperio import (
    JPEG2000_RGB,
    Plan,
    patch_item,
    replace_tile,
    split_tables,
    write_slide,
)
from tests.support.slides.damaged import FULL, PLAN, REDUCED, zeroed
from tests.support.slides.opened import box_mean, grey_levels_apart, opened, stored_level, tile
from vsv_local.server.api_gateway_events import http_event

PLANS = {"jpeg": Plan(1280, 1040), "jpeg 2000": Plan(1280, 1040, codec=JPEG2000_RGB)}
LEVEL = 8  # an eighth: rendered from the level of a quarter, whose first tile is empty


def look(site: Site) -> list[JobRecord]:
    return pyramid_checks.request_renewals(site.services)


def run(site: Site) -> list[JobRecord]:
    return job_runner.run_due(site.services, [JobKind.RENDER], lambda: True)


def whitened(site: Site, tmp_path: Path, plan: Plan) -> tuple[str, np.ndarray]:
    """Import a slide with an empty reduced tile; give it an earlier version's white pyramid; return what is right."""
    path = write_slide(tmp_path / "a.svs", plan)
    expected = box_mean(stored_level(path, 0), 3)[:128, :128]
    patch_item(path, REDUCED, "TileByteCounts", 0, 0)
    image_id = brought(site, path.read_bytes())
    white = np.full((plan.height_px, plan.width_px, 3), 255, np.uint8)
    pyramid = site.services.files.pyramid(image_id)
    render_pyramid(opened(write_slide(tmp_path / "white.svs", plan, white)), pyramid, jobs=1)
    site.services.slide_cache.forget(image_id)
    assert tile(site.services.slide_cache.slide(image_id), LEVEL, 0, 0).min() == 255
    return image_id, expected


def is_right(site: Site, image_id: str, expected: np.ndarray) -> bool:
    site.services.slide_cache.forget(image_id)
    found = tile(site.services.slide_cache.slide(image_id), LEVEL, 0, 0)[:128, :128]
    return grey_levels_apart(found, expected) < 8


def descriptor(image_id: str) -> str:
    result = serve_image(
        http_event("GET", f"/DeepZoom/{image_id}.dzi", "", [(b"host", b"slides.test")]), None
    )
    assert result["statusCode"] == 200
    body: str = result["body"]
    return base64.b64decode(body).decode() if result["isBase64Encoded"] else body


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_white_pyramid_is_found_and_rendered_again_under_other_addresses(
    site: Site, tmp_path: Path, plan: Plan
) -> None:
    image_id, expected = whitened(site, tmp_path, plan)
    assert "Version" not in descriptor(image_id)
    assert [(job.image_id, job.kind) for job in look(site)] == [(image_id, JobKind.RENDER)]
    assert [job.state for job in run(site)] == [JobState.DONE]
    assert is_right(site, image_id, expected)
    assert 'vsv:Version="1"' in descriptor(image_id)
    assert look(site) == []
    (site.services.files.root / pyramid_checks.CHECKED).unlink()
    assert look(site) == []


def test_daily_schedule_looks_at_pyramids(site: Site, tmp_path: Path) -> None:
    image_id, _ = whitened(site, tmp_path, PLANS["jpeg"])
    assert [(job.image_id, job.kind) for job in daily_schedule.look(site.services)] == [
        (image_id, JobKind.RENDER)
    ]


def test_white_pyramid_is_rendered_again_before_its_slide_is_archived(site: Site, tmp_path: Path) -> None:
    image_id, expected = whitened(site, tmp_path, PLANS["jpeg"])
    site.services.slides.update(image_id, {"status": Status.GOOD}, by="eve")
    assert archived(site.services, image_id).state is JobState.DONE
    assert is_right(site, image_id, expected)
    assert look(site) == []


def test_rendering_that_the_check_requests_waits_behind_what_people_request(
    site: Site, tmp_path: Path
) -> None:
    whitened(site, tmp_path, PLANS["jpeg"])
    assert [job.is_background for job in look(site)] == [True]


def archived_as_before(site: Site, image_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Archive a slide as an earlier version did, which did not look at its pyramid."""
    monkeypatch.setattr(archiving, "is_outdated", lambda *_: False)
    site.services.slides.update(image_id, {"status": Status.GOOD}, by="eve")
    assert archived(site.services, image_id).state is JobState.DONE
    site.services.slide_cache.forget(image_id)


def test_complete_pyramid_of_an_archived_slide_is_rendered_again_from_itself(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id, expected = whitened(site, tmp_path, PLANS["jpeg"])
    pyramid = site.services.files.pyramid(image_id)
    archived_as_before(site, image_id, monkeypatch)
    before = site.services.slide_cache.slide(image_id)
    assert before.path == pyramid
    stored = {dz: before.levels[dz].jpeg(1, 0) for dz in (11, 9)}
    assert [job.image_id for job in look(site)] == [image_id]
    assert [job.state for job in run(site)] == [JobState.DONE]
    assert is_right(site, image_id, expected)
    after = site.services.slide_cache.slide(image_id)
    assert after.path == pyramid
    assert {dz: after.levels[dz].jpeg(1, 0) for dz in (11, 9)} == stored  # the scanner's own tiles stay
    (site.services.files.root / pyramid_checks.CHECKED).unlink()
    assert look(site) == []


def test_complete_pyramid_of_a_jpeg_2000_slide_with_white_over_tissue_is_rendered_again(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier version wrote white tiles in place of the empty ones: its pyramid has no empty tile."""
    image_id = brought(site, write_slide(tmp_path / "a.svs", PLANS["jpeg 2000"]).read_bytes())
    expected = box_mean(stored_level(tmp_path / "a.svs", 0), 3)[:128, :128]
    pyramid = site.services.files.pyramid(image_id)
    complete(site.services.slide_cache.slide(image_id), pyramid)
    with tifffile.TiffFile(pyramid) as tiff:
        size, tables = tiff.pages[0].tilewidth, [page.jpegtables for page in tiff.pages]
    white = simplejpeg.encode_jpeg(np.full((size, size, 3), 255, np.uint8), 80, colorsubsampling="420")
    assert split_tables(white)[0] == tables[2]
    for page in (2, 3):  # a quarter and an eighth
        replace_tile(pyramid, page, 0, split_tables(white)[1])
    archived_as_before(site, image_id, monkeypatch)
    assert not is_right(site, image_id, expected)
    assert [job.image_id for job in look(site)] == [image_id]
    assert [job.state for job in run(site)] == [JobState.DONE]
    assert is_right(site, image_id, expected)
    (site.services.files.root / pyramid_checks.CHECKED).unlink()
    assert look(site) == []


def test_archiving_a_slide_with_filled_levels_leaves_nothing_to_render(site: Site, tmp_path: Path) -> None:
    path = write_slide(tmp_path / "a.svs", PLANS["jpeg"])
    patch_item(path, REDUCED, "TileByteCounts", 0, 0)
    image_id = brought(site, path.read_bytes())
    site.services.slides.update(image_id, {"status": Status.GOOD}, by="eve")
    assert archived(site.services, image_id).state is JobState.DONE
    assert look(site) == []


@pytest.fixture
def untold(site: Site, tmp_path: Path) -> Iterator[str]:
    """Return a slide with a damaged tile, as a version that told nothing of damage has left it."""
    image_id = brought(site, zeroed(write_slide(tmp_path / "a.svs", PLAN), FULL, 7).read_bytes())
    site.services.files.pyramid(image_id).with_name(NOTES).unlink()
    site.services.slides.update(image_id, {"damage": None}, by=IMPORT)
    site.services.slide_cache.forget(image_id)
    yield image_id


def test_damage_that_nothing_tells_of_is_found_and_recorded(site: Site, untold: str) -> None:
    assert [job.image_id for job in look(site)] == [untold]
    done = run(site)
    assert [(job.state, job.result) for job in done] == [(JobState.DONE, {"damagedTiles": "1"})]
    assert record(site.services, untold).damage == {"11": "1"}
    assert 'vsv:Version="1"' in descriptor(untold)


def test_damage_that_nothing_tells_of_is_recorded_where_archiving_renders_again(
    site: Site, tmp_path: Path
) -> None:
    plan = PLANS["jpeg"]
    path = zeroed(write_slide(tmp_path / "a.svs", plan), FULL, 7)
    patch_item(path, REDUCED, "TileByteCounts", 0, 0)
    image_id = brought(site, path.read_bytes())
    pyramid = site.services.files.pyramid(image_id)
    white = np.full((plan.height_px, plan.width_px, 3), 255, np.uint8)
    render_pyramid(opened(write_slide(tmp_path / "white.svs", plan, white)), pyramid, jobs=1)
    assert not pyramid.with_name(NOTES).exists()  # nor has that version noted damage
    site.services.slides.update(image_id, {"damage": None, "status": Status.GOOD}, by=IMPORT)
    assert archived(site.services, image_id).state is JobState.DONE
    assert record(site.services, image_id).damage == {"11": "1"}


def test_killed_rendering_is_done_again(site: Site, untold: str) -> None:
    (job,) = look(site)
    pyramid_checks.render_step(site.services, job)
    assert [job.state for job in run(site)] == [JobState.DONE]
    assert record(site.services, untold).damage == {"11": "1"}


def test_published_copy_is_found_and_named_and_rendered_again(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    image_id, expected = whitened(site, tmp_path, PLANS["jpeg"])
    files = site.services.files
    files.folder(image_id).rename(files.folder("STUDY-7"))  # files without a record, as a copy has them
    site.services.slides.remove(image_id)
    (job,) = look(site)
    assert (job.image_id, (job.detail or {})["because"]) == (
        "STUDY-7",
        "white or damaged tiles were found in this published copy",
    )
    assert "STUDY-7" in caplog.text
    assert [job.state for job in run(site)] == [JobState.DONE]
    assert is_right(site, "STUDY-7", expected)


def test_slide_with_another_job_is_looked_at_again(site: Site, untold: str) -> None:
    waiting = job_queue.request(site.services, untold, JobKind.ARCHIVE, "eve")
    assert look(site) == []
    site.services.jobs.advance(waiting, {"state": JobState.DONE})
    assert [job.image_id for job in look(site)] == [untold]


def test_look_that_runs_out_of_time_goes_on_the_next_day(
    site: Site, untold: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyramid_checks, "SECONDS", -1.0)
    assert look(site) == []
    monkeypatch.undo()
    assert [job.image_id for job in look(site)] == [untold]


def test_deleted_slide_is_not_rendered(site: Site, untold: str) -> None:
    (job,) = look(site)
    change(site.services, untold, {"status": Status.DELETED}, ADMIN)
    with pytest.raises(ConflictError):
        pyramid_checks.render_step(site.services, job)


def test_unreadable_state_begins_again(site: Site, untold: str) -> None:
    (site.services.files.root / pyramid_checks.CHECKED).write_text("{")
    assert [job.image_id for job in look(site)] == [untold]


def test_version_of_the_notes_counts_up(site: Site, untold: str) -> None:
    for version in (1, 2):
        job = job_queue.request(site.services, untold, JobKind.RENDER, "check")
        assert job_runner.run(site.services, job).state is JobState.DONE
        assert f'vsv:Version="{version}"' in descriptor(untold)
        site.services.jobs.advance(replace(job), {})
