"""The looks at what is due by age, once a day: slides deleted or not opened for long, what killed runs left."""

from collections.abc import Callable, Mapping

from vsv.delivery import unsent
from vsv.lifecycle import archive_policy, purging
from vsv.records.models import JobRecord
from vsv.services import Services


def _leftovers(services: Services) -> list[JobRecord]:
    services.files.prepare()  # before the first import there is nothing
    services.files.sweep()
    return []


# By name; each gives the jobs that it asks for. On AWS each is a call of its own, with a quarter of an hour.
LOOKS: Mapping[str, Callable[[Services], list[JobRecord]]] = {
    "leftovers": _leftovers,
    "deleted": purging.request_due,
    "idle": archive_policy.request_idle,
    "unsent": unsent.request_unsent,
}


def look(services: Services) -> list[JobRecord]:
    """Ask for the jobs that are due by age and give them; sweep the data folder."""
    return [job for one in LOOKS.values() for job in one(services)]
