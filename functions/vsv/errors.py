"""Errors that the domain raises, as one class tree that is independent of HTTP.

Messages are read by technicians and scripts: they say what is wrong and what to do, and never contain a path,
a traceback or a secret. Each class has a ``kind``, its own or its parent's: ``lambda_support.http`` maps kinds to
statuses, ``review_slides.graphql_errors`` to GraphQL error types. A test checks every class of this tree.
"""

from enum import Enum
from typing import ClassVar


class ErrorKind(Enum):
    """What an error means to the client, independent of the protocol."""

    BAD_REQUEST = "bad request"
    NOT_FOUND = "not found"
    CONFLICT = "conflict"
    FORBIDDEN = "forbidden"
    TOO_LARGE = "too large"
    UNSUPPORTED = "unsupported"
    UNREADABLE = "unreadable"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


class VsvError(Exception):
    """Base of every error that the domain raises on purpose; a class without a kind of its own counts as internal."""

    kind: ClassVar[ErrorKind] = ErrorKind.INTERNAL


class BadRequestError(VsvError):
    """The request itself is wrong; repeating the same request will not help."""

    kind = ErrorKind.BAD_REQUEST


class InvalidNameError(BadRequestError):
    """A file name or slide ID that is not one plain, safe path component."""


class InvalidTileAddressError(BadRequestError):
    """A tile address that does not follow the protocol's grammar."""


class InvalidQueryError(BadRequestError):
    """A query value or body field that is missing, malformed or out of bounds."""


class TooLargeError(BadRequestError):
    """An image of more pixels than one request may ask for."""


class AnswerTooLargeError(VsvError):
    """A response of more bytes than can be sent."""

    kind = ErrorKind.TOO_LARGE


class UnsupportedError(VsvError):
    """A request that a protocol's specification allows and that this server does not support."""

    kind = ErrorKind.UNSUPPORTED


class InvalidTokenError(BadRequestError):
    """A paging token that this store did not issue."""


class IllegalTransitionError(BadRequestError):
    """The requested status is not allowed after the slide's present status."""


class ForbiddenError(VsvError):
    """The caller does not belong to a group that may do this."""

    kind = ErrorKind.FORBIDDEN


class NotFoundError(VsvError):
    """The requested object does not exist."""

    kind = ErrorKind.NOT_FOUND


class SlideNotFoundError(NotFoundError):
    """No slide has this ImageID."""


class TileNotFoundError(NotFoundError):
    """The tile address lies outside the slide's Deep Zoom pyramid."""


class ImageNotFoundError(NotFoundError):
    """The slide has no associated image of this name."""


class FileMissingError(NotFoundError):
    """A file that a step needs is missing, or has been removed."""


class ConflictError(VsvError):
    """The stored state differs from the state that the caller assumed."""

    kind = ErrorKind.CONFLICT


class AlreadyExistsError(ConflictError):
    """A record with this key is already stored."""


class VersionConflictError(ConflictError):
    """Another writer changed the record first: read the record again, then decide."""


class UnreadableSlideError(VsvError):
    """The file is not a slide that can be shown; retrying with the same bytes will not help."""

    kind = ErrorKind.UNREADABLE


class CorruptTileError(UnreadableSlideError):
    """One tile's bytes are not the JPEG tile that the file's directory promises."""


class EmptyTileError(CorruptTileError):
    """A tile is stored with zero bytes: a converter has left it out of a reduced level."""


class MissingTablesError(CorruptTileError):
    """A tile's JPEG needs quantization tables that the file does not hold: no decoder can show it."""


class UnavailableError(VsvError):
    """An external resource (disk, network, store) does not work at present: retry later."""

    kind = ErrorKind.UNAVAILABLE


class TransferError(UnavailableError):
    """The copy from the scanner's folder failed or does not match its source."""


class NotYetError(UnavailableError):
    """The requested work is in progress elsewhere: retry after ``seconds``."""

    def __init__(self, message: str, seconds: float = 60.0) -> None:
        super().__init__(message)
        self.seconds = seconds


class FileChangingError(UnavailableError):
    """The file is still being written."""


class IncompleteSetError(FileChangingError):
    """A file of a slide of several files is missing: it is still being copied, or was left behind."""


class StillWrittenError(FileChangingError):
    """The file has its final size, but its scanner has not written all of it: wait, then look at the file again."""


class SettingsError(VsvError):
    """A setting of the deployment is missing or has an impossible value."""

    kind = ErrorKind.INTERNAL


class LeakError(VsvError):
    """A copy for publication contains identifying data (PHI): nothing was published."""

    kind = ErrorKind.UNREADABLE
