"""A label is never a level or thumbnail, tissue never a label: through an import, and in slides imported earlier."""

import json
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from PIL import Image
from serve_image.handler import lambda_handler as serve_image
from vsv.errors import UnavailableError
from vsv.ingest.steps import render
from vsv.pyramids.renderer import render_pyramid
from vsv.slides import confirmed_pages
from vsv.slides.confirmed_pages import MAX_PAGES_A_LEVEL, find_refused
from vsv.slides.readers import reader_of
from vsv.storage.refused_pages import read_refused, write_refused
from vsv.storage.slide_files import CLAIM

from tests.support.servers.archive_site import archived, brought, record, restored
from tests.support.servers.running import Site
from tests.support.slides.aperio import LIBRARY, Pixels, texture
from tests.support.slides.labelled import (
    FIRST,
    SIDE,
    label_pixels,
    tissue,
    write_label_as_level,
    write_label_as_second_page,
    write_thumbnail_as_label,
    write_tiled,
)
from tests.support.slides.opened import box_mean, decoded, grey_levels_apart, whole_level
from vsv_local.server.api_gateway_events import http_event

CLOSE = 10.0  # grey levels that JPEG, twice, changes on average; a label differs by fifty and more


def shown(site: Site, image_id: str, name: str) -> Pixels | None:
    path = site.services.files.associated(image_id, name)
    return decoded(path.read_bytes()) if path.exists() else None


def resized(pixels: Pixels, like: Pixels) -> Pixels:
    size = like.shape[1], like.shape[0]
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))


def check_all_levels_show_the_tissue(site: Site, image_id: str) -> None:
    slide = site.services.slide_cache.slide(image_id)
    for level_dz in range(4, slide.max_level + 1):
        expected = box_mean(tissue(), slide.max_level - level_dz)
        assert grey_levels_apart(whole_level(slide, level_dz), expected) < CLOSE, level_dz


