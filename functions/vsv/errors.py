"""Everything that can go wrong, as one tree that knows no HTTP.

Messages are read by technicians and scripts: they say what is wrong and what to do, and never hold a path,
a traceback or a secret. Each type has a ``kind``, its own or its parent's: ``lambda_support.http`` maps kinds to
statuses, ``review_slides.graphql_errors`` to GraphQL error types. A test walks this tree.
"""

from enum import Enum
from typing import ClassVar


class ErrorKind(Enum):
    """What an error means to whoever asked, whatever the protocol."""

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
    """Base of every error that the domain raises on purpose; what states no other kind is answered as internal."""

    kind: ClassVar[ErrorKind] = ErrorKind.INTERNAL


class BadRequestError(VsvError):
    """The request itself is wrong; sending it again will not help."""

    kind = ErrorKind.BAD_REQUEST


class InvalidNameError(BadRequestError):
    """A file name or slide ID that is not one plain, safe path component."""


class InvalidTileAddressError(BadRequestError):
    """A tile address that does not follow the protocol's grammar."""


class InvalidQueryError(BadRequestError):
    """A query value or body field that is missing, malformed or out of bounds."""


class TooLargeError(BadRequestError):
    """A picture of more pixels than one request may cost."""


class AnswerTooLargeError(VsvError):
    """An answer of more bytes than can be sent."""

    kind = ErrorKind.TOO_LARGE


class UnsupportedError(VsvError):
    """A request that a protocol's specification allows and that is not served here."""

    kind = ErrorKind.UNSUPPORTED


class InvalidTokenError(BadRequestError):
    """A paging token that this store did not issue."""


class IllegalTransitionError(BadRequestError):
    """A slide's status may not follow the one that it has."""


class ForbiddenError(VsvError):
    """Who asks does not belong to a group that may do this."""

    kind = ErrorKind.FORBIDDEN


class NotFoundError(VsvError):
    """The thing asked for does not exist."""

    kind = ErrorKind.NOT_FOUND


class SlideNotFoundError(NotFoundError):
    """No slide has this ImageID."""


class TileNotFoundError(NotFoundError):
    """The address lies outside the slide's Deep Zoom pyramid."""


class ImageNotFoundError(NotFoundError):
    """The slide has no such associated image."""


class FileMissingError(NotFoundError):
    """A file that a step needs is not, or no longer, in its place."""


class ConflictError(VsvError):
    """The stored state is not what the caller believed."""

    kind = ErrorKind.CONFLICT


class AlreadyExistsError(ConflictError):
    """A record with this key is already stored."""


class VersionConflictError(ConflictError):
    """Somebody else changed the record first: read it again, then decide."""


class UnreadableSlideError(VsvError):
    """The file is not a slide that can be shown; retrying the same bytes will not help."""

    kind = ErrorKind.UNREADABLE


class CorruptTileError(UnreadableSlideError):
    """One tile's bytes are not the JPEG tile that the file's directory promises."""


class UnavailableError(VsvError):
    """Something outside is not working now (disk, network, store): try again later."""

    kind = ErrorKind.UNAVAILABLE


class TransferError(UnavailableError):
    """The copy from the scanner's folder failed or does not match its source."""


class NotYetError(UnavailableError):
    """What was asked for is under way elsewhere: look again in ``seconds``."""

    def __init__(self, message: str, seconds: float = 60.0) -> None:
        super().__init__(message)
        self.seconds = seconds


class FileChangingError(UnavailableError):
    """The file is still being written."""


class SettingsError(VsvError):
    """The deployment lacks a setting, or one has an impossible value."""

    kind = ErrorKind.INTERNAL


class LeakError(VsvError):
    """A copy that was to be published holds something that it must not: nothing was published."""

    kind = ErrorKind.UNREADABLE
