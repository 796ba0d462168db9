"""Damage that is told: noted beside the slide's file for the tile server, and counted in the slide's record."""

from collections.abc import Mapping
from pathlib import Path

from vsv.ingest.tile_sample import sample_tiles
from vsv.services import Services
from vsv.slides.damage import NOTES, read_notes, write_notes
from vsv.slides.slide import open_slide

BY = "import"


def note_sampled(services: Services, image_id: str, original: Path) -> Mapping[str, str] | None:
    """Note the damaged tiles of a sample, until rendering has checked all; return their counts, None without any."""
    notes = services.files.pyramid(image_id).with_name(NOTES)
    if notes.exists():  # a killed run got further than this
        return read_notes(notes).counts() or None
    # Pages of which nothing can be decoded are levels here: they are refused as levels, and are damage.
    missing = original.with_name("none")
    damage = sample_tiles(open_slide(original, missing, missing, frozenset())).damage
    if damage:
        write_notes(notes, damage)
    return damage.counts() or None


def record_damage(services: Services, image_id: str) -> None:
    """Record the counts of the damaged tiles that rendering has noted."""
    counts = read_notes(services.files.pyramid(image_id).with_name(NOTES)).counts() or None
    record = services.slides.get(image_id)
    if record is not None and record.damage != counts:
        services.slides.update(image_id, {"damage": counts}, by=BY)
