"""The real service as a process of its own, to be killed, stopped and started again on the same file."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from msgspec import Struct

from botlight.cli.settings import Settings
from botlight.cli.wiring import open_access
from botlight.model.access import Scope
from botlight.model.session import Instant

__all__ = ["SPOILED", "Household", "Person", "ServiceProcess"]

REPOSITORY: Final = Path(__file__).parents[2]
PROGRAM: Final = """
import functools
from botlight.cli.server import serve
from botlight.cli.settings import Settings
serve(Settings.read(), say=functools.partial(print, flush=True))
"""
SERVE: Final = ("-c", PROGRAM)
"""The service as `botlight serve` starts it."""
SPOILED: Final = ("-m", "tests.durability.spoiled_service")
"""The service on a disk and a clock that `ServiceProcess.spoil` spoils."""
END_S: Final = 10.0


class Person(Struct, frozen=True, kw_only=True):
    """Somebody with an account, and the secrets that let their programs in."""

    id: str
    report: Sequence[str]  # tokens for bots
    view: str
    operate: str
    sign_in: str  # the secret of a cookie


class Household:
    """A database file with people in it, no service running yet."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "botlight.db"
        self.services: list[ServiceProcess] = []
        self.settings = Settings(database_url=self.path.as_uri().replace("file:", "sqlite:", 1))

    async def add(self, name: str, *, bots: int = 1) -> Person:
        """Add a person with `bots` tokens for bots: each token has its own rate limit."""
        async with open_access(self.settings) as (people, tokens):
            user = await people.add(name, None)
            report = [(await tokens.issue(user.id, "bot", Scope.REPORT))[1] for _ in range(bots)]
            _, sign_in = await people.sign_in_by_link(await people.link(name))
            return Person(
                id=user.id,
                report=report,
                view=(await tokens.issue(user.id, "view", Scope.VIEW))[1],
                operate=(await tokens.issue(user.id, "operate", Scope.OPERATE))[1],
                sign_in=sign_in,
            )

    def leave(self) -> None:
        """Kill what still runs."""
        for service in self.services:
            service.process.kill()
            service.process.communicate()

    async def embed(self, person: Person, origin: str, *, bot: str | None = None, session_id: str | None = None) -> str:
        """The secret of an embed token."""
        async with open_access(self.settings) as (_, tokens):
            later = Instant(4_000_000_000_000)
            issued = tokens.issue(
                person.id, "embed", Scope.EMBED, expires_at=later, bot=bot, session_id=session_id, origin=origin
            )
            return (await issued)[1]


class ServiceProcess:
    """A running service. Its log is kept beside the database and must hold no traceback."""

    def __init__(self, process: subprocess.Popen[str], url: str, log: Path) -> None:
        self.process = process
        self.url = url
        self.log = log

    @classmethod
    async def start(cls, household: Household, program: Sequence[str] = SERVE, **environment: str) -> Self:
        """Start it on any free port and wait until it says where it is."""
        return await asyncio.to_thread(cls._start, household, program, environment)

    @classmethod
    def _start(cls, household: Household, program: Sequence[str], environment: dict[str, str]) -> Self:
        log = household.path.with_suffix(".log")
        about = {"BOTLIGHT_DATABASE_URL": household.settings.database_url, "BOTLIGHT_PORT": "0"}
        with log.open("a", encoding="utf-8") as errors:
            process = subprocess.Popen(
                [sys.executable, *program],
                cwd=REPOSITORY,
                env=os.environ | about | environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert process.stdout is not None
        said = process.stdout.readline()
        if not said.startswith("Botlight is at "):
            process.kill()
            process.communicate()
            raise AssertionError(f"the service did not start: {said}{log.read_text(encoding='utf-8')}")
        service = cls(process, said.split()[-1].rstrip("/"), log)
        household.services.append(service)
        return service

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    async def spoil(self, word: str) -> None:
        """Say a word to a `SPOILED` service, and wait until it holds."""
        process = self.process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{word}\n")
        process.stdin.flush()
        assert await asyncio.to_thread(process.stdout.readline) == "done\n"

    async def kill(self) -> None:
        """Kill it, as the system does when memory runs out or the power goes: it gets no say."""
        self.process.kill()
        await self._gone()

    async def end(self) -> None:
        """Ask it to end (SIGTERM) and wait until it has."""
        self.process.send_signal(signal.SIGTERM)
        await self._gone()

    async def _gone(self) -> None:
        await asyncio.to_thread(self.process.communicate, timeout=END_S)

    def check_log(self) -> None:
        """Fail where the service met something that it had not thought of."""
        text = self.log.read_text(encoding="utf-8")
        assert "Traceback" not in text, text[-4000:]
