"""What was measured, as a table at the end of the run."""

from __future__ import annotations

from torture.pythons import Python

__all__ = ["Figures"]


class Figures:
    """Rows of measurements, in the order in which they came."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, str, str, str]] = []

    def __bool__(self) -> bool:
        return bool(self._rows)

    def add(self, case: str, what: str, value: object, unit: str = "", python: Python | None = None) -> None:
        """A row: the case's number, what was measured, how much of what, on which Python."""
        shown = f"{value:.4g}" if isinstance(value, float) else str(value)
        self._rows.append((case, python.version if python else "", what, f"{shown} {unit}".strip()))

    def latency(self, case: str, report: dict[str, dict[str, float]], python: Python | None = None) -> None:
        """The row of a bot's `latency`: what its calls cost, and what a bare put beside each of them cost."""
        calls, twin = report["calls"], report["twin"]
        told = " / ".join(f"{calls[name]:.4g}" for name in ("p50_ms", "p999_ms", "max_ms"))
        bare = " / ".join(f"{twin[name]:.4g}" for name in ("p50_ms", "p999_ms", "max_ms"))
        self.add(case, f"one call of {calls['n']}, p50 / p99.9 / max", f"{told} ms (bare put: {bare})", "", python)

    def lines(self) -> list[str]:
        """The table."""
        widths = [max((len(row[n]) for row in self._rows), default=0) for n in range(3)]
        return [
            "  ".join((row[0].ljust(widths[0]), row[1].ljust(widths[1]), row[2].ljust(widths[2]), row[3]))
            for row in self._rows
        ]
