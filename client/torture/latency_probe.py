"""When a call of the reporter costs the bot too much. `bots/stopwatch.py` measures it in every bot.

The rule. A call may take 1 ms at p99.9 and 20 ms at most. A machine that has other things to do takes a thread away for
longer than that whatever it does, and threads of one interpreter wait for each other; that is no fault of the reporter.
So each timed call is followed by a bare twin that cannot block: a `SimpleQueue.put`, and Python steps until as much
processor time is used as the call used. What hits a call by chance hits the twin as often. A limit is broken where the
twin shows that it was the call:

* p99.9 over 1 ms, and over four times the twin's;
* more than two calls over 20 ms, and more than three times as many as the twin had;
* any call over 0.5 s while the twin stayed under 0.1 s: one time-out of the network is enough;

or where the call itself computes too long, which no other program can be blamed for: over 1 ms of processor time at
p99.9, or over 20 ms in more than two calls.
"""

from __future__ import annotations

from typing import Any

__all__ = ["LIMIT_MAX_MS", "LIMIT_P999_MS", "verdict"]

LIMIT_P999_MS = 1.0
LIMIT_MAX_MS = 20.0


def verdict(figures: dict[str, Any]) -> str:
    """Why these figures show that calls block; empty when they do not."""
    calls, twin, work = figures["calls"], figures["twin"], figures["work"]
    if not calls["n"]:
        return ""
    if calls["p999_ms"] > max(LIMIT_P999_MS, 4 * twin["p999_ms"]) and calls["n"] >= 1_000:
        return f"p99.9 {calls['p999_ms']} ms, of a bare put {twin['p999_ms']} ms"
    if calls["slow"] > 2 + 3 * twin["slow"]:
        return f"{calls['slow']} of {calls['n']} calls over {LIMIT_MAX_MS:.0f} ms, of bare puts {twin['slow']}"
    if calls["max_ms"] > 500 and twin["max_ms"] < 100:
        return f"{calls['max_name']} took {calls['max_ms']} ms, a bare put at most {twin['max_ms']} ms"
    if work["slow"] > 2 or (work["p999_ms"] > LIMIT_P999_MS and work["n"] >= 1_000):
        return f"{work['max_name']} computes for {work['max_ms']} ms, p99.9 of all calls {work['p999_ms']} ms"
    return ""
