"""``vsv omero-import``."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from vsv.aws.boto3_extra import require_boto3
from vsv.records.models import Status
from vsv.runtime import on_aws
from vsv.services import Services
from vsv.settings import from_environment

from vsv_local.cli.options import data_option, existing
from vsv_local.export.omero_import import ImportOptions, Report, write_import


@click.command("omero-import", short_help="Write import files for OMERO")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@data_option
@click.option(
    "--aws", is_flag=True, help="Take the records from DynamoDB, and --data for the mounted EFS folder."
)
@click.option("--omero-data", help="The data folder as OMERO's server sees it, such as /OMERO/vsv.")
@click.option(
    "--project", default="Slides", show_default=True, help="OMERO's project for the cases' datasets."
)
@click.option(
    "--status", type=click.Choice(list(Status), case_sensitive=False), help="Only slides with this status."
)
@click.option("--case", "case_id", help="Only this case's slides.")
@click.option("--new-only", is_flag=True, help="Only slides that were not written into FOLDER before.")
@click.option("--with-notes", is_flag=True, help="Write reviewers and their notes, too.")
@click.option(
    "--image-suffix",
    default=" [0]",
    show_default=True,
    help="What OMERO adds to the main image's name where a file holds label or macro as well.",
)
def omero_import(  # noqa: PLR0913  one parameter an option
    folder: Path,
    data: Path,
    aws: bool,
    omero_data: str | None,
    project: str,
    status: str | None,
    case_id: str | None,
    new_only: bool,
    with_notes: bool,
    image_suffix: str,
) -> None:
    """Write the files that OMERO needs to register slides in place into FOLDER; see docs/omero.md."""
    wanted = ImportOptions(
        folder=omero_data or data.resolve().as_posix(),
        project=project,
        suffix=image_suffix,
        status=Status(status.upper()) if status else None,
        case_id=case_id,
        new_only=new_only,
        with_notes=with_notes,
    )
    with _on_aws(data) if aws else existing(data) as services:
        report = write_import(services, folder, wanted)
    click.echo(_told(report))


@contextmanager
def _on_aws(data: Path) -> Iterator[Services]:
    """Use the services whose tables the environment names; raises SettingsError where it names none."""
    require_boto3()
    yield on_aws(from_environment(os.environ | {"VSV_DATA": str(data)}))


def _told(report: Report) -> str:
    told = [f"{report.written} slide{'' if report.written == 1 else 's'} to register"]
    if report.known:
        told.append(f"{report.known} were written before")
    told += [f"{count} skipped: {why}" for why, count in report.left_out.items()]
    if report.gone:
        told.append(
            f"{report.gone} of those written before are no longer visible in OMERO: gone.csv lists them"
        )
    return "\n".join(told)
