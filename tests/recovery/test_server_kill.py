"""The server killed with SIGKILL at random moments of an import. VSV_KILL_ROUNDS asks for more rounds."""

import io
import json
import os
import random
import time
from pathlib import Path

import openslide
from PIL import Image
from vsv.records.models import ImportState

from tests.support.servers.running import Server, check_whole, running_site, wait_until
from tests.support.slides.small import OLD, put, slide_bytes

ROUNDS = int(os.environ.get("VSV_KILL_ROUNDS", "8"))
LONGEST_S = 0.6  # about what an import of such a slide takes


def test_server_killed_at_random_moments_imports_every_slide_once_and_whole(tmp_path: Path) -> None:
    chance = random.Random(20261121)
    content = slide_bytes(side=3000)
    originals = []
    for number in range(ROUNDS):
        if number == 0 or _is_ready(tmp_path, originals[-1].name):
            originals.append(put(tmp_path / "scanner", f"{number}.svs", content))
        _killed(tmp_path, originals[-1].name, chance.uniform(0, LONGEST_S))
        with running_site(tmp_path) as site:
            check_whole(site)
    with_end = Server(tmp_path / "data", "--watch", str(tmp_path / "scanner"))
    try:
        wait_until(lambda: all(_is_listed(with_end, path.name) for path in originals), "all were imported")
        _check_tiles(with_end, originals[0])
    finally:
        with_end.stop()
    _check_end(tmp_path, originals, content)


def _killed(folder: Path, name: str, after_s: float) -> None:
    """Run the server until it has begun this file's import, and a while longer."""
    running = Server(folder / "data", "--watch", str(folder / "scanner"))
    try:
        with running_site(folder) as site:
            wait_until(lambda: site.services.imports.get(name), "its import began", pause_s=0.001)
        time.sleep(after_s)  # the moment that is tested, not a wait for something
    finally:
        running.kill()


def _is_ready(folder: Path, name: str) -> bool:
    with running_site(folder) as site:
        return site.state(name) is ImportState.READY


def _is_listed(running: Server, name: str) -> bool:
    if not running.answers():
        return False
    slides = json.loads(running.ask("/slides").body)["items"]
    under_way = json.loads(running.ask("/imports").body)["items"]
    return name in {s["Filename"] for s in slides} and name not in {i["Filename"] for i in under_way}


def _check_tiles(running: Server, original: Path) -> None:
    """Compare tiles with the scanner's file: the ones on full resolution are its very pixels."""
    slides = json.loads(running.ask("/slides").body)["items"]
    image_id = next(slide["ImageID"] for slide in slides if slide["Filename"] == original.name)
    with openslide.OpenSlide(original) as source:
        for col, row in ((0, 0), (3, 1), (11, 0)):
            tile = running.ask(f"/DeepZoom/{image_id}_files/12/{col}_{row}.png")
            assert tile.status == 200
            wanted = source.read_region((col * 240, row * 240), 0, (240, 240)).convert("RGB")
            assert _pixels(tile.body) == wanted.tobytes()
    assert running.ask(f"/DeepZoom/{image_id}_files/5/0_0.jpeg").status == 200


def _pixels(png: bytes) -> bytes:
    return Image.open(io.BytesIO(png)).convert("RGB").tobytes()


def _check_end(folder: Path, originals: list[Path], content: bytes) -> None:
    with running_site(folder) as site:
        check_whole(site)
        assert sorted(record.filename for record in site.records()) == sorted(path.name for path in originals)
        for record in site.records():
            assert site.services.files.slide(record.image_id).read_bytes() == content
            assert site.services.files.pyramid(record.image_id).exists()
            assert site.post(record.filename, len(content))[0] == 200
    assert list((folder / "data" / "incoming").glob("*.svs")) == []
    for path in originals:
        assert (path.read_bytes(), path.stat().st_mtime_ns) == (content, OLD)