@pytest.mark.parametrize("description", [None, f"{LIBRARY}level", f"{LIBRARY}label", "other"])
@pytest.mark.parametrize("factor", [2, 4])
def test_label_of_a_levels_size_is_restricted_and_no_level(
    site: Site, tmp_path: Path, description: str | None, factor: int
) -> None:
    image_id = brought(site, write_label_as_level(tmp_path / "a.svs", description, factor).read_bytes())
    check_all_levels_show_the_tissue(site, image_id)
    label, thumbnail = (shown(site, image_id, name) for name in ("label", "thumbnail"))
    assert label is not None
    assert thumbnail is not None
    assert grey_levels_apart(label, label_pixels(SIDE // factor, SIDE // factor)) < CLOSE
    assert grey_levels_apart(thumbnail, resized(tissue(), thumbnail)) < CLOSE
    # The true level behind the label is still a level, passed through.
    assert site.services.slide_cache.slide(image_id).native == {10, 10 - factor // 2}


def test_tile_of_a_labels_page_is_not_served_before_the_pyramid_is_rendered(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vsv_local.ingest.import_runner.render_pyramid", lambda _event, _context: None)
    image_id = brought(site, write_label_as_level(tmp_path / "a.svs").read_bytes())
    assert not site.services.files.pyramid(image_id).exists()
    check_all_levels_show_the_tissue(site, image_id)
    result = serve_image(http_event("GET", f"/DeepZoom/{image_id}_files/9/0_0.jpeg", "", ()), None)
    assert result["statusCode"] == 200


def test_second_page_with_a_label_is_the_label_and_not_the_thumbnail(site: Site, tmp_path: Path) -> None:
    image_id = brought(site, write_label_as_second_page(tmp_path / "a.svs").read_bytes())
    label, thumbnail = (shown(site, image_id, name) for name in ("label", "thumbnail"))
    assert label is not None
    assert thumbnail is not None
    assert grey_levels_apart(label, label_pixels(400, 400)) < CLOSE
    assert grey_levels_apart(thumbnail, resized(tissue(), thumbnail)) < CLOSE


def test_thumbnail_with_a_labels_subfile_type_is_the_thumbnail(site: Site, tmp_path: Path) -> None:
    path = write_thumbnail_as_label(tmp_path / "a.svs")
    image_id = brought(site, path.read_bytes())
    thumbnail = shown(site, image_id, "thumbnail")
    assert shown(site, image_id, "label") is None
    assert thumbnail is not None
    with openslide.OpenSlide(path) as slide:  # OpenSlide takes the second page
        expected = np.asarray(slide.associated_images["thumbnail"].convert("RGB"))
    assert grey_levels_apart(thumbnail, expected) < CLOSE


def test_real_slide_keeps_its_levels_thumbnail_label_and_macro(site: Site, real_slide: Path) -> None:
    image_id = brought(site, real_slide.read_bytes())
    assert read_refused(site.services.files.folder(image_id)) == frozenset()
    with openslide.OpenSlide(real_slide) as slide:
        for name, image in slide.associated_images.items():
            kept = shown(site, image_id, name)
            assert kept is not None
            assert grey_levels_apart(kept, np.asarray(image.convert("RGB"))) < CLOSE, name


def test_slide_of_another_vendor_shows_no_label_as_level(site: Site, tmp_path: Path) -> None:
    path, pixels = tmp_path / "a.tif", texture(1024, 1024)
    with tifffile.TiffWriter(path) as tiff:
        for page, kind in ((pixels, 0), (label_pixels(512, 512), 1)):
            tiff.write(page, tile=(256, 256), photometric="rgb", compression="deflate", subfiletype=kind)
    with openslide.OpenSlide(path) as openslides:
        assert openslides.level_count == 2  # OpenSlide takes the label for a level
    image_id = brought(site, path.read_bytes(), "a.tif")
    slide = site.services.slide_cache.slide(image_id)
    for level_dz in range(6, slide.max_level + 1):
        expected = box_mean(pixels, slide.max_level - level_dz)
        assert grey_levels_apart(whole_level(slide, level_dz), expected) < CLOSE, level_dz


def as_an_earlier_version_left_it(site: Site, image_id: str) -> None:
    """Remove the note, render a pyramid from the label, and show the label as thumbnail."""
    files = site.services.files
    write_refused(files.folder(image_id), ())
    site.services.slide_cache.forget(image_id)
    files.pyramid(image_id).unlink(missing_ok=True)
    site.services.slide_cache.forget(image_id)
    render_pyramid(site.services.slide_cache.slide(image_id), files.pyramid(image_id), jobs=1)
    claim = files.folder(image_id) / CLAIM
    fields = json.loads(claim.read_text())
    del fields["refused"]
    claim.write_text(json.dumps(fields))
    Image.fromarray(label_pixels(200, 200)).save(files.associated(image_id, "thumbnail"))
    files.associated(image_id, "label").unlink()
    site.services.slide_cache.forget(image_id)


def test_slide_of_an_earlier_version_is_compared_when_opened_and_mended_by_render(
    site: Site, tmp_path: Path
) -> None:
    image_id = brought(site, write_label_as_level(tmp_path / "a.svs").read_bytes())
    as_an_earlier_version_left_it(site, image_id)
    before = site.services.slide_cache.slide(image_id)
    check_all_levels_show_the_tissue(site, image_id)
    assert render(site.services, image_id, lambda _done, _total: None, jobs=1)
    assert read_refused(site.services.files.folder(image_id)) == frozenset({2})
    site.services.slide_cache.forget(image_id)
    after = site.services.slide_cache.slide(image_id)
    assert after.stamp != before.stamp
    assert set(after.levels) == set(range(after.max_level + 1))
    check_all_levels_show_the_tissue(site, image_id)
    thumbnail = shown(site, image_id, "thumbnail")
    assert thumbnail is not None
    assert grey_levels_apart(thumbnail, resized(tissue(), thumbnail)) < CLOSE
    assert shown(site, image_id, "label") is not None
    assert not render(site.services, image_id, lambda _done, _total: None, jobs=1)


def test_note_is_bound_to_the_slide_while_its_original_is_archived(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = brought(site, write_label_as_level(tmp_path / "a.svs").read_bytes())
    monkeypatch.setenv("VSV_ARCHIVE", str(tmp_path / "archive"))
    (tmp_path / "archive").mkdir()
    archived(site.services, image_id)
    site.services.slide_cache.forget(image_id)
    assert record(site.services, image_id).original == "ARCHIVED"
    check_all_levels_show_the_tissue(site, image_id)
    restored(site.services, image_id)
    site.services.slide_cache.forget(image_id)
    check_all_levels_show_the_tissue(site, image_id)


def test_slide_whose_note_cannot_be_read_is_not_opened(site: Site, tmp_path: Path) -> None:
    path = write_label_as_level(tmp_path / "a.svs", f"{LIBRARY}level")
    image_id = brought(site, path.read_bytes())
    claim = site.services.files.folder(image_id) / CLAIM
    claim.rename(claim.with_name("elsewhere"))
    claim.mkdir()  # the disk answers with an error
    with pytest.raises(UnavailableError, match="cannot be read now"):
        site.services.slide_cache.slide(image_id)


def test_many_pages_of_a_levels_size_are_not_all_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, compared = tmp_path / "a.svs", list[object]()
    with tifffile.TiffWriter(path) as tiff:
        write_tiled(tiff, tissue(), FIRST)
        for _ in range(40):
            write_tiled(tiff, label_pixels(400, 400), None)
    compare = confirmed_pages.compare
    monkeypatch.setattr(confirmed_pages, "compare", lambda *pair: (compared.append(pair), compare(*pair))[1])
    assert find_refused(reader_of(path)) == frozenset(range(1, 41))
    assert len(compared) <= 2 * MAX_PAGES_A_LEVEL
