"""Look up a slide's record for documents that are still useful without one."""

import logging

from vsv.errors import SettingsError, UnavailableError
from vsv.records.models import SlideRecord
from vsv.services import Services

log = logging.getLogger(__name__)


def record_of(services: Services, image_id: str) -> SlideRecord | None:
    """Return the slide's record; None where there is none, where there are no records, or none can be read now."""
    try:
        return services.slides.get(image_id)
    except SettingsError:
        return None
    except UnavailableError as error:
        # Logged because no answer would show that a permission is missing.
        log.warning("told without the slide's record: %s", error.__cause__ or error)
        return None
