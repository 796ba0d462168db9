"""Forward changes in the tables of slides, imports and jobs, from DynamoDB's streams, to GraphQL's subscribers.

A change that ``updateSlide``, ``assignSlide`` or ``retryImport`` made is announced twice, by the mutation and by this
function: harmless, since clients compare ``Version`` and ``UpdatedAt``. No loop arises: the mutations called here
only read, so they cause no change in a stream.
"""

import logging
from contextlib import closing
from typing import Any

from lambda_support.function_settings import graphql_from_environment
from lambda_support.observability import observed
from vsv.errors import UnavailableError

from notify_subscribers.appsync import AppSync
from notify_subscribers.notices import Notice, notices

log = logging.getLogger(__name__)

MARGIN_MS = 10_000  # more than one request can take; the function needs a timeout of 30 s or more


@observed
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Announce each change; return those that could not be announced: Lambda retries from the first of them on."""
    with closing(AppSync(graphql_from_environment())) as api:
        failed = [notice.sequence_number for notice in notices(event) if not _send(api, notice, context)]
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}


def _send(api: AppSync, notice: Notice, context: Any) -> bool:
    try:
        if context.get_remaining_time_in_millis() < MARGIN_MS:
            raise UnavailableError("There is no time left in this call.")
        api.mutate(notice.mutation, notice.variables)
    except UnavailableError as error:
        log.warning("change %s was not told: %s", notice.sequence_number, error)
        return False
    return True
