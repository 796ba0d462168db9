"""Non-blocking mode: raise WouldWaitError instead of waiting for I/O.

An event loop must neither wait for a disk nor process pixels while other requests wait. A server first tries a
request in non-blocking mode on its loop: what the page cache holds is answered there; anything else raises
WouldWaitError and is handed to a thread.
"""

from contextvars import ContextVar

_is_non_blocking: ContextVar[bool] = ContextVar("non_blocking", default=False)


class WouldWaitError(Exception):
    """The response needs a disk read or computation; not an error of the domain, because nothing is wrong."""


class non_blocking:  # noqa: N801  used as a function; a generator would cost as much as reading a tile
    """Context manager that switches non-blocking mode on: its block raises WouldWaitError rather than wait."""

    __slots__ = ("_token",)

    def __enter__(self) -> None:
        self._token = _is_non_blocking.set(True)

    def __exit__(self, *_raised: object) -> None:
        _is_non_blocking.reset(self._token)


is_non_blocking = _is_non_blocking.get
"""Return whether non-blocking mode is on."""


def check_may_wait() -> None:
    """Raise WouldWaitError in non-blocking mode; called before any slow operation."""
    if _is_non_blocking.get():
        raise WouldWaitError
