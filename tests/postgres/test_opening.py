"""Opening a database: as whom Botlight works there, and where it refuses to go on, in a sentence that says what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import asyncpg
import pytest

from botlight.model.errors import Invalid, Unavailable
from botlight.service.ports import RejectedWrite
from botlight.store.errors import CannotOpen, NewerSchema
from botlight.store.postgres.connection import RolledBack
from botlight.store.postgres.database import PostgresDatabase
from botlight.store.postgres.failures import Busy, Collision
from botlight.store.postgres.migrating import migrate
from tests.postgres.cluster import Cluster
from tests.postgres.conftest import PLAIN, SUPABASE, Blank
from tests.postgres.psql import Database
from tests.postgres.test_migrate_command import url

pytestmark = pytest.mark.anyio

WHO = "select current_user::text, session_user::text, current_setting('transaction_isolation')"


@pytest.fixture(params=[PLAIN, SUPABASE])
def ready(request: pytest.FixtureRequest, blank: Blank) -> Database:
    """A database of its own for a test, migrated as a person does it."""
    return made(blank, request.param)


def made(blank: Blank, kind: str) -> Database:
    """A fresh database of a kind, migrated."""
    database = blank(kind)
    user = database.superuser if kind == PLAIN else database.owner
    asyncio.run(migrate(url(database, user), lambda _: None))
    return database


@contextmanager
def altered(database: Database, there: str, back: str) -> Iterator[None]:
    """Something of the whole cluster, changed for a moment by its superuser."""
    database.run(there, user=database.superuser)
    try:
        yield
    finally:
        database.run(back, user=database.superuser)


async def refusal(address: str) -> str:
    """What opening says instead of opening."""
    with pytest.raises(CannotOpen) as refused:
        await PostgresDatabase.open(address, serve=True)
    assert "\n" not in str(refused.value)
    return str(refused.value)


async def test_everything_is_done_as_a_role_that_owns_nothing(ready: Database) -> None:
    """The service is botlight_service, a person is `authenticated` with their claims; neither sees past a policy."""
    person = str(uuid4())
    opened = await PostgresDatabase.open(url(ready), serve=True)
    try:
        async with opened.writing() as connection:
            assert tuple(await connection.fetchrow(WHO) or ())[:2] == ("botlight_service", ready.owner)
            for setting in ("enable_hashjoin", "enable_mergejoin"):
                assert await connection.fetchval(f"show {setting}") == "off"
        async with opened.reading() as connection:
            assert tuple(await connection.fetchrow(WHO) or ())[:2] == ("botlight_service", ready.owner)
        async with opened.snapshot() as connection:
            assert tuple(await connection.fetchrow(WHO) or ()) == ("botlight_service", ready.owner, "repeatable read")
        async with opened.person(person) as connection:
            assert tuple(await connection.fetchrow(WHO) or ()) == ("authenticated", ready.owner, "repeatable read")
            assert str(await connection.fetchval("select auth.uid()")) == person
        async with opened.reading() as connection:  # the same connection again: nothing of the person is left
            assert await connection.fetchval("select auth.uid()") is None
            assert await connection.fetchval("select current_user::text") == "botlight_service"
    finally:
        await opened.close()


async def test_an_empty_database_is_told_to_be_migrated(blank: Blank) -> None:
    """A database that Botlight never saw."""
    assert "`botlight migrate` makes it" in await refusal(url(blank(PLAIN)))


async def test_another_version_is_refused(blank: Blank) -> None:
    """An older schema is brought up to date; a newer one wants a newer Botlight."""
    database = await asyncio.to_thread(made, blank, PLAIN)
    say = "create or replace function botlight.schema_version() returns bigint language sql immutable set search_path = '' as "
    database.run(f"{say} 'select 20260121000001'")
    assert "`botlight migrate` brings it up to date" in await refusal(url(database))
    database.run("drop function botlight.schema_version()")
    assert "`botlight migrate` brings it up to date" in await refusal(url(database))
    database.run(
        f"{say} 'select 99991231000001'; grant execute on function botlight.schema_version() to botlight_service"
    )
    with pytest.raises(NewerSchema, match="Install that version"):
        await PostgresDatabase.open(url(database), serve=True)


async def test_a_login_that_may_not_take_the_role_is_told_the_grant(ready: Database) -> None:
    """The sentence holds the statement, which can be run as it is."""
    with altered(ready, "create role guest login", "drop role guest"):
        said = await refusal(url(ready, "guest"))
        assert 'let a superuser say (on Supabase: postgres): grant botlight_service, authenticated to "guest";' in said
        ready.run('grant botlight_service, authenticated to "guest";', user=ready.superuser)
        opened = await PostgresDatabase.open(url(ready, "guest"), serve=False)
        await opened.close()


@pytest.mark.parametrize("role", ["authenticated", "botlight_service"])
@pytest.mark.parametrize(
    ("attribute", "words"), [("superuser", "superuser"), ("bypassrls", "bypasses row level security")]
)
async def test_a_role_that_sees_past_the_policies_is_refused(
    ready: Database, role: str, attribute: str, words: str
) -> None:
    """Whatever the policies say, such a role would see everybody's sessions."""
    with altered(ready, f"alter role {role} {attribute}", f"alter role {role} no{attribute}"):
        assert f"The role {role} " in (said := await refusal(url(ready)))
        assert words in said


