"""A bot whose environment changes while it runs, as that of a laptop does that goes from one network to the next.

Steering: `stations`, for each a session: `before` and `during` it these variables are set (None: removed). It tells
`ended` of each, with whether all arrived, and with the reporter's last error.
"""

from __future__ import annotations

import os

from stage import Stage


def change(environment: dict[str, str | None]) -> None:
    """Sets and removes variables."""
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def main() -> None:
    """Counts a job found in each session, and looks whether each report arrives."""
    stage = Stage()
    reporter = stage.reporter()
    for station in stage.stations:
        change(station.get("before", {}))
        session_id = reporter.start_session("1.0")
        reporter.increment_jobs_found()
        stage.count("jobs_found")
        arrived = reporter.flush(station.get("timeout", 10))
        change(station.get("during", {}))
        error = reporter.status["last_error"]
        ended = reporter.complete_session(timeout=station.get("timeout", 10))
        stage.tell("ended", session_id=session_id, arrived=arrived, ended=ended, error=error)
    reporter.close(0)
    stage.done()


main()
