"""A bot in a long pause: tells when a stop was delivered, and how and when the pause ended."""

from __future__ import annotations

from stage import Stage


def main() -> None:
    """Waits, for a quarter of an hour if nobody minds."""
    stage = Stage()
    reporter = stage.reporter()
    session_id = reporter.start_session("1.0")
    reporter.on_stop(lambda: stage.tell("delivered"))
    reporter.flush(10)
    stage.tell("waiting", session_id=session_id)
    try:
        answer = reporter.wait(900, reason="a pause between two jobs")
        stage.tell("returned", answer=answer)
    except KeyboardInterrupt:
        stage.tell("interrupted")
    stage.done(ended=reporter.complete_session(timeout=20))


main()
