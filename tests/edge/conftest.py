"""Fixtures of the doors' tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from tests.edge.bot import Bot
from tests.support.keeping import on_each_store as pytest_generate_tests
from tests.support.service import Issued, RunningService

__all__ = ["NewBot", "pytest_generate_tests"]

NewBot = Callable[..., Bot]
"""`new_bot(service, token, name="bot")`: a bot that is not started yet."""


@pytest.fixture
def new_bot() -> Iterator[NewBot]:
    """Makes bots whose connections are closed with the test."""
    with ExitStack() as stack:

        def make(service: RunningService, token: Issued, name: str = "bot") -> Bot:
            return stack.enter_context(closing(Bot(service, token, name)))

        yield make
