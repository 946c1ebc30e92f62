"""sentry-sdk's application metrics as their documentation shows them, one count for each report."""

from __future__ import annotations

import os
from typing import Any

import sentry_sdk  # type: ignore[import-not-found, unused-ignore]  # lives in a virtual environment of its own


def start() -> Any:
    """The run begins."""
    return sentry_sdk.init(dsn=os.environ["BOT_BACKEND"])


def report(_run: Any, _total: int) -> None:
    """One more application."""
    sentry_sdk.metrics.count("jobs_applied", 1)


def end(_run: Any) -> None:
    """The run is over; what is still waiting goes out as the process ends, by the SDK itself."""
