"""A bot that does, line by line, what the case says; for cases that are about the order of things.

A line `{"do": "increment_jobs_found", "args": [3]}` calls that method of the reporter and tells `did` with its answer;
`{"get": "status"}` tells an attribute, `{"exit": 0}` ends the process, the end of the lines ends the script. Whatever a
call raises is told as `raised`, and the very end as `gone`. What was counted with a call that came back is the bot's truth.
"""

from __future__ import annotations

import atexit
import os
import sys
from typing import Any

from stage import Stage

COUNTS = {
    "increment_jobs_found": "jobs_found",
    "increment_jobs_applied": "jobs_applied",
    "increment_jobs_failed": "jobs_failed",
    "increment_credits_used": "credits_used",
}


def obey(stage: Stage, reporter: Any, line: dict[str, Any]) -> None:
    """Does one line."""
    if "get" in line:
        stage.tell("got", value=getattr(reporter, line["get"]))
        return
    args, name = line.get("args", []), line["do"]
    try:
        answer = getattr(reporter, name)(*args, **line.get("kwargs", {}))
    except BaseException as error:  # noqa: BLE001 -- the case wants to know of any
        stage.tell("raised", type=type(error).__name__)
        return
    if name in COUNTS:
        stage.count(COUNTS[name], args[0] if args else 1)
    stage.tell("did", answer=answer if isinstance(answer, (bool, int, float, str, type(None))) else repr(answer))


def main() -> None:
    """Obeys until there are no more lines."""
    stage = Stage()
    atexit.register(stage.tell, "gone")  # before the reporter's own hook, and so after it
    reporter = stage.reporter()
    stage.tell("ready")
    while True:
        line = stage.hear()
        if line is None or "exit" in line:
            break
        obey(stage, reporter, line)
    stage.done()
    if line is not None:
        if line.get("hard"):
            os._exit(line["exit"])
        sys.exit(line["exit"])


main()
