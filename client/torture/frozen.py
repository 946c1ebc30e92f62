"""Bots as PyInstaller freezes them: a program without a Python of its own, in one file or in a folder."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.pythons import IN_CI, Python

__all__ = ["PYINSTALLER", "freeze", "is_shared"]

PYINSTALLER = "pyinstaller==6.22.3"
PATIENCE_S = 300


def is_shared(python: Python) -> Python:
    """The Python, if PyInstaller can freeze with it: it has to be built with a shared library (`--enable-shared`)."""
    ask = "import sysconfig; print(sysconfig.get_config_var('Py_ENABLE_SHARED'))"
    done = subprocess.run([python.path, "-c", ask], capture_output=True, text=True, timeout=30, check=True)
    if done.stdout.strip() != "1":
        why = f"Python {python.version} of this machine is built without --enable-shared, which PyInstaller needs"
        assert not IN_CI, why
        pytest.skip(why)
    return python


def freeze(python: Python, script: Path, folder: Path, kind: str) -> Python:
    """Freezes a bot, `kind` is `onefile` or `onedir`; answers what is to be started instead of a Python.

    `python` is one that has PyInstaller; modules are looked for beside the script.
    """
    places = {"distpath": folder, "workpath": folder / "work", "specpath": folder, "paths": script.parent}
    options = [f"--{name}={place}" for name, place in places.items()]
    command = [python.path, "-m", "PyInstaller", "--noconfirm", "--log-level=WARN", f"--{kind}", *options, str(script)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    name = script.stem
    return Python(python.version, str(folder / name if kind == "onefile" else folder / name / name))
