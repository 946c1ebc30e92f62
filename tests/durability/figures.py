"""Figures that are shown however the tests are run."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

__all__ = ["Figures", "figures"]

Figures = Callable[[str], None]


@pytest.fixture
def figures(capsys: pytest.CaptureFixture[str]) -> Figures:
    """Shows a line with what was measured."""

    def show(line: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n    {line}\n")

    return show
