"""A household with Alice in it, and figures that are shown however the tests are run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.durability.service_process import Household


@pytest.fixture
def anyio_backend() -> str:
    """The service runs on asyncio alone."""
    return "asyncio"


@pytest.fixture
def household(tmp_path: Path) -> Iterator[Household]:
    """A new database without anybody in it."""
    household = Household(tmp_path)
    yield household
    household.leave()


@pytest.fixture
def figures(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Shows a line with what was measured."""

    def show(line: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n    {line}\n")

    return show
