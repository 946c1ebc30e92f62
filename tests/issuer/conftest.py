"""Keys of every kind, made once, and an issuer that publishes them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.issuer import IssuerServer, SigningKey, issuing, signing_key


@pytest.fixture
def anyio_backend() -> str:
    """The service runs on asyncio alone."""
    return "asyncio"


@pytest.fixture(scope="session")
def keys() -> dict[str, SigningKey]:
    """One key for each algorithm."""
    return {algorithm: signing_key(algorithm) for algorithm in ("RS256", "ES256", "EdDSA", "HS256")}


@pytest.fixture
def issuer(keys: dict[str, SigningKey]) -> Iterator[IssuerServer]:
    """An issuer that publishes its public keys."""
    with issuing() as server:
        server.publish(keys["RS256"], keys["ES256"], keys["EdDSA"])
        yield server
