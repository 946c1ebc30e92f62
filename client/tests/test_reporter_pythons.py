"""The reporter on every Python from 3.9 to 3.13 that this machine has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

CLIENT = Path(__file__).parents[1]
SUPPORTED = ["3.9", "3.10", "3.11", "3.12", "3.13"]
ASK = "import platform, sys; print('%d.%d' % sys.version_info[:2], platform.python_implementation(), sys.executable)"


def candidates() -> list[str]:
    """What looks like a Python: by name on the path, and in the folders of pyenv."""
    found = [shutil.which(f"python{version}") for version in SUPPORTED]
    roots = {os.environ.get("PYENV_ROOT", ""), str(Path.home() / ".pyenv")}
    versions = [path for root in roots if root for path in sorted(Path(root).glob("versions/3.*/bin/python"))]
    return [sys.executable, *(str(one) for one in [*found, *versions] if one)]


def pythons() -> dict[str, str]:
    """One interpreter for each supported version that really runs here, and is what its name says."""
    running: dict[str, str] = {}
    for path in candidates():
        try:
            done = subprocess.run([path, "-c", ASK], capture_output=True, text=True, timeout=30, check=False)
        except OSError:
            continue
        version, implementation, executable = [*done.stdout.strip().split(" ", 2), "", "", ""][:3]
        if version in SUPPORTED and implementation == "CPython":
            running.setdefault(version, executable)
    return running


FOUND = pythons()
ORDER = [version for version in SUPPORTED if version in FOUND]


def test_pythons_that_are_here(capsys: pytest.CaptureFixture[str]) -> None:
    """Says which versions ran; where CI has them installed, all of them must."""
    with capsys.disabled():
        sys.stdout.write(f"\nreporter on Python {', '.join(ORDER)}\n")
    assert f"{sys.version_info[0]}.{sys.version_info[1]}" in FOUND
    if os.environ.get("CI") == "true":
        here = {".".join(Path(one).parts[-3].split(".")[:2]) for one in candidates() if "versions" in Path(one).parts}
        assert here & set(SUPPORTED) <= set(FOUND)


@pytest.mark.parametrize("version", ORDER)
def test_everything_that_matters_works_on(version: str, tmp_path: Path) -> None:
    """The portable suite and the storm of signals, side by side; and the file imports alone in an empty folder."""
    shutil.copy(CLIENT / "status_reporter.py", tmp_path)
    alone = "import sys; sys.path.insert(0, '.'); import status_reporter; print(len(status_reporter.__all__))"
    python, environment = FOUND[version], {**os.environ, "PYTHONPATH": str(CLIENT), "PYTHONDONTWRITEBYTECODE": "1"}
    commands = [
        ([python, "-I", "-S", "-W", "error", "-c", alone], "4\n"),
        ([python, "-W", "error", str(CLIENT / "tests" / "portable_suite.py")], "cases\n"),
        ([python, "-W", "error", str(CLIENT / "tests" / "signal_storm.py"), "1"], "counted\n"),
    ]

    def run(command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    with ThreadPoolExecutor() as pool:
        for done, (_, ending) in zip(pool.map(run, (command for command, _ in commands)), commands, strict=True):
            assert (done.returncode, done.stderr) == (0, "")
            assert done.stdout.endswith(ending)
