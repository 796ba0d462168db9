"""Open slides: kept while they are looked at, bounded however many there are, and never out of date for long."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from vsv.errors import ConflictError, InvalidNameError, SlideNotFoundError, UnreadableSlideError
from vsv.nonblocking import WouldWaitError, non_blocking
from vsv.pyramids.renderer import render_pyramid
from vsv.rendering.tiles import render_tile
from vsv.slides import slide_cache
from vsv.slides.slide_cache import SlideCache
from vsv.storage.slide_files import SlideFiles

from tests.support.slides.aperio import JPEG2000_RGB, Plan, write_slide
from tests.support.slides.opened import tile

OPEN_FILES = Path("/proc/self/fd")
SMALL = Plan(193, 131, tile=64, downsamples=(1, 2), associated="none", thumbnail=False)


@pytest.fixture
def files(tmp_path: Path) -> SlideFiles:
    made = SlideFiles(tmp_path)
    made.prepare()
    return made


@pytest.fixture
def slides(files: SlideFiles, monkeypatch: pytest.MonkeyPatch) -> SlideCache:
    """Return a cache with the slide A that checks the files at every access."""
    monkeypatch.setattr(slide_cache, "RECHECK_SECONDS", 0)
    put(files, "A", write_slide(files.root / "written.svs", SMALL).read_bytes())
    return SlideCache(files)


def put(files: SlideFiles, image_id: str, data: bytes) -> Path:
    files.folder(image_id).mkdir()
    files.slide(image_id).write_bytes(data)
    return files.slide(image_id)


def open_files() -> int:
    return len(os.listdir(OPEN_FILES)) if OPEN_FILES.exists() else 0  # noqa: PTH208  quicker, and counts itself


def test_slide_is_opened_once(slides: SlideCache) -> None:
    assert slides.slide("A") is slides.slide("A")


def test_files_are_not_checked_again_before_recheck_time(
    slides: SlideCache, files: SlideFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slide_cache, "RECHECK_SECONDS", 3600)
    known = slides.slide("A")
    files.slide("A").unlink()
    assert slides.slide("A") is known
    monkeypatch.setattr(slide_cache, "RECHECK_SECONDS", 0)
    with pytest.raises(SlideNotFoundError):
        slides.slide("A")


@pytest.mark.parametrize("image_id", ["B", "unknown"])
def test_unknown_slide_raises_slide_not_found(slides: SlideCache, image_id: str) -> None:
    with pytest.raises(SlideNotFoundError):
        slides.slide(image_id)


@pytest.mark.parametrize("image_id", ["../A", "", "A/", "..", "a\0", "x" * 10_000])
def test_impossible_name_raises_invalid_name(slides: SlideCache, image_id: str) -> None:
    with pytest.raises(InvalidNameError):
        slides.slide(image_id)


def test_pyramid_that_appears_is_used(slides: SlideCache, files: SlideFiles) -> None:
    before = slides.slide("A")
    missing = set(range(before.max_level + 1)) - before.native
    assert missing.isdisjoint(before.levels)
    render_pyramid(before, files.pyramid("A"), jobs=1)
    after = slides.slide("A")
    assert missing < set(after.levels)
    assert after.stamp != before.stamp


def test_pyramid_that_is_rendered_again_is_reopened(slides: SlideCache, files: SlideFiles) -> None:
    render_pyramid(slides.slide("A"), files.pyramid("A"), jobs=1)
    before = slides.slide("A")
    render_pyramid(before, files.pyramid("A"), jobs=1)
    os.utime(files.pyramid("A"), ns=(1, 1))
    assert slides.slide("A") is not before


def test_deleted_slide_raises_not_found_until_undeleted(slides: SlideCache, files: SlideFiles) -> None:
    known = slides.slide("A")
    files.hide("A")
    for _ in range(2):
        with pytest.raises(SlideNotFoundError):
            slides.slide("A")
    assert tile(known, known.max_level, 0, 0).shape == (64, 64, 3)  # who reads it reads on
    files.unhide("A")
    assert slides.slide("A").grid == known.grid


def test_replaced_slide_is_reopened(slides: SlideCache, files: SlideFiles) -> None:
    before = slides.slide("A")
    write_slide(files.slide("A"), Plan(300, 200, tile=64, associated="none"))
    assert slides.slide("A").grid.width_px == 300
    assert before.grid.width_px == 193


def test_file_that_is_not_a_slide_raises_unreadable(slides: SlideCache, files: SlideFiles) -> None:
    put(files, "bad", b"II*\0\x08\0\0\0garbage")
    for _ in range(2):
        with pytest.raises(UnreadableSlideError):
            slides.slide("bad")


def in_place(files: SlideFiles) -> Path:
    """Link slide B to the file that its scanner wrote; return that file."""
    original = write_slide(files.root / "original.svs", SMALL)
    files.folder("B").mkdir()
    files.slide("B").symlink_to(original)
    found = original.stat()
    note = {"size": found.st_size, "modified": found.st_mtime_ns}
    (files.folder("B") / "in_place.json").write_text(json.dumps(note))
    return original


def test_original_in_place_is_served(slides: SlideCache, files: SlideFiles) -> None:
    in_place(files)
    assert slides.slide("B").grid.width_px == 193


def test_original_in_place_that_was_overwritten_raises_conflict(
    slides: SlideCache, files: SlideFiles
) -> None:
    original = in_place(files)
    slides.slide("B")
    write_slide(original, Plan(300, 200, tile=64))
    for _ in range(2):
        with pytest.raises(ConflictError):
            slides.slide("B")


def test_missing_original_in_place_raises_slide_not_found(slides: SlideCache, files: SlideFiles) -> None:
    original = in_place(files)
    slides.slide("B")
    original.unlink()
    with pytest.raises(SlideNotFoundError):
        slides.slide("B")


def test_thousand_slides_use_a_bounded_number_of_open_files(slides: SlideCache, files: SlideFiles) -> None:
    """Each has a pyramid, so each would hold two files."""
    data = files.slide("A").read_bytes()
    render_pyramid(slides.slide("A"), files.pyramid("A"), jobs=1)
    before = open_files()
    for number in range(1000):
        put(files, f"S{number}", data + bytes((number & 255, number >> 8)))
        files.pyramid(f"S{number}").hardlink_to(files.pyramid("A"))
        slide = slides.slide(f"S{number}")
        render_tile(slide, slide.max_level, 0, 0, "jpeg")
        render_tile(slide, slide.max_level - 2, 0, 0, "jpeg")
    del slide
    assert len(slides._slides) <= slide_cache.MAX_OPEN
    assert open_files() - before <= 2 * slide_cache.MAX_OPEN


def test_openslide_slides_use_a_bounded_number_of_open_files(slides: SlideCache, files: SlideFiles) -> None:
    plan = Plan(130, 130, tile=64, codec=JPEG2000_RGB, downsamples=(1,), associated="none", thumbnail=False)
    data = write_slide(files.root / "j2k.svs", plan).read_bytes()
    before = open_files()
    for number in range(60):
        put(files, f"J{number}", data)
        slide = slides.slide(f"J{number}")
        render_tile(slide, slide.max_level, 0, 0, "jpeg")
    del slide
    assert open_files() - before <= 60 + 4 * 8


def test_most_recently_used_slides_stay_open(
    slides: SlideCache, files: SlideFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slide_cache, "MAX_OPEN", 2)
    data = files.slide("A").read_bytes()
    known = slides.slide("A")
    for name in ("B", "C", "D"):
        put(files, name, data)
        slides.slide(name)
        assert slides.slide("A") is known
    assert len(slides._slides) == 2


def test_concurrent_threads_read_correct_tiles_from_a_shared_cache(
    slides: SlideCache, files: SlideFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slide_cache, "MAX_OPEN", 3)
    data = files.slide("A").read_bytes()
    for number in range(8):
        put(files, f"T{number}", data)
    expected = render_tile(slides.slide("A"), slides.slide("A").max_level, 0, 0, "jpeg")

    def look(number: int) -> bytes:
        slide = slides.slide(f"T{number % 8}")
        return render_tile(slide, slide.max_level, 0, 0, "jpeg")

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(look, range(400))) == {expected}


def test_first_non_blocking_caller_must_wait_and_others_get_known_slide(
    slides: SlideCache, files: SlideFiles
) -> None:
    known = slides.slide("A")
    with non_blocking():
        with pytest.raises(WouldWaitError):
            slides.slide("A")
        assert slides.slide("A") is known
    files.slide("A").unlink()
    with pytest.raises(SlideNotFoundError):  # who may wait always looks
        slides.slide("A")
    with non_blocking(), pytest.raises(WouldWaitError):
        slides.slide("A")


def test_non_blocking_callers_must_wait_when_revalidation_takes_too_long(
    slides: SlideCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slide_cache, "REVALIDATION_SECONDS", 0)
    slides.slide("A")
    with non_blocking():
        for _ in range(2):
            with pytest.raises(WouldWaitError):
                slides.slide("A")
