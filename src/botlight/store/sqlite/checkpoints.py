"""The thread that moves what was committed from the write-ahead log into the database."""

from __future__ import annotations

import logging
import threading
from typing import Final

import apsw

from botlight.store.sqlite.connection import disconnect

__all__ = ["EVERY_S", "Checkpointer"]

log = logging.getLogger(__name__)

EVERY_S: Final = 0.25
"""How long what was committed may wait; long enough that a busy service checkpoints many commits at once."""

CLOSE_WITHIN_S: Final = 10.0


class Checkpointer:
    """Checkpoints on a connection of its own, so that no commit waits for it.

    Inside a commit a checkpoint is what makes the slowest one in a hundred slow. It never waits for readers or the
    writer (PASSIVE); the backstop of the writing connection bounds the log where this thread cannot keep up.
    """

    def __init__(self, connection: apsw.Connection, every_s: float) -> None:
        self._connection = connection
        self._every_s = every_s
        self._written = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="botlight-checkpointer", daemon=True)
        self._thread.start()

    def note(self) -> None:
        """Say that something was committed; called by the writing thread."""
        if not self._written.is_set():
            self._written.set()

    def close(self) -> None:
        """End the thread and close the connection."""
        self._closing.set()
        self._written.set()
        self._thread.join(CLOSE_WITHIN_S)
        if not self._thread.is_alive():
            disconnect(self._connection)

    def _run(self) -> None:
        while not self._closing.is_set():  # asked after the `clear` too, which may have undone the call of `close`
            self._written.wait()
            if self._closing.wait(self._every_s):
                return
            self._written.clear()
            try:
                self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            except apsw.Error as error:
                # Nothing is lost: what was committed stays in the log, and the next round tries again.
                log.debug("a checkpoint failed", exc_info=error)
                self._written.set()
