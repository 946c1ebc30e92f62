"""A bot that forks while its threads count. Steering: `forks` of them, one after the other; `legacy`: one more that stays.

Each child looks at what it has, makes every call, and leaves by `sys.exit` or `os._exit`. The bot tells how the children
ended, and `stop` when it was stopped; with `legacy` a child is left behind that lives on when the bot is killed.
"""

from __future__ import annotations

import faulthandler
import os
import pathlib
import signal
import sys
import threading
import time
from typing import Any

from stage import Stage

THREADS = 4
PER_SECOND = 5_000


def of_the_parent() -> list[str]:
    """Sockets and locks among this process's descriptors."""
    links = []
    for path in list(pathlib.Path("/proc/self/fd").iterdir()):
        try:
            links.append(os.readlink(path))  # noqa: PTH115 -- what it says is no path
        except OSError:
            continue  # the descriptor of the listing itself
    return [link for link in links if link.startswith("socket:") or link.endswith(".lock")]


def child(reporter: Any) -> int:
    """The life of a child; answers what went wrong, 0 for nothing."""
    signal.alarm(20)  # whoever hangs is killed by it
    status = reporter.status
    if status["enabled"] or status["runtime"] != "inert-child":
        return 11
    if of_the_parent():
        return 12
    reporter.send_heartbeat("child", {"a": 1})
    reporter.increment_jobs_found(1_000)
    reporter.increment_jobs_applied(1_000)
    reporter.increment_credits_used(1_000)
    reporter.increment("forks", 1_000)
    reporter.progress(1, 2)
    reporter.job("of a child").applied()
    reporter.checkpoint("child")
    reporter.on_stop(int)
    with reporter.session(), reporter.activity("child"):
        list(reporter.track([1, 2], found=True))
    if reporter.wait(0.001) or reporter.should_stop or reporter.stop_event.is_set():
        return 13
    if reporter.start_session("2.0") != reporter.session_id:
        return 14
    if reporter.flush(30) or reporter.complete_session(error="none of a child's business"):
        return 15
    reporter.close()
    return 0


def fork(reporter: Any, n: int) -> int:
    """One fork; answers the exit status of the child."""
    pid = os.fork()
    if pid == 0:
        code = 16
        try:
            code = child(reporter)
        finally:
            if n % 2 or code:
                os._exit(code)
        sys.exit(0)
    return os.waitpid(pid, 0)[1]


def count(reporter: Any, over: threading.Event, tally: list[int]) -> None:
    """Counts as fast as it should, in bursts."""
    while not over.is_set():
        for _ in range(PER_SECOND // THREADS // 100):
            reporter.increment_jobs_found()
            tally[0] += 1
        time.sleep(0.01)


def main() -> None:
    """Forks, and goes on until it is stopped."""
    stage = Stage()
    reporter = stage.reporter(timed=False)
    session_id = reporter.start_session("1.0")
    while reporter.status["stream"] != "open":
        time.sleep(0.005)
    faulthandler.cancel_dump_traceback_later()  # a forked child would wait for its thread, which it does not have
    signal.alarm(int(stage.limit_s))
    over, tallies = threading.Event(), [[0] for _ in range(THREADS)]
    threads = [threading.Thread(target=count, args=(reporter, over, tally)) for tally in tallies]
    for thread in threads:
        thread.start()
    ends = [fork(reporter, n) for n in range(stage.forks)]
    if stage.steering.get("legacy"):
        pid = os.fork()
        if pid == 0:
            time.sleep(60)
            os._exit(0)
        stage.tell("legacy", pid=pid, session_id=session_id)
    stage.tell("forked", session_id=session_id, ends=ends)
    while not reporter.should_stop:
        time.sleep(0.005)
    over.set()
    for thread in threads:
        thread.join()
    stage.count("jobs_found", sum(tally[0] for tally in tallies))
    stage.done(ended=reporter.complete_session(timeout=10), restarts=reporter.status["restarts"])


main()
