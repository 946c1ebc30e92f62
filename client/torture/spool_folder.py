"""What bots left on disk, seen from outside: every page has to be whole, whatever happened to the bot that wrote it."""

from __future__ import annotations

import os
import time
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

from torture.journal import wait_for

from status_reporter import _sealed, _unsealed

__all__ = ["SpoolFolder"]


class SpoolFolder:
    """The spool of one user; it need not be there yet."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, home: Path) -> SpoolFolder:
        """That of the bots whose home this is."""
        return cls(home / "state" / "status_reporter" / "spool")

    def files(self, kind: str = "json", where: str = "") -> set[str]:
        """The names of the pages, locks or half-written pages (`json`, `lock`, `tmp`); `where`: those put aside."""
        return {path.name for path in (self.path / where).glob(f"*.{kind}")}

    @property
    def empty(self) -> bool:
        """Whether nothing at all is there."""
        return not self.path.exists() or not any(self.path.iterdir())

    def pages(self) -> dict[str, dict[str, Any]]:
        """What every page says, by its file's name without the ending."""
        pages: dict[str, dict[str, Any]] = {}
        for path in sorted(self.path.glob("*.json")):
            try:
                raw = path.read_bytes()
            except FileNotFoundError:  # delivered just now
                continue
            page = _unsealed(raw)
            assert page is not None, f"{path.name} is damaged: {raw[:200]!r}"
            pages[path.stem] = page
        return pages

    def found(self, pid: int) -> int | None:
        """How many jobs found a process has on disk; None when it has nothing there."""
        for page in self.pages().values():
            if page["pid"] == pid:
                return int(Decimal(page["counters_millionths"]["jobs_found"]) / 10**6)
        return None

    def wait_for_found(self, pid: int, n: int) -> None:
        """Waits until it is so many."""
        wait_for(lambda: self.found(pid) == n, what=lambda: (self.pages(), n))

    def raw(self) -> bytes:
        """The bytes of the only page."""
        (path,) = self.path.glob("*.json")
        return path.read_bytes()

    def put(self, page: dict[str, Any], age_s: float = 0.0, **changes: Any) -> str:
        """Puts the page of another instance there, that old, and answers its file's name without the ending."""
        name = str(uuid.uuid4())
        changed = {**page, "instance_id": name, "session_id": name, **changes}
        path = self.path / f"{name}.json"
        path.write_bytes(_sealed(changed))
        path.chmod(0o600)
        os.utime(path, (time.time() - age_s,) * 2)
        return name
