"""The real service on a disk and a clock that a test spoils while it runs: `python -m tests.durability.spoiled_service`.

The disk is a layer below SQLite, the clock is the machine's as this process sees it; the service itself is as it is.
Reads one word from each line of its input and answers `done`: a word of `DISK`, or by how many seconds the clock is off.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
import time
from typing import Final

import apsw

from botlight.cli.server import serve
from botlight.cli.settings import Settings
from tests.store.faulty_vfs import FaultyVfs, _File, _Step

__all__ = ["CLOCK", "DISK", "SpoiledDisk"]

DISK: Final[dict[str, type[apsw.Error] | None]] = {
    "well": None,
    "full": apsw.FullError,
    "read-only": apsw.ReadOnlyError,
    "broken": apsw.IOError,
}
CLOCK: Final = "SPOILED_CLOCK_S"
"""By how many seconds the machine's clock is off from the start."""


class SpoiledDisk(FaultyVfs):
    """Also hangs: then nothing that asks it comes back before it is well again."""

    def __init__(self) -> None:
        super().__init__()
        self._writes = threading.Event()
        self._reads = threading.Event()
        self.become("well")

    def become(self, word: str) -> None:
        """Be as a word says: one of `DISK`, `hang` for writes that hang, `hang-all` for reads too."""
        hangs = word.startswith("hang")
        fault = None if hangs else DISK[word]
        if fault is None:
            self.heal()
        else:
            self.fail(fault)
        for event, blocked in ((self._writes, hangs), (self._reads, word == "hang-all")):
            if blocked:
                event.clear()
            else:
                event.set()

    def step(self, *, sync: bool = False) -> _Step:
        """A write, a truncation or a sync."""
        self._writes.wait()
        return super().step(sync=sync)

    def read(self) -> None:
        """Before a read."""
        self._reads.wait()

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802  SQLite's name
        """Open a file; SQLite calls this."""
        return _HangingFile(self, name, flags)


class _HangingFile(_File):
    def __init__(self, disk: SpoiledDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__(disk, name, flags)
        self._spoiled = disk

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802  SQLite's name
        self._spoiled.read()
        return super().xRead(amount, offset)


class _Clock:
    """The machine's clock, off by some seconds."""

    def __init__(self) -> None:
        self._true = time.time_ns
        self.off_s = float(os.environ.get(CLOCK, "0"))
        time.time_ns = self.time_ns

    def time_ns(self) -> int:
        return self._true() + int(self.off_s * 1e9)


def _obey(disk: SpoiledDisk, clock: _Clock) -> None:
    for line in sys.stdin:
        word = line.strip()
        if word in DISK or word.startswith("hang"):
            disk.become(word)
        else:
            clock.off_s = float(word)
        sys.stdout.write("done\n")
        sys.stdout.flush()


def _main() -> None:
    disk, clock = SpoiledDisk(), _Clock()
    threading.Thread(target=_obey, args=(disk, clock), daemon=True).start()
    serve(Settings.read(), say=functools.partial(print, flush=True), vfs=disk.name)


if __name__ == "__main__":
    _main()
