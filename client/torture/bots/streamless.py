"""A bot without standard streams that prints all the same. Steering: `how` (none, closed, or never had), `noise`.

Whatever it writes to the descriptors 0 to 2 must not end up in a connection or a file of the reporter's.
"""

from __future__ import annotations

import contextlib
import os
import sys

from stage import Stage


def shout(noise: str) -> None:
    """Writes as browsers' drivers do: to the descriptors, whatever these are."""
    for descriptor in range(3):
        with contextlib.suppress(OSError):
            os.write(descriptor, noise.encode())


def main() -> None:
    """Reports and shouts in turn."""
    had = sys.stderr
    if had is None:  # the time limit of the stage wants one
        sys.stderr = os.fdopen(int(os.environ["TORTURE_PIPE"]), "w", closefd=False)
    stage = Stage()
    sys.stderr = had
    if stage.how == "none":
        sys.stdin = sys.stdout = sys.stderr = None  # as in a program without a console
    if stage.how == "closed":
        os.closerange(0, 3)
    reporter = stage.reporter()
    session_id = reporter.start_session("1.0")
    for _ in range(2):
        reporter.increment_jobs_found()
        stage.count("jobs_found")
        if stage.how != "none":
            shout(stage.noise)
        reporter.flush(10)
    while reporter.status["stream"] != "open":
        reporter.wait(0.005)
    if stage.how != "none":
        shout(stage.noise)
    reporter.increment_credits_used(float("nan"))  # ignored, silently
    reporter.complete_session(error=ValueError("no"), timeout=10)
    stage.done(session_id=session_id, status=reporter.status)


main()
