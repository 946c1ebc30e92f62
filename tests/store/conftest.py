"""Tests of what is SQLite's alone; tests/conformance holds every adapter to one suite."""

from __future__ import annotations

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The service runs on asyncio alone."""
    return "asyncio"
