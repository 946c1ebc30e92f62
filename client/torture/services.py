# ruff: noqa: D102 -- what each method does is said once, in the interface
"""The two services that a case runs against, behind one interface: the reference server and the real Botlight service.

Each has a fault proxy in front of it, and bots get the proxy's address: so a case can spoil the way to either, and both
have a journal of what left the bot.
"""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, cast
from uuid import uuid4

import apsw
import httpx
from fake_service import SEED_COUNTERS, FakeService, Session
from torture.fault_proxy import FaultProxy
from torture.journal import Journal

from tests.support.service import API, Person, RunningService, free_port, launch

__all__ = ["MakeService", "RealService", "ReferenceService", "Service", "new_token"]

ALL = {"limit": "200", "since": "2000-01-01T00:00:00Z"}


def new_token() -> str:
    """A token that no other run ever had, so that it can be looked for everywhere."""
    return "bl_" + uuid4().hex + uuid4().hex


class Service(ABC):
    """What a case may ask of a service and do to it; `url` and `token` are for the bot."""

    name: str
    token: str

    def __init__(self, target: tuple[str, int]) -> None:
        self.proxy = FaultProxy(target)
        self.proxy.up()

    @property
    def url(self) -> str:
        """The address for the bot."""
        return self.proxy.url

    @property
    def journal(self) -> Journal:
        """Every request that left a bot, when it did, whatever became of it."""
        return self.proxy.journal

    def totals(self, session_id: str | None = None) -> dict[str, Decimal]:
        """The counters of one session, or of all together; exact."""
        documents = [self.session(session_id)] if session_id else self.sessions()
        totals: dict[str, Decimal] = dict.fromkeys(SEED_COUNTERS, Decimal(0))
        for document in documents:
            own = {name: document[name] for name in SEED_COUNTERS} | document["counters"]
            for name, value in own.items():
                totals[name] = totals.get(name, Decimal(0)) + Decimal(str(value))
        return totals

    @abstractmethod
    def sessions(self) -> list[dict[str, Any]]:
        """The documents of all sessions, under the contract's names."""

    @abstractmethod
    def session(self, session_id: str) -> dict[str, Any]:
        """The document of one session."""

    @abstractmethod
    def jobs(self, session_id: str) -> dict[tuple[str, str], dict[str, Any]]:
        """The outcomes of a session, by key and outcome."""

    @abstractmethod
    def stop(self, session_id: str, reason: str | None = None) -> str:
        """A person presses Stop; answers the id of the command."""

    @abstractmethod
    def forget(self, session_id: str) -> None:
        """The service loses a session without a trace; it knows nothing of it when this returns."""

    @abstractmethod
    def delete(self, session_id: str) -> None:
        """Somebody removes a session, so that reports for it meet 410."""

    @abstractmethod
    def revoke(self) -> None:
        """The token is refused from now on."""

    @abstractmethod
    def down(self) -> None:
        """Kills the service: connections break, nobody listens. What it acknowledged stays."""

    @abstractmethod
    def up(self) -> None:
        """Starts it again under the same address, after `down`."""

    @abstractmethod
    def backup(self) -> None:
        """Keeps a copy of all that it knows now."""

    @abstractmethod
    def restore(self) -> None:
        """Restarts it with what `backup` kept."""

    def restart(self) -> None:
        """Kills it and starts it again."""
        self.down()
        self.up()

    def close(self) -> None:
        """Ends it for good."""
        self.proxy.down()


class ReferenceService(Service):
    """`fake_service.py` on a thread of this process; `fake` has its switches."""

    name = "reference"

    def __init__(self) -> None:
        self.token = new_token()
        self.fake = FakeService(token=self.token)
        self.fake.__enter__()
        self._kept: dict[str, Session] = {}
        super().__init__(("127.0.0.1", self.fake.port))

    @property
    def arrived(self) -> Journal:
        """The requests that reached the service itself, behind the proxy."""
        return Journal(self.fake.journal)

    def sessions(self) -> list[dict[str, Any]]:
        return [one.document(key) for key, one in list(self.fake.sessions.items())]

    def session(self, session_id: str) -> dict[str, Any]:
        return self.fake.sessions[session_id].document(session_id)

    def jobs(self, session_id: str) -> dict[tuple[str, str], dict[str, Any]]:
        return dict(self.fake.sessions[session_id].jobs)

    def stop(self, session_id: str, reason: str | None = None) -> str:
        return self.fake.press_stop(session_id, reason)

    def forget(self, session_id: str) -> None:
        self.fake.forget(session_id)

    def delete(self, session_id: str) -> None:
        self.fake.delete(session_id)

    def revoke(self) -> None:
        self.fake.token = new_token()

    def down(self) -> None:
        self.proxy.down()
        self.fake.down()

    def up(self) -> None:
        self.fake.up()
        self.proxy.up()

    def backup(self) -> None:
        self._kept = self.fake.backup()

    def restore(self) -> None:
        self.down()
        self.fake.restore(self._kept)
        self.up()

    def close(self) -> None:
        super().close()
        self.fake.__exit__()


