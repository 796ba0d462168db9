"""What OMERO.iviewer asks for beside the image: the answers of an OMERO.web where nobody has stored any of it."""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image
from vsv.services import Services

from tests.support.servers.webgateway_site import NUMBER, ask, body, document, served


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with served(tmp_path_factory.mktemp("data")) as installation:
        yield installation


@pytest.mark.parametrize(
    ("address", "answer"),
    [
        ("luts/", {"luts": [], "png_luts": [], "png_luts_new": ["gradient.png"]}),
        ("open_with/", {"open_with_options": []}),
        ("getImgRDef/", {"rdef": None}),
        (f"get_image_rdefs_json/{NUMBER}/", {"rdefs": []}),
    ],
)
def test_unsupported_features_answer_empty_documents(services: Services, address: str, answer: Any) -> None:
    assert document(address) == answer


def test_paths_to_object_answers_no_paths(services: Services) -> None:
    assert document("api/paths_to_object/", f"image={NUMBER}") == {"paths": []}


def test_luts_png_contains_the_gradient_of_the_slider_alone(services: Services) -> None:
    """The last ten rows of OMERO.web's ``luts_png``, by its own arithmetic."""
    with Image.open(io.BytesIO(body(ask("luts_png/")))) as image:
        pixels = np.asarray(image.convert("RGBA"))
    wanted = np.zeros((10, 256, 4), np.uint8)
    wanted[:, :180, 3] = np.linspace(255, 0, 180, dtype="uint8")
    assert np.array_equal(pixels, wanted)


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("luts/1/", 404),
        ("luts_png/1/", 404),
        ("getImgRDef/1/", 404),
        ("get_image_rdefs_json/", 400),
        (f"get_image_rdefs_json/{NUMBER}/1/", 400),
        ("get_image_rdefs_json/999/", 404),
        ("get_image_rdefs_json/one/", 400),
        ("api/", 404),
        ("api/containers/", 404),
    ],
)
def test_unknown_addresses_and_images_are_refused(services: Services, address: str, status: int) -> None:
    assert ask(address)["statusCode"] == status
