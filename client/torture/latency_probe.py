"""When a call of the reporter costs the bot too much. `bots/stopwatch.py` measures it in every bot.

The rule. A call may take 1 ms at p99.9 and 20 ms at most. A machine that has other things to do takes a thread away for
longer than that whatever it does, and threads of one interpreter wait for each other; that is no fault of the reporter.
So each timed call is followed by a bare twin that cannot block: a `SimpleQueue.put`, and Python steps until as much
processor time is used as the call used. What hits a call by chance hits the twin as often. A limit is broken where the
twin shows that it was the call:

* one call in a thousand (and twenty, since only a call wakes another thread, which then may take its place) takes over
  1 ms, and four times as many as of the twin's;
* more calls take over 20 ms than six and three times as many as of the twin's (fewer may be chance);
* any call takes over 0.5 s while the twin stays under 0.1 s: one time-out of the network is enough;

or where the call itself computes too long, which no other program can be blamed for: over 1 ms of processor time in one
call of a thousand (and twenty), or over 20 ms in more than two calls.
"""

from __future__ import annotations

from typing import Any

__all__ = ["verdict"]


def verdict(figures: dict[str, dict[str, Any]]) -> str:
    """Why these figures show that calls block; empty when they do not."""
    calls, twin, work = figures["calls"], figures["twin"], figures["work"]
    few = calls["n"] / 1_000 + 20
    if calls["over_1_ms"] > few + 4 * twin["over_1_ms"]:
        return f"{calls['over_1_ms']} of {calls['n']} calls over 1 ms, of bare puts {twin['over_1_ms']}"
    if calls["over_20_ms"] > 6 + 3 * twin["over_20_ms"]:
        return f"{calls['over_20_ms']} of {calls['n']} calls over 20 ms, of bare puts {twin['over_20_ms']}"
    if calls["max_ms"] > 500 and twin["max_ms"] < 100:
        return f"{calls['max_name']} took {calls['max_ms']} ms, a bare put at most {twin['max_ms']} ms"
    if work["over_20_ms"] > 2 or work["over_1_ms"] > few:
        return f"{work['over_1_ms']} of {work['n']} calls compute for over 1 ms; {work['max_name']} {work['max_ms']} ms"
    return ""
