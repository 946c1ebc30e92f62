"""The port Store: what is saved, what is refused, and what is told about it. Holds for every adapter."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise
from typing import Any

import pytest
from msgspec import structs

from botlight.model.access import Scope
from botlight.model.event import FactKind, Removal
from botlight.model.merge import Expiry, advance
from botlight.model.session import Instant, SessionState, Status
from botlight.service.ports import Committed, RejectedWrite, Token
from tests.conformance.memory import Memory
from tests.conformance.names import name_of, named, names_of
from tests.conformance.scribe import ALICE, BOB, CHARLIE, DAY, HOUR, MINUTE, SECOND, START, report, user

pytestmark = pytest.mark.anyio

FULL: dict[str, Any] = {
    "seq": 1,
    "bot": {"name": "apply-bot", "version": "1.2", "platform": "linux"},
    "heartbeat_s": 30,
    "activity": {
        "name": "applying",
        "details": {"company": "Näh & Söhne", "left": [1, None, "2"]},
        "age_ms": 5,
        "n": 3,
    },
    "recent": [{"n": 1, "name": "starting", "age_ms": 400}, {"n": 2, "name": "searching", "age_ms": 300}],
    "jobs": [{"key": "j1", "outcome": "applied", "title": "Engineer", "url": "https://example.org/1", "credits": 0.25}],
    "counters": {"jobs_found": 7, "jobs_applied": 1, "credits_used": 0.25, "pages": 3},
    "progress": {"done": 1, "total": 7},
    "waiting": {"seconds_left": 90, "reason": "pause"},
}


async def loaded(memory: Memory, session_id: str) -> SessionState:
    """The session as the file has it, not as the process remembers it."""
    await memory.reopen()
    state = (await memory.store.load([named(session_id)])).states.get(named(session_id))
    assert state is not None
    return state


async def test_a_session_is_loaded_as_it_was_saved(memory: Memory) -> None:
    """Every field comes back, after a restart too."""
    saved = await memory.scribe.report("s1", **FULL)
    state = await loaded(memory, "s1")
    assert state.session == saved.session
    assert state.newest_main is not None
    assert state.newest_main.counters["pages"] == 3_000_000
    assert state.session.totals == state.newest_main.counters


async def test_every_stage_of_a_life_is_loaded_as_it_was_saved(memory: Memory) -> None:
    """Stop, loss, recovery and end keep their times and reasons."""
    scribe = memory.scribe
    await scribe.report("s1", **FULL)
    scribe.now = Instant(START + SECOND)
    stopped = await scribe.stop("s1")
    receipt = {"id": f"stop-{START + SECOND}", "received": True, "seen_by_bot": True}
    await scribe.report("s1", seq=2, commands=[receipt])
    scribe.now = Instant(START + HOUR)
    lost = await scribe.expire("s1")
    assert (await loaded(memory, "s1")).session == lost.session
    assert lost.session.status is Status.LOST
    scribe = memory.scribe
    result = {"outcome": "failed", "error": {"type": "Boom", "message": "it broke"}}
    ended = await scribe.report("s1", seq=3, result=result)
    state = await loaded(memory, "s1")
    assert state.session == ended.session
    assert (state.session.status, state.session.error_message) == (Status.FAILED, "it broke")
    assert state.session.stop_requested_at == stopped.session.stop_requested_at
    assert state.session.stop_seen_at == START + SECOND


async def test_all_instances_come_back_whichever_is_the_newest_main_one(memory: Memory) -> None:
    """The newest main instance may change places with the others."""
    scribe = memory.scribe
    await scribe.report("s1", instance="first", counters={"jobs_found": 2})
    await scribe.report("s1", instance="worker", role="worker", counters={"jobs_found": 3})
    await scribe.report("s1", instance="second", replay=True, counters={"jobs_found": 5})
    await scribe.report("s1", instance="second", counters={"jobs_found": 7})
    await scribe.report("s1", instance="worker", role="worker", counters={"jobs_found": 11})
    await scribe.report("s1", instance="first", counters={"jobs_found": 13})
    state = await loaded(memory, "s1")
    assert state.session.instance_id == named("second")
    found = {name_of(id_): instance.counters["jobs_found"] // 1_000_000 for id_, instance in state.instances.items()}
    assert found == {"first": 13, "worker": 11, "second": 7}
    assert state.session.totals == {"jobs_found": 31_000_000}


async def test_a_session_that_changed_meanwhile_is_left_out(memory: Memory) -> None:
    """Who lost the comparison overwrites nothing, and the others of the batch are saved."""
    scribe = memory.scribe
    await scribe.report("s1", counters={"jobs_found": 1})
    late = await scribe.draft("s1", report("s1", counters={"jobs_found": 2, "late": 1}, jobs=[]))
    newer = await scribe.report("s1", counters={"jobs_found": 3}, activity="searching")
    other = await scribe.draft("s2", report("s2"))
    committed = await scribe.save(late, other)
    assert names_of(change.session.id for change in committed.changes) == ["s2"]
    assert (await memory.store.session(named("s1"), ALICE)) == (await loaded(memory, "s1"))
    assert (await loaded(memory, "s1")).session == newer.session
    facts = await memory.store.timeline(named("s1"), ALICE, 0, 100)
    assert [fact.n for fact in facts] == [1, 2]


async def test_a_loser_can_load_and_fold_again(memory: Memory) -> None:
    """What lost is not remembered as it was: the next round sees the newer session."""
    scribe = memory.scribe
    first = await scribe.draft("s1", report("s1", instance="a", counters={"jobs_found": 1}))
    second = await scribe.draft("s1", report("s1", instance="b", counters={"jobs_found": 2}))
    assert len((await scribe.save(first)).changes) == 1
    assert not (await scribe.save(second)).changes
    change = await scribe.report("s1", instance="b", counters={"jobs_found": 2})
    assert change.session.totals == {"jobs_found": 3_000_000}


async def test_revisions_grow_with_every_change(memory: Memory) -> None:
    """Each saved session has a revision above all that it had before, whoever lost."""
    scribe = memory.scribe
    seen: dict[str, list[int]] = {}
    for n in range(5):
        writes = [await scribe.draft(f"s{i}", report(f"s{i}", counters={"jobs_found": n})) for i in range(4)]
        await scribe.report("s2", counters={"jobs_applied": n})
        committed = await scribe.save(*writes)
        assert names_of(change.session.id for change in committed.changes) == ["s0", "s1", "s3"]
        for change in committed.changes:
            seen.setdefault(name_of(change.session.id), []).append(change.session.revision)
    assert all(given == sorted(set(given)) for given in seen.values())
    assert len(seen["s0"]) == 5
    await memory.reopen()
    assert (await memory.scribe.report("s0")).session.revision > seen["s0"][-1]


async def test_a_write_that_the_database_refuses_fails_the_whole_batch(memory: Memory) -> None:
    """The batch is told so and can look for the offender; nothing of it is written or remembered."""
    scribe = memory.scribe
    await scribe.report("s1", counters={"jobs_found": 1})
    good = await scribe.draft("s1", report("s1", counters={"jobs_found": 2}))
    bad = await scribe.draft("s2", report("s2", owner="nobody we know"))
    with pytest.raises(RejectedWrite):
        await memory.store.save([good, bad])
    state = await memory.store.session(named("s1"), ALICE)
    assert state is not None
    assert state.session.totals == {"jobs_found": 1_000_000}
    assert await memory.store.session(named("s2"), ALICE) is None
    assert len((await scribe.save(good)).changes) == 1


async def test_text_of_any_kind_is_kept_or_refused_alone(memory: Memory) -> None:
    """Quotes, emoji and long words are kept; half a surrogate pair is the writer's fault, not an outage."""
    scribe = memory.scribe
    odd = "'; drop table bot_sessions; -- \u202e 🙂 " + "x" * 400
    draft = await scribe.draft("s1", report("s1"))
    session = structs.replace(draft.after.session, activity_details={"text": odd}, error_message=odd)
    await scribe.save(structs.replace(draft, after=structs.replace(draft.after, session=session)))
    assert (await loaded(memory, "s1")).session.activity_details == {"text": odd}
    draft = await memory.scribe.draft("s2", report("s2"))
    session = structs.replace(draft.after.session, error_message="\ud800")
    with pytest.raises(RejectedWrite):
        await memory.store.save([structs.replace(draft, after=structs.replace(draft.after, session=session))])


