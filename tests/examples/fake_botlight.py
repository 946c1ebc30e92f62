"""A stand-in for the service: a real HTTP server that merges snapshots as the contract says, and keeps them in memory."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PREFIX = "/api/autoapply/bot"
TOKEN = "a-token-for-tests"


class FakeBotlight(ThreadingHTTPServer):
    """Knows one session at a time; commands travel in answers only, there is no stream."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Door)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.session: dict[str, Any] = {}
        self.counters: dict[str, float] = {}
        self.jobs: dict[tuple[str, str], dict[str, Any]] = {}  # by key and outcome
        self.activities: set[str] = set()
        self.seen_at: datetime | None = None  # when the bot's code saw the stop
        self._stop: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def document(self) -> dict[str, Any]:
        """The session as people see it, as far as the tests look at it."""
        result = self.session.get("result") or {}
        statuses = {"success": "completed", None: "running"}
        outcome = result.get("outcome")
        error = result.get("error") or {}
        return self.counters | {
            "status": statuses.get(outcome, outcome),
            "error_type": error.get("type"),
            "error_message": error.get("message"),
            "stop_seen_at": self.seen_at,
        }

    def press_stop(self) -> None:
        """Requests a stop: from now on every answer carries it."""
        self._stop = [{"id": "stop-1", "type": "stop", "reason": "user", "issued_at": "2026-01-01T00:00:00Z"}]

    def merge(self, snapshot: dict[str, Any]) -> dict[str, Any]:
        """Takes a snapshot in and returns the answer."""
        with self._lock:
            self.session |= snapshot
            for name, value in snapshot.get("counters", {}).items():
                self.counters[name] = max(self.counters.get(name, 0), value)
            for job in snapshot.get("jobs", []):
                self.jobs[job["key"], job["outcome"]] = job
            self.activities |= {activity["name"] for activity in snapshot.get("recent", [])}
            for command in snapshot.get("commands", []):
                if command.get("seen_by_bot") and self.seen_at is None:
                    self.seen_at = datetime.now(UTC)
            return {
                "ok": True,
                "applied": True,
                "session": {"id": snapshot["session_id"], "status": "running", "created": False},
                "server_time": datetime.now(UTC).isoformat(),
                "totals": self.counters,
                "commands": self._stop,
                "config": {"heartbeat_s": 45, "min_interval_s": 1, "stream": False},
            }


class _Door(BaseHTTPRequestHandler):
    server: FakeBotlight

    def do_POST(self) -> None:
        snapshot = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            self._answer(401, {"code": "token"})
        elif self.path.removeprefix(PREFIX) in ("/start", "/heartbeat", "/complete"):
            self._answer(200, self.server.merge(snapshot))
        else:
            self._answer(404, {"code": "unknown"})

    def do_GET(self) -> None:
        self._answer(404, {"code": "unknown"})

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Status-Api", "1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def fake_botlight() -> Iterator[FakeBotlight]:
    """Runs the stand-in on a free port."""
    with FakeBotlight() as service:
        thread = threading.Thread(target=service.serve_forever, daemon=True)
        thread.start()
        yield service
        service.shutdown()
        thread.join()
