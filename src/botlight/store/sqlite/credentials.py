"""Which tokens and sign-ins there are: asked for every batch, so remembered for three seconds."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from typing import Final

__all__ = ["Credentials"]

REMEMBERED_S: Final = 3.0  # longer than between two questions about all of them, less than a revocation may take
CAPACITY: Final = 10_000


class Credentials:
    """Remembers those that were found, never those that were not. Used on the event loop only."""

    def __init__(self) -> None:
        self._found: dict[str, float] = {}
        self.generation = 0
        """Grows with every `clear`: what was read before one must not be noted after it."""

    def known(self, credential_ids: Collection[str]) -> set[str]:
        """Those among the ids that were found within the last three seconds."""
        oldest = time.monotonic() - REMEMBERED_S
        return {id_ for id_ in credential_ids if self._found.get(id_, 0.0) > oldest}

    def note(self, found: Iterable[str], generation: int) -> None:
        """Remember those that were just read."""
        if generation != self.generation:
            return
        if len(self._found) > CAPACITY:
            self._found.clear()
        now = time.monotonic()
        self._found.update((id_, now) for id_ in found)

    def clear(self) -> None:
        """Ask again for all: one was taken back."""
        self._found.clear()
        self.generation += 1
