"""The feed: whoever changes a session, everybody who may see it is told, and nothing is missed meanwhile."""

from __future__ import annotations

import asyncio
import logging

import pytest

from botlight.model.errors import Unavailable
from botlight.model.session import Instant, Status
from botlight.service.ports import Audience, SessionFilter
from tests.conformance.names import name_of, named, names_of
from tests.conformance.scribe import ALICE, BOB, SECOND, report
from tests.postgres.following import Followed
from tests.postgres.pooler import running_pooler
from tests.support.postgres import Servers

pytestmark = pytest.mark.anyio

LISTENERS = "select pg_terminate_backend(pid) from pg_stat_activity where query ~* '^(listen|select 1$)' and datname = current_database()"


def mine(user_id: str = ALICE) -> SessionFilter:
    """Somebody's whole list."""
    return SessionFilter(user_id=user_id, ended_since=Instant(0))


async def sure(service: Followed) -> None:
    """Wait until the service is sure to hear."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await service.store.verify()
            except Unavailable:
                await asyncio.sleep(0.05)


async def test_what_anybody_writes_is_announced(service: Followed) -> None:
    """Inserted, changed and deleted by SQL: each is told, with the revision that the row has."""
    made = f"insert into bot_sessions (id, user_id, bot_name) values ('{named('s1')}', '{ALICE}', 'psql')"
    service.sql.run(made)
    await service.until(lambda: "s1" in service.newest)
    service.sql.run("update bot_sessions set activity = 'typed', jobs_found = 2.5")
    await service.until(lambda: service.newest["s1"].activity == "typed")
    assert [change.began for one in service.heard for change in one.changes] == [True, False]
    shown = service.newest["s1"]
    assert shown.totals == {"jobs_found": 2_500_000}
    assert shown.revision == int(service.sql.value("select revision from bot_sessions"))
    service.sql.run("delete from bot_sessions")
    await service.until(lambda: service.removed == [("alice", "s1")])
    assert service.resets == 0


async def test_a_session_that_changes_hands_is_told_to_both(service: Followed) -> None:
    """Who had it loses it, and who has it is shown it; given back, nobody loses what they have."""
    await service.scribe.report("s1")
    await service.position()
    service.sql.run(f"update bot_sessions set user_id = '{BOB}'")
    await service.until(lambda: service.removed == [("alice", "s1")])
    assert service.newest["s1"].user_id == BOB
    before = len(service.heard)
    service.sql.run(f"update bot_sessions set user_id = '{ALICE}'; update bot_sessions set user_id = '{BOB}'")
    await service.position()
    assert [gone.user_id for one in service.heard[before:] for gone in one.removals][-1:] != [BOB]
    assert service.newest["s1"].user_id == BOB


async def test_nothing_is_missed_while_nobody_listens(service: Followed) -> None:
    """The connection that listens is cut again and again; what is written in between is read afterwards."""
    await service.scribe.report("s0")
    for n in range(1, 6):
        cut = service.sql.run(LISTENERS, user=service.sql.superuser)
        assert cut
        service.sql.run(f"insert into bot_sessions (id, user_id) values ('{named(f's{n}')}', '{ALICE}')")
        await service.until(lambda n=n: f"s{n}" in service.newest)  # type: ignore[misc]
        await sure(service)
    assert service.resets == 0


async def test_behind_a_pooler_the_feed_is_read_all_the_same(service: Followed, servers: Servers, edition: str) -> None:
    """Nobody is notified there, and no two transactions need have one connection: it is read once a second."""
    with running_pooler(servers.cluster(edition), service.sql.owner, "transaction") as port:
        await service.close()
        service.url += f"&port={port}"
        await service.begin()
        try:
            assert not service.database.can_listen
            service.sql.run(f"insert into bot_sessions (id, user_id) values ('{named('s1')}', '{ALICE}')")
            await service.until(lambda: "s1" in service.newest)
            await service.scribe.report("s1", activity="searching", jobs=[{"key": "a", "outcome": "applied"}])
            await service.until(lambda: service.newest["s1"].activity == "searching")
            board = await service.store.board(mine(), 10, since=service.heard[0].position)
            assert [session.activity for session in board.sessions] == ["searching"]
            assert len(await service.store.jobs(named("s1"), ALICE, None, 0, 10)) == 1
        finally:
            await service.close()
            service.url = service.url.partition("&")[0]
        await service.begin()


async def test_a_life_of_the_database_that_ended_resets_everybody(service: Followed) -> None:
    """After a TRUNCATE, as after a crash, an old position is answered with the whole list."""
    await service.scribe.report("s1")
    old = await service.position()
    await service.scribe.report("s2")
    await service.position()
    assert service.resets == 0
    service.sql.run("truncate bot_sessions cascade")
    await service.until(lambda: service.resets == 1)
    board = await service.store.board(mine(), 10, since=old)
    assert (board.replaces, list(board.sessions)) == (True, [])
    assert board.position.split(".")[0] == service.store.position().split(".")[0] != old.split(".")[0]


async def test_a_position_that_the_pruned_feed_cannot_serve_resets_everybody(service: Followed) -> None:
    """A process that could not read for longer than the feed is kept does not go on as if it had."""
    turn = service.store._feed._turn  # type: ignore[union-attr]  # nobody reads while it is held, as when the database is away
    async with turn:
        await service.scribe.report("s1")
        await service.drop_history()
        await service.drop_history()
    await service.until(lambda: service.resets == 1)


async def test_a_row_that_cannot_be_read_hides_itself_alone(
    service: Followed, caplog: pytest.LogCaptureFixture
) -> None:
    """In the feed, in lists and in a batch: the others are told and listed, and the log says which it is."""
    scribe = service.scribe
    for n, name in enumerate(("s1", "s2", "s3", "s4")):
        scribe.now = Instant(scribe.now + n * SECOND)
        await scribe.report(name)
    await service.position()
    # Nested deeper than any reader of JSON goes, and the text of an instance that is none.
    deep = '{"a": ' + "[" * 1400 + "]" * 1400 + "}"
    caplog.set_level(logging.WARNING)
    broken = f"set activity_details = '{deep}'"
    service.sql.run(f"update bot_sessions {broken} where id = '{named('s2')}'; update bot_sessions set activity = 'x'")
    await service.until(lambda: service.newest["s3"].activity == service.newest["s1"].activity == "x")
    board = await service.store.board(mine(), 10)
    assert names_of(session.id for session in board.sessions) == ["s4", "s3", "s1"]
    page = await service.store.page(mine(), 3, None)
    assert names_of(session.id for session in page) == ["s4", "s3", "s1"]
    assert {getattr(record, "session_id", None) for record in caplog.records} == {named("s2")}
    service.sql.run("update bot_sessions set activity_details = null, instance = '{'")
    assert (await service.store.load([named("s1")])).states == {}
    assert len((await service.store.board(mine(), 10)).sessions) == 4


async def test_facts_are_told_with_the_change_that_brought_them(service: Followed) -> None:
    """Once each, and those of a cleanup by SQL too."""
    for n in range(3):
        await service.scribe.report("s1", activity=f"a{n}")
        await service.position()
    service.sql.run("update bot_sessions set lease_expires_at = now() - interval '1 s'")
    service.sql.run("select botlight.cleanup()", user=service.sql.superuser)
    await service.until(lambda: service.newest["s1"].status is Status.LOST)
    told = [fact.n for one in service.heard for change in one.changes for fact in change.facts]
    assert told == [1, 2, 3, 4, 5]


async def test_facts_are_told_of_a_session_that_was_deleted_and_came_back(service: Followed) -> None:
    """Its timeline begins anew, and so do the numbers that were told."""
    for n in range(3):
        await service.scribe.report("s1", activity=f"a{n}")
    await service.position()
    service.sql.run("delete from bot_sessions")
    await service.position()
    service.sql.run(f"insert into bot_sessions (id, user_id) values ('{named('s1')}', '{ALICE}')")
    await service.position()
    service.heard.clear()
    await service.scribe.report("s1", activity="again")
    await service.position()
    told = [fact.n for one in service.heard for change in one.changes for fact in change.facts]
    kept = [fact.n for fact in await service.store.timeline(named("s1"), ALICE, 0, 10)]
    assert told == kept != []


async def test_what_nobody_waits_for_is_not_read(service: Followed) -> None:
    """A process tells its own readers; who joins in the very moment of a read misses nothing all the same."""
    service.audience = Audience(frozenset(), frozenset())
    await service.reopen()
    await service.scribe.report("a1")
    await service.scribe.report("b1", BOB)
    before = service.store.position()
    after = await service.position()
    assert service.heard == []
    assert service.store.covers(after, before)
    service.audience = Audience(frozenset({ALICE}), frozenset({named("b2")}))
    for name, owner in (("a1", ALICE), ("b1", BOB), ("b2", BOB)):
        await service.scribe.report(name, owner, activity="searching")
    service.sql.run(f"update bot_sessions set user_id = '{BOB}' where id = '{named('a1')}'")
    await service.position()
    assert set(service.newest) == {"a1", "b2"} or set(service.newest) == {"b2"}  # as Alice's, if it was read before
    assert service.removed == [("alice", "a1")]


async def test_who_cannot_reach_the_database_is_not_sure_to_hear(service: Followed) -> None:
    """`verify` fails while the server is away, and afterwards everything is right again."""
    await service.store.verify()
    service.sql.run(f"alter database {service.sql.name} connection limit 0", user=service.sql.superuser)
    try:
        everybody = (
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'botlight' and datname is not null"
        )
        service.sql.run(everybody, user=service.sql.superuser)
        with pytest.raises(Unavailable):
            async with asyncio.timeout(10):
                await service.store.verify()
    finally:
        service.sql.run(f"alter database {service.sql.name} connection limit -1", user=service.sql.superuser)
    await sure(service)
    await service.scribe.report("s1")
    await service.until(lambda: "s1" in service.newest)
    assert service.resets == 0


async def test_one_reaper_of_a_fleet_has_the_turn(service: Followed) -> None:
    """Who ticked first keeps it; when its ticks are late another one takes over, and who comes back waits."""
    other = Followed(service.sql)
    await other.begin()
    try:
        now = service.scribe.now
        await service.scribe.report("s1")
        late = Instant(now + 10_000_000)
        first, second = service.store, other.store
        assert await first.tick(late) is None
        assert await second.tick(Instant(late + 500)) == late
        assert names_of(await first.expired(late, Instant(0), "", 10)) == ["s1"]
        assert await second.expired(late, Instant(0), "", 10) == []
        assert await first.tick(Instant(late + 1000)) == late
        assert await second.tick(Instant(late + 2500)) == late + 1000
        assert names_of(await second.expired(late, Instant(0), "", 10)) == ["s1"]
        assert await first.tick(Instant(late + 2600)) == late + 2500
        assert await first.expired(late, Instant(0), "", 10) == []
    finally:
        await other.close()


async def test_a_session_that_somebody_does_not_let_go_of_holds_up_itself_alone(service: Followed) -> None:
    """A transaction left open in psql: the others of its batch are saved, and once it ends that one is too."""
    scribe, names = service.scribe, ["s1", "s2", "s3"]
    for name in names:
        await scribe.report(name)
    with service.sql.connection() as psql:
        psql.ask(f"begin; update bot_sessions set activity = 'mine' where id = '{named('s2')}'")
        writes = [await scribe.draft(name, report(name, counters={"jobs_found": 1})) for name in names]
        saved = await service.store.save(writes)
        assert [name_of(change.session.id) for change in saved.changes] == ["s1", "s3"]
        with pytest.raises(Unavailable):
            await service.store.save(writes[1:2])
        psql.ask("commit")
    change = await scribe.act("s2", report("s2", counters={"jobs_found": 1}))
    assert (change.session.totals, change.session.activity) == ({"jobs_found": 1_000_000}, "mine")
