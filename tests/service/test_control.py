"""What a person does to a session: stop, close, delete."""

from __future__ import annotations

import asyncio
from typing import Final

import pytest

from botlight.model.errors import Deleted, Ended, Live, Unknown
from botlight.model.merge import Expiry
from botlight.model.session import Instant, Outcome, Status, stop_command_id
from tests.service.house import ALICE, BOB, DAY, LEASE, MINUTE, SECOND, START, ByHand, House

pytestmark = pytest.mark.anyio

S1: Final = "00000000-0000-4000-8000-000000000001"
S2: Final = "00000000-0000-4000-8000-000000000002"
WORKER: Final = "00000000-0000-4000-8000-00000000000a"
DELETE: Final = ByHand(
    sqlite="delete from bot_sessions where id = ?", postgres="delete from bot_sessions where id = $1"
)


async def _lose(house: House, session_id: str) -> None:
    """Let a session's lease run out while the service could hear."""
    house.clock.move(LEASE + SECOND)
    await house.batch.submit(session_id, Expiry(hearing_since=Instant(START - DAY)))
    assert (await house.session(session_id)).status is Status.LOST


async def test_pressing_stop_twice_is_one_command(house: House) -> None:
    """The second press changes nothing: same command, same time, same reason, no second fact."""
    await house.beat(S1)
    house.clock.move(SECOND)
    first, command = await house.control.stop(ALICE, S1, "enough")
    house.clock.move(SECOND)
    second, again = await house.control.stop(ALICE, S1, "really")
    assert again == command
    assert second == first
    assert first.stop_requested_at == START + SECOND
    assert first.stop_reason == "enough"
    assert (await house.kinds(S1)).count("stop.requested") == 1


async def test_a_stop_stands_until_the_instance_itself_says_its_end(house: House) -> None:
    """Acknowledging it, falling silent and coming back do not take it away; every instance is told."""
    await house.beat(S1)
    await house.control.stop(ALICE, S1, None)
    command = stop_command_id(await house.session(S1))
    receipts = [{"id": command, "received": True, "seen_by_bot": True}]
    assert [one.id for one in (await house.beat(S1, commands=receipts)).commands] == [command]
    assert [one.id for one in (await house.beat(S1, instance_id=WORKER, role="worker")).commands] == [command]
    await _lose(house, S1)
    assert [one.id for one in (await house.beat(S1)).commands] == [command]
    ended = await house.beat(S1, result={"outcome": "stopped"})
    assert ended.commands == []
    assert ended.session.status is Status.STOPPED
    assert ended.session.stop_seen_at == START
    assert [one.id for one in (await house.beat(S1, instance_id=WORKER, role="worker")).commands] == [command]


async def test_what_has_ended_by_its_own_word_cannot_be_stopped(house: House) -> None:
    """Unless an instance of it is still alive: that one can be."""
    await house.beat(S1, result={"outcome": "success"})
    with pytest.raises(Ended):
        await house.control.stop(ALICE, S1, None)
    await house.beat(S2)
    await house.beat(S2, instance_id=WORKER, role="worker")
    await house.beat(S2, result={"outcome": "success"})
    _, command = await house.control.stop(ALICE, S2, None)
    assert [one.id for one in (await house.beat(S2, instance_id=WORKER, role="worker")).commands] == [command.id]
    assert (await house.beat(S2)).commands == []


async def test_a_lost_session_can_be_stopped(house: House) -> None:
    """The command waits for it: should it live, it hears."""
    await house.beat(S1)
    await _lose(house, S1)
    _, command = await house.control.stop(ALICE, S1, None)
    back = await house.beat(S1)
    assert [one.id for one in back.commands] == [command.id]
    assert back.session.status is Status.RUNNING


