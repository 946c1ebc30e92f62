"""Fixtures of the socket's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.edge.supabase.official import Clients, Host, hosts


@pytest.fixture(scope="session")
def client_hosts() -> Iterator[dict[str, Host]]:
    """A process for each language, for the whole run."""
    with hosts() as found:
        yield found


@pytest.fixture
def clients(client_hosts: dict[str, Host]) -> Iterator[Clients]:
    """Opens official clients, which are closed with the test."""
    opened = Clients(client_hosts)
    yield opened
    opened.close()
