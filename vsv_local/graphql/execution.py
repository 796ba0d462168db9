"""Check, execute and answer one GraphQL request in AppSync's form."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    OperationType,
    execute,
    get_operation_ast,
    parse,
    specified_rules,
    validate,
)
from review_slides.graphql_errors import INTERNAL

from vsv_local.graphql.limits import MAX_TOKENS, CostRule
from vsv_local.graphql.resolvers import Request, executable

log = logging.getLogger(__name__)

Answer = dict[str, Any]
MAX_ERRORS = 10


@dataclass(frozen=True, slots=True)
class Operation:
    """A document that passed all checks, with its schema, variables and operation."""

    schema: GraphQLSchema
    document: DocumentNode
    node: OperationDefinitionNode
    variables: dict[str, Any]
    name: str | None

    @property
    def kind(self) -> OperationType:
        """Query, mutation or subscription."""
        return self.node.operation


class RefusedError(Exception):
    """A request that was not executed; ``answer`` says why."""

    def __init__(self, *errors: GraphQLError) -> None:
        super().__init__("refused")
        self.answer: Answer = {
            "data": None,
            "errors": [shown(error, "BadRequestException") for error in errors],
        }


def prepare(body: object) -> Operation:
    """Return the operation in a request's body ``{"query", "variables", "operationName"}``; raises RefusedError."""
    if not isinstance(body, Mapping) or not isinstance(body.get("query"), str):
        raise RefusedError(GraphQLError("The body must be a JSON object with a query."))
    variables, name = body.get("variables"), body.get("operationName")
    variables = {} if variables is None else variables
    if not isinstance(variables, dict) or not isinstance(name, str | None):
        raise RefusedError(GraphQLError("variables must be an object and operationName a text."))
    schema = _schema()
    document = _parse_and_check(schema, body["query"])
    node = get_operation_ast(document, name)
    if node is None:
        raise RefusedError(GraphQLError("operationName must name one of the document's operations."))
    return Operation(schema, document, node, variables, name)


@cache
def _schema() -> GraphQLSchema:
    return executable()


def _parse_and_check(schema: GraphQLSchema, query: str) -> DocumentNode:
    try:
        document = parse(query, max_tokens=MAX_TOKENS)
        errors = validate(schema, document, [*specified_rules, CostRule], max_errors=MAX_ERRORS)
    except GraphQLSyntaxError as error:
        raise RefusedError(error) from None
    except RecursionError:
        raise RefusedError(GraphQLError("The query is nested too deeply.")) from None
    if errors:
        raise RefusedError(*errors)
    return document


async def run(operation: Operation, request: Request, root: Any = None) -> Answer:
    """Execute a query or mutation, or a subscription's selection on one event (``root``)."""
    result = execute(
        operation.schema,
        operation.document,
        root,
        request,
        operation.variables,
        operation.name,
    )
    if not isinstance(result, ExecutionResult):
        result = await result
    return answered(result)


def answered(result: ExecutionResult) -> Answer:
    """Return a result in AppSync's form."""
    answer: Answer = {"data": result.data}
    if result.errors:
        answer["errors"] = [shown(error, None) for error in result.errors]
    return answer


def shown(error: GraphQLError, default_type: str | None) -> Answer:
    """Return an error as AppSync does, its type beside its message; no detail of this machine is included."""
    error_type = (error.extensions or {}).get("errorType") or default_type
    message = error.message
    if (
        error_type is None
        and error.original_error is not None
        and not isinstance(error.original_error, GraphQLError)
    ):
        log.error("a field failed", exc_info=error.original_error)
        error_type, message = INTERNAL, "internal error"
    locations = [{"line": at.line, "column": at.column} for at in error.locations or ()]
    return {
        "path": error.path,
        "data": None,
        "errorType": error_type or "ValidationError",
        "errorInfo": None,
        "locations": locations,
        "message": message,
    }
