"""One session after the other, each worked until it is stopped: tells when it listens and when its code saw the stop.

Steering: `many` sessions; `stream`: the states of the stream to wait for before `listening`, parted by bars.
"""

from __future__ import annotations

import time

from stage import Stage


def main() -> None:
    """Waits to be stopped, over and over."""
    stage = Stage()
    reporter = stage.reporter()
    for n in range(stage.many):
        session_id = reporter.start_session("1.0")
        reporter.increment_jobs_found()
        stage.count("jobs_found")
        reporter.flush(20)
        while reporter.status["stream"] not in stage.stream.split("|"):
            time.sleep(0.002)
        stage.tell("listening", session_id=session_id, n=n, stream=reporter.status["stream"])
        while not reporter.should_stop:
            time.sleep(0.001)
        stage.tell("seen", n=n, reason=reporter.stop_reason)
        reporter.complete_session(timeout=20)
    stage.done()


main()
