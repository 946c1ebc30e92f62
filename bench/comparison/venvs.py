"""A virtual environment for each library, made once, so that none meets another's versions or ours."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

__all__ = ["FOLDER", "install", "interpreter"]

FOLDER = Path(__file__).resolve().parents[2] / ".bench-venvs"
PATIENCE_S = 600


def interpreter(name: str) -> Path:
    """Its Python."""
    return FOLDER / name / "bin" / "python"


def install(name: str, requirements: list[str]) -> str:
    """Makes it with these requirements unless it is there; answers the installer's error, if any, in one line."""
    wanted, stamp = "\n".join(requirements), FOLDER / name / "installed.txt"
    if stamp.exists() and stamp.read_text() == wanted:
        return ""
    venv.create(FOLDER / name, clear=True, with_pip=bool(requirements))
    if requirements:
        command = [str(interpreter(name)), "-m", "pip", "install", "-q", "--disable-pip-version-check", *requirements]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        except subprocess.TimeoutExpired:
            return f"not installed after {PATIENCE_S} s"
        if done.returncode:
            return (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
    stamp.write_text(wanted)
    return ""


def python() -> str:
    """The version that all of them have: the one that runs the bench."""
    return sys.version.split()[0]
