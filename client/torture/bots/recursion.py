"""A bot whose root logger reports: what the reporter logs comes back to it. Steering: `raises`, the handler does too.

It works while the case takes the service away, tells `ready` and `down`, and ends after the word `end`.
"""

from __future__ import annotations

import logging

from stage import Stage


class Reporting(logging.Handler):
    """Sends every record as a heartbeat, of whatever level and logger."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage
        self.reporter = stage.reporter()
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Each record."""
        self.heard.append(record.getMessage())
        self.reporter.send_heartbeat("logging", {"text": record.getMessage()})
        self.reporter.increment("records")
        if self.stage.raises:
            raise OSError("the disk of the log is full")


def main() -> None:
    """Logs and reports."""
    stage = Stage()
    handler = Reporting(stage)
    reporter = handler.reporter
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.DEBUG)
    stage.tell("ready", session_id=reporter.start_session("1.0"))
    while line := stage.hear():
        if "end" in line:
            break
        reporter.increment_jobs_found(line["found"])
        stage.count("jobs_found", line["found"])
        stage.tell("counted", connected=reporter.flush(line["patience"]))
    logging.shutdown()
    ended = reporter.complete_session(timeout=20)
    stage.done(ended=ended, heard=handler.heard, restarts=reporter.status["restarts"])


main()
