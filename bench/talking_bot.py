"""A bot that the latency bench talks to: `python -m bench.talking_bot`, orders on stdin, answers on stdout.

`count` adds one application; `session` begins a new session and answers when its command stream is open; `watch` looks
at `should_stop` until it is true and ends the session. Answers are JSON lines with the wall clock in milliseconds.
Four other sessions count along, so that five cards live on the page.
"""

from __future__ import annotations

import json
import sys
import threading
import time

from status_reporter import StatusReporter

OTHERS = 4


def say(**words: object) -> None:
    """Answer one order."""
    print(json.dumps(words), flush=True)


def now_ms() -> float:
    """The wall clock, which the browser on the same machine shares."""
    return time.time_ns() / 1e6


def count_along(reporter: StatusReporter) -> None:
    """Be one of the other cards."""
    while True:
        time.sleep(1.7)
        reporter.increment_jobs_applied()


def begin(reporter: StatusReporter) -> None:
    """Begin a session and wait until commands can be pushed."""
    session_id = reporter.start_session("1.0")
    reporter.send_heartbeat("applying")
    while reporter.status["stream"] != "open":
        time.sleep(0.01)
    say(session=session_id)


def watch(reporter: StatusReporter) -> None:
    """Look until a stop is there."""
    while not reporter.should_stop:
        time.sleep(0.0002)
    say(at=now_ms())


def main() -> None:
    """Obey until stdin ends."""
    for number in range(OTHERS):
        other = StatusReporter(name=f"other {number}")
        other.start_session("1.0")
        threading.Thread(target=count_along, args=(other,), daemon=True).start()
    reporter = StatusReporter(name="measured")
    for order in sys.stdin:
        if order.strip() == "count":
            at = now_ms()
            reporter.increment_jobs_applied()
            say(at=at)
        elif order.strip() == "session":
            begin(reporter)
        elif order.strip() == "watch":
            watch(reporter)
        elif order.strip() == "end":
            reporter.complete_session(success=True)
            say(ended=True)


if __name__ == "__main__":
    main()
