"""The service's wheel, installed as a person would: into an empty environment, with what it declares and no more."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.packaging.conftest import REPOSITORY, Wheels
from tests.packaging.environment import Environment, make_environment
from tests.support.postgres import EDITIONS, Servers, url

IMPORT_ALL: Final = (
    "import importlib, pkgutil, botlight;"
    "[importlib.import_module(m.name) for m in pkgutil.walk_packages(botlight.__path__, 'botlight.')];"
    "print(botlight.__file__)"
)
START_S: Final = 30.0


@pytest.fixture(scope="module")
def installed(wheels: Wheels, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The wheel with the dependencies that it declares, in the versions that the lock file names."""
    folder = tmp_path_factory.mktemp("service")
    environment = make_environment(Path(sys.executable), folder)
    lock = (REPOSITORY / "requirements.lock").read_text()
    locked = re.findall(r"^([\w.-]+==[^\s\\]+(?: ; [^\\]+)?)", lock, re.MULTILINE)
    (folder / "versions.txt").write_text("\n".join(locked))
    environment.install(wheels.service, wheels.reporter, "--only-binary", ":all:", "-c", folder / "versions.txt")
    return environment


@contextmanager
def served(environment: Environment, folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`botlight serve` on a free port: the process and the address that it says."""
    store = f"sqlite:///{folder / 'botlight.db'}"
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [environment.programs / "botlight", "serve", "--port", "0", "--database-url", store],
            cwd=environment.home,
            env=environment.variables(),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout is not None
    try:
        first = process.stdout.readline()
        assert first.startswith("Botlight is at "), (first, (folder / "log.txt").read_text())
        yield process, first.split()[-1]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_what_it_declares_is_all_that_it_needs(installed: Environment) -> None:
    """Every module imports with nothing of the workshop around it, and pip has no complaint."""
    file = installed.run(installed.python, "-I", "-W", "error", "-c", IMPORT_ALL).strip()
    assert Path(file).is_relative_to(installed.folder)
    assert installed.run(installed.python, "-m", "pip", "check") == "No broken requirements found.\n"


def test_the_command_says_its_version(installed: Environment, wheels: Wheels) -> None:
    """`botlight --version` is the version of the wheel."""
    assert (
        installed.run(installed.programs / "botlight", "--version") == f"botlight {wheels.service.name.split('-')[1]}\n"
    )


def test_it_serves_its_pages_its_files_and_the_contract_and_ends_in_order(
    installed: Environment, tmp_path: Path
) -> None:
    """All that is read from the wheel is there: templates, static files, schema, contract."""
    with served(installed, tmp_path) as (process, address), httpx.Client(base_url=address, trust_env=False) as client:
        assert client.get("/healthz").json() == {"ok": True}
        assert client.get("/readyz").json() == {"ok": True}
        assert client.get("/openapi.yaml").content == (REPOSITORY / "contract/openapi.yaml").read_bytes()
        board = client.get("/")
        assert (board.status_code, board.headers["location"]) == (303, "/sign-in")
        for page in ("/sign-in", "/link"):
            answer = client.get(page)
            assert answer.status_code == 200
            loaded = re.findall(r'(?:src|href)="(/static/[^"]+)"', answer.text)
            assert loaded
            assert {client.get(path).status_code for path in loaded} == {200}

        process.send_signal(signal.SIGTERM)
        assert process.wait(START_S) == 0
    assert "Traceback" not in (tmp_path / "log.txt").read_text()


def test_it_migrates_a_postgresql_database(installed: Environment, servers: Servers) -> None:
    """The files travel inside the wheel; where only a superuser helps, the line names the file that is installed."""
    cluster = servers.cluster(EDITIONS[0])
    database = cluster.make_database("installed", "botlight")
    migrate = (installed.programs / "botlight", "migrate", "--database-url")
    refused = subprocess.run(
        [*migrate, url(database)], env=installed.variables(), capture_output=True, text=True, timeout=60, check=False
    )
    assert refused.returncode == 1
    assert Path(refused.stderr.rpartition(' -f "')[2].rstrip('"\n')).is_relative_to(installed.folder)
    assert "applied." in installed.run(*migrate, url(database, cluster.superuser))
    assert "nothing was changed" in installed.run(*migrate, url(database))


def test_its_types_are_known_to_a_type_checker(installed: Environment) -> None:
    """The marker of PEP 561 is installed beside the package."""
    folder = installed.run(installed.python, "-c", "import botlight; print(botlight.__path__[0])").strip()
    assert (Path(folder) / "py.typed").exists()
