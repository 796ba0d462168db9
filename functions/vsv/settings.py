"""Settings of a deployment: each is declared once, as a field of a model, and read once from the environment."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, fields
from pathlib import Path

from vsv.errors import SettingsError
from vsv.identifiers import is_id_pattern

TYPE_CHECKING = False  # as in typing, whose import takes longer than this module's
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any


MIN_SECRET = 16  # characters: fewer could be guessed
# S3 storage classes for archived originals; GLACIER and DEEP_ARCHIVE take hours to restore one.
ARCHIVE_CLASSES = ("STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE")
ID_SOURCES = (
    "barcode",
    "tag",
    "filename",
)  # of a slide's IDs: the label, the scanner's Barcode tag, the name
# Where a setting applies.
ONE_MACHINE, AWS, BOTH, SCANNER = "one machine", "AWS", "one machine and AWS", "the scanner's computer"
# Where a value comes from.
DEFAULT, ENVIRONMENT, DATA_FOLDER = "default", "environment", "data folder"
# Patterns stay uncompiled: a cold start compiles only those of the settings that are set.
_ORIGIN = r"\*||https?://[a-z0-9.:\[\]-]{1,253}"
_DAYS = r"\d{1,5}(\.\d{1,3})?"


@dataclass(frozen=True, slots=True, eq=False, repr=False)  # each generated method slows a cold start down
class Setting:
    """The declaration of one setting: its environment variable, and which values are allowed.

    ``about`` describes the setting in one line for people; ``applies`` says where the setting is read;
    ``default_text`` describes a default that is not one value. ``parse`` converts the variable's text to the value
    and raises ValueError where the text does not have the ``form``. ``allows`` checks a value by the ``rule``.
    ``form`` and ``rule`` follow "must" in a message; the rule of a setting that is ``needed`` follows "is missing, or
    not". ``blank`` says whether an empty text is a value; otherwise an empty text counts as unset. ``parse_local``
    and ``in_folder`` apply on one machine: the parser, and the default that the data folder determines.
    """

    variable: str
    about: str
    default: object = ""
    applies: str = AWS
    default_text: str = ""
    parse: Callable[[str], object] = str
    form: str = ""
    allows: Callable[[Any], bool] | None = None
    rule: str = ""
    needed: bool = False
    blank: bool = False
    secret: bool = False
    parse_local: Callable[[str], object] | None = None
    in_folder: Callable[[Path], object] | None = None

    def read(self, environment: Mapping[str, str], folder: Path | None = None) -> tuple[Any, str]:
        """Return the value and where the value comes from; raise SettingsError where the text cannot be parsed.

        ``folder`` is the data folder on one machine, None on AWS.
        """
        text = environment.get(self.variable)
        if text or (self.blank and text is not None):
            return self._parse_text(text, folder), ENVIRONMENT
        if folder is not None and self.in_folder is not None and (folder_default := self.in_folder(folder)):
            return folder_default, DATA_FOLDER
        return self.default, DEFAULT

    def check(self, value: object) -> None:
        """Raise SettingsError where the value is not allowed."""
        if self.allows is None or self.allows(value):
            return
        if not self.needed:
            raise SettingsError(f"the setting {self.variable} must {self.rule}")
        raise SettingsError(
            f"the setting {self.variable} is missing{f', or not {self.rule}' if self.rule else ''}"
        )

    def _parse_text(self, text: str, folder: Path | None) -> object:
        parse = self.parse if folder is None else self.parse_local or self.parse
        try:
            return parse(text)
        except ValueError as error:
            raise SettingsError(f"the setting {self.variable} must {self.form}") from error


def declare(setting: Setting) -> Any:
    """Return a model field that holds the setting's value."""
    return field(default=setting.default, repr=not setting.secret, metadata={"setting": setting})


def declared(model: Any) -> Iterator[tuple[str, Setting]]:
    """Yield the name and the setting of each field of a model."""
    for model_field in fields(model):
        yield model_field.name, model_field.metadata["setting"]


