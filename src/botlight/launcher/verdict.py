"""How a launched bot ended, in the words of the wire: decided from what was watched, and nothing else."""

from __future__ import annotations

import signal
from dataclasses import dataclass

__all__ = ["Ending", "Verdict", "verdict"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """What was watched of the end."""

    exit_code: int  # negative: the signal that ended it
    stop_asked: bool  # a person pressed Stop
    forced_by: str | None  # the signal that we sent for that, after the grace time
    grace_s: float
    passed_on: int | None  # a signal that came to `botlight run` itself
    output: str  # the last lines


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The `result` of the wire."""

    outcome: str
    error_type: str | None = None
    error_message: str | None = None


def verdict(ending: Ending) -> Verdict:
    """A stop that was asked for comes first, then a signal from outside, then the exit code."""
    how = None if ending.exit_code == 0 else _how(ending.exit_code)
    if ending.stop_asked:
        if ending.forced_by is None:
            return Verdict(outcome="stopped", error_type=how, error_message=ending.output if how else None)
        words = f"It did not end by itself within {ending.grace_s:g} s of the stop and was ended by {ending.forced_by}."
        return Verdict(outcome="stopped", error_type=ending.forced_by, error_message=words)
    if ending.passed_on is not None:
        name = _signal_name(ending.passed_on)
        return Verdict(outcome="interrupted", error_type=name, error_message=f"{name} came from where it was started.")
    if how is None:
        return Verdict(outcome="success")
    return Verdict(outcome="failed", error_type=how, error_message=ending.output or None)


def _how(exit_code: int) -> str:
    return f"exit code {exit_code}" if exit_code > 0 else _signal_name(-exit_code)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
