"""A bot that leaves nobody else a turn: it loops for ever, holds the interpreter in one long C call, or asks all the time.

Steering: `how` is "loop" (Python code for `seconds`), "pattern" (regular expressions that backtrack, the last of which
takes `seconds` or more and never gives the interpreter up), or "ask" (until it is stopped; `others` is how many threads
compute beside it). It tells `ready`, and then `free` with how long nobody had a turn, or `seen` when it saw the stop.
"""

from __future__ import annotations

import re
import threading
import time

from stage import Stage


def loop(seconds: float) -> float:
    """Computes for that long; answers how long it took."""
    began = time.monotonic()
    while time.monotonic() < began + seconds:
        pass
    return time.monotonic() - began


def backtrack(seconds: float) -> float:
    """One call that takes that long or up to four times as long, during which no other thread runs; answers how long."""
    took, n = 0.0, 16
    while took < seconds:
        n += 1 if took < 0.2 else 2 if took < seconds / 4 else 1
        began = time.monotonic()
        re.match("(a+)+$", "a" * n + "b")
        took = time.monotonic() - began
    return took


def compute() -> None:
    """For ever."""
    while True:
        pass


def main() -> None:
    """Reports a little, and is then busy."""
    stage = Stage()
    reporter = stage.reporter(timed=False)
    session_id = reporter.start_session("1.0")
    reporter.increment_jobs_found(3)
    stage.count("jobs_found", 3)
    for _ in range(stage.steering.get("others", 0)):
        threading.Thread(target=compute, daemon=True).start()
    reporter.flush(10)
    stage.tell("ready", session_id=session_id)
    if stage.how == "ask":
        while not reporter.should_stop:
            pass
        stage.tell("seen")
    else:
        took = (loop if stage.how == "loop" else backtrack)(stage.seconds)
        stage.tell("free", took=took)
        stage.hear()
    reporter.complete_session(timeout=20)
    stage.done()


main()
