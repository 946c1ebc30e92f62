"""The order in which SQLite's commits are announced: by hand, since the file announces nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from botlight.service.ports import Committed
from botlight.store.sqlite import SqliteAccess, SqliteDatabase, SqliteStore
from tests.store.scribe import ALICE, Scribe, report, user

pytestmark = pytest.mark.anyio


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """A file with Alice in it."""
    database = SqliteDatabase.open(tmp_path / "botlight.db", serve=True)
    await SqliteAccess(database).add_user(user(ALICE))
    yield SqliteStore(database)
    database.close()


async def test_announcements_come_in_the_order_of_their_positions(kept: SqliteStore) -> None:
    """What is rung early waits for what was committed before it, so no position skips a change."""
    scribe, store = Scribe(kept), kept
    heard: list[Committed] = []
    store.listen(heard.append)
    start = store.position()
    first = await store.save([await scribe.draft("s1", report("s1"))])
    second = await store.save([await scribe.draft("s2", report("s2"))])
    store.ring(second)
    assert heard == []
    assert store.position() == start
    store.ring(first)
    assert heard == [first, second]
    assert store.position() == second.position
    store.ring(first)
    assert len(heard) == 2


async def test_a_caller_that_went_away_holds_nobody_up(kept: SqliteStore) -> None:
    """A transaction that nobody rings is announced all the same, and the store does not mind the lost caller."""
    scribe, store = Scribe(kept), kept
    heard: list[Committed] = []
    store.listen(heard.append)
    save = asyncio.create_task(store.save([await scribe.draft("s1", report("s1"))]))
    await asyncio.sleep(0)
    save.cancel()
    with pytest.raises(asyncio.CancelledError):
        await save
    await scribe.report("s2")
    while len(heard) < 2:
        await asyncio.wait_for(store.verify(), 5)
        await asyncio.sleep(0.05)
    assert [change.session.id for committed in heard for change in committed.changes] == ["s1", "s2"]
