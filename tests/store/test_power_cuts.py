"""What was acknowledged is on the disk: the power is cut two hundred times, and nothing of it is missing."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from botlight.model.errors import Unavailable
from botlight.service.ports import Committed, SessionFilter, Write
from botlight.store.errors import CannotOpen
from botlight.store.sqlite import SqliteAccess, SqliteDatabase, SqliteStore
from tests.store.faulty_vfs import FaultyVfs
from tests.store.scribe import ALICE, Scribe, report, user

pytestmark = pytest.mark.anyio

CUTS = 200
SESSIONS = 8


class Ledger:
    """The client's side: what it has counted, what was acknowledged, and what it is waiting for."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.counted = {f"s{n}": 0 for n in range(SESSIONS)}
        self.acknowledged = dict(self.counted)
        self.revisions = dict.fromkeys(self.counted, 0)
        self.position: str | None = None
        self.asked: dict[str, int] = {}

    async def draft(self, scribe: Scribe) -> list[Write]:
        """The next batch; what was not acknowledged is in it again."""
        if not self.asked:
            for session_id in self.dice.sample(sorted(self.counted), self.dice.randrange(1, SESSIONS)):
                self.counted[session_id] += 1
                self.asked[session_id] = self.counted[session_id]
        return [
            await scribe.draft(
                session_id,
                report(
                    session_id,
                    counters={"jobs_applied": n},
                    jobs=[{"key": f"k{n}", "outcome": "applied", "title": "x" * self.dice.randrange(200)}],
                ),
            )
            for session_id, n in self.asked.items()
        ]

    def acknowledge(self, committed: Committed) -> None:
        """The store said that it is durable."""
        assert {change.session.id for change in committed.changes} == set(self.asked)
        for change in committed.changes:
            assert change.session.revision > self.revisions[change.session.id]
            self.revisions[change.session.id] = change.session.revision
        self.acknowledged |= self.asked
        self.asked = {}
        self.position = committed.position


async def compare(ledger: Ledger, store: SqliteStore) -> None:
    """Everything acknowledged is there; of the batch under way all or nothing is; sums are the sums."""
    states = (await store.load(list(ledger.counted))).states
    found = {id_: state.session.totals["jobs_applied"] // 1_000_000 for id_, state in states.items()}
    known = {id_: n for id_, n in ledger.acknowledged.items() if n}
    assert found in (known, known | ledger.asked)
    for id_, state in states.items():
        assert state.session.revision >= ledger.revisions[id_]
        assert state.newest_main is not None
        assert state.newest_main.counters == state.session.totals
        jobs = await store.jobs(id_, ALICE, None, 0, 10_000)
        assert [job.key for job in jobs] == [f"k{n}" for n in range(1, found[id_] + 1)]
    if ledger.position is not None:
        news = await store.board(SessionFilter(user_id=ALICE), 200, since=ledger.position)
        assert not news.replaces
        assert {session.id for session in news.sessions} == (set() if found == known else set(ledger.asked))


async def life(path: Path, vfs: FaultyVfs, ledger: Ledger) -> None:
    """Serve until the power goes."""
    database = SqliteDatabase.open(path, serve=True, vfs=vfs.name, checkpoint_every_s=0.002)
    try:
        store, access = SqliteStore(database), SqliteAccess(database)
        await access.add_user(user(ALICE))
        await compare(ledger, store)
        scribe = Scribe(store)
        while True:
            ledger.acknowledge(await scribe.save(*(await ledger.draft(scribe))))
    finally:
        database.close()


async def test_no_power_cut_loses_what_was_acknowledged(tmp_path: Path) -> None:
    """Every other cut leaves any sectors of what was not yet synced, the others none of them."""
    dice = random.Random(5)
    ledger = Ledger(dice)
    folder = tmp_path / "0"
    folder.mkdir()
    for cut in range(1, CUTS + 1):
        vfs = FaultyVfs()
        vfs.power_until = dice.randrange(1, 400)
        with pytest.raises((Unavailable, CannotOpen)):
            await life(folder / "botlight.db", vfs, ledger)
        assert vfs.without_power
        vfs.cut(tmp_path / str(cut), dice if cut % 2 else None)
        vfs.unregister()
        folder = tmp_path / str(cut)
    database = SqliteDatabase.open(folder / "botlight.db", serve=True)
    store = SqliteStore(database)
    await compare(ledger, store)
    assert sum(ledger.acknowledged.values()) > CUTS
    database.close()
