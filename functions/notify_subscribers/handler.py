"""Changes in the tables of slides and imports, from DynamoDB's streams to GraphQL's subscribers.

A change that ``updateSlide``, ``assignSlide`` or ``retryImport`` made is told twice, by the mutation and from here:
harmless, since clients compare ``Version`` and ``UpdatedAt``. Nothing comes back to the streams: the two mutations
called here only read.
"""

import logging
from contextlib import closing
from typing import Any

from lambda_support.observability import observed
from lambda_support.settings import graphql_from_environment
from vsv.errors import UnavailableError

from notify_subscribers.appsync import AppSync
from notify_subscribers.notices import Notice, notices

log = logging.getLogger(__name__)

MARGIN_MS = 10_000  # more than one request can take; the function needs a timeout of 30 s or more


@observed
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Tell each change; name those that could not be told: Lambda tries again from the first of them on."""
    with closing(AppSync(graphql_from_environment())) as api:
        failed = [one.sequence_number for one in notices(event) if not _told(api, one, context)]
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}


def _told(api: AppSync, notice: Notice, context: Any) -> bool:
    try:
        if context.get_remaining_time_in_millis() < MARGIN_MS:
            raise UnavailableError("There is no time left in this call.")
        api.mutate(notice.mutation, notice.variables)
    except UnavailableError as error:
        log.warning("change %s was not told: %s", notice.sequence_number, error)
        return False
    return True