async def test_facts_are_numbered_and_the_timeline_keeps_the_newest_thousand(memory: Memory) -> None:
    """Numbers have no gaps; the oldest go."""
    scribe = memory.scribe
    change = await scribe.report("s1", **FULL)
    assert [fact.n for fact in change.facts] == [1, 2, 3, 4]
    assert change.facts[0].kind is FactKind.STARTED
    assert list(await memory.store.timeline(named("s1"), ALICE, 0, 10)) == list(change.facts)
    assert [fact.n for fact in await memory.store.timeline(named("s1"), ALICE, 1, 2)] == [2, 3]
    draft = await scribe.draft("s1", report("s1", seq=2))
    facts = [structs.replace(change.facts[1], data={"n": n, "name": "busy"}) for n in range(5, 1055)]
    await scribe.save(structs.replace(draft, facts=facts))
    kept = await memory.store.timeline(named("s1"), ALICE, 0, 2000)
    assert [fact.n for fact in kept] == list(range(55, 1055))
    assert kept[-1].data == {"n": 1054, "name": "busy"}
    assert len(await memory.store.timeline(named("s2"), ALICE, 0, 10)) == 0


async def test_a_job_stands_once_under_its_strongest_outcome(memory: Memory) -> None:
    """A retried report adds nothing; applied beats failed beats skipped; a kind can be asked for alone."""
    scribe = memory.scribe
    jobs = [{"key": "a", "outcome": "skipped"}, {"key": "b", "outcome": "failed", "reason": "captcha"}]
    await scribe.report("s1", jobs=jobs)
    await scribe.report("s1", jobs=[*jobs, {"key": "c", "outcome": "skipped"}])
    await scribe.report(
        "s1", jobs=[{"key": "a", "outcome": "failed"}, {"key": "b", "outcome": "applied", "credits": 2}]
    )
    await scribe.report("s2", jobs=[{"key": "a", "outcome": "applied"}])
    shown = await memory.store.jobs(named("s1"), ALICE, None, 0, 10)
    assert [(job.key, job.outcome) for job in shown] == [("c", "skipped"), ("a", "failed"), ("b", "applied")]
    assert shown[2].credits == 2_000_000
    assert [job.key for job in await memory.store.jobs(named("s1"), ALICE, "failed", 0, 10)] == ["a"]
    first, second = await memory.store.jobs(named("s1"), ALICE, None, 0, 2)
    assert [job.key for job in await memory.store.jobs(named("s1"), ALICE, None, second.n, 2)] == ["b"]
    assert first.n < second.n


