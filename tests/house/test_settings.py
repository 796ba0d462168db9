"""Settings from the environment: a wrong value ends a function at its first request, with the setting's name."""

import json
import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from lambda_support.settings import distribution_from_environment, session_from_environment
from vsv.errors import SettingsError
from vsv.runtime import on_aws
from vsv.services import Services
from vsv.settings import (
    ARCHIVE_CLASSES,
    BOTH,
    ONE_MACHINE,
    Settings,
    declared,
    from_environment,
    required,
)

from tests.support.aws.cloudformation import functions, root_template
from tests.support.paths import ROOT
from vsv_local.cli.main import main
from vsv_local.cli.settings_page import page
from vsv_local.composition import standalone
from vsv_local.settings import BUILD_ONLY, MASK, MODELS, effective_settings, known_settings

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


# The one declaration, and what is read or set elsewhere.

READERS = ("functions", "vsv_local", "scripts", "layers", "benchmarks", "stacks", "statemachines")
TEXTS = {".py", ".sh", ".yaml", ".json", ".ps1", ".service", ""}


def variables_in(*folders: str, but: Path | None = None) -> set[str]:
    """Return the VSV_ names that the text files of these folders hold."""
    found: set[str] = set()
    for folder in folders:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path != but and path.suffix in TEXTS:
                found |= set(re.findall(r"\bVSV_[A-Z][A-Z0-9_]*", path.read_text("utf-8", errors="ignore")))
    return found


def test_every_variable_that_is_read_or_set_is_declared() -> None:
    found = variables_in(*READERS)
    assert {"VSV_DATA", "VSV_LOG", "VSV_SCANNER_SECRET", "VSV_KILL_RUNS", "VSV_WITHOUT_LIBDMTX"} <= found
    assert found <= {*known_settings(), *BUILD_ONLY}


def test_no_installation_reads_what_only_builds_and_tests_read() -> None:
    assert not set(BUILD_ONLY) & variables_in("functions", "vsv_local", but=ROOT / "vsv_local/settings.py")
    assert set(BUILD_ONLY) <= variables_in("scripts", "layers", "benchmarks", "tests")


def test_every_setting_of_a_stack_is_declared() -> None:
    assert {name for function in functions() for name in function.environment} <= set(known_settings())


def test_a_variable_is_declared_once_but_for_what_a_function_asks_of_it_besides() -> None:
    settings = [setting for model in MODELS for _, setting in declared(model)]
    for variable, first in known_settings().items():
        same = {(one.about, one.default, one.applies) for one in settings if one.variable == variable}
        assert same == {(first.about, first.default, first.applies)}
    assert (
        sum(len(list(declared(model))) for model in MODELS) == len(known_settings()) + 1
    )  # VSV_SITE, of sessions


def test_the_templates_defaults_are_the_models() -> None:
    parameters, default = root_template().parameters, Settings()
    assert float(parameters["GraceDays"]["Default"]) == default.grace_days
    assert float(parameters["ArchiveAfterDays"]["Default"]) == default.archive_after_days
    assert parameters["ArchiveClass"]["Default"] == default.archive_class
    assert tuple(parameters["ArchiveClass"]["AllowedValues"]) == ARCHIVE_CLASSES
    assert parameters["TileColours"]["Default"] == default.icc


def test_the_page_is_the_one_that_is_generated() -> None:
    assert (ROOT / "docs/settings.md").read_text("utf-8") == page()


