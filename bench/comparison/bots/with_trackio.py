"""Trackio as its quickstart uses it; TRACKIO_SERVER_URL is the self-hosted server."""

from __future__ import annotations

import os
from typing import Any

import trackio  # type: ignore[import-not-found, unused-ignore]  # lives in a virtual environment of its own


def start() -> Any:
    """The run begins."""
    return trackio.init(project=os.environ["BOT_NAME"])


def report(_run: Any, total: int) -> None:
    """So many applications by now."""
    trackio.log({"jobs_applied": total})


def end(_run: Any) -> None:
    """The run is over."""
    trackio.finish()
