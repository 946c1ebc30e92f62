"""What a bot's author writes without a library: a post of the total with requests, as its quickstart shows it."""

from __future__ import annotations

import os
from typing import Any

import requests  # type: ignore[import-untyped, unused-ignore]  # lives in a virtual environment of its own


def start() -> Any:
    """The run begins."""


def report(_run: Any, total: int) -> None:
    """So many applications by now."""
    requests.post(os.environ["BOT_BACKEND"], json={"jobs_applied": total})  # noqa: S113 -- as the quickstart does


def end(_run: Any) -> None:
    """The run is over."""
