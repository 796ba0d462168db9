"""Provide ``vsv jobs`` and ``vsv run-jobs``: list jobs that wait or failed, and run those that are due."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from vsv.lifecycle import daily_schedule
from vsv.lifecycle.job_runner import run_due
from vsv.records.models import JobKind, JobRecord, JobState
from vsv.services import Services

from vsv_local.backup.restored_marker import check_in_use
from vsv_local.cli.options import data_option, existing, json_option


@click.command()
@data_option
@click.option(
    "--state",
    type=click.Choice(list(JobState), case_sensitive=False),
    multiple=True,
    default=(JobState.WAITING, JobState.FAILED),
    show_default="WAITING and FAILED",
    help="Only these. Can be given more than once.",
)
@json_option
def jobs(data: Path, state: tuple[str, ...], as_json: bool) -> None:
    """List what slides wait for, and what failed: publishing, archiving, restoring, purging, sending."""
    with existing(data) as services:
        listed = [job for name in state for job in _jobs(services, JobState(name))]
    if as_json:
        click.echo(json.dumps([_item(job) for job in listed], indent=2, ensure_ascii=False))
        return
    for job in listed:
        click.echo(_line(job))
    click.echo(f"{len(listed)} job{'' if len(listed) == 1 else 's'}", err=True)


def _jobs(services: Services, state: JobState) -> Iterator[JobRecord]:
    token = None
    while True:
        page = services.jobs.by_state(state, 500, token)
        yield from page.items
        if (token := page.next_token) is None:
            return


def _item(job: JobRecord) -> dict[str, Any]:
    """Return a job as JSON without its policy, which may hold the secret that dates are shifted by."""
    detail = {name: text for name, text in (job.detail or {}).items() if name != "policy"}
    return replace(job, detail=detail or None).to_item()


def _line(job: JobRecord) -> str:
    expected = f"expected by {job.expected_at[:16]}Z" if job.expected_at else ""
    about = "; ".join(filter(None, (expected, job.error, (job.detail or {}).get("because"))))
    return f"{job.kind:<9} {job.image_id:<20} {job.state:<8} {job.requested_at[:16]}Z {job.by:<16} {about}".rstrip()


@click.command("run-jobs")
@data_option
def run_jobs(data: Path) -> None:
    """Do what is due now, as a running server does by itself: for a task that runs once a day, say.

    Deleted slides whose grace period is over are purged; a look counts for at most a little more than a day.
    """
    with existing(data) as services:
        check_in_use(data)
        daily_schedule.look(services)
        done = run_due(services, _kinds(services), lambda: True)
    for job in done:
        click.echo(_line(job) + _removed(job))
    click.echo(f"{len(done)} done or tried", err=True)
    sys.exit(1 if any(job.state is JobState.FAILED for job in done) else 0)


def _removed(job: JobRecord) -> str:
    result = job.result or {}
    return f": {result['files']} ({result['bytes']} bytes)" if "files" in result else ""


def _kinds(services: Services) -> list[JobKind]:
    return [kind for kind in JobKind if kind is not JobKind.SEND or services.settings.sending]
