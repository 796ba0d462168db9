"""Collect all settings of the project, and their effective values on this machine."""

import difflib
import logging
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lambda_support.function_settings import (
    DistributionSettings,
    GraphQLSettings,
    LogSettings,
    SessionSettings,
)
from vsv.errors import SettingsError
from vsv.settings import (
    DATA,
    ENVIRONMENT,
    ONE_MACHINE,
    SCANNER,
    Checked,
    Setting,
    Settings,
    declare,
    declared,
    one_machine_settings,
)

MASK = "********"


def _counts(text: str) -> str:
    if not re.fullmatch(r"\d{1,4}[dwm](,\d{1,4}[dwm]){0,2}", text, re.ASCII):
        raise ValueError(text)
    if len({part[-1] for part in text.split(",")}) < len(text.split(",")):
        raise ValueError(text)
    return text


LOG = Setting(
    "VSV_LOG", "How much is logged: `DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`, in any case.",
    None, ONE_MACHINE, "`INFO` for `vsv serve`, else `WARNING`", str.upper,
    allows=lambda value: value is None or value in logging.getLevelNamesMapping(),
    rule="be one of DEBUG, INFO, WARNING, ERROR, CRITICAL",
)  # fmt: skip
BACKUPS_KEPT = Setting(
    "VSV_BACKUPS_KEPT", "How many backups `vsv backup` keeps: the last one of so many days, weeks and months.",
    "", ONE_MACHINE, "none: the last backup, and older ones stay", _counts,
    "be counts of days, weeks or months, such as 7d,4w,12m",
)  # fmt: skip
# Variables that only builds, tests and benchmarks read.
BUILD_ONLY = {
    "VSV_ARCH": "The processor that `layers/build_layer.py` builds for.",
    "VSV_DIST": "The folder of the wheel that `scripts/package` tries.",
    "VSV_BUILT": "Whether the tests of what was built run; `scripts/aws-build` sets it.",
    "VSV_LAMBDA_EMULATOR": "The program that emulates Lambda in these tests.",
    "VSV_LAMBDA_PYTHON": "The Python that these tests run functions with.",
    "VSV_WITHOUT_LIBDMTX": "Whether the layer for barcodes is built without libdmtx.",
    "VSV_KILL_ROUNDS": "How many times the tests that kill the server do so.",
    "VSV_KILL_RUNS": "How many runs `scripts/kill-drill` makes.",
    "VSV_KILL_SEED": "The seed of its random numbers.",
    "VSV_PEERS_VENV": "Where `benchmarks/peers.py` finds the programs to compare with.",
}


@dataclass(frozen=True, slots=True)
class CommandSettings(Checked):
    """The settings that the command line and the server read beside those of an installation."""

    log: str | None = declare(LOG)
    backups_kept: str = declare(BACKUPS_KEPT)


@dataclass(frozen=True, slots=True)
class ScannerSettings(Checked):
    """The settings that ``scripts/scanner`` reads, which imports nothing of this project."""

    secret: str = declare(Setting(
        "VSV_SCANNER_SECRET", "The client secret that the scanner's script signs in with; else `--secret-file`.",
        applies=SCANNER, secret=True,
    ))  # fmt: skip


MODELS = (
    Settings, CommandSettings, GraphQLSettings, SessionSettings, DistributionSettings, LogSettings, ScannerSettings,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Effective:
    """A setting's value as people may read it, its source, and the problem with it if there is one."""

    variable: str
    value: str
    source: str
    problem: str | None = None


def known_settings() -> dict[str, Setting]:
    """Return all settings by their variables; of a variable declared twice, the first declaration."""
    settings: dict[str, Setting] = {}
    for model in MODELS:
        for _, setting in declared(model):
            settings.setdefault(setting.variable, setting)
    return settings


def log_level(otherwise: str) -> str:
    """Return the level to log at: from VSV_LOG, else ``otherwise``, the command's own.

    Raises SettingsError where VSV_LOG names no level.
    """
    level, _ = LOG.read(os.environ)
    LOG.check(level)
    return otherwise if level is None else str(level)


def is_log_level_set() -> bool:
    """Return whether VSV_LOG sets the log level."""
    return LOG.read(os.environ)[1] == ENVIRONMENT


def backups_kept() -> str:
    """Return the value of VSV_BACKUPS_KEPT; raise SettingsError for one that has not its form."""
    return str(BACKUPS_KEPT.read(os.environ)[0])


def effective_settings(environment: Mapping[str, str], data: Path, source: str) -> Iterator[Effective]:
    """Yield the settings that one machine reads; ``source`` is that of the data folder. Nothing is created."""
    yield Effective(DATA.variable, str(data), source)
    for _, setting in one_machine_settings():
        yield _effective(setting, environment, data)
    log = _effective(LOG, environment, data)
    yield log if log.value else replace(log, value=LOG.default_text.replace("`", ""))
    yield _effective(BACKUPS_KEPT, environment, data)


def unread_settings(environment: Mapping[str, str]) -> Iterator[Setting]:
    """Yield the settings in the environment that only AWS or the scanner's computer reads."""
    read_here = {DATA, LOG, BACKUPS_KEPT, *(setting for _, setting in one_machine_settings())}
    for variable, setting in known_settings().items():
        if variable in environment and variable.startswith("VSV_") and setting not in read_here:
            yield setting


def unknown_variables(environment: Mapping[str, str]) -> Iterator[tuple[str, str | None]]:
    """Yield the VSV_ variables that nothing reads, each with the most similar known name, if one is similar."""
    known = known_settings()
    for variable in sorted(environment):
        if variable.startswith("VSV_") and variable not in known and variable not in BUILD_ONLY:
            yield variable, next(iter(difflib.get_close_matches(variable, known, n=1)), None)


def shown(setting: Setting, value: object) -> str:
    """Return a value as people may read it: a secret is masked, and a number has no needless digits."""
    if value is None or value == "":
        return ""
    if setting.secret:
        return MASK
    if isinstance(value, tuple):
        return ",".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _effective(setting: Setting, environment: Mapping[str, str], data: Path) -> Effective:
    value, source = environment.get(setting.variable, ""), ENVIRONMENT
    try:
        value, source = setting.read(environment, data)
        setting.check(value)
    except SettingsError as error:
        return Effective(setting.variable, shown(setting, value), source, str(error))
    return Effective(setting.variable, shown(setting, value), source)
