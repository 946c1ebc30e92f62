"""The real service on a disk and a clock that a test spoils while it runs.

As a program (`python -m tests.durability.spoiled_service`) it serves, reads one word from each line of its input and
answers `done`: a word of `WORDS`, or by how many seconds the clock is off. The disk is a layer below SQLite, the clock
is the machine's as this process sees it; the service itself is as it is.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import apsw

from botlight.cli.server import serve
from botlight.cli.settings import Settings
from tests.support.service import RunningService

__all__ = ["SpoiledService", "spoiled_service"]

FAULTS: Final[dict[str, type[apsw.Error]]] = {
    "full": apsw.FullError,
    "read-only": apsw.ReadOnlyError,
    "broken": apsw.IOError,
}
WORDS: Final = frozenset({"well", "hang", "hang-all", *FAULTS})
"""How the disk may be: `hang` is for writes, `hang-all` for reads too."""
CLOCK: Final = "SPOILED_CLOCK_S"
END_S: Final = 15.0


class SpoiledService:
    """A running service, and a hand on its disk and its clock."""

    def __init__(self, service: RunningService) -> None:
        self.service = service

    def spoil(self, word: str) -> None:
        """Say how the disk is, or by how many seconds the clock is off, and wait until it holds."""
        process = self.service.process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{word}\n".encode())
        process.stdin.flush()
        # Before that it may say how to sign in for the first time.
        assert any(line == b"done\n" for line in iter(process.stdout.readline, b""))

    def kill(self) -> None:
        """Kill it: it gets no say."""
        self.service.process.kill()
        self.service.process.wait(END_S)


@contextmanager
def spoiled_service(
    folder: Path, store: Mapping[str, str] | None = None, *, clock_s: float = 0
) -> Iterator[SpoiledService]:
    """Start one whose store and log are in `folder`, with a clock that is off from the start; ends it on leaving.

    `store` may set another one than the file: then it is the clock alone that can be spoiled.
    """
    folder.mkdir(parents=True, exist_ok=True)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BOTLIGHT_")}
    own = {"BOTLIGHT_DATABASE_URL": f"sqlite:///{folder / 'botlight.db'}", "BOTLIGHT_PORT": "0"}
    own |= store or {}
    with (
        (folder / "log.txt").open("ab") as log,
        subprocess.Popen(
            [sys.executable, "-m", "tests.durability.spoiled_service"],
            cwd=Path(__file__).parents[2],
            env=inherited | own | {CLOCK: str(clock_s)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        ) as process,
    ):
        assert process.stdout is not None
        said = process.stdout.readline().decode().split()
        try:
            assert said[:3] == ["Botlight", "is", "at"], (folder / "log.txt").read_text()
            port = said[3].rstrip("/").rpartition(":")[2]
            settings = Settings.read(own | {"BOTLIGHT_PORT": port})
            spoiled = SpoiledService(
                RunningService(address=settings.local_url, folder=folder, settings=settings, process=process)
            )
            yield spoiled
            if process.poll() is None:
                spoiled.spoil("well")
                process.terminate()
                process.wait(END_S)
        finally:
            process.kill()


class _Disk(apsw.VFS):
    """The disk under SQLite."""

    def __init__(self) -> None:
        super().__init__("spoiled", "")
        self._fault: type[apsw.Error] | None = None
        self._writes = threading.Event()
        self._reads = threading.Event()
        self.become("well")

    def become(self, word: str) -> None:
        """Be as a word says."""
        self._fault = FAULTS.get(word)
        for event, hangs in ((self._writes, word.startswith("hang")), (self._reads, word == "hang-all")):
            if hangs:
                event.clear()
            else:
                event.set()

    def write(self) -> None:
        """Before a write, a truncation or a sync; raises what it meets."""
        self._writes.wait()
        if self._fault is not None:
            raise self._fault("the disk was told to fail")

    def read(self) -> None:
        """Before a read."""
        self._reads.wait()

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802  SQLite's name
        """Open a file; SQLite calls this."""
        return _File(self, name, flags)


class _File(apsw.VFSFile):
    def __init__(self, disk: _Disk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._disk = disk

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802  SQLite's name
        self._disk.read()
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802  SQLite's name
        self._disk.write()
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802  SQLite's name
        self._disk.write()
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802  SQLite's name
        self._disk.write()
        super().xSync(flags)


class _Clock:
    """The machine's clock, off by some seconds."""

    def __init__(self) -> None:
        self._true = time.time_ns
        self.off_s = float(os.environ[CLOCK])
        time.time_ns = self.time_ns

    def time_ns(self) -> int:
        return self._true() + int(self.off_s * 1e9)


def _obey(disk: _Disk, clock: _Clock) -> None:
    for line in sys.stdin:
        word = line.strip()
        if word in WORDS:
            disk.become(word)
        else:
            clock.off_s = float(word)
        sys.stdout.write("done\n")
        sys.stdout.flush()


def _main() -> None:
    disk, clock = _Disk(), _Clock()
    threading.Thread(target=_obey, args=(disk, clock), daemon=True).start()
    serve(Settings.read(), say=functools.partial(print, flush=True), vfs="spoiled")


if __name__ == "__main__":
    _main()
