"""Resolve GraphQL fields as AppSync's direct Lambda resolvers do: an event a field, or a list of them for a batch."""

from typing import Any

from aws_lambda_powertools.event_handler import AppSyncResolver
from lambda_support.observability import observed

from review_slides import identity, job_resolvers, mutation_resolvers, query_resolvers
from review_slides.graphql_errors import translate_errors


@observed
def lambda_handler(event: dict[str, Any] | list[dict[str, Any]], context: Any) -> Any:
    """Return the field's value; every failure is raised as one sentence that begins with its type."""
    app = (
        AppSyncResolver()
    )  # one per event: an app stores its event, and the standalone server has many threads
    app.include_router(query_resolvers.router)
    app.include_router(mutation_resolvers.router)
    app.include_router(job_resolvers.router)
    first = event[0] if isinstance(event, list) else event
    with translate_errors(context), identity.use_caller(first):
        return app.resolve(event, context)
