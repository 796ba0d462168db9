"""Export a slide as the classic Deep Zoom folder of one file per tile: ``vsv export-deepzoom``."""

from pathlib import Path

from vsv.errors import UnavailableError
from vsv.rendering.tiles import render_tile
from vsv.services import Services
from vsv.slides.slide import Slide
from vsv.storage import atomic_write


def export_deepzoom(services: Services, image_id: str, folder: Path) -> int:
    """Write ``{image_id}.dzi`` and ``{image_id}_files/``; return the number of tiles.

    Tiles that exist are kept, so an export that was stopped resumes; the descriptor comes last, so a folder that has
    one is complete. Raises SlideNotFoundError and UnavailableError.
    """
    slide = services.slide_cache.slide(image_id)
    try:
        tiles = sum(
            _export_level(slide, level_dz, folder / f"{image_id}_files" / str(level_dz))
            for level_dz in range(slide.grid.level_count)
        )
        atomic_write.write(folder / f"{image_id}.dzi", slide.grid.descriptor("jpeg").encode())
    except OSError as error:
        raise UnavailableError("the tiles could not be written: is the disk full or read only?") from error
    return tiles


def _export_level(slide: Slide, level_dz: int, folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    columns, rows = slide.grid.tile_counts(level_dz)
    for row in range(rows):
        for col in range(columns):
            path = folder / f"{col}_{row}.jpeg"
            if not path.exists():
                _write(path, render_tile(slide, level_dz, col, row, "jpeg"))
    return columns * rows


def _write(path: Path, data: bytes) -> None:
    """Write the whole file or nothing; without a flush, which would take hours for a hundred thousand files."""
    part = path.with_suffix(atomic_write.PART_SUFFIX)
    part.write_bytes(data)
    part.replace(path)
