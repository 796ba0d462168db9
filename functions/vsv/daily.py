"""The look at everything that is due by age, once a day: slides deleted or not opened for long, what kills left."""

from vsv import idle_slides, purging
from vsv.installation import Installation
from vsv.records import JobRecord


def look(here: Installation) -> list[JobRecord]:
    """Ask for the jobs that are due by age and give them; sweep the data folder."""
    here.files.sweep()
    return [*purging.request_due(here), *idle_slides.request_idle(here)]
