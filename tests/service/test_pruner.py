"""What is removed by age: ended sessions by the retention, tombstones after 30 days."""

from __future__ import annotations

from typing import Final

import pytest

from botlight.model.errors import Deleted, Unknown
from botlight.model.merge import Expiry
from botlight.model.session import Instant, Status
from tests.service.house import ALICE, BOB, DAY, HOUR, LEASE, SECOND, START, House

pytestmark = pytest.mark.anyio

S1: Final = "00000000-0000-4000-8000-000000000001"
S2: Final = "00000000-0000-4000-8000-000000000002"
S3: Final = "00000000-0000-4000-8000-000000000003"


async def test_without_a_retention_everything_is_kept(house: House) -> None:
    """For ever."""
    await house.beat(S1, result={"outcome": "success"})
    house.clock.move(3000 * DAY)
    assert await house.pruner(None).prune() == 0
    await house.session(S1)


async def test_an_ended_session_goes_after_the_retention(house: House) -> None:
    """With timeline and proof, not an hour before, told to readers; one that is live or lost stays, whatever its age."""
    pruner = house.pruner(7)
    await house.beat(S1, result={"outcome": "success"}, jobs=[{"key": "j1", "outcome": "applied"}])
    await house.beat(S2)
    await house.beat(S3, of=BOB)
    house.clock.move(LEASE + SECOND)
    await house.batch.submit(S3, Expiry(hearing_since=Instant(START - DAY)))
    house.clock.at = START + 7 * DAY - HOUR
    assert await pruner.prune() == 0
    house.clock.at = START + 7 * DAY + SECOND
    assert await pruner.prune() == 1
    with pytest.raises(Unknown):
        await house.session(S1)
    await house.announced()
    assert [(one.session_id, one.user_id) for one in house.heard[-1].removals] == [(S1, ALICE.user_id)]
    assert (await house.session(S2)).status is Status.RUNNING
    assert (await house.session(S3, BOB)).status is Status.LOST
    house.clock.move(400 * DAY)
    assert await pruner.prune() == 0


async def test_more_than_a_portion_goes_in_one_prune(house: House) -> None:
    """It goes on until nothing is too old."""
    ids = [f"10000000-0000-4000-8000-{n:012}" for n in range(250)]
    for session_id in ids:
        await house.beat(session_id, result={"outcome": "success"})
    house.clock.move(2 * DAY)
    await house.beat(S1, result={"outcome": "success"})
    assert await house.pruner(1).prune() == 250
    board = await house.queries.board(ALICE)
    assert [session.id for session in board.sessions] == [S1]


async def test_a_pruned_session_leaves_a_tombstone_for_30_days(house: House) -> None:
    """A spool that comes within them is told 410; after them it would begin a new session."""
    await house.beat(S1, result={"outcome": "success"})
    house.clock.move(2 * DAY)
    await house.pruner(1).prune()
    with pytest.raises(Deleted):
        await house.beat(S1, replay=True)
    # The database stamps a tombstone with its own time: go to 31 days after the newest one.
    stamp = house.buried_at()
    house.clock.at = stamp + 29 * DAY
    await house.pruner(None).prune()
    with pytest.raises(Deleted):
        await house.beat(S1, replay=True)
    house.clock.at = stamp + 31 * DAY
    await house.pruner(None).prune()
    assert (await house.beat(S1, replay=True)).created


async def test_a_position_older_than_a_dropped_tombstone_gets_the_whole_list(house: House) -> None:
    """What was deleted since then can no longer be told, so nothing is left out: the list replaces what the reader had."""
    await house.beat(S1, result={"outcome": "success"})
    await house.beat(S2)
    old = (await house.queries.board(ALICE)).position
    await house.control.delete(ALICE, S1)
    fresh = (await house.queries.board(ALICE)).position
    told = await house.queries.board(ALICE, old)
    assert not told.replaces
    assert [one.session_id for one in told.removals] == [S1]
    stamp = house.buried_at()
    house.clock.at = stamp + 31 * DAY
    await house.pruner(None).prune()
    late = await house.queries.board(ALICE, old)
    assert late.replaces or [one.session_id for one in late.removals] == [S1]
    told = await house.queries.board(ALICE, fresh)
    assert not told.replaces
    assert not told.sessions