async def test_the_proof_list_keeps_the_newest_ten_thousand(memory: Memory) -> None:
    """The oldest go; the counters stay."""
    scribe = memory.scribe
    change = await scribe.report("s1", jobs=[{"key": "first", "outcome": "applied"}], counters={"jobs_applied": 9})
    draft = await scribe.draft("s1", report("s1", seq=2, jobs=[{"key": "x", "outcome": "applied"}]))
    jobs = [structs.replace(draft.jobs[0], key=f"k{n}") for n in range(10_004)]
    await scribe.save(structs.replace(draft, jobs=jobs))
    kept = await memory.store.jobs(named("s1"), ALICE, None, 0, 20_000)
    assert [job.key for job in kept] == [f"k{n}" for n in range(4, 10_004)]
    state = await memory.store.session(named("s1"), ALICE)
    assert state is not None
    assert state.session.totals == change.session.totals


async def test_load_tells_what_exists_what_is_gone_and_who_runs_how_much(memory: Memory) -> None:
    """One question answers all that a batch has to know."""
    scribe = memory.scribe
    for id_, owner in (("s1", ALICE), ("s2", ALICE), ("s3", BOB), ("s4", ALICE)):
        await scribe.report(id_, owner)
    await scribe.end("s2")
    await scribe.end("s4")
    await scribe.delete("s4")
    token = Token(id="t1", user_id=BOB, name="bot", scope=Scope.REPORT, created_at=scribe.now)
    await memory.access.add_token(token, "hash")
    asked = [named(name) for name in ("s1", "s3", "s4", "s5")]
    for _ in range(2):
        found = await memory.store.load(asked, credentials=["t1", "t2"], users=[ALICE, BOB, CHARLIE])
        assert names_of(sorted(found.states)) == ["s1", "s3"]
        assert found.deleted == {named("s4")}
        assert found.valid == {"t1"}
        assert found.running == {ALICE: 1, BOB: 1, CHARLIE: 0}
    await memory.access.revoke(BOB, "t1")
    assert (await memory.store.load([], credentials=["t1"])).valid == frozenset()