@pytest.mark.parametrize("variable", [*known_settings(), *BUILD_ONLY])
def test_the_page_has_a_row_for_each_variable(variable: str) -> None:
    assert page().count(f"\n| `{variable}` | ") == 1


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().icc = "srgb"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"VSV_GRACE_DAYS": "1e3"}, "VSV_GRACE_DAYS must be a number of days, such as 7"),
        ({"VSV_ARCHIVE_AFTER_DAYS": "-1"}, "VSV_ARCHIVE_AFTER_DAYS must be a number of days, such as 180"),
        ({"VSV_ARCHIVE_AFTER_DAYS": "0.5"}, "VSV_ARCHIVE_AFTER_DAYS must be at least 1"),
        ({"VSV_ICC": "x"}, "VSV_ICC must be passthrough or srgb"),
        ({"VSV_TILE_CACHING": ""}, "VSV_TILE_CACHING must be private or public"),
        ({"VSV_ALLOW_ORIGIN": "x"}, "VSV_ALLOW_ORIGIN must be *, empty, or an origin"),
        ({"VSV_SITE": "*"}, "VSV_SITE must be an origin, such as https://slides.example.org"),
        ({"VSV_ARCHIVE_CLASS": "x"}, f"VSV_ARCHIVE_CLASS must be one of {', '.join(ARCHIVE_CLASSES)}"),
        ({"VSV_EDGE_SECRET": "x"}, "VSV_EDGE_SECRET must have at least 16 characters"),
        # Of several the same one as ever: first what cannot be read, then in the order of the fields.
        ({"VSV_ICC": "x", "VSV_GRACE_DAYS": "x"}, "VSV_GRACE_DAYS must be a number of days, such as 7"),
        ({"VSV_TILE_CACHING": "x", "VSV_SITE": "x"}, "VSV_SITE must be an origin, such as https://slides.example.org"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_in_these_words(variables: dict[str, str], problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        from_environment(variables)
    assert str(caught.value) == f"the setting {problem}"


# One machine, and the command that shows what it reads.


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in known_settings():
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "data").mkdir()
    return (tmp_path / "data").resolve()


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["settings", *map(str, arguments)])


def shown(data: Path) -> dict[str, tuple[str, str]]:
    result = run("--data", data, "--json")
    assert result.exit_code == 0, result.output
    return {row["variable"]: (row["value"], row["source"]) for row in json.loads(result.stdout)["settings"]}


def test_settings_shows_the_defaults_and_what_hangs_on_the_data_folder(data: Path) -> None:
    (data / "destinations.json").touch()
    assert shown(data) == {
        "VSV_DATA": (str(data), "--data"),
        "VSV_ALLOW_ORIGIN": ("*", "default"),
        "VSV_SITE": ("", "default"),
        "VSV_ICC": ("passthrough", "default"),
        "VSV_GRACE_DAYS": ("7", "default"),
        "VSV_DESTINATIONS": (f"{data}/destinations.json", "data folder"),
        "VSV_ARCHIVE": (f"{data}/archive", "data folder"),
        "VSV_PUBLISHED": (f"{data}/published", "data folder"),
        "VSV_ARCHIVE_CLASS": ("INTELLIGENT_TIERING", "default"),
        "VSV_ARCHIVE_AFTER_DAYS": ("180", "default"),
        "VSV_LOG": ("INFO for vsv serve, else WARNING", "default"),
    }
    assert [path.name for path in data.iterdir()] == ["destinations.json"]


