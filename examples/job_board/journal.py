"""The journal: what really happened on the board, a line of JSON for each event. It is the truth to compare with."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from .people import SignIn


class Journal:
    """Appends to a file, or to nothing when `path` is None; each line is flushed, so a reader sees it at once."""

    def __init__(self, path: Path | None) -> None:
        self._file: IO[str] | None = path.open("a", encoding="utf-8") if path else None

    def write(self, sign_in: SignIn | None, event: str, **facts: object) -> None:
        """Notes an event of a sign-in (None: a visitor who has not signed in).

        The events are request, listed, opened, submitted, accepted and refused.
        """
        if self._file is None:
            return
        line: dict[str, object] = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event}
        if sign_in:
            line |= {"user": sign_in.person.name, "sign_in": sign_in.number}
        self._file.write(json.dumps(line | facts, ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Ends the journal."""
        if self._file:
            self._file.close()
