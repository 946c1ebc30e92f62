"""Where the bots of the comparison report to, and what arrived there: the real server of a library where it installs."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import uvloop

from bench.comparison.environment import private
from bench.comparison.stand_in import Answer, Message, StandIn
from bench.ingest import free_port
from botlight.cli.settings import Settings
from botlight.cli.wiring import open_access
from botlight.model.access import Scope

__all__ = ["Backend", "Botlight", "Known", "MLflow", "NoBackend", "Place", "StandInBackend", "Trackio"]

ROOT = Path(__file__).resolve().parents[2]
API = "/api/autoapply/bot"
PATIENCE_S = 60.0


class Known(NamedTuple):
    """What a backend would show of a bot's first run; totals are numbers of applications."""

    total: int
    points: int | None = None  # how many of the reports it holds one by one; None: totals supersede each other

    def whole(self, reports: int) -> bool:
        """Whether nothing of so many reports is missing."""
        return self.total >= reports and self.points in (None, reports)


class Place(NamedTuple):
    """Where one bot reports to."""

    port: int  # of the backend itself
    door_port: int  # on which the backend expects to be spoken to; 0: it does not care
    environment: Callable[[int], dict[str, str]]  # what tells the bot of the port it is to use
    known: Callable[
        [int, int], Known | None
    ]  # when a first run made so many reports and a second so many; None: nobody looks


class Backend(ABC):
    """A kind of backend; one that is slow to start is started once, with the first bot that needs it."""

    @abstractmethod
    @contextmanager
    def place(self, name: str) -> Iterator[Place]:
        """A place for the bot of this name, which no other bot has."""


class NoBackend(Backend):
    """Of a library that works without one: a port where nobody listens."""

    @contextmanager
    def place(self, name: str) -> Iterator[Place]:
        """Tells the bot nothing but its name."""
        yield Place(free_port(), 0, lambda _: {"BOT_NAME": name}, lambda *_: None)


class StandInBackend(Backend):
    """A stand-in for each bot.

    Args:
        environment: name and value of variables, with PORT and NAME to be filled in.
        read: the numbers that the messages carry.
        kind: what these are: `totals`, the largest counts; `points`, each counts; `amounts`, their sum counts.
    """

    def __init__(
        self,
        environment: dict[str, str],
        read: Callable[[list[Message]], list[int]],
        kind: str,
        answer: Answer = lambda _: {},
    ) -> None:
        self._environment = environment
        self._read = read
        self._kind = kind
        self._answer = answer

    @contextmanager
    def place(self, name: str) -> Iterator[Place]:
        """A stand-in that keeps what comes."""

        def environment(port: int) -> dict[str, str]:
            said = {key: value.replace("PORT", str(port)) for key, value in self._environment.items()}
            return {"BOT_NAME": name, **{key: value.replace("NAME", name) for key, value in said.items()}}

        with StandIn(self._answer) as backend:

            def known(first: int, second: int) -> Known:
                return self._known(self._read(backend.messages), first, second)

            yield Place(backend.port, 0, environment, known)

    def _known(self, numbers: list[int], first: int, second: int) -> Known:
        if self._kind == "amounts":
            return Known(sum(numbers) - second)
        numbers = [number for number in numbers if number <= first]
        return Known(max(numbers, default=0), len(set(numbers)) if self._kind == "points" else None)


class Botlight(Backend):
    """The service of this repository in a process of its own, with its store on disk.

    It answers to the names that it was given only, so it is given the ports of some doors before it starts.
    """

    def __init__(self, folder: Path, stack: ExitStack, doors: int = 16) -> None:
        self._folder = folder
        self._stack = stack
        self._port = 0
        self._doors: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._door_ports = _steady_ports(doors)
        self._tokens = ("", "")
        self._starting = threading.Lock()

    @contextmanager
    def place(self, name: str) -> Iterator[Place]:
        """A bot of that name."""
        with self._starting:
            if not self._port:
                self._port, self._tokens = self._serve()
        report, view = self._tokens

        def environment(port: int) -> dict[str, str]:
            address = f"http://127.0.0.1:{port}"
            return {"STATUS_REPORTER_URL": address, "STATUS_REPORTER_TOKEN": report, "STATUS_REPORTER_NAME": name}

        def known(_: int, second: int) -> Known:
            answer = _ask(f"http://127.0.0.1:{self._port}{API}/sessions?bot={name}", bearer=view)
            return Known(sum(int(one["jobs_applied"]) for one in answer["sessions"]) - second)

        door = self._doors.get()
        try:
            yield Place(self._port, door, environment, known)
        finally:
            self._doors.put(door)

    def _serve(self) -> tuple[int, tuple[str, str]]:
        port = free_port()
        environment = {
            "BOTLIGHT_DATABASE_URL": f"sqlite://{self._folder / 'botlight.db'}",
            "BOTLIGHT_PORT": str(port),
            "BOTLIGHT_LOG_LEVEL": "warning",
            "BOTLIGHT_ALLOWED_HOSTS": ",".join(f"127.0.0.1:{door}" for door in self._door_ports),
        }
        command = [sys.executable, "-m", "bench.servers", "service"]
        self._stack.enter_context(_running(command, self._folder, PYTHONPATH=str(ROOT), **environment))
        _wait(f"http://127.0.0.1:{port}/healthz")
        for door in self._door_ports:
            self._doors.put(door)
        return port, uvloop.run(_admit(Settings.read(environment)))