def test_settings_shows_what_the_environment_says(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = {
        "VSV_ALLOW_ORIGIN": "", "VSV_SITE": "https://a.example", "VSV_ICC": "srgb", "VSV_GRACE_DAYS": "0.5",
        "VSV_ARCHIVE": "s3://bucket/originals", "VSV_PUBLISHED": "copies", "VSV_ARCHIVE_CLASS": "GLACIER",
        "VSV_ARCHIVE_AFTER_DAYS": "30", "VSV_DESTINATIONS": "arn:x", "VSV_LOG": "ERROR", "VSV_DATA": str(data),
    }  # fmt: skip
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    rows = {row["variable"]: row for row in json.loads(run("--json").stdout)["settings"]}
    assert {row["source"] for row in rows.values()} == {"environment"}
    assert {name: row["value"] for name, row in rows.items()} == said | {
        "VSV_PUBLISHED": str(tmp_path / "copies")
    }


@pytest.mark.parametrize("variable", ["VSV_ICC", "VSV_GRACE_DAYS", "VSV_ARCHIVE", "VSV_ARCHIVE_CLASS"])
def test_an_empty_variable_is_as_none(data: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    without = shown(data)
    monkeypatch.setenv(variable, "")
    assert shown(data) == without


def test_settings_shows_what_an_installation_has(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VSV_GRACE_DAYS", "30")
    monkeypatch.setenv("VSV_TILE_CACHING", "public")  # of AWS: one machine does not read it
    before = shown(data)
    with standalone(data) as (services, _intake):
        for name, setting in declared(Settings):
            value = getattr(services.settings, name)
            if setting.applies in {BOTH, ONE_MACHINE}:
                assert before[setting.variable][0] == (
                    f"{value:g}" if isinstance(value, float) else str(value)
                )
            else:
                assert value == setting.default
    assert (data / "archive").is_dir()
    assert (data / "published").is_dir()


def test_settings_for_people_is_a_table(data: Path) -> None:
    lines = run("--data", data).output.splitlines()
    assert len(lines) == 11
    assert lines[0].split() == ["VSV_DATA", str(data), "--data"]
    assert lines[2].split() == ["VSV_SITE", "(none)", "default"]


def test_settings_names_what_nothing_reads_and_the_nearest_name(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("VSV_GRACE_DAY", "VSV_QQQQQQQQQQQQ", "VSV_KILL_RUNS", "OTHER_GRACE_DAYS"):
        monkeypatch.setenv(name, "hush")
    found = json.loads(run("--data", data, "--json").stdout)["unknown"]
    assert found == [
        {"variable": "VSV_GRACE_DAY", "nearest": "VSV_GRACE_DAYS"},
        {"variable": "VSV_QQQQQQQQQQQQ", "nearest": None},
    ]
    result = run("--data", data)
    assert "VSV_GRACE_DAY is set, but nothing reads it: did you mean VSV_GRACE_DAYS?" in result.stderr
    assert "VSV_QQQQQQQQQQQQ is set, but nothing reads it\n" in result.stderr
    assert "hush" not in result.output


@pytest.mark.parametrize("arguments", [[], ["--json"]])
@pytest.mark.parametrize("secret", [name for name, setting in known_settings().items() if setting.secret])
def test_settings_never_shows_a_secret(
    data: Path, monkeypatch: pytest.MonkeyPatch, secret: str, arguments: list[str]
) -> None:
    monkeypatch.setenv(secret, "0123456789abcdef")
    result = run("--data", data, *arguments)
    assert (result.exit_code, secret in result.output) == (0, True)
    assert "0123456789abcdef" not in result.output
    assert (MASK in result.output) == bool(arguments)


def test_settings_of_other_places_are_told_apart(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VSV_SLIDES_TABLE", "slides")
    result = run("--data", data)
    assert "VSV_SLIDES_TABLE is set, but only read on AWS" in result.stderr
    found = json.loads(run("--data", data, "--json").stdout)
    assert found["unread"] == [{"variable": "VSV_SLIDES_TABLE", "value": "slides", "applies": "AWS"}]


def test_settings_shows_a_wrong_value_beside_the_others_and_ends_with_1(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VSV_GRACE_DAYS", "week")
    monkeypatch.setenv("VSV_ICC", "sRGB")
    result = run("--data", data)
    assert result.exit_code == 1
    assert "Error: the setting VSV_GRACE_DAYS must be a number of days, such as 7\n" in result.stderr
    assert "Error: the setting VSV_ICC must be passthrough or srgb\n" in result.stderr
    assert len(result.stdout.splitlines()) == 11
    rows = {row["variable"]: row for row in json.loads(run("--data", data, "--json").stdout)["settings"]}
    assert (rows["VSV_GRACE_DAYS"]["value"], rows["VSV_GRACE_DAYS"]["source"]) == ("week", "environment")
    assert rows["VSV_SITE"]["problem"] is None


def test_settings_of_a_folder_that_is_not_there_creates_none(data: Path) -> None:
    result = run("--data", data / "other")
    assert (result.exit_code, (data / "other").exists()) == (0, False)
    assert f"data folder {data / 'other'} not found" in result.stderr


def test_effective_settings_hang_on_the_environment_that_is_given(data: Path) -> None:
    rows = {row.variable: row for row in effective_settings({"VSV_ICC": "srgb"}, data, "--data")}
    assert (rows["VSV_ICC"].value, rows["VSV_ICC"].source) == ("srgb", "environment")
