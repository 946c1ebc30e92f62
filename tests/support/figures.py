"""What was measured, as a table at the end of the run."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Figures"]


class Version(Protocol):
    """A Python under test."""

    @property
    def version(self) -> str:
        """As in 3.13."""


class Figures:
    """Rows of measurements, in the order in which they came."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str, str]] = []
        self.notes: list[str] = []

    def __bool__(self) -> bool:
        return bool(self.rows or self.notes)

    def add(self, case: str, what: str, value: object, unit: str = "", python: Version | None = None) -> None:
        """A row: the case's number, what was measured, how much of what, on which Python."""
        shown = f"{value:.4g}" if isinstance(value, float) else str(value)
        self.rows.append((case, python.version if python else "", what, f"{shown} {unit}".strip()))

    def note(self, line: str) -> None:
        """A row in words of its own."""
        self.notes.append(line)

    def latency(self, case: str, report: dict[str, dict[str, float]], python: Version | None = None) -> None:
        """The row of a bot's `latency`: what its calls cost, and what a bare put beside each of them cost."""
        calls, twin = report["calls"], report["twin"]
        told = " / ".join(f"{calls[name]:.4g}" for name in ("p50_ms", "p999_ms", "max_ms"))
        bare = " / ".join(f"{twin[name]:.4g}" for name in ("p50_ms", "p999_ms", "max_ms"))
        self.add(case, f"one call of {calls['n']}, p50 / p99.9 / max", f"{told} ms (bare put: {bare})", "", python)

    def lines(self) -> list[str]:
        """The table, and the notes below it."""
        widths = [max((len(row[n]) for row in self.rows), default=0) for n in range(3)]
        table = [
            "  ".join((row[0].ljust(widths[0]), row[1].ljust(widths[1]), row[2].ljust(widths[2]), row[3]))
            for row in self.rows
        ]
        return table + self.notes
