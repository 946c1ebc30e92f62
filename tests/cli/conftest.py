"""A bot that is a few lines of HTTP, for the person who uses this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import pytest

from botlight.cli.wiring import open_access
from tests.support.service import API, Person, RunningService


class Bot:
    """A bot that is a few lines of HTTP."""

    def __init__(self, person: Person, name: str = "Job hunter") -> None:
        self.session_id = str(uuid4())
        self._name = name
        self._http = person.service.client(person.token("report").headers)

    def say(self, path: str = "heartbeat", **about: object) -> dict[str, object]:
        """Send a snapshot; the answer."""
        body = {"session_id": self.session_id, "bot": {"name": self._name}, "activity": "applying"} | about
        answer = self._http.post(f"{API}/{path}", json=body)
        assert answer.is_success, answer.text
        said: dict[str, object] = answer.json()
        return said

    def end(self, outcome: str = "success") -> None:
        """Say how it ended."""
        self.say("complete", result={"outcome": outcome, "inferred": False, "error": None})

    def close(self) -> None:
        """Say nothing more."""
        self._http.close()


@pytest.fixture
def person(running: RunningService) -> Person:
    """The one for whom this machine's own store lets commands in."""

    async def first() -> str:
        async with open_access(running.settings) as (people, _):
            return (await people.all())[0].id

    return Person(id=asyncio.run(first()), name="local", service=running)


@pytest.fixture
def bot(person: Person) -> Iterator[Bot]:
    """A bot that has said one thing."""
    bot = Bot(person)
    bot.say(counters={"jobs_applied": 3, "credits_used": 1.5})
    yield bot
    bot.close()
