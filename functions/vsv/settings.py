"""Settings of a deployment, read once from the environment."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vsv.errors import SettingsError

MIN_SECRET = 16  # characters: fewer could be guessed
_ORIGIN = re.compile(r"\*||https?://[a-z0-9.:\[\]-]{1,253}", re.ASCII)
_DAYS = re.compile(r"\d{1,5}(\.\d{1,3})?", re.ASCII)
# Where an original is kept; GLACIER and DEEP_ARCHIVE take hours to give it back.
ARCHIVE_CLASSES = ("STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE")
_CLOUDFRONT_ID = re.compile(r"[A-Z0-9]{5,32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a function must know of its deployment.

    ``data``: the folder of all files (EFS's mount path), None for functions without files. ``slides_table``,
    ``imports_table``, ``review_table``, ``jobs_table``: DynamoDB tables.
    ``import_machine``: ARN of the state machine that imports. ``transfer_task``: ARN of the DataSync task that fills
    ``incoming/``. ``drop_bucket``: the bucket whose new objects are imported.
    ``allow_origin``: whose pages may read tiles, empty for none but our own. ``tile_caching``: ``public`` where tiles
    may be kept for all, by an edge that knows who asks. ``edge_secret``: what that edge adds to requests for labels;
    None where there is no edge. ``site``: the origin at which people reach this, where requests do not tell it
    (behind a proxy).
    ``grace_days``: how long a deleted slide can be brought back. ``destinations``: what holds
    where slides' metadata is sent to, a file or a secret's ARN; empty where there is no such registry.
    ``archive`` and ``published``: where originals and published copies are kept, a folder or ``s3://bucket/prefix``.
    ``archive_class``: the storage class of originals in a bucket. ``archive_after_days``: how long a slide must not
    have been opened to be archived without being asked for.
    ``icc``: whose colours tiles have where a request does not say, ``passthrough`` (as stored) or ``srgb``.
    """

    data: Path | None = None
    slides_table: str = ""
    imports_table: str = ""
    review_table: str = ""
    jobs_table: str = ""
    import_machine: str = ""
    transfer_task: str = ""
    drop_bucket: str = ""
    allow_origin: str = "*"
    tile_caching: str = "private"
    icc: str = "passthrough"
    grace_days: float = 7.0
    destinations: str = ""
    archive: str = ""
    published: str = ""
    archive_class: str = "INTELLIGENT_TIERING"
    archive_after_days: float = 180.0
    edge_secret: str | None = field(default=None, repr=False)
    site: str = ""

    @property
    def sending(self) -> bool:
        """Whether there is a registry that slides are sent to."""
        return bool(self.destinations)

    def __post_init__(self) -> None:
        """Refuse impossible values; raises SettingsError."""
        if not _ORIGIN.fullmatch(self.allow_origin):
            raise SettingsError("the setting VSV_ALLOW_ORIGIN must be *, empty, or an origin")
        if self.site == "*" or not _ORIGIN.fullmatch(self.site):
            raise SettingsError("the setting VSV_SITE must be an origin, such as https://slides.example.org")
        if self.tile_caching not in {"private", "public"}:
            raise SettingsError("the setting VSV_TILE_CACHING must be private or public")
        if self.icc not in {"passthrough", "srgb"}:
            raise SettingsError("the setting VSV_ICC must be passthrough or srgb")
        if self.archive_class not in ARCHIVE_CLASSES:
            raise SettingsError(f"the setting VSV_ARCHIVE_CLASS must be one of {', '.join(ARCHIVE_CLASSES)}")
        if self.archive_after_days < 1:
            raise SettingsError("the setting VSV_ARCHIVE_AFTER_DAYS must be at least 1")
        if self.edge_secret is not None and len(self.edge_secret) < MIN_SECRET:
            raise SettingsError(f"the setting VSV_EDGE_SECRET must have at least {MIN_SECRET} characters")


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings of a Lambda function; what a function needs, it asks for with ``required``."""
    return Settings(
        data=Path(environment["VSV_DATA"]) if environment.get("VSV_DATA") else None,
        slides_table=environment.get("VSV_SLIDES_TABLE", ""),
        imports_table=environment.get("VSV_IMPORTS_TABLE", ""),
        review_table=environment.get("VSV_REVIEW_TABLE", ""),
        jobs_table=environment.get("VSV_JOBS_TABLE", ""),
        import_machine=environment.get("VSV_IMPORT_MACHINE", ""),
        transfer_task=environment.get("VSV_TRANSFER_TASK", ""),
        drop_bucket=environment.get("VSV_DROP_BUCKET", ""),
        allow_origin=environment.get("VSV_ALLOW_ORIGIN", "*"),
        tile_caching=environment.get("VSV_TILE_CACHING", "private"),
        grace_days=number(environment, "VSV_GRACE_DAYS", 7.0),
        destinations=environment.get("VSV_DESTINATIONS", ""),
        archive=environment.get("VSV_ARCHIVE", ""),
        published=environment.get("VSV_PUBLISHED", ""),
        archive_class=environment.get("VSV_ARCHIVE_CLASS") or "INTELLIGENT_TIERING",
        archive_after_days=number(environment, "VSV_ARCHIVE_AFTER_DAYS", 180.0),
        icc=environment.get("VSV_ICC") or "passthrough",
        edge_secret=environment.get("VSV_EDGE_SECRET"),
        site=environment.get("VSV_SITE", ""),
    )


def required(value: str, name: str) -> str:
    """Give a setting that must be there; raises SettingsError that names it."""
    if not value:
        raise SettingsError(f"the setting {name} is missing")
    return value


def number(environment: Mapping[str, str], name: str, default: float) -> float:
    """Read a setting that is a number of days; raises SettingsError."""
    text = environment.get(name, "")
    if not text:
        return default
    if not _DAYS.fullmatch(text):
        raise SettingsError(f"the setting {name} must be a number of days, such as {default:g}")
    return float(text)


@dataclass(frozen=True, slots=True)
class GraphQLSettings:
    """Where the GraphQL API is, for functions that call it: they need no data folder."""

    url: str
    region: str


def graphql_from_environment(environment: Mapping[str, str] = os.environ) -> GraphQLSettings:
    """Read where the GraphQL API is; raises SettingsError that names what is missing or wrong."""
    url, region = environment.get("VSV_GRAPHQL_URL", ""), environment.get("AWS_REGION", "")
    if not _is_safe(url):
        raise SettingsError("the setting VSV_GRAPHQL_URL is missing, or not an https address")
    if not region:
        raise SettingsError("the setting AWS_REGION is missing")
    return GraphQLSettings(url, region)


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """What signed cookies are made of: the site's origin, the signing key's secret (an ARN), the public key's ID."""

    site: str
    secret: str
    key_id: str


