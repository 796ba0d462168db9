"""Settings of a deployment, read once from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vsv.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Settings:
    """What a function must know of its deployment.

    ``data``: the folder of all files (EFS's mount path), None for functions without files. ``slides_table``,
    ``imports_table``, ``review_table``: DynamoDB tables.
    ``import_machine``: ARN of the state machine that imports. ``transfer_task``: ARN of the DataSync task that fills
    ``incoming/``. ``drop_bucket``: the bucket whose new objects are imported.
    ``allow_origin``: whose pages may read tiles.
    """

    data: Path | None = None
    slides_table: str = ""
    imports_table: str = ""
    review_table: str = ""
    import_machine: str = ""
    transfer_task: str = ""
    drop_bucket: str = ""
    allow_origin: str = "*"


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings of a Lambda function; what a function needs, it asks for with ``required``."""
    return Settings(
        data=Path(environment["VSV_DATA"]) if environment.get("VSV_DATA") else None,
        slides_table=environment.get("VSV_SLIDES_TABLE", ""),
        imports_table=environment.get("VSV_IMPORTS_TABLE", ""),
        review_table=environment.get("VSV_REVIEW_TABLE", ""),
        import_machine=environment.get("VSV_IMPORT_MACHINE", ""),
        transfer_task=environment.get("VSV_TRANSFER_TASK", ""),
        drop_bucket=environment.get("VSV_DROP_BUCKET", ""),
        allow_origin=environment.get("VSV_ALLOW_ORIGIN", "*"),
    )


def required(value: str, name: str) -> str:
    """Give a setting that must be there; raises SettingsError that names it."""
    if not value:
        raise SettingsError(f"the setting {name} is missing")
    return value


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
