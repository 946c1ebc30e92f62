"""Group commit: many share a transaction, each is answered as if it were alone."""

from __future__ import annotations

import asyncio
from typing import Final

import pytest

from botlight.model.errors import (
    Deleted,
    Ended,
    Invalid,
    Overloaded,
    TooManySessions,
    Unauthorized,
    Unavailable,
    Unknown,
)
from botlight.model.session import MICROS
from botlight.service.batch import BATCH_SIZE, BATCHES_WAITING
from tests.service.house import ALICE, BOB, ByHand, House
from tests.support.keeping import on_sqlite

pytestmark = pytest.mark.anyio

S1: Final = "00000000-0000-4000-8000-000000000001"
S2: Final = "00000000-0000-4000-8000-000000000002"
S3: Final = "00000000-0000-4000-8000-000000000003"
POISON: Final = ByHand(
    sqlite="""
create trigger poison before insert on facts when new.data like '%poison%'
begin select raise(abort, 'poisoned'); end
""",
    postgres="""
create function poison() returns trigger language plpgsql as $$ begin raise exception 'poisoned'; end $$;
create trigger poison before insert on facts for each row when (new.data::text like '%poison%') execute function poison()
""",
)
COUNT: Final = ByHand(sqlite="update counter set revision = revision + 1", postgres="")
PRESS_STOP: Final = ByHand(
    sqlite="""
update bot_sessions set stop_requested_at = 1769000000001, stop_reason = 'by hand',
  revision = (select revision from counter)
where id = ?
""",
    postgres="""
update bot_sessions set stop_requested_at = to_timestamp(1769000000.001), stop_reason = 'by hand' where id = $1
""",
)
DELETE: Final = ByHand(
    sqlite="delete from bot_sessions where id = ?", postgres="delete from bot_sessions where id = $1"
)


def _id(n: int) -> str:
    return f"10000000-0000-4000-8000-{n:012}"


