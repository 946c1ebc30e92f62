"""A real service: a process of its own on a free port, with a store of its own, and the people and tokens in it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import uuid4

import apsw
import asyncpg
import httpx

from botlight.cli.settings import Settings
from botlight.cli.wiring import open_access
from botlight.model.access import Scope
from botlight.model.session import Instant
from botlight.service.secret import csrf_of

__all__ = [
    "API",
    "PASSWORD",
    "Issued",
    "Person",
    "RunningService",
    "SignedIn",
    "free_port",
    "launch",
    "running_service",
]

API: Final = "/api/autoapply/bot"
PASSWORD: Final = "correct horse battery staple"
REPOSITORY: Final = Path(__file__).parents[2]
_TLS: Final = ssl.create_default_context()  # never used, but made anew for each client it takes 20 ms
START_S: Final = 20.0
T = TypeVar("T")
SERVE: Final = (
    "from botlight.cli.settings import Settings\n"
    "from botlight.cli.server import serve\n"
    "serve(Settings.read(), say=lambda text: print(text, flush=True))\n"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Issued:
    """A token: its id, its secret, and the header that carries it."""

    id: str
    secret: str

    @property
    def headers(self) -> dict[str, str]:
        """What a request with this token carries."""
        return {"Authorization": f"Bearer {self.secret}"}


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedIn:
    """A sign-in as a browser holds it: the cookie, and what our own page adds to an unsafe request."""

    cookie: str  # its name
    secret: str
    csrf: str
    origin: str

    @property
    def cookies(self) -> dict[str, str]:
        """The cookie alone, as a browser sends it from any page."""
        return {"Cookie": f"{self.cookie}={self.secret}"}

    @property
    def headers(self) -> dict[str, str]:
        """What a request of our own page carries."""
        return {**self.cookies, "Origin": self.origin, "X-CSRF-Token": self.csrf}


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """Somebody with an account and the password `PASSWORD`."""

    id: str
    name: str
    service: RunningService = field(repr=False)

    def token(
        self,
        scope: Scope | str,
        *,
        name: str = "test",
        lives_s: float | None = None,
        bot: str | None = None,
        session_id: str | None = None,
        origin: str | None = None,
    ) -> Issued:
        """A new token of this person, made in the store beside the running service; `lives_s` may lie in the past."""

        async def issue() -> Issued:
            async with open_access(self.service.settings) as (_, tokens):
                token, secret = await tokens.issue(
                    self.id,
                    name,
                    Scope(scope),
                    expires_at=None if lives_s is None else Instant(int((time.time() + lives_s) * 1000)),
                    bot=bot,
                    session_id=session_id,
                    origin=origin,
                )
            return Issued(id=token.id, secret=secret)

        return _finished(issue())

    def revoke(self, token: Issued) -> None:
        """Revoke a token in the store, as a command beside the running service does."""

        async def revoke() -> None:
            async with open_access(self.service.settings) as (_, tokens):
                await tokens.revoke(self.id, token.id)

        _finished(revoke())

    def sign_in(self) -> SignedIn:
        """A new sign-in, made in the store beside the running service: as often as a test likes."""

        async def sign_in() -> str:
            async with open_access(self.service.settings) as (people, _):
                return (await people.sign_in_by_link(await people.link(self.name)))[1]

        secret = _finished(sign_in())
        cookie = self.service.settings.doors().cookie
        return SignedIn(cookie=cookie, secret=secret, csrf=csrf_of(secret), origin=self.service.address)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunningService:
    """A service that listens at `address` (no slash at the end) and keeps its store, words and log in `folder`."""

    address: str
    folder: Path
    settings: Settings
    process: subprocess.Popen[bytes] = field(repr=False)

    @property
    def api(self) -> str:
        """The address of the API."""
        return self.address + API

    @property
    def port(self) -> int:
        """The port it listens on."""
        return httpx.URL(self.address).port or 80

    @property
    def database(self) -> Path:
        """The file of its store, which is SQLite."""
        path = self.settings.database_path
        assert path is not None
        return path

    def by_hand(self, statement: str, **values: Any) -> None:
        """Change one row of its store as somebody with a SQL shell does.

        The statement is written for SQLite, in milliseconds and with `:names`; in PostgreSQL the tables of people are
        in the schema `botlight`, which is looked into, and what an instant is made of is `instant(:ms)`.
        """
        if self.settings.on_postgres:
            _finished(_by_hand(self.settings.database_url, statement, values))
            return
        with closing(apsw.Connection(str(self.database))) as connection:
            connection.set_busy_timeout(5000)
            connection.create_scalar_function("instant", _instant)
            connection.execute(statement, values)
            assert connection.changes() == 1

    @property
    def said(self) -> str:
        """What it told the person who started it."""
        return (self.folder / "said.txt").read_text()

    @property
    def log(self) -> str:
        """Its log so far."""
        return (self.folder / "log.txt").read_text()

    @property
    def link_secret(self) -> str:
        """The secret of the one-time link that it printed at its first start."""
        return self.said.partition("/link#")[2].split()[0]

    def client(self, headers: Mapping[str, str] | None = None, **options: Any) -> httpx.Client:
        """An HTTP client for this service; to be closed by the caller."""
        return httpx.Client(base_url=self.address, headers=headers, verify=_TLS, trust_env=False, timeout=30, **options)

    def person(self, name: str = "") -> Person:
        """Add somebody with the password `PASSWORD`."""
        called = name or f"person-{uuid4().hex[:8]}"

        async def add() -> str:
            async with open_access(self.settings) as (people, _):
                return (await people.add(called, PASSWORD)).id

        return Person(id=_finished(add()), name=called, service=self)

    def operator(self) -> Person:
        """The one who runs the service: `local`, who was made for the link of the first start, and has no password."""

        async def first() -> Person:
            async with open_access(self.settings) as (people, _):
                [user, *_] = await people.all()
            return Person(id=user.id, name=user.name, service=self)

        return _finished(first())

    def link(self, name: str | None = None) -> str:
        """The secret of a new one-time link."""

        async def link() -> str:
            async with open_access(self.settings) as (people, _):
                return await people.link(name)

        return _finished(link())

    def signed_in(self, answer: httpx.Response) -> SignedIn:
        """The sign-in that an answer of `sign-in` or `link` sets."""
        name, _, rest = answer.headers["set-cookie"].partition("=")
        secret = rest.partition(";")[0]
        return SignedIn(cookie=name, secret=secret, csrf=answer.json()["csrf"], origin=self.address)

    def stop(self, number: signal.Signals = signal.SIGTERM, *, timeout_s: float = 10) -> int:
        """Ask the process to end and wait for it; answers its exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout_s)


