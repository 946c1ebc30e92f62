"""The reporter on every Python from 3.9 to 3.13 that this machine has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTS = Path(__file__).parent
CLIENT = TESTS.parent
SUPPORTED = ["3.9", "3.10", "3.11", "3.12", "3.13"]
ALONE = "import sys; sys.path.insert(0, '.'); import status_reporter; print(len(status_reporter.__all__))"
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


def run(version: str, folder: Path) -> list[tuple[int, str, str]]:
    """What came of three programs on one Python: the file alone in an empty folder, the portable suite, the storm."""
    shutil.copy(CLIENT / "status_reporter.py", folder)
    environment = {**os.environ, "PYTHONPATH": str(CLIENT), "PYTHONDONTWRITEBYTECODE": "1"}
    results = []
    for arguments in (["-I", "-S", "-c", ALONE], [TESTS / "portable_suite.py"], [TESTS / "signal_storm.py", "1"]):
        command = [FOUND[version], "-W", "error", *arguments]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        results.append((done.returncode, done.stdout, done.stderr))
    return results


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[list[tuple[int, str, str]]]]]:
    """All of them at once, since each mostly waits."""
    with ThreadPoolExecutor() as pool:
        yield {version: pool.submit(run, version, tmp_path_factory.mktemp(version)) for version in ORDER}


@pytest.mark.parametrize("version", ORDER)
def test_everything_that_matters_works_on(version: str, results: dict[str, Future[list[tuple[int, str, str]]]]) -> None:
    """Imports alone, behaves, and under a storm of signals no call takes a lock or does I/O (see `signal_storm.py`)."""
    endings = []
    for code, out, problems in results[version].result():
        assert (code, problems) == (0, "")
        endings.append(out.split()[-1])
    assert endings == ["4", "cases", "counted"]
