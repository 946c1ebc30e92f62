"""Of several servers on one database one calls sessions lost and removes old ones; another goes on where it stops."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import pytest

from botlight.model.session import Instant
from botlight.store.postgres.database import PostgresDatabase
from botlight.store.postgres.store import PostgresStore
from tests.postgres.psql import Database
from tests.support.postgres import EDITIONS, Servers, url

pytestmark = pytest.mark.anyio

START: Final = 1_769_000_000_000
DAY: Final = 86_400_000


@asynccontextmanager
async def two_servers(database: Database) -> AsyncIterator[tuple[PostgresStore, PostgresStore]]:
    """Two stores on one database, as two processes have them."""
    async with AsyncExitStack() as closing:
        stores = []
        for _ in range(2):
            opened = await PostgresDatabase.open(url(database), serve=True)
            closing.push_async_callback(opened.close)
            stores.append(await PostgresStore.open(opened))
            closing.push_async_callback(stores[-1].close)
        yield stores[0], stores[1]


@pytest.mark.parametrize("edition", EDITIONS)
async def test_one_has_the_turn_until_it_stops(servers: Servers, edition: str) -> None:
    """The first to tick names who is silent and who is old, the second nobody; when the first is late the second does."""
    with servers.database(edition) as database:
        database.run(
            "insert into auth.users (id) values ('00000000-0000-4000-8000-000000000001');"
            "insert into bot_sessions (user_id, status, lease_expires_at) select id, 'running', '2026-01-01' from auth.users;"
            "insert into bot_sessions (user_id, status, outcome, ended_at)"
            " select id, 'completed', 'success', '2026-01-01' from auth.users",
            user=database.superuser,
        )
        async with two_servers(database) as (one, other):

            async def named(store: PostgresStore, now: int) -> tuple[int, int]:
                """How many silent and how many old sessions a server names after its tick."""
                await store.tick(Instant(now))
                silent = await store.expired(Instant(now), Instant(now - DAY), "", 10)
                return len(silent), len(await store.prunable(Instant(now), 10))

            for second in range(3):
                assert await named(one, START + second * 1000) == (1, 1)
                assert await named(other, START + second * 1000 + 500) == (0, 0)
            later = START + 10_000
            assert await named(other, later) == (1, 1)
            assert await named(one, later + 500) == (0, 0)
