"""Paths of files and folders in the checkout."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests/data"
EVENTS = DATA / "events"
STREAM_RECORDS = DATA / "stream_records"
TILE_422 = DATA / "tile_422.j2k"
REAL_SLIDE = ROOT.parent / "shared/data/CMU-1-Small-Region.svs"
