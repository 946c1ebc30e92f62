"""Disks that are small, full, read-only or not for everybody, where a bot keeps its spool."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
from pathlib import Path

__all__ = ["Disk", "give_up_root", "size_limit"]

CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER = 1, 2, 3
PR_CAPBSET_DROP = 24


class Disk:
    """A file system of its own, in memory, mounted at `place`; needs root."""

    def __init__(self, place: Path, options: str = "size=64k") -> None:
        self.place = place
        place.mkdir(parents=True, exist_ok=True)
        self._mount("-t", "tmpfs", "-o", f"{options},mode=700", "tmpfs", str(place))

    @property
    def free(self) -> int:
        """Bytes that are free on it."""
        room = os.statvfs(self.place)
        return room.f_bavail * room.f_frsize

    def fill(self, leave: int = 0) -> None:
        """Fills it up, but for `leave` bytes."""
        with (self.place / "ballast").open("ab", buffering=0) as ballast:
            while self.free > leave:
                ballast.write(b"\0" * min(4096, self.free - leave))

    def crowd(self) -> None:
        """Uses up its room for files."""
        for n in range(os.statvfs(self.place).f_ffree):
            (self.place / f"ballast-{n}").touch()

    def clear(self) -> None:
        """Makes room again."""
        for path in self.place.glob("ballast*"):
            path.unlink()

    def read_only(self) -> None:
        """Nothing can be written there any more."""
        self._mount("-o", "remount,ro", str(self.place))

    def writable(self) -> None:
        """It can again."""
        self._mount("-o", "remount,rw", str(self.place))

    def close(self) -> None:
        """Takes it away, whoever still has a file open there."""
        subprocess.run(["umount", "-l", str(self.place)], check=True, timeout=20)

    @staticmethod
    def _mount(*words: str) -> None:
        subprocess.run(["mount", *words], check=True, timeout=20)


def give_up_root() -> None:
    """In the child, before it becomes a bot: even root may write only where the permissions let its owner."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER):
            if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "prctl")


def size_limit(size: int, pid: int = 0) -> None:
    """No file of that process (0: this one) may grow beyond `size` bytes, as if its disk were full; -1: any may."""
    limit = resource.RLIM_INFINITY if size < 0 else size
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
