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
from fake_service import FakeService

from tests.support.certificates import Authority
from tests.support.pythons import found, wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import RunBot
    from tests.support.figures import Figures

TESTS = Path(__file__).parent
CLIENT = TESTS.parent
ALONE = "import sys; sys.path.insert(0, '.'); import status_reporter; print(len(status_reporter.__all__))"
ORDER = list(found())


def test_pythons_that_are_here(figures: Figures) -> None:
    """Says which versions ran; where CI has them installed, all of them must."""
    figures.note(f"reporter on Python {', '.join(ORDER)}")
    assert f"{sys.version_info[0]}.{sys.version_info[1]}" in ORDER
    assert all(python.path for python in wanted("all"))


def run(version: str, folder: Path) -> list[tuple[int, str, str]]:
    """What came of three programs on one Python: the file alone in an empty folder, the portable suite, the storm."""
    shutil.copy(CLIENT / "status_reporter.py", folder)
    environment = {**os.environ, "PYTHONPATH": str(CLIENT), "PYTHONDONTWRITEBYTECODE": "1"}
    results = []
    for arguments in (["-I", "-S", "-c", ALONE], [TESTS / "portable_suite.py"], [TESTS / "signal_storm.py", "1"]):
        command = [found()[version].path, "-W", "error", *arguments]
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


TRUSTS = """
import sys
from status_reporter import StatusReporter
reporter = StatusReporter(ca_file=sys.argv[1], stream=False)
reporter.start_session()
assert reporter.complete_session(timeout=10), reporter.status["last_error"]
"""


def test_a_companys_authority_is_good_enough_on_every_python(tmp_path: Path, run_bot: RunBot) -> None:
    """Python 3.13 began to refuse many of them; who names one with `ca_file` trusts it."""
    company = Authority(tmp_path / "company", of_a_company=True)
    code = TRUSTS.replace("sys.argv[1]", repr(str(company.file)))
    with FakeService(tls=company.signed("service").context) as secure:
        for version in {ORDER[0], ORDER[-1]}:
            done = run_bot(code, url=secure.url, python=found()[version].path)
            assert (done.returncode, done.stderr) == (0, ""), version
