"""Fixtures of this folder."""

from __future__ import annotations

import pytest

from tests.support.keeping import on_each_store as pytest_generate_tests

__all__ = ["anyio_backend", "pytest_generate_tests"]


@pytest.fixture
def anyio_backend() -> str:
    """The service runs on asyncio alone."""
    return "asyncio"
