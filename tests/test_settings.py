"""Settings from the environment: a wrong value ends a function at its first request, with the setting's name."""

from collections.abc import Callable
from pathlib import Path

import pytest
from vsv.errors import SettingsError
from vsv.runtime import on_aws
from vsv.services import Services
from vsv.settings import distribution_from_environment, from_environment, required, session_from_environment

SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:key-a1b2c3"
SESSION = {
    "VSV_SITE": "https://slides.example.org",
    "VSV_SIGNING_SECRET": SECRET,
    "VSV_KEY_ID": "K2JCJMDEHXQW5F",
}


def test_what_is_left_out_is_as_on_one_machine() -> None:
    settings = from_environment({"VSV_DATA": "/mnt/slides"})
    assert (settings.data, settings.allow_origin) == (Path("/mnt/slides"), "*")
    assert (settings.tile_caching, settings.edge_secret, settings.icc) == ("private", None, "passthrough")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VSV_TILE_CACHING", "public"),
        ("VSV_ICC", "srgb"),
        ("VSV_ICC", ""),
        ("VSV_ALLOW_ORIGIN", ""),
        ("VSV_ALLOW_ORIGIN", "https://slides.example.org"),
        ("VSV_ALLOW_ORIGIN", "http://127.0.0.1:8080"),
        ("VSV_EDGE_SECRET", "0123456789abcdef"),
    ],
)
def test_good_values(name: str, value: str) -> None:
    from_environment({"VSV_DATA": "/mnt/slides", name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VSV_TILE_CACHING", ""),
        ("VSV_ICC", "sRGB"),
        ("VSV_TILE_CACHING", "Public"),
        ("VSV_TILE_CACHING", "no-store"),
        ("VSV_TILE_CACHING", "public\r\nx: y"),
        ("VSV_ALLOW_ORIGIN", "slides.example.org"),
        ("VSV_ALLOW_ORIGIN", "https://a.example, https://b.example"),
        ("VSV_ALLOW_ORIGIN", "*\n"),
        ("VSV_EDGE_SECRET", ""),
        ("VSV_EDGE_SECRET", "guess me"),
    ],
)
def test_bad_values_are_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        from_environment({"VSV_DATA": "/mnt/slides", name: value})


def test_the_edges_secret_is_not_shown() -> None:
    settings = from_environment({"VSV_DATA": "/mnt/slides", "VSV_EDGE_SECRET": "0123456789abcdef"})
    assert "0123456789abcdef" not in repr(settings)


@pytest.mark.parametrize("name", SESSION)
@pytest.mark.parametrize("value", ["", "http://slides.example.org", "https://slides.example.org/", "a b"])
def test_a_session_needs_all_its_settings(name: str, value: str) -> None:
    assert session_from_environment(SESSION).site == "https://slides.example.org"
    with pytest.raises(SettingsError, match=name):
        session_from_environment(SESSION | {name: value})


@pytest.mark.parametrize("value", ["", "e1234567890abc", "E123/..", "arn:aws:cloudfront::1:distribution/E1"])
def test_a_distribution_is_an_id(value: str) -> None:
    assert distribution_from_environment({"VSV_DISTRIBUTION": "E1ABCDEFGHIJKL"}) == "E1ABCDEFGHIJKL"
    with pytest.raises(SettingsError, match="VSV_DISTRIBUTION"):
        distribution_from_environment({"VSV_DISTRIBUTION": value})


def test_they_are_read_from_the_environment() -> None:
    found = from_environment(
        {"VSV_DATA": "/mnt/slides", "VSV_TRANSFER_TASK": "arn", "VSV_DROP_BUCKET": "drop-in"}
    )
    assert (found.data, found.transfer_task, found.drop_bucket) == (Path("/mnt/slides"), "arn", "drop-in")


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (lambda services: services.files, "VSV_DATA"),
        (lambda services: services.imports, "VSV_IMPORTS_TABLE"),
        (lambda services: services.slides, "VSV_SLIDES_TABLE"),
        (lambda services: services.starter, "VSV_IMPORTS_TABLE"),
        (lambda services: required(services.settings.drop_bucket, "VSV_DROP_BUCKET"), "VSV_DROP_BUCKET"),
    ],
)
def test_what_is_missing_is_named_when_it_is_needed(part: Callable[[Services], object], name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        part(on_aws(from_environment({})))
