"""What was said to the service, and when: the requests in the order in which they came."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from fake_service import Request

__all__ = ["Journal", "wait_for"]

T = TypeVar("T")


def wait_for(fact: Callable[[], T | None], seconds: float = 20.0, what: object = "") -> T:
    """Waits until `fact` answers something truthy, and answers that; fails with `what` when it never does."""
    until = time.monotonic() + seconds
    while not (value := fact()):
        if time.monotonic() > until:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(0.01)
    return value


class Journal:
    """A view of the requests that grows with them. Each line was written before its answer left."""

    def __init__(self, lines: list[Request]) -> None:
        self.lines = lines

    def __iter__(self) -> Iterator[Request]:
        return iter(list(self.lines))

    def __len__(self) -> int:
        return len(self.lines)

    def posts(self, path: str = "", session_id: str = "") -> list[Request]:
        """The POST requests so far, or those to one path, or of one session."""
        return [
            one
            for one in self
            if one.method == "POST"
            and (not path or one.path == path)
            and (not session_id or one.document.get("session_id") == session_id)
        ]

    def known_at(self, at: float) -> dict[str, Any] | None:
        """The newest snapshot that had come by `at` (monotonic): what could be known at that moment."""
        before = [one for one in self.posts() if one.at <= at]
        return before[-1].document if before else None

    def sessions(self) -> list[str]:
        """The ids of all sessions that were reported, in the order of their first request."""
        return list(dict.fromkeys(one.document["session_id"] for one in self.posts()))

    def activities(self, session_id: str = "") -> list[str]:
        """The names of the current activity in the order of the requests, repeats left out."""
        names = [(one.document.get("activity") or {}).get("name") for one in self.posts(session_id=session_id)]
        return [name for n, name in enumerate(names) if name and (n == 0 or names[n - 1] != name)]

    def busiest(self, seconds: float = 1.0) -> int:
        """The most POST requests that came within any `seconds`."""
        times = [one.at for one in self.posts()]
        return max((sum(at <= later < at + seconds for later in times) for at in times), default=0)

    def wait_for(self, fact: Callable[[list[Request]], T | None], seconds: float = 20.0) -> T:
        """Waits until `fact` of the POST requests so far is truthy, and answers it."""
        return wait_for(lambda: fact(self.posts()), seconds, lambda: [one.path for one in self])
