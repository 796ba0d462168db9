"""Settings from the environment: a wrong value ends a function at its first request, with the setting's name."""

import json
import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from lambda_support.function_settings import distribution_from_environment, session_from_environment
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
from vsv_local.all_settings import BUILD_ONLY, MASK, MODELS, effective_settings, known_settings, log_level
from vsv_local.cli.main import main
from vsv_local.cli.settings_page import page
from vsv_local.composition import standalone

SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:key-a1b2c3"
SESSION = {
    "VSV_SITE": "https://slides.example.org",
    "VSV_SIGNING_SECRET": SECRET,
    "VSV_KEY_ID": "K2JCJMDEHXQW5F",
}


def test_omitted_settings_have_defaults_of_a_single_machine() -> None:
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
        ("VSV_ID_PATTERN", ""),
        ("VSV_ID_PATTERN", r"(?P<case>S\d{2}-\d+)-(?P<block>[A-Z]\d)"),
        ("VSV_ID_ORDER", "filename, barcode"),
    ],
)
def test_valid_value_is_accepted(name: str, value: str) -> None:
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
        ("VSV_ID_PATTERN", "(?P<slide>.*)"),
        ("VSV_ID_PATTERN", "(?P<case>(a+)+)b"),
        ("VSV_ID_PATTERN", "("),
        ("VSV_ID_ORDER", "label"),
        ("VSV_ID_ORDER", "barcode,barcode"),
        ("VSV_EDGE_SECRET", "guess me"),
    ],
)
def test_invalid_value_raises_error_that_names_the_setting(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        from_environment({"VSV_DATA": "/mnt/slides", name: value})


def test_edge_secret_is_absent_from_repr() -> None:
    settings = from_environment({"VSV_DATA": "/mnt/slides", "VSV_EDGE_SECRET": "0123456789abcdef"})
    assert "0123456789abcdef" not in repr(settings)


@pytest.mark.parametrize("name", SESSION)
@pytest.mark.parametrize("value", ["", "http://slides.example.org", "https://slides.example.org/", "a b"])
def test_session_settings_refuse_each_invalid_value(name: str, value: str) -> None:
    assert session_from_environment(SESSION).site == "https://slides.example.org"
    with pytest.raises(SettingsError, match=name):
        session_from_environment(SESSION | {name: value})


@pytest.mark.parametrize("value", ["", "e1234567890abc", "E123/..", "arn:aws:cloudfront::1:distribution/E1"])
def test_distribution_setting_accepts_an_id_alone(value: str) -> None:
    assert distribution_from_environment({"VSV_DISTRIBUTION": "E1ABCDEFGHIJKL"}) == "E1ABCDEFGHIJKL"
    with pytest.raises(SettingsError, match="VSV_DISTRIBUTION"):
        distribution_from_environment({"VSV_DISTRIBUTION": value})


def test_settings_are_read_from_the_environment() -> None:
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
def test_missing_setting_is_named_when_its_service_is_used(
    part: Callable[[Services], object], name: str
) -> None:
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


def test_each_variable_in_the_sources_is_declared() -> None:
    found = variables_in(*READERS)
    assert {"VSV_DATA", "VSV_LOG", "VSV_SCANNER_SECRET", "VSV_KILL_RUNS", "VSV_WITHOUT_LIBDMTX"} <= found
    assert found <= {*known_settings(), *BUILD_ONLY}


def test_build_only_variables_are_not_read_by_installations() -> None:
    assert not set(BUILD_ONLY) & variables_in(
        "functions", "vsv_local", but=ROOT / "vsv_local/all_settings.py"
    )
    assert set(BUILD_ONLY) <= variables_in("scripts", "layers", "benchmarks", "tests")


def test_each_setting_of_a_stack_is_declared() -> None:
    assert {name for function in functions() for name in function.environment} <= set(known_settings())


def test_variable_has_a_single_declaration_except_site() -> None:
    settings = [setting for model in MODELS for _, setting in declared(model)]
    for variable, first in known_settings().items():
        same = {(one.about, one.default, one.applies) for one in settings if one.variable == variable}
        assert same == {(first.about, first.default, first.applies)}
    assert (
        sum(len(list(declared(model))) for model in MODELS) == len(known_settings()) + 1
    )  # VSV_SITE, of sessions


def test_defaults_of_the_template_equal_those_of_the_model() -> None:
    parameters, default = root_template().parameters, Settings()
    assert float(parameters["GraceDays"]["Default"]) == default.grace_days
    assert float(parameters["ArchiveAfterDays"]["Default"]) == default.archive_after_days
    assert parameters["ArchiveClass"]["Default"] == default.archive_class
    assert tuple(parameters["ArchiveClass"]["AllowedValues"]) == ARCHIVE_CLASSES
    assert parameters["TileColours"]["Default"] == default.icc
    assert parameters["IdPattern"]["Default"] == default.id_pattern
    assert tuple(parameters["IdOrder"]["Default"].split(",")) == default.id_order


def test_settings_page_equals_the_generated_page() -> None:
    assert (ROOT / "docs/settings.md").read_text("utf-8") == page()


@pytest.mark.parametrize("variable", [*known_settings(), *BUILD_ONLY])
def test_settings_page_has_a_row_for_each_variable(variable: str) -> None:
    assert page().count(f"\n| `{variable}` | ") == 1


def test_settings_are_immutable() -> None:
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
def test_invalid_value_is_refused_with_its_message(variables: dict[str, str], problem: str) -> None:
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


def test_settings_command_shows_defaults_and_paths_of_the_data_folder(data: Path) -> None:
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
        "VSV_ID_PATTERN": ("", "default"),
        "VSV_ID_ORDER": ("barcode,tag,filename", "default"),
        "VSV_WRITE_WAIT": ("120", "default"),
        "VSV_LOG": ("INFO for vsv serve, else WARNING", "default"),
        "VSV_BACKUPS_KEPT": ("", "default"),
    }
    assert [path.name for path in data.iterdir()] == ["destinations.json"]


