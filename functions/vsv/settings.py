"""Settings of a deployment, read once from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vsv.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Settings:
    """What a function must know of its deployment.

    ``data``: the folder of all files (EFS's mount path). ``slides_table``, ``imports_table``, ``review_table``:
    DynamoDB tables.
    ``import_machine``: ARN of the state machine that imports. ``allow_origin``: whose pages may read tiles.
    """

    data: Path
    slides_table: str = ""
    imports_table: str = ""
    review_table: str = ""
    import_machine: str = ""
    allow_origin: str = "*"


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings of a Lambda function; raises SettingsError that names what is missing."""
    if not environment.get("VSV_DATA"):
        raise SettingsError("the setting VSV_DATA is missing: the folder where slides are stored")
    return Settings(
        data=Path(environment["VSV_DATA"]),
        slides_table=environment.get("VSV_SLIDES_TABLE", ""),
        imports_table=environment.get("VSV_IMPORTS_TABLE", ""),
        review_table=environment.get("VSV_REVIEW_TABLE", ""),
        import_machine=environment.get("VSV_IMPORT_MACHINE", ""),
        allow_origin=environment.get("VSV_ALLOW_ORIGIN", "*"),
    )
