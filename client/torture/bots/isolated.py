"""The seed's story on a Python with any flags, also those under which a script's folder is not looked into."""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 -- before anything else is imported

from stage import Stage


def main() -> None:
    """Reports a little of everything."""
    stage = Stage()
    reporter = stage.reporter()
    with reporter.session("1.0"):
        for number in reporter.track(range(3), activity="listing"):
            reporter.job(number, title="Analyst").applied(credits=0.25)
        reporter.send_heartbeat("applying", {"bytes": b"x", "text": "ü", 1: 2})
        reporter.wait(0.05, reason="pause")
        while reporter.status["stream"] != "open":
            reporter.wait(0.01)
    stage.count("jobs_found", 3)
    stage.count("jobs_applied", 3)
    stage.count("credits_used", 0.75)
    stage.done()


main()
