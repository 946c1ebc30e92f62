"""Fixtures of this folder."""

from __future__ import annotations

import pytest

from tests.durability.figures import figures

__all__ = ["anyio_backend", "figures"]


@pytest.fixture
def anyio_backend() -> str:
    """The service runs on asyncio alone."""
    return "asyncio"
