"""Silence: when a session is called lost, when it is closed, and when nobody could have heard it."""

from __future__ import annotations

from typing import Final

import pytest

from botlight.model.session import Outcome, Status
from tests.service.house import ALICE, BOB, DAY, HOUR, LEASE, MINUTE, SECOND, START, House

pytestmark = pytest.mark.anyio

S1: Final = "00000000-0000-4000-8000-000000000001"
S2: Final = "00000000-0000-4000-8000-000000000002"
WORKER: Final = "00000000-0000-4000-8000-00000000000a"
MAIN: Final = "00000000-0000-4000-8000-00000000000b"


class _Watch:
    """A reaper that looks once a second of the house's clock."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.reaper = house.reaper()

    async def for_ms(self, ms: int) -> None:
        """Let so much time go by, looking all the while."""
        until = self.house.clock.at + ms
        while self.house.clock.at < until:
            self.house.clock.move(min(SECOND, until - self.house.clock.at))
            await self.reaper.look()


async def test_a_session_is_lost_when_its_lease_has_run_out(house: House) -> None:
    """Not a second before; a heartbeat moves the lease, and brings a lost one back."""
    watch = _Watch(house)
    await watch.reaper.look()
    await house.beat(S1)
    await watch.for_ms(LEASE - SECOND)
    await house.beat(S1)
    await watch.for_ms(LEASE - SECOND)
    assert (await house.session(S1)).status is Status.RUNNING
    await watch.for_ms(SECOND)
    lost = await house.session(S1)
    assert lost.status is Status.LOST
    assert lost.ended_at is None
    await watch.for_ms(MINUTE)
    assert (await house.session(S1)).revision == lost.revision
    assert (await house.beat(S1)).session.status is Status.RUNNING
    assert await house.kinds(S1) == ["session.started", "session.lost", "session.recovered"]


@pytest.mark.parametrize(("heartbeat_s", "lease_s"), [(15, 60), (45, 135), (3600, 10_800)])
async def test_the_lease_is_three_intervals_and_a_minute_at_least(house: House, heartbeat_s: int, lease_s: int) -> None:
    """A bot that means to speak seldom may be silent for longer."""
    await house.beat(S1, heartbeat_s=heartbeat_s)
    assert (await house.session(S1)).lease_expires_at == START + lease_s * SECOND


async def test_after_a_start_one_full_lease_passes_before_anybody_is_lost(house: House) -> None:
    """A service that was away for an hour could hear nobody."""
    watch = _Watch(house)
    await watch.reaper.look()
    await house.beat(S1)
    house.clock.move(HOUR)
    watch = _Watch(house)
    await watch.for_ms(LEASE - SECOND)
    assert (await house.session(S1)).status is Status.RUNNING
    await watch.for_ms(2 * SECOND)
    assert (await house.session(S1)).status is Status.LOST


async def test_after_a_gap_one_full_lease_passes_before_anybody_is_lost(house: House) -> None:
    """A machine that slept for two hours could hear nobody either, though the service never ended."""
    watch = _Watch(house)
    await watch.reaper.look()
    await house.beat(S1)
    await watch.for_ms(MINUTE)
    house.clock.move(2 * HOUR)
    await watch.reaper.look()
    await watch.for_ms(LEASE - SECOND)
    assert (await house.session(S1)).status is Status.RUNNING
    await watch.for_ms(2 * SECOND)
    assert (await house.session(S1)).status is Status.LOST


async def test_a_gap_of_two_looks_is_none(house: House) -> None:
    """A look that comes late by a little does not give everybody a new lease."""
    watch = _Watch(house)
    await watch.reaper.look()
    await house.beat(S1)
    while house.clock.at < START + LEASE:
        house.clock.move(2 * SECOND)
        await watch.reaper.look()
    assert (await house.session(S1)).status is Status.LOST


async def test_a_session_lost_for_a_day_is_closed_as_interrupted(house: House) -> None:
    """Inferred, and at the time it was last heard; even then its next heartbeat brings it back."""
    watch = _Watch(house)
    await watch.reaper.look()
    await house.beat(S1)
    await watch.for_ms(LEASE)
    house.clock.move(DAY - SECOND)
    await watch.reaper.look()
    await watch.reaper.look()
    assert (await house.session(S1)).status is Status.LOST
    house.clock.move(SECOND)
    await watch.for_ms(LEASE)
    closed = await house.session(S1)
    assert (closed.status, closed.outcome, closed.inferred) == (Status.INTERRUPTED, Outcome.INTERRUPTED, True)
    assert closed.ended_at == START
    assert (await house.beat(S1)).session.status is Status.RUNNING


async def test_an_inferred_end_waits_for_the_last_instance(house: House) -> None:
    """A spool's word that its process died ends the session only when nobody of it is alive any more."""
    watch = _Watch(house)
    await watch.reaper.look()
    await house.beat(S1, instance_id=MAIN, seq=1)
    await watch.for_ms(MINUTE)
    await house.beat(S1, instance_id=WORKER, role="worker")
    guess = {"outcome": "failed", "inferred": True, "error": {"type": "Killed", "message": "by signal 9"}}
    held = await house.beat(S1, instance_id=MAIN, seq=1, replay=True, result=guess)
    assert held.session.status is Status.RUNNING
    await watch.for_ms(LEASE - SECOND)
    assert (await house.session(S1)).status is Status.RUNNING
    await watch.for_ms(2 * SECOND)
    ended = await house.session(S1)
    assert (ended.status, ended.inferred, ended.error_type) == (Status.FAILED, True, "Killed")


async def test_more_sessions_than_a_portion_are_lost_in_one_look(house: House) -> None:
    """It walks on by id until it has seen them all."""
    ids = [f"10000000-0000-4000-8000-{n:012}" for n in range(350)]
    for n, session_id in enumerate(ids):
        await house.beat(session_id, of=ALICE if n % 2 else BOB)
    watch = _Watch(house)
    watch_began = house.clock.at
    await watch.reaper.look()
    house.clock.move(SECOND)
    await watch.reaper.look()
    assert house.clock.at - watch_began < LEASE
    await watch.for_ms(LEASE)
    statuses = [(await house.session(one, ALICE if n % 2 else BOB)).status for n, one in enumerate(ids)]
    assert statuses == [Status.LOST] * 350


async def test_what_has_ended_is_left_alone(house: House) -> None:
    """However long ago."""
    watch = _Watch(house)
    await watch.reaper.look()
    await house.beat(S2, result={"outcome": "success"})
    before = await house.session(S2)
    house.clock.move(3 * DAY)
    await watch.for_ms(LEASE + SECOND)
    assert await house.session(S2) == before