def test_settings_command_shows_values_of_the_environment(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = {
        "VSV_ALLOW_ORIGIN": "", "VSV_SITE": "https://a.example", "VSV_ICC": "srgb", "VSV_GRACE_DAYS": "0.5",
        "VSV_ARCHIVE": "s3://bucket/originals", "VSV_PUBLISHED": "copies", "VSV_ARCHIVE_CLASS": "GLACIER",
        "VSV_ARCHIVE_AFTER_DAYS": "30", "VSV_DESTINATIONS": "arn:x", "VSV_LOG": "ERROR", "VSV_DATA": str(data),
        "VSV_ID_PATTERN": "(?P<case>.+)-.+", "VSV_ID_ORDER": "filename,tag",
        "VSV_BACKUPS_KEPT": "7d,4w,12m", "VSV_WRITE_WAIT": "30.5",
    }  # fmt: skip
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    rows = {row["variable"]: row for row in json.loads(run("--json").stdout)["settings"]}
    assert {row["source"] for row in rows.values()} == {"environment"}
    assert {name: row["value"] for name, row in rows.items()} == said | {
        "VSV_PUBLISHED": str(tmp_path / "copies")
    }


@pytest.mark.parametrize("variable", ["VSV_ICC", "VSV_GRACE_DAYS", "VSV_ARCHIVE", "VSV_ARCHIVE_CLASS"])
def test_empty_variable_equals_an_unset_variable(
    data: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    without = shown(data)
    monkeypatch.setenv(variable, "")
    assert shown(data) == without


def test_settings_command_shows_the_settings_of_the_installation(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VSV_GRACE_DAYS", "30")
    monkeypatch.setenv("VSV_TILE_CACHING", "public")  # of AWS: one machine does not read it
    before = shown(data)
    with standalone(data) as (services, _intake):
        for name, setting in declared(Settings):
            value = getattr(services.settings, name)
            if setting.applies in {BOTH, ONE_MACHINE}:
                text = ",".join(value) if isinstance(value, tuple) else str(value)
                assert before[setting.variable][0] == (f"{value:g}" if isinstance(value, float) else text)
            else:
                assert value == setting.default
    assert (data / "archive").is_dir()
    assert (data / "published").is_dir()


def test_settings_command_without_json_prints_a_table(data: Path) -> None:
    lines = run("--data", data).output.splitlines()
    assert len(lines) == 15
    assert lines[0].split() == ["VSV_DATA", str(data), "--data"]
    assert lines[2].split() == ["VSV_SITE", "(none)", "default"]


def test_settings_command_names_unknown_variables_with_the_nearest_name(
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
def test_settings_command_masks_secrets(
    data: Path, monkeypatch: pytest.MonkeyPatch, secret: str, arguments: list[str]
) -> None:
    monkeypatch.setenv(secret, "0123456789abcdef")
    result = run("--data", data, *arguments)
    assert (result.exit_code, secret in result.output) == (0, True)
    assert "0123456789abcdef" not in result.output
    assert (MASK in result.output) == bool(arguments)


def test_settings_command_lists_variables_read_only_on_aws_separately(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VSV_SLIDES_TABLE", "slides")
    result = run("--data", data)
    assert "VSV_SLIDES_TABLE is set, but only read on AWS" in result.stderr
    found = json.loads(run("--data", data, "--json").stdout)
    assert found["unread"] == [{"variable": "VSV_SLIDES_TABLE", "value": "slides", "applies": "AWS"}]


def test_settings_command_shows_invalid_values_and_exits_with_1(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VSV_GRACE_DAYS", "week")
    monkeypatch.setenv("VSV_ICC", "sRGB")
    result = run("--data", data)
    assert result.exit_code == 1
    assert "Error: the setting VSV_GRACE_DAYS must be a number of days, such as 7\n" in result.stderr
    assert "Error: the setting VSV_ICC must be passthrough or srgb\n" in result.stderr
    assert len(result.stdout.splitlines()) == 15
    rows = {row["variable"]: row for row in json.loads(run("--data", data, "--json").stdout)["settings"]}
    assert (rows["VSV_GRACE_DAYS"]["value"], rows["VSV_GRACE_DAYS"]["source"]) == ("week", "environment")
    assert rows["VSV_SITE"]["problem"] is None


@pytest.mark.parametrize("level", ["debug", "Info", "WARNING", ""])
def test_command_accepts_log_level_in_any_case_and_an_empty_one(
    data: Path, monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    monkeypatch.setenv("VSV_LOG", level)
    result = CliRunner().invoke(main, ["list", "--data", str(data)])
    assert (result.exit_code, result.stderr) == (0, "0 slides\n")
    assert log_level("ERROR") == (level.upper() or "ERROR")


def test_command_refuses_unknown_log_level_by_the_name_of_the_setting(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VSV_LOG", "loud")
    result = CliRunner().invoke(main, ["list", "--data", str(data)])
    problem = "Error: the setting VSV_LOG must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL\n"
    assert (result.exit_code, result.output) == (1, problem)
    shown_settings = run("--data", data)
    assert (shown_settings.exit_code, problem in shown_settings.stderr) == (1, True)
    assert len(shown_settings.stdout.splitlines()) == 15


def test_settings_command_does_not_create_a_missing_folder(data: Path) -> None:
    result = run("--data", data / "other")
    assert (result.exit_code, (data / "other").exists()) == (0, False)
    assert f"data folder {data / 'other'} not found" in result.stderr


def test_effective_settings_are_read_from_the_given_environment(data: Path) -> None:
    rows = {row.variable: row for row in effective_settings({"VSV_ICC": "srgb"}, data, "--data")}
    assert (rows["VSV_ICC"].value, rows["VSV_ICC"].source) == ("srgb", "environment")
