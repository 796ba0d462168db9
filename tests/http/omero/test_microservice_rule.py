"""Every address that the nginx rule of OMERO's image region microservice sends is answered."""

import re
from collections.abc import Iterator

import numpy as np
import pytest
from vsv.rendering.masks import store_mask
from vsv.services import Services

from tests.support.servers.webgateway_site import NUMBER, SMALL, ask, body, served

# The README of glencoesoftware/omero-ms-image-region, "Redirecting OMERO.web to the Server".
RULE = (
    r"^/(webclient|webgateway)/(render_(thumbnail_ngff|image|image_region|image_region_rdef|image_rdef|shape_mask)"
    r"|get_thumbnails_ngff|histogram_json)/"
)
SETTINGS = "m=c&c=1|0:255$FF0000,2|0:255$00FF00,3|0:255$0000FF"
SHAPE = 5
# What follows a name, and its query.
REST = {
    "render_thumbnail_ngff": ("SMALL/", ""),
    "render_image": ("SMALL/0/0/", ""),
    "render_image_region": ("NUMBER/0/0/", "tile=0,0,0"),
    "render_image_region_rdef": ("NUMBER/0/0/", f"tile=0,0,0&{SETTINGS}"),
    "render_image_rdef": ("SMALL/0/0/", SETTINGS),
    "render_shape_mask": (f"{SHAPE}/", ""),
    "get_thumbnails_ngff": ("", f"id={NUMBER}"),
    "histogram_json": ("NUMBER/channel/0/", ""),
}


def expanded(rule: str) -> tuple[list[str], str]:
    """Return the texts of an expression of literals, groups and alternatives, and what follows its end."""
    texts, current = [], [""]
    while rule and rule[0] != ")":
        head, rule = rule[0], rule[1:]
        if head == "(":
            group, rule = expanded(rule)
            current, rule = [text + part for text in current for part in group], rule[1:]
        elif head == "|":
            texts, current = texts + current, [""]
        else:
            current = [text + head for text in current]
    return texts + current, rule


PREFIXES, _ = expanded(RULE.removeprefix("^"))


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with served(tmp_path_factory.mktemp("data")) as installation:
        store_mask(installation.files, NUMBER, SHAPE, np.eye(16, dtype=bool))
        yield installation


def rest_of(prefix: str) -> tuple[str, str]:
    rest, query = REST[prefix.split("/")[2]]
    return rest.replace("NUMBER", NUMBER).replace("SMALL", SMALL), query


def test_expansion_of_the_rule_is_complete() -> None:
    assert len(set(PREFIXES)) == len(PREFIXES) == 2 * 8
    assert all(re.fullmatch(RULE, prefix) for prefix in PREFIXES)
    assert {prefix.split("/")[2] for prefix in PREFIXES} == REST.keys()


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.usefixtures("services")
def test_each_address_of_the_rule_is_answered(prefix: str, method: str) -> None:
    rest, query = rest_of(prefix)
    assert ask(rest, query, method, prefix=prefix)["statusCode"] == 200


@pytest.mark.parametrize("app", ["/webgateway/", "/webclient/"])
@pytest.mark.parametrize(
    ("name", "rest", "query"),
    [
        ("render_thumbnail", f"{NUMBER}/", ""),
        ("render_thumbnail", f"{NUMBER}/200/", ""),
        ("render_thumbnail", f"size/120/{NUMBER}/", ""),
        ("render_birds_eye_view", f"{NUMBER}/", ""),
        ("get_thumbnails", "", f"id={NUMBER},{SMALL},12"),
        ("get_thumbnails", "64/", f"id={NUMBER}&callback=show"),
    ],
)
@pytest.mark.usefixtures("services")
def test_ngff_address_answers_as_the_one_without(app: str, name: str, rest: str, query: str) -> None:
    there, here = (ask(f"{one}/{rest}", query, prefix=app) for one in (name, f"{name}_ngff"))
    assert there["statusCode"] == 200
    assert (here["headers"], body(here)) == (there["headers"], body(there))


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("render_thumbnail_ngff/12/", 404),
        ("render_thumbnail_ngff/", 400),
        ("get_thumbnails_ngff/", 400),
        ("render_thumbnails_ngff/1/", 404),
    ],
)
@pytest.mark.usefixtures("services")
def test_ngff_address_refuses_what_cannot_be_shown(address: str, status: int) -> None:
    assert ask(address)["statusCode"] == status
