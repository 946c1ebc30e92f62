"""The clocks of a bot, to be set at will while it runs: `clock_shim.c`, built where the machine has a compiler for C."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from tests.support.pythons import IN_CI

__all__ = ["Clocks", "built"]

SOURCE = Path(__file__).with_name("clock_shim.c")


def built(folder: Path) -> Path:
    """The shim as a library in `folder`. Without a compiler the case is skipped; in CI that is a failure."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        assert not IN_CI, "there is no C compiler, and in CI there must be (Debian: gcc libc6-dev)"
        pytest.skip("needs a C compiler (Debian: apt-get install gcc libc6-dev)")
    library = folder / "clock_shim.so"
    done = subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(library), str(SOURCE), "-ldl", "-pthread"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return library


class Clocks:
    """The wall clock and the boot clock of the bots that are started with `env`; their monotonic clock stays as it is."""

    def __init__(self, library: Path, file: Path) -> None:
        self._file = file
        self.env = {"LD_PRELOAD": str(library), "TORTURE_CLOCKS": str(file)}
        self.shift()

    def shift(self, *, wall_s: float = 0.0, boot_s: float = 0.0) -> None:
        """How far they are ahead from now on."""
        offsets = struct.pack("=qq", int(wall_s * 1e9), int(boot_s * 1e9))
        if self._file.exists():
            with self._file.open("r+b") as file:  # in place, because bots have it mapped
                file.write(offsets)
        else:
            self._file.write_bytes(offsets)
