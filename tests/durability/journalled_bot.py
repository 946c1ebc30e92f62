"""A bot that writes down what it sent and what was acknowledged: the truth that the service has to keep."""

from __future__ import annotations

import random
import uuid
from typing import Any, Final

from tests.durability.connection import Answer, Connection
from tests.support.service import API

__all__ = ["COUNTERS", "JournalledBot"]

COUNTERS: Final = ("jobs_found", "jobs_applied", "credits_used", "pages")
JOBS_SENT: Final = 20
UNACKNOWLEDGED: Final = 19  # outcomes that a bot holds before it waits for an answer; a snapshot takes 20


class JournalledBot:
    """One instance of one session. Its counters only grow, and each heartbeat brings an outcome of its own.

    Every outcome is sent until it is acknowledged and then never again: one that the service forgets is missing for
    good.
    """

    def __init__(self, session_id: str, role: str, token: str, chance: random.Random) -> None:
        self.session_id = session_id
        self.instance_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        self.token = token
        self.heartbeats = 0
        self.acknowledged: dict[str, int] = {}
        self.sent: dict[str, int] = dict.fromkeys(COUNTERS, 0)
        self.keys: list[str] = []  # of all outcomes that were acknowledged
        self.unanswered: dict[str, Any] | None = None
        self.repeats = 0
        self._role = role
        self._seq = 0
        self._held: list[dict[str, Any]] = []
        self._chance = chance

    async def report(self, connection: Connection) -> None:
        """Heartbeat after heartbeat, until the connection breaks."""
        while True:
            snapshot = self._next()
            self.unanswered = snapshot
            answer = await connection.ask("POST", f"{API}/heartbeat", snapshot)
            self._note(snapshot, answer)

    async def say(self, connection: Connection) -> bool:
        """One heartbeat; false: it was refused for now, and will be said again."""
        snapshot = self._next()
        self.unanswered = snapshot
        answer = await connection.ask("POST", f"{API}/heartbeat", snapshot)
        if answer.status == 503:
            return False
        self._note(snapshot, answer)
        return True

    async def report_once(self, connection: Connection) -> None:
        """Bring what was not acknowledged, if there is something."""
        if self.unanswered is not None:
            self._note(self.unanswered, await connection.ask("POST", f"{API}/heartbeat", self.unanswered))

    def _next(self) -> dict[str, Any]:
        """The snapshot that is due: the last one again, to the letter, or one that says more."""
        if self.unanswered is not None:
            self.repeats += 1
            if self._chance.random() < 0.5 or len(self._held) > UNACKNOWLEDGED:
                return self.unanswered
        self._seq += 1
        for name in COUNTERS:
            self.sent[name] += self._chance.randrange(3)
        self._held.append({"key": f"{self.instance_id[:8]}-{self._seq}", "outcome": "applied", "n": self._seq})
        return {
            "session_id": self.session_id,
            "instance_id": self.instance_id,
            "role": self._role,
            "seq": self._seq,
            "activity": {"name": self._chance.choice(("searching", "applying")), "n": self._seq},
            "counters": dict(self.sent),
            "jobs": self._held[:JOBS_SENT],
        }

    def _note(self, snapshot: dict[str, Any], answer: Answer) -> None:
        assert answer.status == 200, answer.body
        self.heartbeats += 1
        self.unanswered = None
        self.acknowledged = snapshot["counters"]
        self.keys += [job["key"] for job in snapshot["jobs"]]
        self._held = self._held[len(snapshot["jobs"]) :]
