"""A bot of the common shape: finds jobs, applies to them one by one, looks for a stop between two, and ends.

Steering: `jobs` (how many; 0: until it is stopped or told to end), `pause_s` between two, `threads` (each does that
many), `version`, `end` ("complete", or "" to end without a word). It tells `ready` with the session's id, and `done`.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from stage import Stage


def work(stage: Stage, reporter: Any, name: str, tally: dict[str, int], over: threading.Event) -> None:
    """One thread's share; its own tally, so that nothing is shared."""
    n = 0
    while not over.is_set() and (stage.jobs == 0 or n < stage.jobs):
        if reporter.should_stop:
            break
        n += 1
        reporter.send_heartbeat("applying", {"title": f"{name} {n}", "n": n})
        reporter.increment_jobs_found(2)
        tally["jobs_found"] += 2
        if n % 5:
            reporter.increment_jobs_applied()
            tally["jobs_applied"] += 1
        else:
            reporter.increment_jobs_failed()
            tally["jobs_failed"] += 1
        reporter.increment_credits_used(0.25)
        tally["quarters"] += 1
        if stage.steering.get("pause_s"):
            time.sleep(stage.pause_s)


def end_on_word(stage: Stage, over: threading.Event) -> None:
    """Waits for the case's word."""
    stage.hear()
    over.set()


def main() -> None:
    """Works in threads, while the main thread listens for the case's word to end."""
    stage = Stage()
    reporter = stage.reporter()
    over = threading.Event()
    session_id = reporter.start_session(stage.steering.get("version", "1.0"))
    names = [f"worker-{n}" for n in range(stage.steering.get("threads", 1))]
    tallies: list[dict[str, int]] = [
        {"jobs_found": 0, "jobs_applied": 0, "jobs_failed": 0, "quarters": 0} for _ in names
    ]
    threads = [
        threading.Thread(target=work, args=(stage, reporter, name, tally, over))
        for name, tally in zip(names, tallies)  # noqa: B905 -- strict came with Python 3.10
    ]
    stage.tell("ready", session_id=session_id)
    began, used = time.monotonic(), time.process_time()
    for thread in threads:
        thread.start()
    if stage.jobs == 0:
        threading.Thread(target=end_on_word, args=(stage, over), daemon=True).start()
    for thread in threads:
        thread.join()
    took, cpu = time.monotonic() - began, time.process_time() - used
    for tally in tallies:
        for name, value in tally.items():
            stage.count("credits_used" if name == "quarters" else name, value / 4 if name == "quarters" else value)
    ended = None
    if stage.steering.get("end", "complete"):
        ended = reporter.complete_session(timeout=stage.steering.get("timeout", 20.0))
    stage.done(session_id=reporter.session_id, ended=ended, took_s=took, cpu_s=cpu, status=reporter.status)


main()
