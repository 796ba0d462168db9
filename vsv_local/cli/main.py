"""The command line ``vsv``."""

import logging
from typing import Any

import click
from vsv.errors import VsvError

from vsv_local.all_settings import log_level
from vsv_local.cli import (
    archiving,
    backup,
    ids,
    importing,
    jobs,
    lifecycle,
    omero,
    publishing,
    review,
    serving,
    show_settings,
    slides,
)
from vsv_local.cli.run_job import JobFailedError


class _Commands(click.Group):
    """Prints the domain's errors as one sentence, with exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (VsvError, JobFailedError) as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="virtual-slide-viewer", prog_name="vsv")
@click.pass_context
def main(context: click.Context) -> None:
    """Import, manage and serve whole-slide images."""
    # ``vsv settings`` lists a wrong level among the other settings, as the place to look for mistakes.
    shows_settings = context.invoked_subcommand == show_settings.settings.name
    level = "WARNING" if shows_settings else log_level("WARNING")
    logging.basicConfig(format="%(levelname)s %(message)s", level=level)


main.add_command(serving.serve)
main.add_command(importing.import_files)
main.add_command(importing.render)
main.add_command(importing.status)
main.add_command(slides.list_slides)
main.add_command(slides.show)
main.add_command(review.mark)
main.add_command(lifecycle.delete)
main.add_command(lifecycle.undelete)
main.add_command(lifecycle.purge)
main.add_command(lifecycle.send)
main.add_command(archiving.archive)
main.add_command(archiving.unarchive)
main.add_command(publishing.publish)
main.add_command(publishing.withdraw)
main.add_command(publishing.check_published)
main.add_command(jobs.jobs)
main.add_command(jobs.run_jobs)
main.add_command(ids.ids)
main.add_command(slides.export_deepzoom)
main.add_command(slides.add_mask)
main.add_command(backup.backup)
main.add_command(backup.restore)
main.add_command(backup.take_over)
main.add_command(omero.omero_import)
main.add_command(show_settings.settings)
