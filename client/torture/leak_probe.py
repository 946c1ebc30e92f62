"""Looks for the token of a run everywhere it must not be: only one header of requests to the service may hold it."""

from __future__ import annotations

import base64
from pathlib import Path

from torture.journal import Journal

__all__ = ["LeakProbe"]

WHOLE_FILE = 2_000_000  # bytes of a file that are looked through; what bots leave is far smaller


class LeakProbe:
    """Looks for one token, also for a good part of it and in base64."""

    def __init__(self, token: str) -> None:
        raw = token.encode()
        pieces = {raw[start : start + 16] for start in (4, len(raw) // 2 - 8, len(raw) - 16)}
        coded = base64.b64encode(raw)
        self._needles = [*pieces, coded[4:28]]

    def leaks_in(self, text: str | bytes) -> bool:
        """Whether it is there."""
        data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
        return any(needle in data for needle in self._needles)

    def check(self, where: str, text: str | bytes) -> None:
        """Fails, naming the place and not the token, when it is there."""
        if self.leaks_in(text):
            raise AssertionError(f"the token is in {where}")

    def check_folder(self, folder: Path, besides: tuple[str, ...] = ()) -> None:
        """Looks through the names and contents of all files below; `besides` are beginnings of names to leave out."""
        for path in folder.rglob("*"):
            self.check("the name of a file", str(path))
            if path.is_file() and not path.is_symlink() and not path.name.startswith(besides):
                with path.open("rb") as file:
                    self.check(f"the file {path.name}", file.read(WHOLE_FILE))

    def check_requests(self, journal: Journal) -> None:
        """Everything of the requests but the one header."""
        for one in journal:
            headers = {name: value for name, value in one.headers.items() if name != "authorization"}
            self.check(f"a request to {one.path}", repr((one.path, one.query, headers)))
            self.check(f"the body of a request to {one.path}", one.raw)
