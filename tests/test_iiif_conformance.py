"""The IIIF consortium's own validator, against the running server: every test of level 2, in both versions."""

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from running import Server, wait_until
from running import server as start
from slides import Plan, write_slide

# Only the validator's tests of JPEG 2000 and PDF output, beyond level 2, ask libmagic, which may not be here.
sys.modules.setdefault("magic", ModuleType("magic"))
validator = pytest.importorskip("iiif_validator.validator")

# Written down beside its reason in docs/protocols.md: the test wants 400 for !2000,3000 of a smaller image, where the
# Image API 3.0 (section 4.2) wants the image in its own size. Everything else that it asks is asked below.
CONTRADICTS_THE_SPECIFICATION = {"size_noup"}
LEVEL = 2


def names(version: str) -> list[str]:
    listed = validator.TestSuite(validator.ValidationInfo()).list_tests(version)
    return sorted(
        name
        for name, about in listed.items()
        if about["level"] <= LEVEL and name not in CONTRADICTS_THE_SPECIFICATION
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve the validator's picture: a hundred squares, each of its own colour."""
    folder = tmp_path_factory.mktemp("scanner")
    colours = np.array(validator.ValidationInfo().colorInfo, np.uint8).transpose(1, 0, 2)
    picture = np.ascontiguousarray(colours.repeat(100, 0).repeat(100, 1))
    about = "Aperio Image Library v11.2.1 \r\n1000x1000 (256x256) JPEG/RGB Q=95|AppMag = 20|ImageID = squares"
    write_slide(folder / "squares.svs", Plan(description=about, quality=95, associated="none"), picture)
    with start(tmp_path_factory.mktemp("data"), "--watch", str(folder)) as running:
        wait_until(lambda: running.ask("/iiif/squares/info.json").status == 200, "the picture was there")
        yield running


@pytest.mark.parametrize(
    ("version", "name"), [(version, name) for version in ("2.0", "3.0") for name in names(version)]
)
def test_the_validator_finds_nothing(server: Server, version: str, name: str) -> None:
    assert found(server, version, name) is None


def found(server: Server, version: str, name: str) -> Any:
    prefix = "iiif/2" if version == "2.0" else "iiif/3"
    address = f"127.0.0.1:{server.port}"
    result = validator.ImageAPI("squares", address, prefix, "http", "", version, debug=False)
    validator.TestSuite(validator.ValidationInfo()).run_test(name, result)
    return result.exception


@pytest.mark.parametrize("size", ["1500,1500", ",1500", "1500,", "pct:200"])
def test_enlarging_needs_to_be_asked_for(server: Server, size: str) -> None:
    assert server.ask(f"/iiif/squares/full/{size}/0/default.jpg").status == 400
    assert server.ask(f"/iiif/squares/full/^{size}/0/default.jpg").status == 200


def test_confined_sizes_never_enlarge(server: Server) -> None:
    own = server.ask("/iiif/squares/full/max/0/default.jpg")
    confined = server.ask("/iiif/squares/full/!2000,3000/0/default.jpg")
    assert (confined.status, confined.body) == (200, own.body)
