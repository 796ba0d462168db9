"""Limit a document before its execution: its length, its depth, and the number of its fields."""

from collections.abc import Iterator
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    OperationDefinitionNode,
    SelectionSetNode,
    ValidationContext,
    ValidationRule,
)

MAX_BODY_BYTES = 1 << 20  # AppSync's own limit for a request
MAX_TOKENS = 5000
MAX_DEPTH = 15  # the deepest that introspection tools ask for is 13
MAX_FIELDS = 2000
# Each is one call of the review function, or more than one.
MAX_ROOT_FIELDS = 25


class CostRule(ValidationRule):
    """Refuses documents whose selections, with fragments expanded, are too many or too deep."""

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self._fragments = {
            node.name.value: node
            for node in context.document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        self._fragment_costs: dict[str, tuple[int, int]] = {}
        self._being_counted: set[str] = set()

    def enter_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> None:
        """Check one operation."""
        fields, depth = self._cost(node.selection_set)
        if depth > MAX_DEPTH:
            self.report_error(GraphQLError(f"The query is deeper than {MAX_DEPTH} levels.", node))
        if fields > MAX_FIELDS:
            self.report_error(GraphQLError(f"The query selects more than {MAX_FIELDS} fields.", node))
        if self._root_fields(node.selection_set, set()) > MAX_ROOT_FIELDS:
            self.report_error(
                GraphQLError(f"The query has more than {MAX_ROOT_FIELDS} top-level fields.", node)
            )

    def _cost(self, selections: SelectionSetNode | None) -> tuple[int, int]:
        """Return the number of fields and the depth; a fragment is computed once, so nesting cannot multiply work."""
        fields = depth = 0
        for node in selections.selections if selections else ():
            if isinstance(node, FragmentSpreadNode):
                more, below = self._fragment_cost(node.name.value)
            elif isinstance(node, FieldNode):
                more, below = self._cost(node.selection_set)
                more, below = more + 1, below + 1
            else:
                more, below = self._cost(getattr(node, "selection_set", None))
            fields, depth = fields + more, max(depth, below)
        return fields, depth

    def _fragment_cost(self, name: str) -> tuple[int, int]:
        if name in self._being_counted or name not in self._fragments:
            return 0, 0  # a cycle, or an unknown fragment: other rules refuse both
        if name not in self._fragment_costs:
            self._being_counted.add(name)
            self._fragment_costs[name] = self._cost(self._fragments[name].selection_set)
            self._being_counted.discard(name)
        return self._fragment_costs[name]

    def _root_fields(self, selections: SelectionSetNode, expanded: set[str]) -> int:
        return sum(1 for _ in self._roots(selections, expanded))

    def _roots(self, selections: SelectionSetNode, expanded: set[str]) -> Iterator[FieldNode]:
        for node in selections.selections:
            if isinstance(node, FieldNode):
                yield node
            elif isinstance(node, FragmentSpreadNode):
                if node.name.value not in expanded and node.name.value in self._fragments:
                    yield from self._roots(
                        self._fragments[node.name.value].selection_set, expanded | {node.name.value}
                    )
            else:
                yield from self._roots(
                    getattr(node, "selection_set", SelectionSetNode(selections=())), expanded
                )


def operations(document: DocumentNode) -> list[OperationDefinitionNode]:
    """Return a document's operations."""
    return [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
