"""Fixtures for every test that needs a real service."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from tests.support.keeping import SQLITE, Keeping
from tests.support.postgres import Servers
from tests.support.service import RunningService, running_service
from tests.support.stream import EventStream, open_stream

__all__ = ["OpenStream", "StartService"]

StartService = Callable[..., RunningService]
"""`start_service(port=0, **settings)`: a service with a fresh store, settings by their names in the environment."""


class OpenStream(Protocol):
    """What the fixture `stream` gives."""

    def __call__(self, url: str, headers: dict[str, str] | None = None) -> EventStream:
        """Open a stream that is cut at the end of the test."""


@pytest.fixture(scope="session", autouse=True)
def no_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No bot of these tests leaves anything at a person's home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """PostgreSQL servers, made when they are first wanted."""
    with Servers() as made:
        yield made


@pytest.fixture(autouse=True)
def no_common_spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No bot of one test delivers, or goes on with, what a bot of another one left."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(scope="module")
def keeping(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Keeping]:
    """Where the services of a module keep what they know: in SQLite, where nothing else is asked for."""
    with Keeping(servers, getattr(request, "param", SQLITE)) as stores:
        yield stores


@pytest.fixture
def start_service(tmp_path: Path, keeping: Keeping) -> Iterator[StartService]:
    """Starts services, each with a fresh store unless `folder` names one again, and ends them with the test."""
    with ExitStack() as closing:
        number = 0

        def start(*, folder: Path | None = None, port: int = 0, **environment: str) -> RunningService:
            nonlocal number
            number += 1
            where = folder or tmp_path / f"service-{number}"
            return closing.enter_context(running_service(where, keeping.settings(where) | environment, port=port))

        yield start


@pytest.fixture
def running(start_service: StartService) -> RunningService:
    """A service with a fresh store, for one test alone."""
    return start_service()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, keeping: Keeping) -> Iterator[RunningService]:
    """A service for the tests of one module that bring people of their own and leave the rest alone."""
    folder = tmp_path_factory.mktemp("shared")
    with running_service(folder, keeping.settings(folder)) as service:
        yield service


@pytest.fixture
def stream() -> Iterator[OpenStream]:
    """Opens event streams by their URL and cuts them at the end of the test."""
    with ExitStack() as closing:

        def start(url: str, headers: dict[str, str] | None = None) -> EventStream:
            return closing.enter_context(open_stream(url, headers))

        yield start


@pytest.fixture
def within() -> Callable[[float, Callable[[], object]], None]:
    """`within(5, lambda: …)`: waits for a fact, and fails when it is not so after that many seconds."""

    def wait(seconds: float, fact: Callable[[], object]) -> None:
        until = time.monotonic() + seconds
        while not fact():
            assert time.monotonic() < until, f"not so after {seconds} s"
            time.sleep(0.05)

    return wait
