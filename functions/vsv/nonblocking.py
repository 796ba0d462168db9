"""Answering at once or not at all.

An event loop must neither wait for a disk nor work on pixels while others wait. A server tries a request in haste on
its loop first: what the page cache holds is answered there, anything else breaks off and goes to a thread.
"""

from contextvars import ContextVar

_is_non_blocking: ContextVar[bool] = ContextVar("in_haste", default=False)


class WouldWaitError(Exception):
    """The answer needs a disk or work; not one of the domain's errors, because nothing is wrong."""


class non_blocking:  # noqa: N801  used as a function; a generator would cost as much as reading a tile
    """Let a block raise WouldWaitError rather than wait."""

    __slots__ = ("_token",)

    def __enter__(self) -> None:
        self._token = _is_non_blocking.set(True)

    def __exit__(self, *_raised: object) -> None:
        _is_non_blocking.reset(self._token)


is_non_blocking = _is_non_blocking.get
"""Tells whether waiting is out of the question."""


def check_may_wait() -> None:
    """Raise WouldWaitError in haste; called before what takes time."""
    if _is_non_blocking.get():
        raise WouldWaitError