def values_of(model: type[Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Read the values of a model's fields; raise SettingsError where a value cannot be parsed."""
    return {name: setting.read(environment)[0] for name, setting in declared(model)}


class Checked:
    """The base of all models: raises SettingsError for a value that its setting does not allow."""

    __slots__ = ()

    def __post_init__(self) -> None:
        """Check the values of all fields, in their order."""
        for name, setting in declared(self):
            setting.check(getattr(self, name))


def is_origin(text: str) -> bool:
    """Return whether a text is an origin, ``*`` or empty."""
    return re.fullmatch(_ORIGIN, text, re.ASCII) is not None


def _days(text: str) -> float:
    if not re.fullmatch(_DAYS, text, re.ASCII):
        raise ValueError(text)
    return float(text)


def _id_order(text: str) -> tuple[str, ...]:
    """Return the sources of IDs in their order, each at most once; raise ValueError for another source."""
    sources = tuple(part.strip() for part in text.split(","))
    if len(set(sources)) < len(sources) or not {*sources} <= {*ID_SOURCES}:
        raise ValueError(text)
    return sources


def _storage_location(text: str) -> str:
    """Return where copies are stored: a bucket as it is written, a folder as an absolute path."""
    return text if text.startswith("s3:") else str(Path(text).expanduser().absolute())


def _destinations_file(folder: Path) -> str:
    path = folder / "destinations.json"
    return str(path.resolve()) if path.exists() else ""


DATA = Setting(
    "VSV_DATA", "The folder of all files; on AWS the path where EFS is mounted.",
    None, BOTH, "one machine: a folder of your own", Path,
)  # fmt: skip
SITE = Setting(
    "VSV_SITE", "The origin at which people reach the site; on one machine only where a proxy stands before it.",
    applies=BOTH, allows=lambda value: value != "*" and is_origin(value),
    rule="be an origin, such as https://slides.example.org",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settings(Checked):
    """The settings that a function, or the server on one machine, needs."""

    data: Path | None = declare(DATA)
    slides_table: str = declare(Setting("VSV_SLIDES_TABLE", "The DynamoDB table of slides."))
    imports_table: str = declare(Setting("VSV_IMPORTS_TABLE", "The DynamoDB table of imports."))
    review_table: str = declare(Setting("VSV_REVIEW_TABLE", "The DynamoDB table of the review lists."))
    jobs_table: str = declare(Setting("VSV_JOBS_TABLE", "The DynamoDB table of jobs."))
    import_machine: str = declare(
        Setting("VSV_IMPORT_MACHINE", "The ARN of the Step Functions state machine that imports.")
    )
    transfer_task: str = declare(
        Setting("VSV_TRANSFER_TASK", "The ARN of the DataSync task that fills `incoming/`.")
    )
    drop_bucket: str = declare(Setting("VSV_DROP_BUCKET", "The bucket whose new objects are imported."))
    allow_origin: str = declare(Setting(
        "VSV_ALLOW_ORIGIN",
        "The site whose pages may read images and labels' texts; `*`: all sites, but no texts; empty: none.",
        "*", BOTH, allows=is_origin, rule="be *, empty, or an origin", blank=True,
    ))  # fmt: skip
    site: str = declare(SITE)
    tile_caching: str = declare(Setting(
        "VSV_TILE_CACHING", "`public` where an edge that checks permissions may keep tiles for all users.",
        "private", allows=lambda value: value in {"private", "public"}, rule="be private or public", blank=True,
    ))  # fmt: skip
    icc: str = declare(Setting(
        "VSV_ICC", "The colours of images where a request does not say: as stored, or converted by the ICC profile.",
        "passthrough", BOTH, allows=lambda value: value in {"passthrough", "srgb"}, rule="be passthrough or srgb",
    ))  # fmt: skip
    grace_days: float = declare(Setting(
        "VSV_GRACE_DAYS", "How many days a deleted slide can be undeleted, before its files are removed.",
        7.0, BOTH, parse=_days, form="be a number of days, such as 7",
    ))  # fmt: skip
    destinations: str = declare(Setting(
        "VSV_DESTINATIONS", "What lists the registries that slides are sent to: a file, or a secret's ARN.",
        applies=BOTH, default_text="one machine: `{data}/destinations.json`, if there is one",
        in_folder=_destinations_file,
    ))  # fmt: skip
    archive: str = declare(Setting(
        "VSV_ARCHIVE", "Where archived originals are kept: a folder, or `s3://bucket/prefix`.",
        applies=BOTH, default_text="one machine: `{data}/archive`",
        parse_local=_storage_location, in_folder=lambda folder: str(folder / "archive"),
    ))  # fmt: skip
    published: str = declare(Setting(
        "VSV_PUBLISHED", "Where de-identified copies are published: a folder, or `s3://bucket/prefix`.",
        applies=BOTH, default_text="one machine: `{data}/published`",
        parse_local=_storage_location, in_folder=lambda folder: str(folder / "published"),
    ))  # fmt: skip
    archive_class: str = declare(Setting(
        "VSV_ARCHIVE_CLASS", "The storage class of archived originals in a bucket.",
        "INTELLIGENT_TIERING", BOTH, allows=lambda value: value in ARCHIVE_CLASSES,
        rule=f"be one of {', '.join(ARCHIVE_CLASSES)}",
    ))  # fmt: skip
    archive_after_days: float = declare(Setting(
        "VSV_ARCHIVE_AFTER_DAYS", "How many days nobody must have opened a slide for its original to be archived.",
        180.0, BOTH, parse=_days, form="be a number of days, such as 180",
        allows=lambda value: value >= 1, rule="be at least 1",
    ))  # fmt: skip
    id_pattern: str = declare(Setting(
        "VSV_ID_PATTERN",
        "The laboratory's own pattern of slide IDs; empty: the grammar of [IDs](ids.md).",
        applies=BOTH, allows=is_id_pattern,
        rule="be a regular expression with the group `case`, of at most 1,000 characters, and with few choices",
    ))  # fmt: skip
    id_order: tuple[str, ...] = declare(Setting(
        "VSV_ID_ORDER", "Where a slide's IDs are looked for: the first text that matches the pattern is taken.",
        ID_SOURCES, BOTH, "`barcode,tag,filename`", _id_order,
        "be some of barcode, tag and filename, each once, with commas between them",
    ))  # fmt: skip
    write_wait: float = declare(Setting(
        "VSV_WRITE_WAIT",
        "How many seconds a file whose end is empty must stay unchanged before it counts as damaged, not unfinished.",
        120.0, ONE_MACHINE, parse=_days, form="be a number of seconds, such as 120",
        allows=lambda value: value <= 3600, rule="be at most 3600",
    ))  # fmt: skip
    edge_secret: str | None = declare(Setting(
        "VSV_EDGE_SECRET", "What CloudFront adds to each request for a label, to show that it has passed there.",
        None, allows=lambda value: value is None or len(value) >= MIN_SECRET,
        rule=f"have at least {MIN_SECRET} characters", blank=True, secret=True,
    ))  # fmt: skip

    @property
    def sending(self) -> bool:
        """Whether slides are sent to a registry."""
        return bool(self.destinations)


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of a Lambda function; read a mandatory setting with ``required``."""
    return Settings(**values_of(Settings, environment))


def one_machine_settings() -> Iterator[tuple[str, Setting]]:
    """Yield field name and setting of each setting that one machine reads once its data folder is known."""
    for name, setting in declared(Settings):
        if setting.applies != AWS and setting is not DATA:
            yield name, setting


def required(value: str, name: str) -> str:
    """Return a mandatory setting's value; raise SettingsError that names the setting where the value is empty."""
    if not value:
        raise SettingsError(f"the setting {name} is missing")
    return value
