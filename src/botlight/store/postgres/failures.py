"""What PostgreSQL's errors mean to a caller: the write is refused, was in another's way, or cannot be taken now."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import asyncpg

from botlight.model.errors import Invalid, Unavailable
from botlight.service.ports import RejectedWrite

__all__ = ["Busy", "Collision", "Outage", "is_of_the_database"]

log = logging.getLogger(__name__)

RETRY_AFTER_S: Final = 2.0

_OF_THE_DATA: Final = (
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.DataError,
    asyncpg.ProgramLimitExceededError,
    asyncpg.RaiseError,  # a trigger of theirs
    OverflowError,
    TypeError,
    UnicodeError,
    ValueError,  # asyncpg's own word for a value that does not fit its column is one, too
)

_IN_THE_WAY: Final = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)

_OF_THE_DATABASE: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the driver, of a connection that the server ended while nobody looked
    OSError,
    MemoryError,
    TimeoutError,
)

# A statement of ours that PostgreSQL does not understand, or its own damage; a server that is away explains itself.
_WORTH_A_TRACE: Final = (
    asyncpg.SyntaxOrAccessError,
    asyncpg.InternalServerError,
    asyncpg.FeatureNotSupportedError,
)

_WORDS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (asyncpg.DiskFullError, "The disk of the store is full; nothing was saved."),
    (asyncpg.ReadOnlySQLTransactionError, "The store is read-only; nothing was saved."),
    (asyncpg.TooManyConnectionsError, "The store takes no more connections; nothing was saved."),
    (asyncpg.InsufficientPrivilegeError, "The store refuses; nothing was saved."),
)


class Collision(Exception):  # noqa: N818  no error: two transactions met, and one of them has to begin again
    """Another transaction was in the way; nothing was written. Load again and try again."""


class Busy(Unavailable):
    """The store cannot take this now; nothing was acknowledged.

    Another transaction holds what was to be written, and did not end in time; nothing was written.
    """


class Outage:
    """Turns errors into what callers know, and logs the begin and the end of an outage once each.

    Errors of other kinds are answered as they are. Used on one event loop.
    """

    def __init__(self) -> None:
        self._down = False

    @contextmanager
    def of_writes(self) -> Iterator[None]:
        """Translate what is raised inside, where something is written."""
        with self._translating(self.of_a_write):
            yield

    @contextmanager
    def of_reads(self) -> Iterator[None]:
        """Translate what is raised inside, where something is read."""
        with self._translating(self.of_a_read):
            yield

    def of_a_write(self, error: Exception) -> Exception:
        """What to raise instead of an error that a write met."""
        if isinstance(error, _IN_THE_WAY):
            return Collision(str(error))
        if isinstance(error, asyncpg.LockNotAvailableError):
            return Busy("Others are writing the same; nothing was saved.", retry_after_s=RETRY_AFTER_S)
        # What the network says are OSErrors; a TimeoutError is one of them and no ValueError.
        if isinstance(error, _OF_THE_DATA):
            return RejectedWrite(f"{type(error).__name__}: {error}")
        return self.of_a_read(error)

    def of_a_read(self, error: Exception) -> Exception:
        """What to raise instead of an error that a read met; the cause goes to the log, never to the caller."""
        if isinstance(error, asyncpg.DataError) or _unsuitable(error):
            return Invalid("A value is beyond what the store can look for.")
        if not is_of_the_database(error):
            return error
        if not self._down:
            self._down = True
            ours = isinstance(error, _WORTH_A_TRACE)
            log.error("the store is unavailable", extra={"reason": repr(error)}, exc_info=error if ours else None)
        words = next((words for kind, words in _WORDS if isinstance(error, kind)), "")
        return Unavailable(words, retry_after_s=RETRY_AFTER_S)

    @contextmanager
    def _translating(self, meaning: Callable[[Exception], Exception]) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            meant = meaning(error)
            if meant is error:
                raise
            raise meant from error
        self.over()

    def over(self) -> None:
        """Note that something was written or read."""
        if self._down:
            self._down = False
            log.info("the store is available again")


def is_of_the_database(error: BaseException) -> bool:
    """Whether the database or the way to it said so, and no bug of ours."""
    return isinstance(error, _OF_THE_DATABASE) and not _unsuitable(error)


def _unsuitable(error: BaseException) -> bool:
    """Whether the driver says of a value that it does not fit its column."""
    return isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)
