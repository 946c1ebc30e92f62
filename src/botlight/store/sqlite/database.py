"""One SQLite file, opened: the threads and connections that the store and the access adapter share."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

import apsw

from botlight.store.errors import AlreadyServed, CannotOpen, ForeignFile
from botlight.store.sqlite.backup import back_up
from botlight.store.sqlite.checkpoints import EVERY_S, Checkpointer
from botlight.store.sqlite.connection import BUSY_TIMEOUT_MS, connect, disconnect, transaction
from botlight.store.sqlite.credentials import Credentials
from botlight.store.sqlite.failures import Outage
from botlight.store.sqlite.owner import OwnerLock
from botlight.store.sqlite.positions import begin_life
from botlight.store.sqlite.readers import Readers
from botlight.store.sqlite.saving import Saver
from botlight.store.sqlite.schema import check, migrate
from botlight.store.sqlite.sql import value
from botlight.store.sqlite.writer import Writer

__all__ = ["SqliteDatabase"]

READERS: Final = 2
MIGRATED_WITHIN_S: Final = 5.0


class SqliteDatabase:
    """An open file. Made by `open`, ended by `close`; in between it serves one event loop at a time."""

    def __init__(
        self, path: Path, boot: str, closing: ExitStack, *, vfs: str | None, checkpoint_every_s: float
    ) -> None:
        """Use `open`. `closing` ends what is begun here; last come the connections, then the lock."""
        self.path = path
        self.boot = boot
        self._vfs = vfs
        self._closing = closing
        outage = Outage()
        connection = connect(path, vfs=vfs)
        self.saver = Saver(connection, boot)
        self.first_position = self.saver.position
        self.credentials = Credentials()
        checkpointer = Checkpointer(connect(path, vfs=vfs), checkpoint_every_s)
        closing.callback(checkpointer.close)
        self.readers = Readers([connect(path, vfs=vfs, query_only=True) for _ in range(READERS)], outage)
        closing.callback(self.readers.close)
        self.writer = Writer(connection, outage, checkpointer.note)
        closing.callback(self.writer.close)

    @classmethod
    def open(cls, path: Path, *, serve: bool, vfs: str | None = None, checkpoint_every_s: float = EVERY_S) -> Self:
        """Open the file, make it or bring its schema up to date where needed.

        `serve` true: as its one server. False: for a short command, which a server beside it does not mind.
        `vfs` names the layer between SQLite and the system, where tests make disks fail.

        Raises:
            CannotOpen: with a message for the person who asked (`AlreadyServed`, `NewerSchema`, `ForeignFile`).
        """
        path = Path(os.path.realpath(path))
        with ExitStack() as closing:
            try:
                boot = _prepare(path, closing, serve=serve, vfs=vfs)
                database = cls(path, boot, closing, vfs=vfs, checkpoint_every_s=checkpoint_every_s)
            except apsw.Error as error:
                raise CannotOpen(f"{path} cannot be opened: {error}") from error
            except OSError as error:
                raise CannotOpen(f"{path} cannot be opened: {error.strerror or error}") from error
            database._closing = closing.pop_all()
        return database

    def back_up(self, target: Path) -> None:
        """Copy the database to a new file, as of one moment, while others go on reading and writing. Blocks.

        Raises:
            CannotOpen: the copy is damaged; it was removed.
            OSError: it could not be written, or there is a file under that name.
        """
        connection = connect(self.path, vfs=self._vfs, query_only=True)
        try:
            back_up(connection, target)
        finally:
            disconnect(connection)

    def close(self) -> None:
        """Finish what was accepted, then close everything. Blocks for as long as that takes; twice is once."""
        self._closing.close()


def _prepare(path: Path, closing: ExitStack, *, serve: bool, vfs: str | None) -> str:
    """Take the server's lock, see to the schema, and name the life of the file."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if serve:
        closing.callback(OwnerLock(path).release)
    if not path.exists():
        # Only its owner may read it; the files that SQLite puts beside it take after it.
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    _bring_up_to_date(path, serve=serve, vfs=vfs)
    connection = connect(path, vfs=vfs)
    try:
        if connection.pragma("journal_mode") != "wal":
            raise CannotOpen(f"{path} lies on a file system that SQLite cannot share; choose a local one.")
        return _boot(connection, serve=serve)
    finally:
        disconnect(connection)


def _bring_up_to_date(path: Path, *, serve: bool, vfs: str | None) -> None:
    """Migrate while nobody serves the file; a short command waits a moment for a server that is doing just that."""
    deadline = time.monotonic() + MIGRATED_WITHIN_S
    while _behind(path, vfs):
        with ExitStack() as alone:
            if not serve:
                try:
                    alone.callback(OwnerLock(path).release)
                except AlreadyServed as error:
                    if time.monotonic() < deadline:
                        time.sleep(0.05)
                        continue
                    words = f"{path} is served by another version of Botlight. Restart that server first."
                    raise AlreadyServed(words) from error
            connection = connect(path, vfs=vfs)
            alone.callback(disconnect, connection)
            migrate(connection, path)


def _behind(path: Path, vfs: str | None) -> bool:
    """Whether the schema is behind. Nothing is set in the file yet: it may be another program's."""
    probe = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=vfs)
    probe.set_busy_timeout(BUSY_TIMEOUT_MS)
    try:
        return bool(check(probe, path))
    except apsw.NotADBError as error:
        raise ForeignFile(f"{path} is no database. Choose another file.") from error
    finally:
        disconnect(probe)


def _boot(connection: apsw.Connection, *, serve: bool) -> str:
    """A server begins a life of the file; a short command joins the one that there is."""
    with transaction(connection):
        last = value(connection, "last_boot")
        return begin_life(connection) if serve or last is None else str(last)
