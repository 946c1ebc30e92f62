"""Botlight as a process of its own, and one bot's session as its owner sees it."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

PREFIX = "/api/autoapply/bot"
BOTLIGHT = [sys.executable, "-m", "botlight.cli.main"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunningService:
    """A service that listens at `url`, with one person who has a token of each of two scopes."""

    url: str
    report: str  # token for bots
    operate: str  # token to look and to stop


@dataclass(frozen=True, kw_only=True, slots=True)
class Watch:
    """One session: what a bot needs to report into it, and what its owner sees of it."""

    service: RunningService
    session_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def environment(self) -> dict[str, str]:
        """What makes a bot report into this session."""
        return {
            "STATUS_REPORTER_URL": self.service.url,
            "STATUS_REPORTER_TOKEN": self.service.report,
            "STATUS_REPORTER_SESSION": self.session_id,
        }

    def document(self) -> dict[str, Any]:
        """The session as it stands; empty while the service knows nothing of it."""
        answer = self._ask("GET", f"/sessions/{self.session_id}")
        return {} if answer.status_code == 404 else answer.raise_for_status().json()["session"]

    def jobs(self, outcome: str) -> list[dict[str, Any]]:
        """The first 200 jobs behind a counter."""
        address = f"/sessions/{self.session_id}/jobs?outcome={outcome}&limit=200"
        jobs: list[dict[str, Any]] = self._ask("GET", address).raise_for_status().json()["jobs"]
        return jobs

    def activities(self) -> list[str]:
        """The first activities in the timeline, oldest first."""
        facts = self._ask("GET", f"/sessions/{self.session_id}/timeline?limit=200").raise_for_status().json()["facts"]
        return [fact["data"]["name"] for fact in facts if fact["kind"] == "activity"]

    def press_stop(self) -> None:
        """Asks the bot to stop."""
        self._ask("POST", "/stop", {"session_id": self.session_id}).raise_for_status()

    def _ask(self, method: str, address: str, document: dict[str, str] | None = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.service.operate}"}
        return httpx.request(method, self.service.url + PREFIX + address, headers=headers, json=document)


@contextmanager
def running_service(folder: Path) -> Iterator[RunningService]:
    """Starts a service on a free port with a store in `folder`, and ends it."""
    store = ["--database-url", f"sqlite:///{folder / 'botlight.db'}"]
    _botlight("user", "add", "robin", "--no-password", *store)
    report = _botlight("token", "create", "--scope", "report", *store)
    operate = _botlight("token", "create", "--scope", "operate", *store)
    with (folder / "service.log").open("w") as log:
        command = [*BOTLIGHT, "serve", "--port", "0", *store]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdout is not None
        with process:
            try:
                url = process.stdout.readline().split()[-1].rstrip("/")
                yield RunningService(url=url, report=report, operate=operate)
            finally:
                process.terminate()
                process.wait(timeout=10)


def _botlight(*arguments: str) -> str:
    outcome = subprocess.run([*BOTLIGHT, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout.strip()
