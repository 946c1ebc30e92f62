"""Behind a pooler: what can be done there is done, and what to use instead is said. The pooler is a real pgbouncer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import asyncpg
import pytest

from botlight.model.session import Instant
from botlight.service.ports import User
from botlight.store.errors import CannotOpen
from botlight.store.postgres.access import PostgresAccess
from botlight.store.postgres.database import PostgresDatabase
from botlight.store.postgres.examination import examine
from tests.postgres.cluster import Cluster
from tests.postgres.conftest import PLAIN, Blank
from tests.postgres.pooler import running_pooler
from tests.postgres.psql import Database
from tests.postgres.test_opening import made

pytestmark = pytest.mark.anyio


@pytest.fixture
def database(blank: Blank) -> Database:
    """A database of its own."""
    return made(blank, PLAIN)


@pytest.fixture
def pooled(request: pytest.FixtureRequest, plain_cluster: Cluster, database: Database) -> Iterator[str]:
    """The database's address through a pooler in the mode that the test names."""
    with running_pooler(plain_cluster, database.owner, request.param) as port:
        yield f"postgresql://{database.owner}@/{database.name}?host={database.socket}&port={port}"


async def seen_by_strangers(address: str) -> set[tuple[str, ...]]:
    """As whom, with which claims and settings, other clients of the pooler find its connections, all of them at once."""
    asked = "select current_user::text, coalesce(current_setting('request.jwt.claims', true), ''), current_setting('enable_hashjoin')"
    clients = [await asyncpg.connect(address, statement_cache_size=0) for _ in range(5)]
    try:
        for client in clients:
            await client.execute("begin")
        return {tuple(row) for client in clients for row in await client.fetch(asked)}
    finally:
        for client in clients:
            await client.close()


@pytest.mark.parametrize("pooled", ["transaction", "transaction in turns"], indirect=True)
async def test_in_transaction_mode_it_works_and_says_what_is_better(pooled: str, database: Database) -> None:
    """Nothing can be listened to; and no connection is left with a role or a person's claims for the next who gets it."""
    known = await examine(pooled)
    assert (known.footing.pooled, known.footing.can_listen) == (True, False)
    assert "changes are looked for once a second" in known.footing.words
    assert "it says that it listens on 5432" in known.footing.words
    opened = await PostgresDatabase.open(pooled, serve=True)
    try:
        assert not opened.can_listen
        access = PostgresAccess(opened)
        names = [f"person-{n}" for n in range(20)]
        users = [
            User(id=str(uuid4()), name=name, password_hash=None, operator=False, created_at=Instant(1))
            for name in names
        ]
        assert all(await asyncio.gather(*map(access.add_user, users)))
        assert [user and user.id for user in await asyncio.gather(*map(access.user_named, names))] == [
            user.id for user in users
        ]
        for _ in range(5):
            async with opened.person(users[0].id) as connection:
                assert await connection.fetchval("select auth.uid()::text") == users[0].id
            async with opened.writing() as connection:
                assert await connection.fetchval("select current_user::text") == "botlight_service"
                assert await connection.fetchval("show enable_hashjoin") == "off"
        assert await seen_by_strangers(pooled) == {(database.owner, "", "on")}
    finally:
        await opened.close()


@pytest.mark.parametrize("pooled", ["session"], indirect=True)
async def test_in_session_mode_nothing_is_missing(pooled: str, database: Database) -> None:
    """Each client has a connection of its own as long as it stays."""
    known = await examine(pooled)
    assert (known.footing.pooled, known.footing.can_listen, known.footing.words) == (False, True, "")
    opened = await PostgresDatabase.open(pooled, serve=False)
    heard = asyncio.Event()
    try:
        async with opened.listening(heard.set):
            database.run("notify bot_sessions")
            await asyncio.wait_for(heard.wait(), 5)
    finally:
        await opened.close()


@pytest.mark.parametrize("pooled", ["statement"], indirect=True)
async def test_in_statement_mode_nothing_can_be_done(pooled: str) -> None:
    """There are no transactions, so it is refused, and what it has to be is said."""
    with pytest.raises(CannotOpen, match="session or transaction mode"):
        await PostgresDatabase.open(pooled, serve=True)