class RealService(Service):
    """Botlight itself, a child process with a store in `folder`.

    With `shared` it is one that other cases use too: this one has a person of its own there, and may not kill it.
    """

    name = "real"

    def __init__(self, folder: Path, shared: RunningService | None = None) -> None:
        self._folder = folder
        self._shared = shared is not None
        self._running = shared or launch(folder, port=free_port())
        self._person: Person = self._running.person()
        self._issued = self._person.token("report")
        self.token = self._issued.secret
        self._operator = self._person.token("operate").headers
        super().__init__(("127.0.0.1", self._running.port))

    @cached_property
    def _client(self) -> httpx.Client:
        return self._running.client(self._operator)

    def _hang_up(self) -> None:
        if "_client" in self.__dict__:
            self._client.close()
            del self._client

    def _ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        answer = self._client.request(method, API + path, **more)
        if answer.status_code == 404:
            raise KeyError(path)
        answer.raise_for_status()
        return cast("dict[str, Any]", answer.json())

    def sessions(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor: Mapping[str, str] = {}
        while True:
            page = self._ask("GET", "/sessions", params={**ALL, **cursor})
            found += page["sessions"]
            if not page["next_cursor"]:
                return found
            cursor = {"cursor": page["next_cursor"]}

    def session(self, session_id: str) -> dict[str, Any]:
        document: dict[str, Any] = self._ask("GET", f"/sessions/{session_id}")["session"]
        return document

    def jobs(self, session_id: str) -> dict[tuple[str, str], dict[str, Any]]:
        found = self._ask("GET", f"/sessions/{session_id}/jobs", params={"limit": "200"})["jobs"]
        return {(one["key"], one["outcome"]): one for one in found}

    def stop(self, session_id: str, reason: str | None = None) -> str:
        answer = self._ask("POST", "/stop", json={"session_id": session_id, "reason": reason})
        return cast("str", answer["command"]["id"])

    def forget(self, session_id: str) -> None:
        self.down()
        with apsw.Connection(str(self._running.database)) as store:
            store.pragma("foreign_keys", True)
            store.execute("delete from bot_sessions where id = ?", (session_id,))
            store.execute("delete from gone where session_id = ?", (session_id,))
        store.close()
        self.up()

    def delete(self, session_id: str) -> None:
        self.down()
        with apsw.Connection(str(self._running.database)) as store:
            store.pragma("foreign_keys", True)
            store.execute("delete from bot_sessions where id = ?", (session_id,))
        store.close()
        self.up()

    def revoke(self) -> None:
        self._person.revoke(self._issued)

    def down(self) -> None:
        assert not self._shared, "this service is used by other cases too; take `own_service`"
        self._hang_up()
        self.proxy.down()
        self._running.process.kill()
        self._running.process.wait(10)

    def up(self) -> None:
        self._running = launch(self._folder, port=self._running.port)
        self.proxy.up()

    def backup(self) -> None:
        kept = self._folder / "kept.db"
        kept.unlink(missing_ok=True)
        source, target = apsw.Connection(str(self._running.database)), apsw.Connection(str(kept))
        with target.backup("main", source, "main") as copy:
            copy.step(-1)
        target.close()
        source.close()

    def restore(self) -> None:
        self.down()
        for one in self._folder.glob("botlight.db*"):
            one.unlink()
        shutil.copy(self._folder / "kept.db", self._folder / "botlight.db")
        self.up()

    def close(self) -> None:
        super().close()
        self._hang_up()
        if not self._shared and self._running.process.poll() is None:
            self._running.stop()
        assert "Traceback" not in self._running.log, self._running.log


class MakeService(Protocol):
    """Makes services that are ended with the case."""

    def __call__(self, kind: str = "reference", *, own: bool = False) -> Service:
        """`reference` or `real`; `own`: a real one that only this case uses, which it may kill and restore."""
        ...
