"""An open house for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.service.house import House, open_house
from tests.support.keeping import Keeping
from tests.support.keeping import on_each_store as pytest_generate_tests

__all__ = ["anyio_backend", "house", "pytest_generate_tests"]


@pytest.fixture
def anyio_backend() -> str:
    """The service runs on asyncio alone."""
    return "asyncio"


@pytest.fixture
async def house(tmp_path: Path, keeping: Keeping) -> AsyncIterator[House]:
    """The use cases on a new store."""
    async with open_house(tmp_path / "botlight.db", keeping.url(tmp_path)) as opened:
        yield opened
