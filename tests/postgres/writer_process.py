"""A server process that does nothing but write: batches of every size, with all that can be wrong in one.

    python -m tests.postgres.writer_process URL NAME ROUNDS SESSIONS OWN FOREIGN

The first half of the sessions is there already; of the others nobody knows who will make them.
Says `ready`, waits for a line, writes, and prints, as JSON, what was acknowledged of each session and instance, and how often something was refused as what.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from decimal import Decimal
from random import Random
from typing import Final

import msgspec

from botlight.model.errors import Overloaded, Refusal
from botlight.model.merge import Report
from botlight.model.report import Snapshot
from botlight.service.batch import Batch
from botlight.store.postgres.database import PostgresDatabase
from botlight.store.postgres.store import PostgresStore
from tests.conformance.names import named

INSTANCES: Final = 3
NOBODY: Final = named("nobody")

_snapshot: Final = msgspec.json.Decoder(Snapshot, float_hook=Decimal)


class _Writer:
    def __init__(self, batch: Batch, name: str, random: Random, sessions: list[str], owners: tuple[str, str]) -> None:
        self.acknowledged: dict[str, int] = {}
        self.refused: Counter[str] = Counter()
        self._batch = batch
        self._name = name
        self._random = random
        self._sessions = sessions
        self._known = sessions[: len(sessions) // 2]
        self._own, self._foreign = owners
        self._counted = 0

    async def round(self) -> None:
        """A batch: unsorted, some sessions twice and more, some that cannot be written, some of somebody else."""
        size = self._random.choice((1, 7, 40, 256, 256, 256))
        await asyncio.gather(*(self._one() for _ in range(size)))

    async def _one(self) -> None:
        self._counted += 1
        chance = self._random.random()
        if chance < 0.004:  # its owner does not exist: only the database can tell
            await self._refused("poisoned", named(f"{self._name}p{self._counted}"), NOBODY)
        elif chance < 0.03:
            await self._refused("foreign", self._random.choice(self._known), self._foreign)
        else:
            await self._good(self._random.choice(self._sessions), self._random.randrange(INSTANCES), self._counted)

    async def _good(self, session_id: str, number: int, counted: int) -> None:
        instance = named(f"{self._name}i{number}")
        while True:
            try:
                await self._batch.submit(session_id, self._report(session_id, self._own, instance, counted))
            except Overloaded:  # lost every round; a bot says it again
                self.refused["overloaded"] += 1
                continue
            key = f"{session_id} {instance}"
            self.acknowledged[key] = max(counted, self.acknowledged.get(key, 0))
            return

    async def _refused(self, kind: str, session_id: str, owner: str) -> None:
        try:
            await self._batch.submit(session_id, self._report(session_id, owner, session_id, 1))
        except Refusal as refusal:
            self.refused[f"{kind}: {refusal.code}"] += 1
        else:
            self.refused[f"{kind}: taken"] += 1

    @staticmethod
    def _report(session_id: str, owner: str, instance: str, counted: int) -> Report:
        said = {"counters": {"jobs_found": counted}, "jobs": [{"key": "one", "outcome": "applied"}]}
        snapshot = _snapshot.decode(msgspec.json.encode(said))
        return Report(user_id=owner, session_id=session_id, instance_id=instance, snapshot=snapshot)


async def main(url: str, name: str, rounds: int, sessions: list[str], owners: tuple[str, str]) -> None:
    """Write so many batches."""
    database = await PostgresDatabase.open(url, serve=True)
    store = await PostgresStore.open(database)
    batch = Batch(store, store, store.clock)
    running = asyncio.create_task(batch.run())
    writer = _Writer(batch, name, Random(name), sessions, owners)
    print("ready", flush=True)  # noqa: T201  all begin together
    await asyncio.to_thread(sys.stdin.readline)
    for _ in range(rounds):
        await writer.round()
    await batch.close()
    await running
    await store.close()
    await database.close()
    json.dump({"acknowledged": writer.acknowledged, "refused": writer.refused}, sys.stdout)


if __name__ == "__main__":
    address, who, times, ids, mine, others = sys.argv[1:]
    asyncio.run(main(address, who, int(times), ids.split(","), (mine, others)))
