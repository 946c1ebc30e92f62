"""Virtual environments that no bot of ours needs to have: made on a Python under test, kept in a cache, thrown away with it."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from tests.support.pythons import IN_CI, Python

__all__ = ["throwaway_venv"]

PATIENCE_S = 600


def throwaway_venv(cache: Path, python: Python, *requirements: str) -> Python:
    """A Python of the same version that has these packages and what they need; made unless it is in the cache.

    What cannot be installed is a failure in CI, and elsewhere skips the case with the installer's error.
    """
    wanted = "\n".join((python.path, *requirements))
    folder = cache / hashlib.sha256(wanted.encode()).hexdigest()[:16]
    one, stamp = Python(python.version, str(folder / "bin" / "python")), folder / "installed.txt"
    if not stamp.exists():
        problem = _run(python.path, "-m", "venv", "--clear", str(folder))
        problem = problem or _run(one.path, "-m", "pip", "install", "-q", "--disable-pip-version-check", *requirements)
        if problem:
            assert not IN_CI, f"{', '.join(requirements)} cannot be installed, and in CI it must be: {problem}"
            pytest.skip(f"{', '.join(requirements)} cannot be installed: {problem}")
        stamp.write_text(wanted)
    return one


def _run(*command: str) -> str:
    """What went wrong, in one line; empty when nothing did."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        return f"not done after {PATIENCE_S} s"
    return ["", *done.stderr.strip().splitlines()][-1] or "it failed" if done.returncode else ""