async def _admit(settings: Settings) -> tuple[str, str]:
    """A token to report with and one to look with, of one person."""
    async with open_access(settings) as (people, tokens):
        user = await people.add("comparison", None)
        report = await tokens.issue(user.id, "report", Scope.REPORT)
        view = await tokens.issue(user.id, "view", Scope.VIEW)
        return report[1], view[1]


class MLflow(Backend):
    """`mlflow server` on SQLite, with one worker."""

    def __init__(self, folder: Path, stack: ExitStack, venv: Path) -> None:
        self._folder = folder
        self._stack = stack
        self._venv = venv
        self._port = 0
        self._starting = threading.Lock()

    @contextmanager
    def place(self, name: str) -> Iterator[Place]:
        """An experiment of that name."""
        with self._starting:
            if not self._port:
                self._port = self._serve()

        def environment(port: int) -> dict[str, str]:
            return {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}", "MLFLOW_EXPERIMENT_NAME": name}

        def known(first: int, _: int) -> Known:
            numbers = {number for number in self._numbers(name) if number <= first}
            return Known(max(numbers, default=0), len(numbers))

        yield Place(self._port, 0, environment, known)

    def _serve(self) -> int:
        port = free_port()
        store = f"sqlite:///{self._folder / 'mlflow.db'}"
        options = ["--host", "127.0.0.1", "--port", str(port), "--backend-store-uri", store, "--workers", "1"]
        command = [str(self._venv / "bin" / "mlflow"), "server", *options]
        self._stack.enter_context(_running(command, self._folder))
        _wait(f"http://127.0.0.1:{port}/health")
        return port

    def _numbers(self, name: str) -> Iterator[int]:
        base = f"http://127.0.0.1:{self._port}/api/2.0/mlflow"
        try:
            experiment = _ask(f"{base}/experiments/get-by-name?experiment_name={name}")["experiment"]
        except urllib.error.HTTPError:  # the bot never got so far as to make it
            return
        runs = _ask(f"{base}/runs/search", {"experiment_ids": [experiment["experiment_id"]]}).get("runs", [])
        for run in runs:
            query = f"run_id={run['info']['run_id']}&metric_key=jobs_applied"
            for metric in _ask(f"{base}/metrics/get-history?{query}").get("metrics", []):
                yield int(metric["value"])


class Trackio(Backend):
    """Trackio's own server, as `trackio.show()` starts it."""

    SHOW = "import trackio; print('at', trackio.show(open_browser=False, block_thread=False)[3], flush=True); input()"

    def __init__(self, folder: Path, stack: ExitStack, venv: Path) -> None:
        self._folder = folder
        self._stack = stack
        self._venv = venv
        self._port = 0
        self._starting = threading.Lock()
        self._token = ""

    @contextmanager
    def place(self, name: str) -> Iterator[Place]:
        """A project of that name."""
        with self._starting:
            if not self._port:
                self._port, self._token = self._serve()

        def environment(port: int) -> dict[str, str]:
            address = f"http://127.0.0.1:{port}"
            return {"BOT_NAME": name, "TRACKIO_SERVER_URL": address, "TRACKIO_WRITE_TOKEN": self._token}

        def known(first: int, _: int) -> Known:
            numbers = {number for number in self._numbers(name) if number <= first}
            return Known(max(numbers, default=0), len(numbers))

        yield Place(self._port, 0, environment, known)

    def _serve(self) -> tuple[int, str]:
        command = [str(self._venv / "bin" / "python"), "-c", self.SHOW]
        log = self._stack.enter_context(_running(command, self._folder, GRADIO_SERVER_PORT=str(free_port())))
        deadline = time.monotonic() + PATIENCE_S
        while not (
            said := re.search(r"^at http://127.0.0.1:(\d+)\S*[?&]write_token=([^&\s]+)$", log.read_text(), re.MULTILINE)
        ):
            if time.monotonic() > deadline:
                raise TimeoutError(f"Trackio's server said no address: {log.read_text()[-500:]}")
            time.sleep(0.1)
        return int(said[1]), said[2]

    def _numbers(self, name: str) -> Iterator[int]:
        base = f"http://127.0.0.1:{self._port}/api"
        for run in _ask(f"{base}/get_runs_for_project", {"args": [name], "kwargs": {}}).get("data") or []:
            asked = {"project": name, "run": run["name"], "run_id": run["id"]}
            for entry in _ask(f"{base}/get_logs", {"args": [], "kwargs": asked})["data"]:
                if "jobs_applied" in entry:
                    yield int(entry["jobs_applied"])


def _steady_ports(many: int) -> list[int]:
    """Ports that are free and lie below those that the system gives to connections, so that they stay free."""
    found: list[int] = []
    for port in random.sample(range(20_000, 32_768), 500):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == many:
            break
    return found


@contextmanager
def _running(command: list[str], folder: Path, **environment: str) -> Iterator[Path]:
    """A server with a home of its own, ended with everything that it started; what it says is in the file."""
    known = private(folder, **environment)
    with (
        (folder / "server.log").open("w") as log,
        subprocess.Popen(
            command, cwd=folder, env=known, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
        ) as process,
    ):
        try:
            yield folder / "server.log"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _ask(url: str, document: Any = None, bearer: str = "") -> Any:
    """The answer to a GET, or to a POST when there is something to send."""
    body = None if document is None else json.dumps(document).encode()
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {bearer}"} if bearer else {})
    request = urllib.request.Request(url, body, headers)  # noqa: S310 -- an address of this machine, made above
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 -- as before
        return json.load(response)


def _wait(url: str) -> None:
    """Until it answers."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 -- an address of this machine
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
