"""Labels and macros, which show the patient's label: who may see them, and that nobody keeps them."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from serve_label.handler import lambda_handler
from slides import Plan, encode_tile, texture, write_slide
from vsv import runtime
from vsv.services import Services
from vsv.settings import Settings

EVENTS = Path(__file__).parent / "events"
LABEL = encode_tile(texture(64, 64), "444")
ADDRESS = "/DeepZoom/A_files/label.jpeg"
SECRET = "a-secret-of-the-edge"


def unused() -> Any:
    raise AssertionError("a label needs no database")


@pytest.fixture(autouse=True)
def services(tmp_path: Path) -> Iterator[Services]:
    """Serve the slide A, with a label and no macro."""
    made = Services(Settings(tmp_path), unused, unused, unused, unused)
    made.files.prepare()
    made.files.folder("A").mkdir()
    write_slide(made.files.slide("A"), Plan(300, 200, associated="none"))
    made.files.associated("A", "label").write_bytes(LABEL)
    runtime.use(made)
    yield made
    runtime.use(None)


@pytest.fixture
def edge(services: Services) -> None:
    runtime.use(replace(services, settings=replace(services.settings, edge_secret=SECRET)))


def ask(
    path: str = ADDRESS, method: str = "GET", groups: Any = "[Technicians]", **headers: str
) -> dict[str, Any]:
    """Ask as the HTTP API does, with the claims of a token that its authoriser has checked."""
    event = json.loads((EVENTS / "label.json").read_text())
    event["rawPath"] = event["requestContext"]["http"]["path"] = path
    event["requestContext"]["http"]["method"] = method
    event["headers"] |= {name.replace("_", "-"): value for name, value in headers.items()}
    event["requestContext"]["authorizer"]["jwt"]["claims"]["cognito:groups"] = groups
    return lambda_handler(event, None)


def body(answer: dict[str, Any]) -> bytes:
    return base64.b64decode(answer["body"], validate=True)


def test_a_label_as_api_gateway_asks_for_it() -> None:
    event = json.loads((EVENTS / "label.json").read_text())
    event["rawPath"] = ADDRESS
    answer = lambda_handler(event, None)
    assert (answer["statusCode"], answer["headers"]["content-type"]) == (200, "image/jpeg")
    assert body(answer) == LABEL


def test_a_label_is_kept_nowhere_and_read_by_no_other_page() -> None:
    headers = ask()["headers"]
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("name", ["label.jpeg", "label.jpg", "macro.jpeg", "macro.jpg"])
def test_both_names_and_suffixes(services: Services, name: str) -> None:
    services.files.associated("A", "macro").write_bytes(LABEL)
    assert body(ask(f"/DeepZoom/A_files/{name}")) == LABEL


@pytest.mark.parametrize("groups", ["[Technicians]", "[Admins]", "[Pathologists Admins]"])
def test_groups_that_see_labels(groups: str) -> None:
    assert ask(groups=groups)["statusCode"] == 200


@pytest.mark.parametrize(
    "groups",
    [
        None, "", "[]", "[ ]", "[Pathologists]", "Technicians", "[Technicians", "Technicians]", "[[Technicians]]",
        "[Pathologists][Technicians]", "[technicians]", "[Technicians,Admins]", "[Technicians\n]", "[NotTechnicians]",
        ["Technicians"], {"Technicians": True}, 1, True, "[Technicia\u0578s]",
    ],
)  # fmt: skip
def test_nobody_else_does(groups: Any) -> None:
    answer = ask(groups=groups)
    assert answer["statusCode"] == 403
    assert set(json.loads(answer["body"])) == {"error"}
    assert answer["headers"]["cache-control"] == "no-store"


@pytest.mark.parametrize("authorizer", [None, {}, {"jwt": None}, {"jwt": {"claims": []}}, {"lambda": {}}, []])
def test_without_a_checked_token_there_is_no_label(authorizer: Any) -> None:
    event = json.loads((EVENTS / "label.json").read_text())
    event["requestContext"]["authorizer"] = authorizer
    assert lambda_handler(event, None)["statusCode"] == 403


@pytest.mark.usefixtures("edge")
class TestBehindTheEdge:
    def test_the_edge_is_known_by_its_header(self) -> None:
        assert ask(x_vsv_edge=SECRET)["statusCode"] == 200

    @pytest.mark.parametrize("sent", ["", "a-secret-of-the-edg", SECRET + "x", SECRET.upper(), "ü" * 20])
    def test_whoever_goes_around_it_gets_nothing(self, sent: str) -> None:
        answer = ask(x_vsv_edge=sent)
        assert answer["statusCode"] == 403
        assert SECRET not in answer["body"]

    def test_no_header_is_no_edge(self) -> None:
        assert ask()["statusCode"] == 403

    def test_the_edge_alone_opens_nothing(self) -> None:
        assert ask(groups="[Pathologists]", x_vsv_edge=SECRET)["statusCode"] == 403


def test_without_an_edge_its_header_says_nothing() -> None:
    assert ask(x_vsv_edge="whatever")["statusCode"] == 200


@pytest.mark.parametrize("path", ["/DeepZoom/A_files/macro.jpeg", "/DeepZoom/B_files/label.jpeg"])
def test_what_is_not_there(path: str, services: Services) -> None:
    answer = ask(path)
    assert answer["statusCode"] == 404
    assert str(services.files.root) not in answer["body"]


@pytest.mark.parametrize(
    "path",
    [
        "/DeepZoom/A_files/thumbnail.jpeg", "/DeepZoom/A_files/label.png", "/DeepZoom/A_files/label.jpeg.jpeg",
        "/DeepZoom/A_files/../label.jpeg", "/DeepZoom/../A_files/label.jpeg", "/DeepZoom/A\0_files/label.jpeg",
        "/DeepZoom/_files/label.jpeg", "/DeepZoom/A_files/", "/DeepZoom/A.dzi", "/DeepZoom/A_files/9/0_0.jpeg",
        "/DeepZoom/A_files/label.jpeg\n", "/DeepZoom/" + "A" * 10_000 + "_files/label.jpeg", "/", "",
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_label(path: str) -> None:
    assert ask(path)["statusCode"] == 400


def test_a_deleted_slides_label_is_gone(services: Services) -> None:
    services.files.hide("A")
    assert ask()["statusCode"] == 404


def test_head_is_get_without_the_body() -> None:
    get, head = ask(), ask(method="HEAD")
    assert (head["statusCode"], head["body"]) == (200, "")
    assert head["headers"].pop("content-length") == str(len(LABEL))
    assert head["headers"] == get["headers"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_the_client_has_is_not_sent_again(method: str) -> None:
    answer = ask(method=method, if_none_match=ask()["headers"]["etag"])
    assert (answer["statusCode"], answer["body"]) == (304, "")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_methods(method: str) -> None:
    answer = ask(method=method)
    assert (answer["statusCode"], answer["headers"]["allow"]) == (405, "GET, HEAD")
