"""A bot in a few lines: what it says, for tests that need sessions to change."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx

from tests.support.service import API, Issued, RunningService

__all__ = ["Bot"]


class Bot:
    """A bot with one session; every method is one request, and fails when it is refused."""

    def __init__(self, service: RunningService, token: Issued, name: str = "bot") -> None:
        self.session_id = str(uuid4())
        self._name = name
        self._client = service.client(token.headers)

    def start(self, **more: Any) -> Any:
        """Begin the session."""
        return self._say("start", {"bot": {"name": self._name}, **more})

    def heartbeat(self, **more: Any) -> Any:
        """Say how it stands."""
        return self._say("heartbeat", more)

    def complete(self, **more: Any) -> Any:
        """End the session with success, or with another `result`."""
        return self._say("complete", {"result": {"outcome": "success"}, **more})

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _say(self, what: str, body: dict[str, Any]) -> Any:
        answer: httpx.Response = self._client.post(f"{API}/{what}", json={"session_id": self.session_id, **body})
        assert answer.is_success, answer.text
        return answer.json()
