"""sentry-sdk as its quickstart uses it, a message for each report."""

from __future__ import annotations

import os
from typing import Any

import sentry_sdk  # type: ignore[import-not-found, unused-ignore]  # lives in a virtual environment of its own


def start() -> Any:
    """The run begins."""
    return sentry_sdk.init(dsn=os.environ["BOT_BACKEND"])


def report(_run: Any, total: int) -> None:
    """So many applications by now."""
    sentry_sdk.capture_message(f"jobs_applied {total}")


def end(_run: Any) -> None:
    """The run is over; what is still waiting goes out as the process ends, by the SDK itself."""