async def test_heartbeats_of_one_session_in_one_batch_all_count(house: House) -> None:
    """They are folded in the order of arrival, share one commit, and each is answered with what is durable then."""
    async with house.held():
        first = asyncio.create_task(house.beat(S2))
        await asyncio.sleep(0.05)
        beats = [
            asyncio.create_task(house.beat(S1, instance_id=_id(n % 2), seq=n // 2 + 1, counters={"jobs_found": n}))
            for n in range(10)
        ]
        await asyncio.sleep(0.05)
    await first
    receipts = await asyncio.gather(*beats)
    assert [receipt.created for receipt in receipts] == [True] + [False] * 9
    session = await house.session(S1)
    assert session.totals["jobs_found"] == (8 + 9) * MICROS
    await house.announced()
    assert sorted(change.session.id for committed in house.heard for change in committed.changes) == [S1, S2]
    assert receipts[-1].session == session


async def test_each_in_a_batch_is_refused_alone(house: House) -> None:
    """A stranger, a late instance and a revoked token among good heartbeats get their own answers, the others theirs."""
    await house.beat(S1)
    await house.beat(S2, result={"outcome": "success"})
    async with house.held():
        first = asyncio.create_task(house.beat(S3))
        await asyncio.sleep(0.05)
        together = [
            house.beat(S1, counters={"pages": 1}),
            house.beat(S1, of=BOB, counters={"pages": 100}),
            house.beat(S2, instance_id=_id(7)),
            house.batch.submit(S1, house.report(S1, counters={"pages": 50}), "a token that was revoked"),
            house.batch.submit(S1, house.report(S1, counters={f"c{n}": 1 for n in range(32)}), None),
            house.beat(S1, counters={"pages": 2}),
        ]
        tasks = [asyncio.ensure_future(one) for one in together]
        await asyncio.sleep(0.05)
    await first
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    refused = [None if not isinstance(outcome, Exception) else type(outcome) for outcome in outcomes]
    assert refused == [None, Unknown, Ended, Unauthorized, Invalid, None]
    assert (await house.session(S1)).totals == {"pages": 2 * MICROS}


async def test_a_poisoned_heartbeat_fails_alone_among_64(house: House) -> None:
    """What the database itself refuses is found by halving, also between heartbeats of the very same session."""
    house.by_hand((POISON,))
    async with house.held():
        first = asyncio.create_task(house.beat(S1))
        await asyncio.sleep(0.05)
        beats = [
            asyncio.ensure_future(
                house.beat(_id(n % 8), seq=n + 1, counters={"pages": n}, activity="poison" if n == 37 else "fine")
            )
            for n in range(64)
        ]
        await asyncio.sleep(0.05)
    await first
    outcomes = await asyncio.gather(*beats, return_exceptions=True)
    assert [n for n, outcome in enumerate(outcomes) if isinstance(outcome, Invalid)] == [37]
    assert sum(isinstance(outcome, BaseException) for outcome in outcomes) == 1
    for n in range(8):
        session = await house.session(_id(n))
        assert session.totals["pages"] == (56 + n) * MICROS
        assert session.activity == "fine"


async def test_nothing_waits_longer_than_8_s(house: House) -> None:
    """Behind a store that hangs, what is under way and what waits is refused; sent again, it counts once."""
    loop = asyncio.get_running_loop()
    async with house.held():
        began = loop.time()
        under_way = asyncio.create_task(house.beat(S1, counters={"pages": 3}))
        await asyncio.sleep(0.05)
        waiting = asyncio.create_task(house.beat(S2, counters={"pages": 4}))
        async with asyncio.timeout(20):
            with pytest.raises(Unavailable) as refused:
                await under_way
            with pytest.raises(Overloaded) as overloaded:
                await waiting
        assert loop.time() - began > 7
        assert refused.value.retry_after_s
        assert overloaded.value.retry_after_s
    await house.beat(S1, counters={"pages": 3})
    await house.beat(S2, counters={"pages": 4})
    assert (await house.session(S1)).totals == {"pages": 3 * MICROS}
    assert (await house.session(S2)).totals == {"pages": 4 * MICROS}


async def test_at_most_four_batches_wait(house: House) -> None:
    """What comes on top of four full batches is refused at once, and everything before it is answered."""
    async with house.held():
        first = asyncio.create_task(house.beat(_id(0)))
        await asyncio.sleep(0.05)
        waiting = [
            asyncio.create_task(house.beat(_id(n % 100), seq=n + 1, counters={"pages": n}))
            for n in range(BATCH_SIZE * BATCHES_WAITING)
        ]
        await asyncio.sleep(0.05)
        with pytest.raises(Overloaded) as refused:
            await house.beat(S2)
        assert refused.value.retry_after_s
    await first
    assert len(await asyncio.gather(*waiting)) == 1024
    assert (await house.session(_id(23))).totals["pages"] == 1023 * MICROS
    await house.beat(S2)


async def test_a_session_that_changed_meanwhile_is_folded_again(house: House) -> None:
    """Somebody else's change to the row is neither lost nor overwritten; the heartbeat counts on top of it."""
    await house.beat(S1, counters={"pages": 1}, activity="searching")
    await house.beat(S2)
    house.by_hand((COUNT,), (PRESS_STOP, S1))
    both = await asyncio.gather(house.beat(S1, counters={"pages": 2}), house.beat(S2, counters={"pages": 9}))
    assert [command.reason for command in both[0].commands] == ["by hand"]
    session = await house.session(S1)
    assert session.stop_reason == "by hand"
    assert session.totals == {"pages": 2 * MICROS}
    assert (await house.session(S2)).totals == {"pages": 9 * MICROS}


async def test_a_session_that_was_deleted_meanwhile_stays_deleted(house: House) -> None:
    """A heartbeat that was folded into the remembered session meets the tombstone; the others in its batch do not."""
    await house.beat(S1, result={"outcome": "success"})
    await house.beat(S2)
    house.by_hand((DELETE, S1))
    outcomes = await asyncio.gather(
        house.beat(S1, counters={"pages": 1}), house.beat(S2, counters={"pages": 9}), return_exceptions=True
    )
    assert isinstance(outcomes[0], Deleted)
    assert (await house.session(S2)).totals == {"pages": 9 * MICROS}


async def test_what_others_deleted_holds_back_no_announcement(house: House) -> None:
    """A batch that saves nothing, and only learns that somebody else deleted a session, announces that at once too."""
    await house.beat(S1, result={"outcome": "success"})
    await house.beat(S2)
    await house.announced()
    house.heard.clear()
    house.by_hand((DELETE, S1), (COUNT,), (PRESS_STOP, S2))
    await house.beat(S2, counters={"pages": 1})
    await house.announced()
    assert [removal.session_id for committed in house.heard for removal in committed.removals] == [S1]
    assert {change.session.id for committed in house.heard for change in committed.changes} == {S2}


@on_sqlite("PostgreSQL announces by itself, to all servers alike")
async def test_it_is_answered_before_it_is_announced(house: House) -> None:
    """Commit, answer, announce: a reader never knows before the bot does."""
    order: list[str] = []
    house.store.listen(lambda _: order.append("announced"))

    async def beat() -> None:
        await house.beat(S1)
        order.append("answered")

    await asyncio.gather(beat(), beat())
    await house.announced()
    assert order == ["answered", "answered", "announced"]


async def test_closing_answers_what_waits(house: House) -> None:
    """Nothing new is taken, what was taken is made durable and answered, then the loop ends."""
    async with house.held():
        first = asyncio.create_task(house.beat(S1))
        await asyncio.sleep(0.05)
        waiting = [asyncio.create_task(house.beat(_id(n % 50), counters={"pages": n})) for n in range(300)]
        await asyncio.sleep(0.05)
        await house.batch.close()
        with pytest.raises(Overloaded):
            await house.beat(S2)
        assert not first.done()
    await first
    assert len(await asyncio.gather(*waiting)) == 300
    assert (await house.session(_id(49))).totals["pages"] == 299 * MICROS


async def test_at_most_200_sessions_of_a_person_run(house: House) -> None:
    """The one too many is refused, be it within one batch; others' sessions do not count, an end makes room."""
    await asyncio.gather(*(house.beat(_id(n)) for n in range(199)), house.beat(S3, of=BOB))
    outcomes = await asyncio.gather(house.beat(S1), house.beat(S2), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes if isinstance(outcome, Exception)] == [TooManySessions]
    await house.beat(_id(0), result={"outcome": "success"})
    await house.beat(S2)


async def test_a_stop_is_answered_with_the_session_as_it_was_saved(house: House) -> None:
    """Its revision is the one that the streams bring, so that a page takes neither for news of the other."""
    await house.beat(S1)
    stopping, _ = await house.control.stop(ALICE, S1, "enough")
    assert stopping == await house.session(S1)
    await house.announced()
    assert house.heard[-1].changes[-1].session == stopping
