"""Every adapter of the ports, opened: what these tests say holds for all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conformance.memory import Memory, PostgresMemory, SqliteMemory
from tests.conformance.scribe import ALICE, BOB, user
from tests.support.postgres import EDITIONS, Servers


@pytest.fixture
def anyio_backend() -> str:
    """The service runs on asyncio alone."""
    return "asyncio"


@pytest.fixture(params=["sqlite", *EDITIONS])
async def memory(tmp_path: Path, servers: Servers, request: pytest.FixtureRequest) -> AsyncIterator[Memory]:
    """One adapter after the other, with Alice and Bob in it."""
    with ExitStack() as closing:
        opened: Memory
        if request.param == "sqlite":
            opened = SqliteMemory(tmp_path / "botlight.db")
        else:
            opened = PostgresMemory(closing.enter_context(servers.database(request.param)))
        await opened.begin()
        await opened.access.add_user(user(ALICE, operator=True))
        await opened.access.add_user(user(BOB))
        yield opened
        await opened.close()
