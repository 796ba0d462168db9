"""TIFF files of hundreds of directories are read; of hostile ones, neither time nor memory grows with the claims."""

import struct
from pathlib import Path

import numpy as np
import pytest
from openslide import OpenSlide
from vsv.errors import UnreadableSlideError
from vsv.formats.random_access import OpenFile
from vsv.formats.tiff import MAX_TABLES_BYTES, MAX_TEXTS_BYTES, read_pages
from vsv.formats.tiff_directories import MAX_ALL_TAGS, MAX_PAGES, MAX_TAGS
from vsv.ingest.validation import inspect
from vsv.slides.openslide_reader import OpenSlideReader
from vsv.slides.readers import reader_of

from tests.support.slides.leica import write_scn
from tests.support.slides.squares import squares


def test_leica_slide_of_hundreds_of_directories_shows_openslides_pixels(tmp_path: Path) -> None:
    path = write_scn(tmp_path / "a.scn", squares(), planes=200)
    inspect(path, path.stat().st_size)
    reader = reader_of(path)
    assert isinstance(reader, OpenSlideReader)
    with OpenSlide(path) as slide:
        assert slide.properties["openslide.vendor"] == "leica"
        assert reader.check() == slide.dimensions
        expected = np.asarray(slide.read_region((256, 512), 0, (300, 200)).convert("RGB"))
    assert np.array_equal(reader.region(0, (256, 512, 556, 712)), expected)
    assert np.array_equal(expected, squares()[512:712, 256:556])


def chain(path: Path, count: int, tags: int, text: int = 0) -> Path:
    """Write directories of so many tags, each of which points to the next, and to the same text."""
    size = 2 + 12 * tags + 4
    data = bytearray(b"II*\0" + struct.pack("<I", 8))
    end = 8 + size * count
    for number in range(count):
        entries = [(256, 3, 1, 5), (257, 3, 1, 5), (270, 2, text, end), (273, 4, 1, 8), (279, 4, 1, 1)]
        entries += [(10_000 + tag, 3, 1, 0) for tag in range(tags - len(entries))]
        data += struct.pack("<H", tags) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
        data += struct.pack("<I", 8 + size * (number + 1) if number + 1 < count else 0)
    path.write_bytes(bytes(data) + b"x" * text)
    return path


def test_directories_up_to_the_most_are_read_and_no_more(tmp_path: Path) -> None:
    pages = read_pages(OpenFile(chain(tmp_path / "most.tif", MAX_PAGES, 5)))
    assert (len(pages), pages[-1].index) == (MAX_PAGES, MAX_PAGES - 1)
    with pytest.raises(UnreadableSlideError):
        read_pages(OpenFile(chain(tmp_path / "more.tif", MAX_PAGES + 1, 5)))


def test_tags_and_texts_of_all_directories_together_are_limited(tmp_path: Path) -> None:
    many = MAX_ALL_TAGS // MAX_TAGS + 1
    with pytest.raises(UnreadableSlideError, match="too many images"):
        read_pages(OpenFile(chain(tmp_path / "tags.tif", many, MAX_TAGS)))
    long = MAX_TEXTS_BYTES // MAX_TABLES_BYTES + 1
    with pytest.raises(UnreadableSlideError, match="longer texts"):
        read_pages(OpenFile(chain(tmp_path / "texts.tif", long, 5, MAX_TABLES_BYTES)))
