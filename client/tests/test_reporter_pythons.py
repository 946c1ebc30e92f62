"""The reporter on every Python from 3.9 to 3.13 that this machine has."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fake_service import FakeService

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import RunBot
    from tests.support.figures import Figures

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


def test_pythons_that_are_here(figures: Figures) -> None:
    """Says which versions ran; where CI has them installed, all of them must."""
    figures.note(f"reporter on Python {', '.join(ORDER)}")
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


# A company's authority as many are: no key identifiers, no key usage; and the certificate that it gave to the service.
COMPANY = """
[request]
distinguished_name = name
[name]
[authority]
basicConstraints = CA:true
subjectKeyIdentifier = none
authorityKeyIdentifier = none
[service]
subjectAltName = IP:127.0.0.1
subjectKeyIdentifier = none
authorityKeyIdentifier = none
"""
TRUSTS = """
import sys
from status_reporter import StatusReporter
reporter = StatusReporter(ca_file=sys.argv[1], stream=False)
reporter.start_session()
assert reporter.complete_session(timeout=10), reporter.status["last_error"]
"""


@pytest.fixture
def company(tmp_path: Path) -> Path:
    """Its authority's certificate, and the service's with its key beside it."""
    (tmp_path / "settings").write_text(COMPANY)
    for line in (
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=Company -config settings -extensions authority -keyout ca.key -out ca.pem",
        "req -new -newkey rsa:2048 -nodes -subj /CN=service -config settings -keyout key.pem -out service.csr",
        "x509 -req -days 2 -in service.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile settings -extensions service -out service.pem",
    ):
        subprocess.run(["openssl", *line.split()], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path / "ca.pem"


def test_a_companys_authority_is_good_enough_on_every_python(company: Path, run_bot: RunBot) -> None:
    """Python 3.13 began to refuse many of them; who names one with `ca_file` trusts it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(company.with_name("service.pem"), company.with_name("key.pem"))
    code = TRUSTS.replace("sys.argv[1]", repr(str(company)))
    with FakeService(tls=context) as secure:
        for version in {ORDER[0], ORDER[-1]}:
            done = run_bot(code, url=secure.url, python=FOUND[version])
            assert (done.returncode, done.stderr) == (0, ""), version
