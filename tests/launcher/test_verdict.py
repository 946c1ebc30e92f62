"""How a launched bot ended: decided from what was watched."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from botlight.launcher.verdict import Ending, Verdict, verdict


@pytest.mark.parametrize(
    ("watched", "said"),
    [
        ({"exit_code": 0}, Verdict(outcome="success")),
        ({"exit_code": 3, "output": "why"}, Verdict(outcome="failed", error_type="exit code 3", error_message="why")),
        ({"exit_code": -9}, Verdict(outcome="failed", error_type="SIGKILL")),
        ({"exit_code": -250}, Verdict(outcome="failed", error_type="signal 250")),
        ({"exit_code": 0, "stop_asked": True}, Verdict(outcome="stopped")),
        (
            {"exit_code": 1, "stop_asked": True, "output": "why"},
            Verdict(outcome="stopped", error_type="exit code 1", error_message="why"),
        ),
        (
            {"exit_code": -15, "stop_asked": True, "forced_by": "SIGTERM"},
            Verdict(
                outcome="stopped",
                error_type="SIGTERM",
                error_message="It did not end by itself within 30 s of the stop and was ended by SIGTERM.",
            ),
        ),
        (
            {"exit_code": 0, "passed_on": signal.SIGHUP},
            Verdict(outcome="interrupted", error_type="SIGHUP", error_message="SIGHUP came from where it was started."),
        ),
        ({"exit_code": 130, "stop_asked": True, "passed_on": signal.SIGINT}, "stopped"),
    ],
)
def test_the_verdict_follows_from_what_was_watched(watched: dict[str, Any], said: Verdict | str) -> None:
    """A stop that was asked for comes before a signal, a signal before the exit code; nothing is guessed."""
    neutral = {"stop_asked": False, "forced_by": None, "grace_s": 30.0, "passed_on": None, "output": ""}
    found = verdict(Ending(**(neutral | watched)))
    assert said in (found, found.outcome)
