"""OpenSlide's cache: tiles that are larger than its own cache are decoded once for many small regions."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from vsv.slides.openslide_handles import open_shared

from tests.support.slides.aperio import LIBRARY, TAGS, texture


@pytest.mark.parametrize("side", [512, 4800])
def test_neighbouring_regions_of_one_tile_decode_it_once(tmp_path: Path, side: int) -> None:
    """The tile's bytes are gone when the second region is read."""
    path, pixels = tmp_path / "a.svs", texture(1003, 717)
    with tifffile.TiffWriter(path) as file:
        options = {"tile": (side, side), "photometric": "rgb", "compression": "deflate"}
        file.write(pixels, description=f"{LIBRARY}x{TAGS}", metadata=None, **options)
    slide = open_shared(path)
    slide.read_region((0, 0), 0, (100, 100))
    with tifffile.TiffFile(path) as read, path.open("r+b") as damaged:
        damaged.seek(read.pages[0].dataoffsets[0])
        damaged.write(bytes(read.pages[0].databytecounts[0]))
    region = np.asarray(slide.read_region((200, 200), 0, (100, 100)).convert("RGB"))
    assert np.array_equal(region, pixels[200:300, 200:300])
