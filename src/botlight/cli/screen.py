"""Tables on stdout."""

from __future__ import annotations

from rich.console import Console, RenderableType

__all__ = ["show"]

WIDTH = 200


def show(table: RenderableType) -> None:
    """Print a table; its lines are not folded where no screen says how wide it is."""
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH
    console.print(table)