async def test_a_role_that_owns_the_table_is_refused(ready: Database) -> None:
    """An owner is not held back by policies, nor is who inherits from one."""
    ready.run("create role landlord; alter table bot_sessions owner to landlord", user=ready.superuser)
    try:
        with altered(ready, "alter role authenticated inherit", "alter role authenticated noinherit"):
            ready.run("grant landlord to authenticated", user=ready.superuser)
            assert "authenticated owns Botlight's tables" in await refusal(url(ready))
    finally:
        ready.run(
            f"alter table bot_sessions owner to {ready.owner}; drop owned by landlord; drop role landlord",
            user=ready.superuser,
        )


async def test_a_table_without_its_guard_is_refused(ready: Database) -> None:
    """Somebody who switched row level security off is told so, and how it comes back."""
    ready.run("alter table botlight.facts disable row level security")
    assert "Row level security is off for botlight.facts" in (said := await refusal(url(ready)))
    assert "`botlight migrate --again`" in said


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("postgresql://me:hunter2@127.0.0.1:1/bots", "cannot be reached: Connection refused. Does it run"),
        ("postgresql://me:hunter2@127.0.0.1:99999/bots", "cannot use this URL"),
        ("postgresql://me:hunter2@db.invalid/bots", "Look at the host in the address"),
        ("postgresql://me:hunter2@/bots?host=/no/such/folder", "a file that the address names is not there"),
        ("postgresql://me:hunter2@/{name}?host={socket}", "refuses"),
        ("postgresql://{owner}:hunter2@/nobase?host={socket}", '"nobase" does not exist. `create database` makes it'),
        ("postgresql://{owner}:hunter2@/{name}?host={socket}&sslmode=perhaps", "sslmode"),
        ("postgresql://{owner}:hunter2@/{name}?host={socket}&colour=red", "colour"),
    ],
)
async def test_an_address_that_leads_nowhere(blank: Blank, address: str, words: str) -> None:
    """Is said on one line, without the password that it holds."""
    database = blank(PLAIN)
    said = await refusal(address.format(name=database.name, socket=database.socket, owner=database.owner))
    assert words in said
    assert "hunter2" not in said


TICK = "insert into botlight.reaper (ticked_at) values (now())"


async def goes_on_after_a_failure(opened: PostgresDatabase, bad: str) -> None:
    """A bug: what failed is caught inside, and the rest committed as if nothing were."""
    async with opened.writing() as connection:
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await connection.execute(bad)


async def two_write_the_same_row(opened: PostgresDatabase) -> None:
    """The second waits for the first, which does not end."""
    async with opened.writing() as one, opened.writing() as other:
        await one.execute(TICK)
        await other.execute("set local lock_timeout = '50ms'")
        await other.execute(TICK)


async def writes_slowly(opened: PostgresDatabase) -> None:
    """Has written something and is not done."""
    async with opened.writing() as connection:
        await connection.execute(TICK)
        await connection.execute("select pg_sleep(30)")


async def test_what_the_database_says_is_told_apart(blank: Blank) -> None:
    """A value that it refuses, another writer in the way, a bug of ours that would lose what it had written."""
    database = await asyncio.to_thread(made, blank, PLAIN)
    opened = await PostgresDatabase.open(url(database), serve=True)
    bad = "insert into botlight.links (secret_hash, user_id, expires_at) values ('x', gen_random_uuid(), now())"
    try:
        with pytest.raises(RejectedWrite):
            async with opened.writing() as connection:
                await connection.execute(bad)
        with pytest.raises(Invalid):
            async with opened.reading() as connection:
                await connection.fetchval("select $1::text::uuid", "no id")
        with pytest.raises(RolledBack):
            await goes_on_after_a_failure(opened, bad)
        with pytest.raises(Collision):
            async with opened.writing() as connection:
                await connection.execute(
                    "do $$ begin raise exception 'x' using errcode = 'serialization_failure'; end $$"
                )
        with pytest.raises(Busy):
            await two_write_the_same_row(opened)
        async with opened.reading() as connection:
            assert await connection.fetchval("select count(*) from botlight.reaper") == 0
    finally:
        await opened.close()


async def test_it_survives_a_restart_of_the_server(
    plain_cluster: Cluster, blank: Blank, caplog: pytest.LogCaptureFixture
) -> None:
    """Meanwhile the store is unavailable, which the log says once; the listener knows that it hears nothing."""
    database = await asyncio.to_thread(made, blank, PLAIN)
    caplog.set_level("INFO")
    opened = await PostgresDatabase.open(url(database), serve=True)
    heard = asyncio.Event()
    try:
        async with opened.listening(heard.set) as listener:
            database.run("notify bot_sessions")
            await asyncio.wait_for(heard.wait(), 5)
            await listener.check()
            await asyncio.to_thread(plain_cluster.stop)
            try:
                await asyncio.wait_for(listener.lost.wait(), 5)
                for _ in range(3):
                    with pytest.raises(Unavailable):
                        async with opened.writing():
                            pass
            finally:
                await asyncio.to_thread(plain_cluster.start)
        async with opened.writing(), opened.reading() as connection:
            assert await connection.fetchval("select current_user::text") == "botlight_service"
    finally:
        await opened.close()
    said = [record.message for record in caplog.records if "available" in record.message]
    assert said == ["the store is unavailable", "the store is available again"]


async def test_a_cancelled_transaction_leaves_nothing_behind(blank: Blank) -> None:
    """Neither what it wrote nor its connection: as many as there are can be cancelled, again and again."""
    database = await asyncio.to_thread(made, blank, PLAIN)
    opened = await PostgresDatabase.open(url(database), serve=False)
    try:
        for _ in range(5):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(writes_slowly(opened), 0.05)
        async with opened.writing() as connection:
            assert await connection.fetchval("select count(*) from botlight.reaper") == 0
    finally:
        await opened.close()
