"""Labels and macros, which show the patient's label: who may see them, and that nobody keeps them."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from serve_label.handler import lambda_handler
from vsv import runtime
from vsv.services import Services
from vsv.settings import Settings

from tests.support.paths import EVENTS
from tests.support.slides.aperio import Plan, encode_tile, texture, write_slide

LABEL = encode_tile(texture(64, 64), "444")
ADDRESS = "/DeepZoom/A_files/label.jpeg"
SECRET = "a-secret-of-the-edge"


def unused() -> Any:
    raise AssertionError("a label needs no database")


@pytest.fixture(autouse=True)
def services(tmp_path: Path) -> Iterator[Services]:
    """Serve the slide A, with a label and no macro."""
    made = runtime.assemble(Settings(tmp_path), slides=unused, imports=unused, starter=unused, jobs=unused)
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


def test_recorded_api_gateway_event_answers_the_label() -> None:
    event = json.loads((EVENTS / "label.json").read_text())
    event["rawPath"] = ADDRESS
    answer = lambda_handler(event, None)
    assert (answer["statusCode"], answer["headers"]["content-type"]) == (200, "image/jpeg")
    assert body(answer) == LABEL


def test_label_is_not_cached_and_has_no_cors_header() -> None:
    headers = ask()["headers"]
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("name", ["label.jpeg", "label.jpg", "macro.jpeg", "macro.jpg"])
def test_label_and_macro_are_served_with_both_suffixes(services: Services, name: str) -> None:
    services.files.associated("A", "macro").write_bytes(LABEL)
    assert body(ask(f"/DeepZoom/A_files/{name}")) == LABEL


@pytest.mark.parametrize("groups", ["[Technicians]", "[Admins]", "[Pathologists Admins]"])
def test_technicians_and_admins_read_labels(groups: str) -> None:
    assert ask(groups=groups)["statusCode"] == 200


@pytest.mark.parametrize(
    "groups",
    [
        None, "", "[]", "[ ]", "[Pathologists]", "Technicians", "[Technicians", "Technicians]", "[[Technicians]]",
        "[Pathologists][Technicians]", "[technicians]", "[Technicians,Admins]", "[Technicians\n]", "[NotTechnicians]",
        ["Technicians"], {"Technicians": True}, 1, True, "[Technicia\u0578s]",
    ],
)  # fmt: skip
def test_other_groups_and_malformed_claims_are_forbidden(groups: Any) -> None:
    answer = ask(groups=groups)
    assert answer["statusCode"] == 403
    assert set(json.loads(answer["body"])) == {"error"}
    assert answer["headers"]["cache-control"] == "no-store"


@pytest.mark.parametrize("authorizer", [None, {}, {"jwt": None}, {"jwt": {"claims": []}}, {"lambda": {}}, []])
def test_request_without_checked_token_is_forbidden(authorizer: Any) -> None:
    event = json.loads((EVENTS / "label.json").read_text())
    event["requestContext"]["authorizer"] = authorizer
    assert lambda_handler(event, None)["statusCode"] == 403


@pytest.mark.usefixtures("edge")
class TestBehindTheEdge:
    def test_request_with_the_edge_secret_is_served(self) -> None:
        assert ask(x_vsv_edge=SECRET)["statusCode"] == 200

    @pytest.mark.parametrize("sent", ["", "a-secret-of-the-edg", SECRET + "x", SECRET.upper(), "ü" * 20])
    def test_request_with_wrong_edge_secret_is_forbidden(self, sent: str) -> None:
        answer = ask(x_vsv_edge=sent)
        assert answer["statusCode"] == 403
        assert SECRET not in answer["body"]

    def test_request_without_edge_secret_is_forbidden(self) -> None:
        assert ask()["statusCode"] == 403

    def test_edge_secret_without_permitted_group_is_forbidden(self) -> None:
        assert ask(groups="[Pathologists]", x_vsv_edge=SECRET)["statusCode"] == 403


def test_edge_header_is_ignored_when_no_secret_is_set() -> None:
    assert ask(x_vsv_edge="whatever")["statusCode"] == 200


@pytest.mark.parametrize("path", ["/DeepZoom/A_files/macro.jpeg", "/DeepZoom/B_files/label.jpeg"])
def test_missing_macro_and_unknown_slide_are_not_found(path: str, services: Services) -> None:
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
def test_malformed_addresses_are_bad_requests(path: str) -> None:
    assert ask(path)["statusCode"] == 400


def test_label_of_hidden_slide_is_not_found(services: Services) -> None:
    services.files.hide("A")
    assert ask()["statusCode"] == 404


def test_head_answers_headers_of_get_without_body() -> None:
    get, head = ask(), ask(method="HEAD")
    assert (head["statusCode"], head["body"]) == (200, "")
    assert head["headers"].pop("content-length") == str(len(LABEL))
    assert head["headers"] == get["headers"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_matching_etag_answers_304_without_body(method: str) -> None:
    answer = ask(method=method, if_none_match=ask()["headers"]["etag"])
    assert (answer["statusCode"], answer["body"]) == (304, "")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_writing_methods_are_not_allowed(method: str) -> None:
    answer = ask(method=method)
    assert (answer["statusCode"], answer["headers"]["allow"]) == (405, "GET, HEAD")
