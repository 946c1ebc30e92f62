"""A bot that runs one session after the other, each of which meets another refusal at first.

Steering: `many` sessions, whose version is their number; `stream` (wait until it is clear what became of the stream), `end`
(False: leave each session without an end, after the first failure). Of each it tells `refused` with what the reporter then
said of itself, and `ended` with whether all of it arrived.
"""

from __future__ import annotations

import time
from typing import Any

from stage import Stage


def wait_for_failure(reporter: Any) -> dict[str, Any]:
    """What it says of itself once an attempt has failed, or once one that met another refusal has not."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        status: dict[str, Any] = reporter.status
        if (status["fails"] and status["next_try_s"] is not None) or status["connected"]:
            return status
        time.sleep(0.002)
    raise AssertionError(reporter.status)


def main() -> None:
    """Does three jobs in each session."""
    stage = Stage()
    for n in range(stage.many):
        reporter = stage.reporter()
        reporter.send_heartbeat("applying", {"title": "Data analyst"})
        for key in range(3):
            reporter.job(key).applied()
        stage.count("jobs_found", 3)
        stage.count("jobs_applied", 3)
        session_id = reporter.start_session(str(n))
        stage.tell("refused", n=n, session_id=session_id, status=wait_for_failure(reporter))
        if stage.steering.get("end", True):
            while stage.steering.get("stream") and reporter.status["stream"] == "off":
                time.sleep(0.002)
            ended = reporter.complete_session(timeout=20)
            stage.tell("ended", n=n, ended=ended, session_id=reporter.session_id)
        reporter.close(None if stage.steering.get("end", True) else 0)
    stage.done()


main()
