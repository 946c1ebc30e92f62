"""The lock that keeps a second server off a database."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from botlight.store.errors import AlreadyServed

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["OwnerLock"]


class OwnerLock:
    """Held by the one server of a database; the system releases it when the process ends, however it ends.

    It is a file beside the database and says who holds it. Short commands do not take it: SQLite itself lets them
    in beside the server. The lock belongs to the open file, not to the process, so that two servers in one process
    refuse each other too.
    """

    def __init__(self, database: Path) -> None:
        """Take the lock.

        Raises:
            AlreadyServed: another server holds it.
            OSError: the file beside the database cannot be written.
        """
        self._path = database.with_name(database.name + ".lock")
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(self._file)
        except OSError as error:
            holder = os.pread(self._file, 32, 1).decode(errors="replace").strip() if hasattr(os, "pread") else ""
            os.close(self._file)
            by = f" by process {holder}" if holder else ""
            raise AlreadyServed(
                f"{database} is already served{by}. Stop that server, or choose another file."
            ) from error
        # The first byte is what Windows locks, and a locked byte cannot be read there.
        os.ftruncate(self._file, 0)
        os.write(self._file, f"\n{os.getpid()}\n".encode())

    def release(self) -> None:
        """Let another server have the database."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _lock(file: int) -> None:
    if sys.platform == "win32":
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