def session_from_environment(environment: Mapping[str, str] = os.environ) -> SessionSettings:
    """Read what signed cookies are made of; raises SettingsError that names what is missing or wrong."""
    names = ("VSV_SITE", "VSV_SIGNING_SECRET", "VSV_KEY_ID")
    site, secret, key_id = (environment.get(name, "") for name in names)
    if not _is_safe(site) or not _ORIGIN.fullmatch(site):
        raise SettingsError("the setting VSV_SITE is missing, or not an https origin")
    if not secret.startswith("arn:"):
        raise SettingsError("the setting VSV_SIGNING_SECRET is missing, or not an ARN")
    if not _CLOUDFRONT_ID.fullmatch(key_id):
        raise SettingsError("the setting VSV_KEY_ID is missing, or not the ID of a CloudFront public key")
    return SessionSettings(site, secret, key_id)


def distribution_from_environment(environment: Mapping[str, str] = os.environ) -> str:
    """Read the ID of the CloudFront distribution; raises SettingsError where it is missing or wrong."""
    found = environment.get("VSV_DISTRIBUTION", "")
    if not _CLOUDFRONT_ID.fullmatch(found):
        raise SettingsError(
            "the setting VSV_DISTRIBUTION is missing, or not the ID of a CloudFront distribution"
        )
    return found


def _is_safe(url: str) -> bool:
    """Tell whether signed requests may go there: encrypted, or within this machine."""
    from urllib.parse import urlsplit  # noqa: PLC0415  cold start: a tile asks for no address

    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname == "127.0.0.1")
    )
