"""A slide's record, for documents that are better without it than not at all."""

import logging

from vsv.errors import SettingsError, UnavailableError
from vsv.records.models import SlideRecord
from vsv.services import Services

log = logging.getLogger(__name__)


def record_of(services: Services, image_id: str) -> SlideRecord | None:
    """Give what is known of the slide; None where nothing is, where there are no records, or none can be read now."""
    try:
        return services.slides.get(image_id)
    except SettingsError:
        return None
    except UnavailableError as error:
        # A missing right would show in no answer.
        log.warning("told without the slide's record: %s", error.__cause__ or error)
        return None
