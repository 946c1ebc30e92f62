"""The Python interpreters of this machine that the reporter has to work on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["INTERPRETERS"]

OLDEST: Final = 9
"""The minor version of the oldest Python that the reporter supports."""

NEWEST: Final = 13


def _candidates() -> Iterator[Path]:
    """Where interpreters may be: the one that runs the tests, then PATH, then pyenv."""
    yield Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    for minor in range(OLDEST, NEWEST + 1):
        if found := shutil.which(f"python3.{minor}"):
            yield Path(found)
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for minor in range(OLDEST, NEWEST + 1):
        yield from sorted(versions.glob(f"3.{minor}.*/bin/python"))


def _minor(python: Path) -> int | None:
    """The minor version that an interpreter says; None where it does not run, as a shim without its version."""
    question = "import sys; print(*sys.version_info[:2])"
    answer = subprocess.run([python, "-I", "-c", question], capture_output=True, text=True, timeout=30, check=False)
    major, _, minor = answer.stdout.strip().partition(" ")
    return int(minor) if answer.returncode == 0 and major == "3" else None


def _interpreters() -> dict[str, Path]:
    found: dict[int, Path] = {}
    for python in _candidates():
        minor = _minor(python) if python.exists() else None
        if minor is not None and OLDEST <= minor <= NEWEST:
            found.setdefault(minor, python)
    return {f"3.{minor}": found[minor] for minor in sorted(found)}


INTERPRETERS: Final = _interpreters()
"""One interpreter for each supported version that this machine carries, oldest first."""
