"""Every adapter of the ports, opened: the tests that take `memory` hold for all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.store.memory import Memory
from tests.store.scribe import ALICE, BOB, user


@pytest.fixture
def anyio_backend() -> str:
    """The service runs on asyncio alone."""
    return "asyncio"


@pytest.fixture(params=["sqlite"])
async def memory(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Memory]:
    """One adapter after the other; PostgreSQL will be the second parameter."""
    assert request.param == "sqlite"
    opened = Memory(tmp_path / "botlight.db")
    await opened.access.add_user(user(ALICE, operator=True))
    await opened.access.add_user(user(BOB))
    yield opened
    opened.close()
