"""``vsv jobs`` and ``vsv run-jobs``: list waiting and failed jobs, dismiss failed ones, run those that are due."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from vsv.errors import NotFoundError
from vsv.lifecycle import daily_schedule, requests
from vsv.lifecycle.job_runner import run_due
from vsv.records.models import JobKind, JobRecord, JobState
from vsv.services import Services
from vsv.workflow.job_queue import slide_jobs

from vsv_local.backup.restored_marker import check_in_use
from vsv_local.cli.options import OPERATOR, data_option, existing, json_option


@click.command(short_help="List waiting and failed jobs")
@data_option
@click.option(
    "--state",
    type=click.Choice(list(JobState), case_sensitive=False),
    multiple=True,
    default=(JobState.WAITING, JobState.FAILED),
    show_default="WAITING and FAILED",
    help="Only jobs in this state. Can be given more than once.",
)
@click.option(
    "--dismiss",
    metavar="IMAGEID",
    multiple=True,
    help="Take a slide's failed jobs off the list; they stay as dismissed.",
)
@json_option
def jobs(data: Path, state: tuple[str, ...], dismiss: tuple[str, ...], as_json: bool) -> None:
    """List waiting and failed jobs: publishing, archiving, unarchiving, purging, sending.

    With --dismiss, the failed jobs of these slides are dismissed, and those that were are listed.
    """
    with existing(data) as services:
        if dismiss:
            _report([job for image_id in dismiss for job in _dismiss(services, image_id)], as_json)
            return
        found = [job for one in state for job in _jobs(services, JobState(one))]
    _report(found, as_json)


def _dismiss(services: Services, image_id: str) -> list[JobRecord]:
    """Dismiss the failed jobs of a slide and return them; raise NotFoundError where none has failed."""
    failed = [job for job in slide_jobs(services, image_id) if job.state is JobState.FAILED]
    if not failed:
        raise NotFoundError(f"Slide {image_id} has no failed job")
    return [requests.dismiss(services, image_id, job.kind, OPERATOR) for job in failed]


def _report(found: list[JobRecord], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([_item(job) for job in found], indent=2, ensure_ascii=False))
        return
    for job in found:
        click.echo(_line(job))
    click.echo(f"{len(found)} job{'' if len(found) == 1 else 's'}", err=True)


def _jobs(services: Services, state: JobState) -> Iterator[JobRecord]:
    token = None
    while True:
        page = services.jobs.by_state(state, 500, token)
        yield from page.items
        if (token := page.next_token) is None:
            return


def _item(job: JobRecord) -> dict[str, Any]:
    """Return a job as JSON, without its policy: that may hold the secret that dates are shifted by."""
    detail = {name: text for name, text in (job.detail or {}).items() if name != "policy"}
    return replace(job, detail=detail or None).to_item()


def _line(job: JobRecord) -> str:
    expected = f"expected by {job.expected_at[:16]}Z" if job.expected_at else ""
    about = "; ".join(filter(None, (expected, job.error, (job.detail or {}).get("because"))))
    return f"{job.kind:<9} {job.image_id:<20} {job.state:<9} {job.requested_at[:16]}Z {job.by:<16} {about}".rstrip()


@click.command("run-jobs", short_help="Run the jobs that are due")
@data_option
def run_jobs(data: Path) -> None:
    """Run the jobs that are due, as a running server does by itself: for a scheduled task, once a day.

    Deleted slides whose grace period is over are purged; each run counts for at most a little more than a day.
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
