"""status_reporter as its guide's first example uses it; address and token come from the environment."""

from __future__ import annotations

from status_reporter import StatusReporter


def start() -> StatusReporter:
    """The run begins."""
    reporter = StatusReporter()
    reporter.start_session(version="1.0.0")
    return reporter


def report(reporter: StatusReporter, _total: int) -> None:
    """One more application."""
    reporter.increment_jobs_applied()


def end(reporter: StatusReporter) -> None:
    """The run is over."""
    reporter.complete_session(success=True)