def _instant(*values: Any) -> Any:
    return values[0]


async def _by_hand(url: str, statement: str, values: dict[str, Any]) -> None:
    connection = await asyncpg.connect(url, server_settings={"search_path": "public, botlight"})
    try:
        names = list(values)
        for n, name in enumerate(names, 1):
            statement = statement.replace(f":{name}", f"${n}")
        statement = re.sub(r"instant\((\$\d)\)", r"(timestamptz 'epoch' + \1::bigint * interval '1 ms')", statement)
        assert await connection.execute(statement, *values.values()) in ("UPDATE 1", "DELETE 1")
    finally:
        await connection.close()


def _finished(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine answers, run on a thread of its own: a test in a browser has a loop on its thread already."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def launch(folder: Path, environment: Mapping[str, str] | None = None, *, port: int = 0) -> RunningService:
    """Start a service whose store, words and log are in `folder`, wait until it answers; the caller ends it.

    A folder that was used before is a restart: the same store, a log that goes on. `environment` adds settings; with a
    public URL among them `port` has to be given, and `address` is still the one on this machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("BOTLIGHT_", "STATUS_"))}
    own = {"BOTLIGHT_DATABASE_URL": f"sqlite:///{folder / 'botlight.db'}", "BOTLIGHT_PORT": str(port)}
    own |= environment or {}
    with (folder / "said.txt").open("wb") as said, (folder / "log.txt").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE], cwd=REPOSITORY, env=inherited | own, stdout=said, stderr=log
        )
    try:
        _wait_for_words(folder, process)
        bound = port or httpx.URL((folder / "said.txt").read_text().split()[3]).port
        settings = Settings.read(own | {"BOTLIGHT_PORT": str(bound)})
        service = RunningService(address=settings.local_url, folder=folder, settings=settings, process=process)
        httpx.get(f"{service.address}/healthz", trust_env=False, timeout=START_S)  # it listened before it spoke
    except BaseException:
        process.kill()
        process.wait()
        raise
    return service


def _wait_for_words(folder: Path, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_S
    while "\n" not in (folder / "said.txt").read_text():
        if time.monotonic() > until or process.poll() is not None:
            raise AssertionError(f"the service did not start: {(folder / 'log.txt').read_text()}")
        time.sleep(0.02)


def free_port() -> int:
    """A port that is free now, for a service whose public URL has to name it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_service(
    folder: Path, environment: Mapping[str, str] | None = None, *, port: int = 0
) -> Iterator[RunningService]:
    """As `launch`; ends the service if the test has not, and fails when it left a traceback or would not go."""
    service = launch(folder, environment, port=port)
    try:
        yield service
    finally:
        if service.process.poll() is None:
            service.process.terminate()
            try:
                service.process.wait(10)
            except subprocess.TimeoutExpired:
                service.process.kill()
                service.process.wait()
                raise
    assert "Traceback" not in service.log, service.log
