"""The IIIF consortium's own validator, against the running server: every test, in both versions."""

import io
import sys
from collections.abc import Iterator
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.servers.running import Server, wait_until
from tests.support.servers.running import server as start
from tests.support.slides.aperio import Plan, write_slide

# Only the validator's tests of JPEG 2000 and PDF output, which are not served, ask libmagic, which may not be here.
sys.modules.setdefault("magic", ModuleType("magic"))
validator = pytest.importorskip("iiif_validator.validator")

# Written down beside their reasons in docs/protocols.md: what else they ask is asked below, and of webp in
# test_iiif_protocol.py.
LEFT_OUT = {
    ("3.0", "size_noup"),  # wants 400 for !2000,3000 of a smaller image
    ("3.0", "size_up"),  # wants ^max to be no larger than the image, whatever the limits are
    *((version, "format_webp") for version in ("2.0", "3.0")),  # calls what Python 3 does not have
    # Beyond level 2, and 501 here.
    *((version, f"format_{fmt}") for version in ("2.0", "3.0") for fmt in ("gif", "jp2", "pdf")),
}
# The validator's picture, as a slide and as an ordinary image under the name that the validator knows it by.
SLIDE, IMAGE = "squares", "67352ccc-d1b0-11e1-89ae-279075081939"


def names(version: str) -> list[str]:
    listed = validator.TestSuite(validator.ValidationInfo()).list_tests(version)
    return sorted(name for name in listed if (version, name) not in LEFT_OUT)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve the validator's picture, a hundred squares, each of its own colour: dropped in the folder both ways."""
    folder = tmp_path_factory.mktemp("scanner")
    colours = np.array(validator.ValidationInfo().colorInfo, np.uint8).transpose(1, 0, 2)
    picture = np.ascontiguousarray(colours.repeat(100, 0).repeat(100, 1))
    about = "Aperio Image Library v11.2.1 \r\n1000x1000 (256x256) JPEG/RGB Q=95|AppMag = 20|ImageID = squares"
    write_slide(folder / "squares.svs", Plan(description=about, quality=95, associated="none"), picture)
    Image.fromarray(picture).save(folder / f"{IMAGE}.png")
    with start(tmp_path_factory.mktemp("data"), "--watch", str(folder)) as running:
        for name in (SLIDE, IMAGE):
            wait_until(partial(is_there, running, name), "the picture was there")
        yield running


def is_there(server: Server, name: str) -> bool:
    return server.ask(f"/iiif/{name}/info.json").status == 200


@pytest.mark.parametrize("image", [SLIDE, IMAGE], ids=["slide", "png"])
@pytest.mark.parametrize(
    ("version", "name"), [(version, name) for version in ("2.0", "3.0") for name in names(version)]
)
def test_server_passes_each_test_of_the_iiif_validator(
    server: Server, version: str, name: str, image: str
) -> None:
    assert validator_error(server, version, name, image) is None


def validator_error(server: Server, version: str, name: str, image: str) -> Any:
    """Return the exception of one test of the validator, or None."""
    prefix = "iiif/2" if version == "2.0" else "iiif/3"
    address = f"127.0.0.1:{server.port}"
    result = validator.ImageAPI(image, address, prefix, "http", "", version, debug=False)
    validator.TestSuite(validator.ValidationInfo()).run_test(name, result)
    return result.exception


@pytest.mark.parametrize("size", ["1500,1500", ",1500", "1500,", "pct:150"])
def test_size_larger_than_image_is_served_only_with_caret(server: Server, size: str) -> None:
    assert server.ask(f"/iiif/squares/full/{size}/0/default.jpg").status == 400
    assert size_of(server, f"^{size}") == (1500, 1500)


def test_caret_sizes_enlarge_up_to_the_box_or_the_limits(server: Server) -> None:
    assert size_of(server, "^max") == (4096, 4096)
    assert size_of(server, "^!2000,500") == (500, 500)
    assert size_of(server, "^!2000,3000") == (2000, 2000)


def size_of(server: Server, size: str) -> tuple[int, int]:
    with Image.open(io.BytesIO(server.ask(f"/iiif/squares/full/{size}/0/default.jpg").body)) as image:
        return image.size


def test_confined_size_larger_than_image_returns_image_unenlarged(server: Server) -> None:
    own = server.ask("/iiif/squares/full/max/0/default.jpg")
    confined = server.ask("/iiif/squares/full/!2000,3000/0/default.jpg")
    assert (confined.status, confined.body) == (200, own.body)
