"""What SQLite's errors mean to a caller: the write is refused, or the store cannot take anything now."""

from __future__ import annotations

import logging
import threading
from typing import Final

import apsw

from botlight.model.errors import Unavailable
from botlight.service.ports import RejectedWrite

__all__ = ["Outage"]

log = logging.getLogger(__name__)

_OF_THE_DATA: Final = (
    apsw.ConstraintError,
    apsw.MismatchError,
    apsw.TooBigError,
    apsw.RangeError,
    OverflowError,
    TypeError,
    UnicodeError,
    ValueError,
)

_WORDS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (apsw.FullError, "The disk of the store is full; nothing was saved."),
    (apsw.ReadOnlyError, "The store is read-only; nothing was saved."),
    (apsw.BusyError, "The store is busy; nothing was saved."),
    (apsw.CorruptError, "The store is damaged; nothing was saved."),
    (apsw.NotADBError, "The store is damaged; nothing was saved."),
)

RETRY_AFTER_S: Final = 2.0


class Outage:
    """Turns errors into what callers know, and logs the begin and the end of an outage once each."""

    def __init__(self) -> None:
        self._down = False
        self._lock = threading.Lock()  # the writing thread and the reading ones share it

    def of_a_write(self, error: Exception) -> Exception:
        """What to raise instead of an error that a write met."""
        if isinstance(error, _OF_THE_DATA):
            return RejectedWrite(f"{type(error).__name__}: {error}")
        return self.of_a_read(error)

    def of_a_read(self, error: Exception) -> Exception:
        """What to raise instead of an error that a read met; the cause goes to the log, never to the caller."""
        if not isinstance(error, apsw.Error | OSError | MemoryError):
            return error
        with self._lock:
            first, self._down = not self._down, True
        if first:
            log.error("the store is unavailable", exc_info=error)
        words = next((words for kind, words in _WORDS if isinstance(error, kind)), "")
        return Unavailable(words, retry_after_s=RETRY_AFTER_S)

    def over(self) -> None:
        """Note that something was written."""
        if self._down:
            with self._lock:
                ended, self._down = self._down, False
            if ended:
                log.info("the store is available again")
