"""Many bots that live short lives, and a person who stops some of them and deletes what has ended."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from tests.durability.connection import Connection
from tests.support.service import API

__all__ = ["BOTS", "Crowd"]

BOTS: Final = ("apply-bot", "scrape-bot", "book-bot", "test-bot")
ENDED_KEPT: Final = 60
OUTCOMES: Final = ("success", "failed", "interrupted")


class Crowd:
    """Changes sessions of one person until it is told to end. `pace_s` is how long each bot rests between two reports."""

    def __init__(self, address: str, chance: random.Random, *, pace_s: float) -> None:
        self.address = address
        self.ending = False
        self.acknowledged = 0
        self.stopped = 0
        self.deleted = 0
        self.renamed = 0
        self.first = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        """A session that lives all the while, and whose bot keeps its name."""
        self._chance = chance
        self._pace_s = pace_s
        self._running: set[str] = set()
        self._ended: deque[str] = deque()

    @property
    def changes(self) -> int:
        """How many changes were answered."""
        return self.acknowledged + self.stopped + self.deleted

    async def bot(self, token: str) -> None:
        """One session after the other."""
        async with await Connection.open(self.address, token) as connection:
            while not self.ending:
                session_id = str(uuid.UUID(int=self._chance.getrandbits(128), version=4))
                await self._live(connection, session_id, self._chance.randrange(5, 45))

    async def first_bot(self, token: str) -> None:
        """The session that lives to the end."""
        async with await Connection.open(self.address, token) as connection:
            seq = 0
            while not self.ending:
                seq += 1
                await self._report(connection, "heartbeat", self._snapshot(self.first, seq, BOTS[0]))

    async def _live(self, connection: Connection, session_id: str, reports: int) -> None:
        bot = self._chance.choice(BOTS)
        answer = await self._report(connection, "start", self._snapshot(session_id, 1, bot))
        self._running.add(session_id)
        for seq in range(2, reports):
            if self.ending or answer["commands"]:
                break
            if self._chance.random() < 0.01:
                bot = self._chance.choice(BOTS)
                self.renamed += 1
            answer = await self._report(connection, "heartbeat", self._snapshot(session_id, seq, bot))
        outcome = "stopped" if answer["commands"] else self._chance.choice(OUTCOMES)
        last = self._snapshot(session_id, reports, bot) | {"result": {"outcome": outcome}}
        self._running.discard(session_id)
        await self._report(connection, "complete", last)
        self._ended.append(session_id)

    async def _report(self, connection: Connection, path: str, snapshot: dict[str, Any]) -> Any:
        answer = await connection.ask("POST", f"{API}/{path}", snapshot)
        assert answer.status in (200, 201), answer.body
        self.acknowledged += 1
        await asyncio.sleep(self._chance.uniform(0, 2 * self._pace_s))
        return answer.document

    def _snapshot(self, session_id: str, seq: int, bot: str) -> dict[str, Any]:
        return {
            "session_id": session_id,
            "seq": seq,
            "bot": {"name": bot, "version": "1", "platform": "linux"},
            "activity": {"name": self._chance.choice(("searching", "applying")), "details": {"job": seq}, "n": seq},
            "counters": {"jobs_found": seq, "jobs_applied": seq // 2, "credits_used": seq / 8, "pages": seq},
            "progress": {"done": seq, "total": 45},
            "waiting": {"seconds_left": 5, "reason": "pause"} if seq % 7 == 0 else None,
        }

    async def person(self, operate: str, sign_in: Sequence[str]) -> None:
        """Stops somebody now and then, and deletes the oldest of what has ended. `sign_in`: lines of a request."""
        async with await Connection.open(self.address, operate) as operating:
            while not self.ending:
                await asyncio.sleep(self._pace_s)
                if self._running and self._chance.random() < 0.3:
                    body = {"session_id": self._chance.choice(sorted(self._running)), "reason": "enough"}
                    answer = await operating.ask("POST", f"{API}/stop", body)
                    assert answer.status in (202, 409), answer.body
                    self.stopped += answer.status == 202
                while len(self._ended) > ENDED_KEPT:
                    await self._delete(self._ended.popleft(), "".join(sign_in))

    async def _delete(self, session_id: str, sign_in: str) -> None:
        async with await Connection.open(self.address) as connection:
            answer = await connection.ask("DELETE", f"{API}/sessions/{session_id}", headers=sign_in)
        assert answer.status == 204, answer.body
        self.deleted += 1
