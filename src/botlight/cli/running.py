"""Runs a command's coroutine so that being told to end is an orderly end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

import typer

__all__ = ["run"]

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run it to its end. SIGTERM and a closed terminal cancel it, so that what it holds is given back.

    Raises:
        typer.Exit: with 128 + the signal's number, when one ended it.
        KeyboardInterrupt: Ctrl-C did.
    """
    told: list[int] = []

    async def main() -> T:
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()

        def end(number: int) -> None:
            told.append(number)
            if task is not None:
                task.cancel()

        for name in ("SIGTERM", "SIGHUP"):
            try:
                loop.add_signal_handler(number := getattr(signal, name), end, number)
            except (AttributeError, NotImplementedError):  # Windows
                continue
        return await work

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        if not told:
            raise
        raise typer.Exit(128 + told[0]) from None
