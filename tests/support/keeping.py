"""Where the services of a test keep what they know: a SQLite file each, or a PostgreSQL database each."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pytest

from tests.support.postgres import EDITIONS, Servers, url

__all__ = ["SQLITE", "Keeping", "on_each_store", "on_sqlite"]

SQLITE: Final = "sqlite"


def on_each_store(metafunc: pytest.Metafunc) -> None:
    """For a folder's conftest, as `pytest_generate_tests`: what its tests say of the service holds on every store.

    A module that runs on SQLite alone says why, in `ON_SQLITE`; so does a test, with `on_sqlite`.
    """
    alone = hasattr(metafunc.module, "ON_SQLITE") or any(
        mark.args[0] == "keeping" for mark in metafunc.definition.iter_markers("parametrize")
    )
    if "keeping" in metafunc.fixturenames and not alone:
        metafunc.parametrize("keeping", [SQLITE, EDITIONS[0]], indirect=True, scope="module")


def on_sqlite(reason: str) -> pytest.MarkDecorator:
    """Marks a test that runs on SQLite alone, because of the reason."""
    assert reason
    return pytest.mark.parametrize("keeping", [SQLITE], indirect=True, scope="module")


class Keeping:
    """Gives each service's folder a store, and the same one to the same folder. Its databases go at the end."""

    def __init__(self, servers: Servers, store: str = SQLITE) -> None:
        """`store`: `sqlite`, or an edition of PostgreSQL."""
        self.store = store
        self._servers = servers
        self._closing = ExitStack()
        self._urls: dict[Path, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._closing.close()

    def url(self, folder: Path) -> str:
        """The address of the store of a folder."""
        if self.store == SQLITE:
            return f"sqlite:///{folder / 'botlight.db'}"
        if folder not in self._urls:
            self._urls[folder] = url(self._closing.enter_context(self._servers.database(self.store)))
        return self._urls[folder]

    def settings(self, folder: Path) -> dict[str, Any]:
        """What a service is told."""
        return {"BOTLIGHT_DATABASE_URL": self.url(folder)}