async def test_what_is_somebody_elses_does_not_exist(house: House) -> None:
    """Stop, close and delete of a stranger's session are answered as for one that nobody has, and change nothing."""
    await house.beat(S1)
    before = await house.session(S1)
    for session_id in (S1, S2):
        with pytest.raises(Unknown):
            await house.control.stop(BOB, session_id, None)
        with pytest.raises(Unknown):
            await house.control.close(BOB, session_id)
        with pytest.raises(Unknown):
            await house.control.delete(BOB, session_id)
    assert await house.session(S1) == before


async def test_a_lost_session_can_be_closed_and_comes_back_alive(house: House) -> None:
    """Closing concludes `interrupted`, inferred, at the time it was last heard; the next heartbeat refutes that."""
    await house.beat(S1)
    with pytest.raises(Live):
        await house.control.close(ALICE, S1)
    await _lose(house, S1)
    closed = await house.control.close(ALICE, S1)
    assert (closed.status, closed.outcome, closed.inferred) == (Status.INTERRUPTED, Outcome.INTERRUPTED, True)
    assert closed.ended_at == START
    with pytest.raises(Ended):
        await house.control.close(ALICE, S1)
    back = (await house.beat(S1)).session
    assert (back.status, back.ended_at, back.inferred) == (Status.RUNNING, None, False)
    assert (await house.kinds(S1))[-3:] == ["session.lost", "session.ended", "session.recovered"]


async def test_what_has_ended_cannot_be_closed(house: House) -> None:
    """The bot's own word is final."""
    await house.beat(S1, result={"outcome": "failed"})
    with pytest.raises(Ended):
        await house.control.close(ALICE, S1)


async def test_only_an_ended_session_can_be_deleted(house: House) -> None:
    """Running and lost ones are refused; an ended one goes with its timeline and proof, and readers are told."""
    job = {"key": "j1", "outcome": "applied", "n": 1}
    await house.beat(S1, jobs=[job], activity="applying")
    with pytest.raises(Live):
        await house.control.delete(ALICE, S1)
    await _lose(house, S1)
    with pytest.raises(Live):
        await house.control.delete(ALICE, S1)
    await house.beat(S1, result={"outcome": "success"})
    await house.control.delete(ALICE, S1)
    await house.announced()
    assert [(one.session_id, one.user_id) for one in house.heard[-1].removals] == [(S1, ALICE.user_id)]
    for ask in (house.queries.timeline(ALICE, S1, 0, 50), house.queries.jobs(ALICE, S1, None, 0, 50)):
        with pytest.raises(Unknown):
            await ask
    with pytest.raises(Unknown):
        await house.control.delete(ALICE, S1)


async def test_one_of_two_who_delete_at_once_is_told_that_there_is_nothing(house: House) -> None:
    """The session is gone, and not live."""
    await house.beat(S1, result={"outcome": "success"})
    both = (house.control.delete(ALICE, S1), house.control.delete(ALICE, S1))
    outcomes = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType", "Unknown"]


async def test_a_late_report_does_not_bring_a_deleted_session_back(house: House) -> None:
    """Live or from a spool, and also when it is one of the person who has nothing to do with it: 410."""
    await house.beat(S1, result={"outcome": "success"})
    await house.control.delete(ALICE, S1)
    for fields in ({}, {"replay": True}, {"instance_id": WORKER}):
        with pytest.raises(Deleted):
            await house.beat(S1, **fields)
    with pytest.raises(Deleted):
        await house.beat(S1, of=BOB)


async def test_a_session_that_is_alive_is_not_taken_for_deleted_when_others_delete(house: House) -> None:
    """A deletion that somebody else made just before is announced, and says nothing about the session asked for."""
    await house.beat(S1, result={"outcome": "success"})
    await house.beat(S2)
    house.by_hand((DELETE, S1))
    with pytest.raises(Live):
        await house.control.delete(ALICE, S2)
    await house.announced()
    assert [one.session_id for committed in house.heard for one in committed.removals] == [S1]
    house.clock.move(MINUTE)
    await house.beat(S2)
    await house.announced()
    assert house.heard[-1].changes[-1].session.id == S2
