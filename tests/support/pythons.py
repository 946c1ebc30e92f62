"""The Pythons that the reporter promises to work on, as far as this machine has them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

__all__ = ["IN_CI", "SUPPORTED", "Python", "found", "wanted"]

SUPPORTED = ("3.9", "3.10", "3.11", "3.12", "3.13")
IN_CI = os.environ.get("CI", "").lower() not in ("", "0", "false")
ASK = "import platform, sys; print('%d.%d' % sys.version_info[:2], platform.python_implementation(), sys.executable)"


class Python(NamedTuple):
    """One interpreter. `path` is empty where the machine has none of that version."""

    version: str
    path: str


@cache
def found() -> dict[str, Python]:
    """By version the interpreters that really run here and are what their name says, oldest first."""
    running: dict[str, Python] = {}
    for path in _candidates():
        try:
            done = subprocess.run([path, "-c", ASK], capture_output=True, text=True, timeout=30, check=False)
        except OSError:
            continue
        version, implementation, executable = [*done.stdout.strip().split(" ", 2), "", "", ""][:3]
        if version in SUPPORTED and implementation == "CPython":
            running.setdefault(version, Python(version, executable))
    return {version: running[version] for version in SUPPORTED if version in running}


def wanted(which: str) -> list[Python]:
    """Those that a case runs on: `ends` (oldest and newest), `all`, `oldest`, `newest`.

    In CI whatever is installed has to run: one that does not is handed out without a path, and the case fails.
    """
    here = found()
    versions = [version for version in SUPPORTED if version in here or (IN_CI and version in _installed())]
    chosen = {"ends": [versions[0], versions[-1]], "all": versions, "oldest": versions[:1], "newest": versions[-1:]}
    return [here.get(version, Python(version, "")) for version in dict.fromkeys(chosen[which])]


def _candidates() -> list[str]:
    """What looks like a Python: by name on the path, and in the folders of pyenv."""
    named = [shutil.which(f"python{version}") for version in SUPPORTED]
    return [*(str(one / "bin" / "python") for one in _pyenv()), *(one for one in named if one), sys.executable]


def _pyenv() -> list[Path]:
    roots = {os.environ.get("PYENV_ROOT", ""), str(Path.home() / ".pyenv")}
    return [path for root in roots if root for path in sorted(Path(root).glob("versions/3.*")) if path.is_dir()]


def _installed() -> set[str]:
    """The versions that somebody has put here, whether they run or not."""
    by_folder = {".".join(one.name.split(".")[:2]) for one in _pyenv()}
    return by_folder | {version for version in SUPPORTED if shutil.which(f"python{version}")}
