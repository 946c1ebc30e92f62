"""What every run of the tests shares: it ends, whatever a test left behind."""

from __future__ import annotations

import faulthandler
import sys

import pytest

SECONDS_TO_END = 60


@pytest.hookimpl(tryfirst=True)
def pytest_unconfigure() -> None:
    """Show where each thread stands, and fail, when the interpreter does not end after the last test."""
    if sys.__stderr__ is not None:
        faulthandler.dump_traceback_later(SECONDS_TO_END, exit=True, file=sys.__stderr__)
