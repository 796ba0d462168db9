"""Identify the caller, a Cognito user or an IAM principal in AppSync's identity, and what the caller may do.

The schema's directives refuse first; the checks here repeat them, so that one mistake in either opens nothing.
Source: "Resolver context object reference", AppSync developer guide, Identity.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from vsv.errors import ForbiddenError
from vsv.roles import ADMINS, READERS, WRITERS
from vsv.workflow.transitions import Decider

MAX_NAME = 100


@dataclass(frozen=True, slots=True)
class Caller:
    """A user with groups, or the system itself: an IAM principal that the API's policy lets in."""

    name: str
    groups: frozenset[str]
    is_system: bool = False

    @property
    def may_write(self) -> bool:
        """Whether this caller may change slides and see labels and all other data that identifies a patient."""
        return self.is_system or bool(self.groups & WRITERS)

    @property
    def is_admin(self) -> bool:
        """Whether this caller may decide what happens to slides' files."""
        return self.is_system or ADMINS in self.groups

    @property
    def decider(self) -> Decider:
        """The caller as the domain's Decider."""
        return Decider(self.name, self.is_admin)


# Not the resolver's own ``current_event``, which all threads of the standalone server would share.
_caller: ContextVar[Caller] = ContextVar("caller")
_selected: ContextVar[frozenset[str]] = ContextVar("selected")


@contextmanager
def use_caller(event: Mapping[str, Any]) -> Iterator[None]:
    """Set an event's identity as the caller for the length of a block."""
    selected = (event.get("info") or {}).get("selectionSetList") or ()
    tokens = _caller.set(read_identity(event.get("identity"))), _selected.set(frozenset(selected))
    try:
        yield
    finally:
        _caller.reset(tokens[0])
        _selected.reset(tokens[1])


def selected() -> frozenset[str]:
    """Return the fields of the answer that the query selects, as ``items/CaseID``."""
    return _selected.get()


def read_identity(identity: Any) -> Caller:
    """Return the caller in AppSync's identity; raises ForbiddenError where there is no identity."""
    if not isinstance(identity, Mapping):
        raise ForbiddenError("You are not logged in.")
    claims = identity.get("claims") or {}
    if not claims and identity.get("userArn"):
        return Caller(str(identity["userArn"]).rpartition("/")[2][:MAX_NAME], frozenset(), is_system=True)
    name = identity.get("username") or identity.get("sub") or "unknown"
    groups = identity.get("groups") or claims.get("cognito:groups") or ()
    return Caller(str(name)[:MAX_NAME], frozenset([groups] if isinstance(groups, str) else groups))


def caller() -> Caller:
    """Return the caller."""
    return _caller.get()


def reader() -> Caller:
    """Return the caller; raises ForbiddenError unless the caller may look at slides."""
    current_caller = caller()
    if not (current_caller.is_system or current_caller.groups & READERS):
        raise ForbiddenError("Viewing slides needs one of the groups Technicians, Pathologists, Admins.")
    return current_caller


def writer() -> Caller:
    """Return the caller; raises ForbiddenError unless the caller may change slides."""
    current_caller = caller()
    if not current_caller.may_write:
        raise ForbiddenError("This needs one of the groups Technicians, Admins.")
    return current_caller


def admin() -> Caller:
    """Return the caller; raises ForbiddenError unless the caller may decide what happens to slides' files."""
    current_caller = caller()
    if not current_caller.is_admin:
        raise ForbiddenError("This needs the group Admins.")
    return current_caller


def system() -> Caller:
    """Return the caller; raises ForbiddenError unless the caller is the system itself."""
    current_caller = caller()
    if not current_caller.is_system:
        raise ForbiddenError("Only the system itself reports progress.")
    return current_caller