async def test_only_ended_sessions_are_deleted_with_all_that_hangs_on_them(memory: Memory) -> None:
    """A live or lost one stays; a deleted one is told with its owner."""
    scribe = memory.scribe
    await scribe.report("live")
    await scribe.report("lost")
    await scribe.report("ended", BOB, **FULL)
    await scribe.end("ended", BOB)
    scribe.now = Instant(START + HOUR)
    await scribe.expire("lost")
    committed = await scribe.delete("live", "lost", "ended", "unknown")
    assert [(removal.session_id, removal.user_id) for removal in committed.removals] == [(named("ended"), BOB)]
    assert await memory.store.session(named("ended"), BOB) is None
    assert list(await memory.store.timeline(named("ended"), BOB, 0, 10)) == []
    assert list(await memory.store.jobs(named("ended"), BOB, None, 0, 10)) == []
    asked = [named(name) for name in ("live", "lost", "ended")]
    assert names_of(sorted((await memory.store.load(asked)).states)) == ["live", "lost"]


async def test_who_deletes_for_a_person_deletes_only_what_is_theirs(memory: Memory) -> None:
    """Whose it is counts at the moment of the deletion: it may have been another's when it was looked up."""
    scribe = memory.scribe
    for name, owner in (("hers", ALICE), ("his", BOB)):
        await scribe.report(name, owner)
        await scribe.end(name, owner)
    both = [named("hers"), named("his")]
    assert not (await memory.store.delete(both, user_id="nobody's")).removals
    committed = await memory.store.delete(both, user_id=ALICE)
    assert [(removal.session_id, removal.user_id) for removal in committed.removals] == [(named("hers"), ALICE)]
    assert await memory.store.session(named("his"), BOB) is not None


async def test_a_deleted_session_does_not_come_back_while_its_tombstone_stands(memory: Memory) -> None:
    """A late report that was folded before the deletion writes nothing."""
    scribe = memory.scribe
    new = await scribe.draft("s1", report("s1"))
    await scribe.save(new)
    known = await scribe.draft("s1", report("s1", seq=2))
    await scribe.end("s1")
    await scribe.delete("s1")
    assert not (await scribe.save(new)).changes
    assert not (await scribe.save(known)).changes
    assert (await memory.store.load([named("s1")])).deleted == {named("s1")}
    await memory.store.forget(Instant(START))
    assert (await memory.store.load([named("s1")])).deleted == {named("s1")}
    await memory.store.forget(Instant(2**50))
    assert (await memory.store.load([named("s1")])).deleted == frozenset()


async def test_prunable_names_what_ended_before_an_instant(memory: Memory) -> None:
    """Oldest first; what lives, is lost or came back is never among them."""
    scribe = memory.scribe
    for n, id_ in enumerate(("old", "older", "back", "live", "lost")):
        scribe.now = Instant(START + n * SECOND)
        await scribe.report(id_)
    for n, id_ in enumerate(("older", "old")):
        scribe.now = Instant(START + MINUTE + n)
        await scribe.end(id_)
    await scribe.report("back", result={"outcome": "interrupted", "inferred": True})
    scribe.now = Instant(START + HOUR)
    await scribe.report("back")
    await scribe.expire("lost")
    assert names_of(await memory.store.prunable(Instant(START + DAY), 10)) == ["older", "old"]
    assert names_of(await memory.store.prunable(Instant(START + DAY), 1)) == ["older"]
    assert names_of(await memory.store.prunable(Instant(START + MINUTE), 10)) == []


async def test_expired_misses_nothing_that_the_reaper_would_move(memory: Memory) -> None:
    """Whatever the lives and clocks: a session that an expiry changes is found, once the service has heard for a lease."""
    scribe, dice = memory.scribe, random.Random(7)
    ids = [named(f"s{n:02}") for n in range(40)]
    for id_ in ids:
        scribe.now = Instant(START + dice.randrange(HOUR))
        await scribe.report(id_, heartbeat_s=dice.choice((15, 45, 600)))
        if dice.random() < 0.3:
            await scribe.report(id_, instance="w", role="worker", heartbeat_s=dice.choice((15, 3600)))
        if dice.random() < 0.3:
            await scribe.report(id_, result={"outcome": "success", "inferred": dice.random() < 0.7})
        if dice.random() < 0.3:
            scribe.now = Instant(START + 3 * HOUR)
            draft = await scribe.draft(id_, Expiry(hearing_since=Instant(0)))
            if draft.after is not draft.before:
                await scribe.save(draft)
    moved = 0
    for _ in range(60):
        now = Instant(START + dice.randrange(40 * HOUR))
        hearing_since = Instant(now - dice.choice((0, MINUTE, 3 * HOUR, 50 * HOUR)))
        found = await memory.store.expired(now, hearing_since, "", 100)
        assert list(found) == sorted(found)
        if found:
            assert list(await memory.store.expired(now, hearing_since, found[0], 2)) == list(found[1:3])
        for id_ in ids:
            state = await memory.store.session(id_, ALICE)
            assert state is not None
            step = advance(state, Expiry(hearing_since=hearing_since), now)
            if step.changed and now - hearing_since >= max(MINUTE, 3000 * state.session.heartbeat_s):
                assert id_ in found
                moved += 1
            if state.session.ended or (state.session.lease_expires_at or 0) > now:
                assert id_ not in found
    assert moved > 100


