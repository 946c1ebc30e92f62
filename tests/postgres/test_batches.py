"""Batches beside each other: in which order they lock, and three server processes that write the same sessions at once."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from typing import Any

import pytest

from botlight.model.session import Instance
from botlight.store.postgres.rows import instances_from
from tests.conformance.names import named
from tests.conformance.scribe import ALICE, BOB, report
from tests.postgres.following import followed
from tests.postgres.psql import Database
from tests.support.postgres import EDITIONS, Servers, url

IDS = [named(f"s{n:02}") for n in range(160)]
ROUNDS = 20


def _written(database: Database) -> list[dict[str, Any]]:
    """What three processes were told."""
    module = [sys.executable, "-m", "tests.postgres.writer_process", url(database)]
    processes = [
        subprocess.Popen(
            [*module, f"w{n}", str(ROUNDS), ",".join(IDS), ALICE, BOB],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    return [json.loads(answer) for answer in answers]


@pytest.mark.parametrize("edition", EDITIONS)
def test_batches_of_three_processes_get_in_nobodys_way(servers: Servers, edition: str) -> None:
    """No deadlock, no lost and no doubled count, and only what cannot be taken is refused."""
    with servers.database(edition) as database:
        people = f"insert into auth.users (id) values ('{ALICE}'), ('{BOB}')"
        database.run(people, user=database.superuser)
        made = f"insert into bot_sessions (id, user_id) select id, '{ALICE}' from unnest($${{{','.join(IDS[: len(IDS) // 2])}}}$$::uuid[]) id"
        database.run(made)
        told = _written(database)
        refused = {kind for each in told for kind in each["refused"]}
        assert refused - {"overloaded"} == {"poisoned: invalid", "foreign: unknown"}
        expected: dict[str, dict[str, int]] = {}
        for each in told:
            for key, counted in each["acknowledged"].items():
                session_id, instance = key.split()
                expected.setdefault(session_id, {})[instance] = counted * 1_000_000
        rows = database.run(
            """select s.id, (jobs_found * 1000000)::bigint, instances, s.instance,
                 (select count(*) from botlight.facts f where f.session_id = s.id),
                 (select max(n) from botlight.facts f where f.session_id = s.id),
                 (select count(*) from botlight.jobs j where j.session_id = s.id),
                 (select coalesce(json_agg(i.instance), '[]') from botlight.bot_instances i where i.session_id = s.id)
               from bot_sessions s"""
        )
        found: dict[str, dict[str, int]] = {}
        for session_id, total, count, main, facts, newest, jobs, others in rows:
            instances = instances_from(main, json.loads(others))
            found[session_id] = {id_: _counted(instance) for id_, instance in instances.items()}
            assert int(total) == sum(found[session_id].values())
            assert int(count) == int(facts) == int(newest) == len(instances)  # each joined once
            assert jobs == "1"
        assert found == expected
        deadlocks = "select deadlocks from pg_stat_database where datname = current_database()"
        assert database.value(deadlocks) == "0"


@pytest.mark.anyio
@pytest.mark.parametrize("edition", EDITIONS)
async def test_a_batch_locks_in_the_order_of_ids(servers: Servers, edition: str) -> None:
    """However it was given: while it waits for its first session it holds none of the others, old or new."""
    with servers.database(edition) as database:
        async with followed(database) as service:
            for name in ("s1", "s2"):
                await service.scribe.report(name)
            old = [await service.scribe.draft(name, report(name, seq=9)) for name in ("s2", "s1")]
            new = [await service.scribe.draft(name, report(name)) for name in ("n2", "n1")]
            with database.connection() as first, database.connection() as other:
                first.ask(f"begin; update bot_sessions set activity = 'x' where id = '{named('s1')}'")
                saving = asyncio.create_task(service.store.save(old))
                await asyncio.to_thread(_waits, database)
                other.ask(f"select from bot_sessions where id = '{named('s2')}' for update nowait")
                first.ask("rollback")
                assert len((await saving).changes) == 2
                first.ask(f"begin; insert into bot_sessions (id, user_id) values ('{named('n1')}', '{ALICE}')")
                saving = asyncio.create_task(service.store.save(new))
                await asyncio.to_thread(_waits, database)
                made = f"insert into bot_sessions (id, user_id) values ('{named('n2')}', '{ALICE}')"
                other.ask(f"set lock_timeout = '100ms'; begin; {made}; rollback")
                first.ask("rollback")
                assert len((await saving).changes) == 2


@pytest.mark.anyio
@pytest.mark.parametrize("edition", EDITIONS)
async def test_a_session_that_is_deleted_while_it_is_made_stays_deleted(servers: Servers, edition: str) -> None:
    """Its writer is told to look again, and finds the tombstone."""
    with servers.database(edition) as database:
        async with followed(database) as service:
            late = await service.scribe.draft("s1", report("s1"))
            await service.scribe.report("s1")
            with database.connection() as other:
                other.ask("begin; delete from bot_sessions")
                saving = asyncio.create_task(service.store.save([late]))
                await asyncio.to_thread(_waits, database)
                other.ask("commit")
                assert not (await saving).changes
            found = await service.store.load([named("s1")])
            assert not found.states
            assert found.deleted == frozenset({named("s1")})


def _waits(database: Database) -> None:
    """Wait until somebody waits for a lock."""
    waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    until = time.monotonic() + 10
    while database.value(waiting, user=database.superuser) == "0":
        assert time.monotonic() < until


def _counted(instance: Instance) -> int:
    return instance.counters["jobs_found"]
