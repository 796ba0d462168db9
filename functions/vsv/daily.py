"""The look at everything that is due by age, once a day: deleted slides after their grace, what killed runs left."""

from vsv import purging
from vsv.installation import Installation
from vsv.records import JobRecord


def look(here: Installation) -> list[JobRecord]:
    """Ask for the jobs that are due by age and give them; sweep the data folder."""
    here.files.sweep()
    return purging.request_due(here)