async def test_a_lost_session_is_not_named_again_before_its_day_is_over(memory: Memory) -> None:
    """The reaper does not look at it once a second for nothing."""
    scribe = memory.scribe
    await scribe.report("s1")
    scribe.now = Instant(START + HOUR)
    assert names_of(await memory.store.expired(scribe.now, Instant(0), "", 10)) == ["s1"]
    await scribe.expire("s1")
    assert names_of(await memory.store.expired(scribe.now, Instant(0), "", 10)) == []
    assert names_of(await memory.store.expired(Instant(START + 2 * DAY), Instant(0), "", 10)) == ["s1"]


async def test_the_reaper_is_told_when_it_looked_last(memory: Memory) -> None:
    """Across restarts, and for the first time nothing."""
    assert await memory.store.tick(Instant(START)) is None
    assert await memory.store.tick(Instant(START + 5)) == START
    await memory.reopen()
    assert await memory.store.tick(Instant(START + 9)) == START + 5


async def test_what_is_saved_is_announced_once_and_a_position_follows(memory: Memory) -> None:
    """Each change with its facts, whoever rings, and a list of the position that is given then holds it."""
    scribe, store = memory.scribe, memory.store
    heard: list[Committed] = []
    store.listen(heard.append)
    positions = [await memory.position()]
    told = []
    for n in range(3):
        told.append(await scribe.report(f"s{n}", activity="searching", counters={"jobs_found": n + 1}))
        positions.append(await memory.position())
    changes = [change for committed in heard for change in committed.changes]
    assert [name_of(change.session.id) for change in changes] == ["s0", "s1", "s2"]
    assert [change.session for change in changes] == [change.session for change in told]
    assert [list(change.facts) for change in changes] == [list(change.facts) for change in told]
    assert all(change.began for change in changes)
    assert [committed.position for committed in heard] == positions[1:]
    for earlier, later in pairwise(positions):
        assert store.covers(later, earlier)
        assert not store.covers(earlier, later)
    await store.reach(positions[-1])
    await scribe.report("s1", activity="applying")
    await memory.position()
    assert [(name_of(change.session.id), change.began) for change in heard[-1].changes] == [("s1", False)]


async def test_a_deletion_is_announced_to_its_owner(memory: Memory) -> None:
    """Once, and the session is no change any more."""
    scribe = memory.scribe
    heard: list[Committed] = []
    await scribe.report("s1", BOB)
    await scribe.end("s1", BOB)
    await memory.position()
    memory.store.listen(heard.append)
    await scribe.delete("s1")
    await memory.position()
    assert [removal for committed in heard for removal in committed.removals] == [
        Removal(session_id=named("s1"), user_id=BOB)
    ]
    assert not [change for committed in heard for change in committed.changes]


async def test_many_callers_at_once_lose_nothing(memory: Memory) -> None:
    """Saves, deletions and reads of many tasks: every report counts in the end."""
    scribe, store = memory.scribe, memory.store

    async def bot(n: int) -> None:
        for i in range(1, 11):
            while True:
                write = await scribe.draft(
                    f"s{n % 4}", report(f"s{n % 4}", instance=f"i{n}", counters={"jobs_found": i})
                )
                if (await scribe.save(write)).changes:
                    break
            await store.tick(scribe.now)

    async with asyncio.timeout(60):
        await asyncio.gather(*(bot(n) for n in range(12)))
    await memory.reopen()
    states = (await memory.store.load([named(f"s{n}") for n in range(4)])).states
    assert [states[named(f"s{n}")].session.totals["jobs_found"] for n in range(4)] == [30_000_000] * 4


async def test_an_unknown_person_has_no_sessions_and_a_new_one_can_begin(memory: Memory) -> None:
    """The people of sessions are the people of the accounts."""
    assert await memory.access.add_user(user(CHARLIE))
    change = await memory.scribe.report("s1", CHARLIE)
    assert change.session.user_id == CHARLIE
