"""An adapter of the ports, opened, with what a test needs beside the ports."""

from __future__ import annotations

from pathlib import Path

from botlight.store.sqlite import SqliteAccess, SqliteDatabase, SqliteStore
from tests.store.scribe import Scribe

__all__ = ["Memory"]


class Memory:
    """A store and what belongs to it, through several lives of the process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open()

    def _open(self) -> None:
        self.database = SqliteDatabase.open(self.path, serve=True)
        self.store = SqliteStore(self.database)
        self.access = SqliteAccess(self.database)
        self.scribe = Scribe(self.store)

    def reopen(self) -> None:
        """A new life of the process: nothing is remembered but what was saved."""
        now = self.scribe.now
        self.close()
        self._open()
        self.scribe.now = now

    def close(self) -> None:
        """End it."""
        self.database.close()
