"""Who asks: AppSync's identity of a Cognito user or an IAM principal, and what each may do.

The schema's directives refuse first; here the same is asked again, so that one slip in either opens nothing.
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
        """Tell whether this caller may change slides and see labels and whatever else names a patient."""
        return self.is_system or bool(self.groups & WRITERS)

    @property
    def is_admin(self) -> bool:
        """Tell whether this caller may decide what becomes of slides' files."""
        return self.is_system or ADMINS in self.groups

    @property
    def decider(self) -> Decider:
        """Give the caller as the domain sees one."""
        return Decider(self.name, self.is_admin)


# Not the resolver's own ``current_event``, which all threads of the standalone server would share.
_caller: ContextVar[Caller] = ContextVar("caller")
_selected: ContextVar[frozenset[str]] = ContextVar("selected")


@contextmanager
def asking(event: Mapping[str, Any]) -> Iterator[None]:
    """Let an event's identity be the caller for the length of a block."""
    selected = (event.get("info") or {}).get("selectionSetList") or ()
    tokens = _caller.set(read_identity(event.get("identity"))), _selected.set(frozenset(selected))
    try:
        yield
    finally:
        _caller.reset(tokens[0])
        _selected.reset(tokens[1])


def selected() -> frozenset[str]:
    """Give which fields of the answer are asked for, as ``items/CaseID``."""
    return _selected.get()


def read_identity(identity: Any) -> Caller:
    """Read AppSync's identity; raises ForbiddenError where there is none."""
    if not isinstance(identity, Mapping):
        raise ForbiddenError("You are not logged in.")
    claims = identity.get("claims") or {}
    if not claims and identity.get("userArn"):
        return Caller(str(identity["userArn"]).rpartition("/")[2][:MAX_NAME], frozenset(), is_system=True)
    name = identity.get("username") or identity.get("sub") or "unknown"
    groups = identity.get("groups") or claims.get("cognito:groups") or ()
    return Caller(str(name)[:MAX_NAME], frozenset([groups] if isinstance(groups, str) else groups))


def caller() -> Caller:
    """Give who asks."""
    return _caller.get()


def reader() -> Caller:
    """Give who asks; raises ForbiddenError unless they may look at slides."""
    asking_now = caller()
    if not (asking_now.is_system or asking_now.groups & READERS):
        raise ForbiddenError("Viewing slides needs one of the groups Technicians, Pathologists, Admins.")
    return asking_now


def writer() -> Caller:
    """Give who asks; raises ForbiddenError unless they may change slides."""
    asking_now = caller()
    if not asking_now.may_write:
        raise ForbiddenError("This needs one of the groups Technicians, Admins.")
    return asking_now


def admin() -> Caller:
    """Give who asks; raises ForbiddenError unless they may decide what becomes of slides' files."""
    asking_now = caller()
    if not asking_now.is_admin:
        raise ForbiddenError("This needs the group Admins.")
    return asking_now


def system() -> Caller:
    """Give who asks; raises ForbiddenError unless it is the system itself."""
    asking_now = caller()
    if not asking_now.is_system:
        raise ForbiddenError("Only the system itself reports progress.")
    return asking_now
