"""prometheus_client's push of a batch job, as its documentation shows it, at each report, because it is to be live."""

from __future__ import annotations

import os
from typing import Any

from prometheus_client import CollectorRegistry, Counter, push_to_gateway


def start() -> Any:
    """The run begins."""
    registry = CollectorRegistry()
    return registry, Counter("jobs_applied", "Applications made", registry=registry)


def report(run: Any, _total: int) -> None:
    """One more application."""
    registry, jobs_applied = run
    jobs_applied.inc()
    push_to_gateway(os.environ["BOT_BACKEND"], job=os.environ["BOT_NAME"], registry=registry)


def end(_run: Any) -> None:
    """The run is over; the last push carried everything."""
