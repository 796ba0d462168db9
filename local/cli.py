"""The command line ``vsv``: a small lab's way to everything that the system does."""

import logging
import os
from typing import Any

import click
from vsv.errors import VsvError

from local import (
    cli_archiving,
    cli_backup,
    cli_importing,
    cli_jobs,
    cli_life,
    cli_omero,
    cli_publishing,
    cli_serving,
    cli_slides,
)
from local.finishing import JobFailedError


class _Commands(click.Group):
    """Turns the domain's errors into one sentence and exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (VsvError, JobFailedError) as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="virtual-slide-viewer", prog_name="vsv")
def main() -> None:
    """Import, look after and serve whole-slide images."""
    logging.basicConfig(format="%(levelname)s %(message)s", level=os.environ.get("VSV_LOG", "WARNING"))


main.add_command(cli_serving.serve)
main.add_command(cli_importing.import_files)
main.add_command(cli_importing.render)
main.add_command(cli_importing.status)
main.add_command(cli_slides.list_slides)
main.add_command(cli_slides.show)
main.add_command(cli_life.delete)
main.add_command(cli_life.send)
main.add_command(cli_archiving.archive)
main.add_command(cli_archiving.unarchive)
main.add_command(cli_publishing.publish)
main.add_command(cli_publishing.withdraw)
main.add_command(cli_publishing.check_published)
main.add_command(cli_jobs.jobs)
main.add_command(cli_jobs.run_jobs)
main.add_command(cli_slides.export_deepzoom)
main.add_command(cli_slides.add_mask)
main.add_command(cli_backup.backup)
main.add_command(cli_backup.restore)
main.add_command(cli_backup.take_over)
main.add_command(cli_omero.omero_import)
