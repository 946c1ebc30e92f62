# ruff: noqa: INP001, S101, S603 -- pytest finds it by its place, beside the tests' folder because it is theirs
"""What the reporter's tests share: a service, reporters that are closed afterwards, child processes.

Whatever a test does, every snapshot it produced is held against `contract/openapi.yaml`, and the token is looked for
everywhere but in the one header where it belongs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest
import yaml
from fake_service import TOKEN, FakeService
from jsonschema import Draft202012Validator

from status_reporter import StatusReporter

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENT = Path(__file__).parent
CONTRACT = CLIENT.parent / "contract" / "openapi.yaml"


class MakeReporter(Protocol):
    """Makes a reporter for the test's service, or with other settings; it is closed after the test."""

    def __call__(self, **settings: Any) -> StatusReporter:
        """Settings are those of `StatusReporter`."""
        ...


class RunBot(Protocol):
    """Runs a bot, given as Python text, in a process of its own that reports to the test's service."""

    def __call__(
        self, code: str, *, url: str | None = None, python: str = sys.executable, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Options are those of `subprocess.run`, and `env` on top of the bot's own."""
        ...


@pytest.fixture(scope="session", autouse=True)
def no_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No reporter of these tests, nor of a process they start, leaves anything at a person's home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which this test's reporters keep what is not acknowledged; not there before they need it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "status_reporter" / "spool"


@pytest.fixture(scope="session")
def own_network() -> list[str]:
    """What to put before a command to run it in a network of its own, alone with itself; empty where that cannot be had."""
    for how in (["unshare", "--net"], ["unshare", "--map-root-user", "--net"]):
        if shutil.which("unshare") and subprocess.run([*how, "true"], capture_output=True, check=False).returncode == 0:
            return how
    return []


@pytest.fixture(scope="session")
def contract() -> Draft202012Validator:
    """The schema of every snapshot."""
    document = yaml.safe_load(CONTRACT.read_text("utf-8"))
    schema = {"$ref": "#/components/schemas/Heartbeat", "components": document["components"]}
    return Draft202012Validator(schema)


@pytest.fixture
def service(contract: Draft202012Validator, caplog: pytest.LogCaptureFixture) -> Iterator[FakeService]:
    """A service; at the end all it received must have been by the contract."""
    with FakeService() as running:
        yield running
    check_requests(running, contract)
    assert TOKEN not in caplog.text


def check_requests(service: FakeService, contract: Draft202012Validator) -> None:
    """Every request kept to the contract, and the token is in its header alone."""
    for request in service.journal:
        assert TOKEN not in request.path + str(request.query)
        assert request.headers["connection"] == "close"
        if request.method == "POST":
            assert len(request.raw) <= 16_384
            assert TOKEN.encode() not in request.raw
            assert request.headers["content-type"] == "application/json"
            contract.validate(request.document)


@pytest.fixture
def make(service: FakeService) -> Iterator[MakeReporter]:
    """Reporters for the test's service."""
    made: list[StatusReporter] = []

    def build(**settings: Any) -> StatusReporter:
        reporter = StatusReporter(**{"token": TOKEN, "base_url": service.url, **settings})
        made.append(reporter)
        return reporter

    yield build
    for reporter in made:
        reporter.close(0)


@pytest.fixture
def reporter(make: MakeReporter) -> StatusReporter:
    """A reporter whose session has begun."""
    one = make()
    one.start_session("1.0")
    return one


@pytest.fixture
def run_bot(service: FakeService) -> RunBot:
    """Bots in processes of their own."""

    def run(
        code: str, *, url: str | None = None, python: str = sys.executable, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
        environment |= {"PYTHONPATH": str(CLIENT), "STATUS_REPORTER_TOKEN": TOKEN, "PYTHONDONTWRITEBYTECODE": "1"}
        environment |= {"STATUS_REPORTER_URL": url or service.url, **options.pop("env", {})}
        done = subprocess.run(
            [python, "-X", "dev", "-c", textwrap.dedent(code)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=options.pop("timeout", 30),
            check=False,
            **options,
        )
        assert TOKEN not in done.stdout + done.stderr
        return done

    return run
