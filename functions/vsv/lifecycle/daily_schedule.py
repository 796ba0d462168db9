"""Daily checks: slides deleted or not opened for long, what crashes left behind, levels to be rendered again."""

from collections.abc import Callable, Mapping

from vsv.delivery import unsent
from vsv.lifecycle import archive_policy, job_registry, purging, pyramid_checks
from vsv.records.models import JobRecord
from vsv.services import Services


def _sweep_leftovers(services: Services) -> list[JobRecord]:
    services.files.prepare()  # before the first import the folder does not exist
    services.files.sweep()
    job_registry.retract_failed(services)
    return []


# By name; each check returns the jobs that it requested. On AWS each is an invocation of its own, of 15 minutes.
LOOKS: Mapping[str, Callable[[Services], list[JobRecord]]] = {
    "leftovers": _sweep_leftovers,
    "deleted": purging.request_due,
    "idle": archive_policy.request_idle,
    "unsent": unsent.request_unsent,
    "pyramids": pyramid_checks.request_renewals,
}


def look(services: Services) -> list[JobRecord]:
    """Run all daily checks: sweep the data folder, request the jobs that are due by age, and return those jobs."""
    return [job for check in LOOKS.values() for job in check(services)]
