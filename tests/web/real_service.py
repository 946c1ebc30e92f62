"""The real service as a process, and a bot that speaks to it in plain HTTP."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

PREFIX: Final = "api/autoapply/bot"
BOTLIGHT: Final = [sys.executable, "-m", "botlight.cli.main"]
START_S: Final = 20.0


class SignIn:
    """A person at the service, by the one-time link: what a page does, without a browser."""

    def __init__(self, link: str) -> None:
        address, _, secret = link.partition("link#")
        self.address = address
        self._http = httpx.Client(base_url=f"{address}{PREFIX}/", headers={"Origin": address.rstrip("/")})
        answer = self._http.post("link", json={"secret": secret}).raise_for_status()
        self._http.headers["X-CSRF-Token"] = answer.json()["csrf"]

    @property
    def cookies(self) -> list[dict[str, Any]]:
        """For Playwright's `add_cookies`."""
        jar = self._http.cookies.jar
        return [{"name": one.name, "value": one.value, "url": self.address, "sameSite": "Strict"} for one in jar]

    def token(self, scope: str, **named: Any) -> tuple[str, str]:
        """Id and secret of a new token."""
        answer = self._http.post("tokens", json={"name": scope, "scope": scope, **named}).raise_for_status().json()
        return answer["token"]["id"], answer["secret"]

    def revoke(self, token_id: str) -> None:
        """Ends a token."""
        self._http.delete(f"tokens/{token_id}").raise_for_status()

    def sign_out(self) -> None:
        """Ends the sign-in."""
        self._http.post("sign-out").raise_for_status()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()


class Bot:
    """One session. Each method is one request, acknowledged when it returns."""

    def __init__(self, address: str, token: str, name: str = "Job hunter") -> None:
        self.session_id = str(uuid.uuid4())
        self._name = name
        self._seq = 0
        self._http = httpx.Client(base_url=f"{address}{PREFIX}/", headers={"Authorization": f"Bearer {token}"})
        self.commands: list[dict[str, Any]] = []

    def beat(self, activity: str | dict[str, Any] = "applying", **fields: Any) -> None:
        """A heartbeat."""
        self._say("heartbeat", activity=activity, **fields)

    def acknowledge(self, *, seen: bool) -> None:
        """Says that the stop was received, or that the bot's own code has seen it."""
        commands = [{"id": command["id"], "received": True, "seen_by_bot": seen} for command in self.commands]
        self.beat("stopping" if seen else "applying", commands=commands)

    def end(self, outcome: str, error: dict[str, str] | None = None, **fields: Any) -> None:
        """The bot's own word for its end."""
        result = {"outcome": outcome, "inferred": False, "error": error, "ended_age_ms": 0}
        self._say("complete", result=result, **fields)

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def _say(self, route: str, **fields: Any) -> None:
        self._seq += 1
        bot = {"name": self._name, "version": "1.0.0", "platform": "linux"}
        body = {"session_id": self.session_id, "seq": self._seq, "bot": bot, **fields}
        self.commands = self._http.post(route, json=body).raise_for_status().json()["commands"]


@dataclass
class RealService:
    """`botlight serve` on a file of its own; on the same port in each of its lives."""

    folder: Path
    port: int = 0
    link: str = ""
    _process: subprocess.Popen[str] | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        """Where the pages are."""
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Returns when it listens."""
        database = f"sqlite:///{self.folder / 'botlight.db'}"
        log = (self.folder / "service.log").open("a+")
        with log:
            log.seek(0, 2)
            begin = log.tell()
            command = [*BOTLIGHT, "serve", "--port", str(self.port), "--database-url", database]
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, text=True)
        self._wait_for_the_address(begin)

    def _wait_for_the_address(self, begin: int) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            said = (self.folder / "service.log").read_text()[begin:]
            if link := re.search(r"http://\S+/link#\S+", said):
                self.link = link.group()
            if found := re.search(r"http://127\.0\.0\.1:\d+/", said):
                self.port = urlsplit(found.group()).port or 0
                if self.link and self._answers():
                    return
            time.sleep(0.05)
        raise TimeoutError((self.folder / "service.log").read_text())

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.address}readyz").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        """SIGTERM, as on a planned restart."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(20)
            self._process = None

    def kill(self) -> None:
        """SIGKILL, as from an empty battery."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
            self._process = None


@contextmanager
def serving(folder: Path) -> Iterator[RealService]:
    """A real service for the time of a block."""
    service = RealService(folder)
    service.start()
    try:
        yield service
    finally:
        service.kill()
