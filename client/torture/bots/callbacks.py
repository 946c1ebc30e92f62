"""Callbacks of a stop that misbehave in every way; the bot goes on listening for its stop all the same."""

from __future__ import annotations

import threading
import time
from typing import Any

from stage import Stage


class Misbehaviour:
    """The callbacks, and which of them ran."""

    def __init__(self, reporter: Any) -> None:
        self.reporter = reporter
        self.ran: list[str] = []

    def raises(self) -> None:
        """Raises."""
        self.ran.append("raises")
        raise ValueError("a bot's own trouble")

    def leaves(self) -> None:
        """Asks for the end of its thread."""
        self.ran.append("leaves")
        raise SystemExit(3)

    def blocks(self) -> None:
        """Never comes back."""
        self.ran.append("blocks")
        threading.Event().wait()

    def calls(self) -> None:
        """Reports."""
        self.reporter.send_heartbeat("stopping", {"by": "callback"})
        self.reporter.increment_jobs_found(2)
        self.ran.append("calls")

    def registers(self) -> None:
        """Registers another one."""
        self.reporter.on_stop(lambda: self.ran.append("registered late"))
        self.ran.append("registers")

    def completes(self) -> None:
        """Ends the session, and waits for that."""
        self.ran.append("completes" + str(self.reporter.complete_session(timeout=20)))


def main() -> None:
    """Is stopped once with all of them, then once more with the callback that completes the session."""
    stage = Stage()
    reporter = stage.reporter()
    bad = Misbehaviour(reporter)
    callbacks = (bad.raises, bad.leaves, bad.blocks, bad.calls, bad.registers)
    removers = [reporter.on_stop(callback) for callback in callbacks]
    stage.tell("working", session_id=reporter.start_session("1.0"))
    while not reporter.should_stop:
        time.sleep(0.005)
    while len(bad.ran) < 6:
        time.sleep(0.005)
    reporter.increment_jobs_found(1)
    stage.count("jobs_found", 3)
    ended = [reporter.complete_session(timeout=20)]
    for remove in removers:
        remove()
    reporter.on_stop(bad.completes)  # the stop of a session that is over is none of its business
    stage.tell("working", session_id=reporter.start_session("1.0"))
    while not any(one.startswith("completes") for one in bad.ran):
        time.sleep(0.005)
    ended.append(reporter.complete_session(timeout=20))
    stage.done(ran=sorted(set(bad.ran)), ended=ended)


main()
