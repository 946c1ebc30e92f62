"""What a bot's author writes without a library: a post of the total with httpx, as its quickstart shows it."""

from __future__ import annotations

import os
from typing import Any

import httpx


def start() -> Any:
    """The run begins."""


def report(_run: Any, total: int) -> None:
    """So many applications by now."""
    httpx.post(os.environ["BOT_BACKEND"], json={"jobs_applied": total})


def end(_run: Any) -> None:
    """The run is over."""
