"""Disks that fail, as a layer between SQLite and the system: full, read-only, broken, or without power."""

from __future__ import annotations

import random
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import apsw

__all__ = ["FaultyVfs"]

SECTOR: Final = 512


class _Disk:
    """One file: what a power cut leaves of it, and what was written since the last sync."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.exists = path.exists() and path.stat().st_size > 0
        self.durable = bytearray(path.read_bytes() if path.exists() else b"")
        self.pending: list[tuple[int, bytes | None]] = []  # (offset, data), or (size, None) of a truncation

    def sync(self) -> None:
        """All that was written is safe now."""
        _apply(self.durable, self.pending)
        self.pending.clear()
        self.exists = True

    def left(self, dice: random.Random | None) -> bytes | None:
        """What a cut leaves: all that was synced and, with dice, any sectors of the rest. None: no file."""
        if dice is None:
            return bytes(self.durable) if self.exists else None
        kept = bytearray(self.durable)
        _apply(kept, [torn for write in self.pending for torn in _torn(write, dice)])
        return bytes(kept) if self.exists or kept else None


def _apply(content: bytearray, writes: list[tuple[int, bytes | None]]) -> None:
    for offset, data in writes:
        if data is None:
            del content[offset:]
        else:
            content.extend(bytes(max(0, offset + len(data) - len(content))))
            content[offset : offset + len(data)] = data


def _torn(write: tuple[int, bytes | None], dice: random.Random) -> list[tuple[int, bytes | None]]:
    offset, data = write
    if data is None:
        return [write] if dice.random() < 0.5 else []
    pieces = [(offset + at, data[at : at + SECTOR]) for at in range(0, len(data), SECTOR)]
    return [piece for piece in pieces if dice.random() < 0.7]


class _File(apsw.VFSFile):
    def __init__(self, vfs: FaultyVfs, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._vfs = vfs
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._disk = None if path is None else vfs.disk(Path(path))
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802  SQLite's name
        with self._vfs.step(self._disk):
            super().xWrite(data, offset)
            if self._disk is not None:
                self._disk.pending.append((offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802  SQLite's name
        with self._vfs.step(self._disk):
            super().xTruncate(newsize)
            if self._disk is not None:
                self._disk.pending.append((newsize, None))

    def xSync(self, flags: int) -> None:  # noqa: ARG002, N802  SQLite's name; a test needs no real sync
        with self._vfs.step(self._disk, sync=True):
            if self._disk is not None:
                self._disk.sync()


class FaultyVfs(apsw.VFS):
    """A disk whose writes fail while `fault` is set, and which has no power any more after so many steps.

    A step is a write, a truncation or a sync. Open a database through it by its `name`, and `unregister` it at the end.
    """

    def __init__(self) -> None:
        self.name = f"faulty-{secrets.token_hex(4)}"
        super().__init__(self.name, "")
        self.steps = 0
        self.fault: type[apsw.Error] | None = None
        self.fault_at = 0
        self.only_syncs = False
        self.only_file: str | None = None
        self.refused = 0
        self.power_until: int | None = None
        self._disks: dict[Path, _Disk] = {}
        self._lock = threading.RLock()

    def fail(self, fault: type[apsw.Error], *, at: int = 0, only_syncs: bool = False, file: str | None = None) -> None:
        """Fail from a step on: syncs alone, or one file alone, or everything. `refused` counts how often."""
        self.fault, self.fault_at, self.only_syncs, self.only_file = fault, at, only_syncs, file

    def heal(self) -> None:
        """Work again."""
        self.fault = None

    @property
    def without_power(self) -> bool:
        """Whether the power has gone."""
        return self.power_until is not None and self.steps > self.power_until

    @contextmanager
    def step(self, disk: _Disk | None, *, sync: bool = False) -> Iterator[None]:
        """Count a step, one at a time; raises what it meets."""
        with self._lock:
            self.steps += 1
            if self.without_power:
                raise apsw.IOError("the power has gone")
            if self.fault is not None and self._meant(disk, sync=sync):
                self.refused += 1
                raise self.fault("the disk was told to fail")
            yield

    def _meant(self, disk: _Disk | None, *, sync: bool) -> bool:
        if self.only_file is not None and (disk is None or disk.name != self.only_file):
            return False
        return self.steps >= self.fault_at and (sync or not self.only_syncs)

    def disk(self, path: Path) -> _Disk:
        """The record of a file."""
        with self._lock:
            # Once, and before SQLite locks it: closing a file gives up all the locks that this process has on it.
            if path not in self._disks:
                self._disks[path] = _Disk(path)
            return self._disks[path]

    def cut(self, target: Path, dice: random.Random | None = None) -> None:
        """Write into a folder what the disk holds when the power goes now."""
        target.mkdir()
        with self._lock:
            for path, disk in self._disks.items():
                left = disk.left(dice)
                if left is not None:
                    target.joinpath(path.name).write_bytes(left)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802  SQLite's name
        """Open a file; SQLite calls this."""
        return _File(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802  SQLite's name
        """Delete a file, at once and for good; SQLite calls this."""
        with self.step(None):
            super().xDelete(filename, syncdir)
            self._disks.pop(Path(filename), None)
