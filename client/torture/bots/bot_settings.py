"""The settings of the bots that work on the job board: JSON on the command line, as `stage` has it for the others."""

from __future__ import annotations

import faulthandler
import json
import sys
from typing import NamedTuple

__all__ = ["BotSettings"]


class BotSettings(NamedTuple):
    """Where a bot works, as whom, and how; all times in seconds."""

    board: str  # address of the job board
    user: str
    password: str = "secret"  # noqa: S105 -- of a board that lives for one test
    button: str = "Send application"  # what the button that sends a form is called
    pause: float = 0.0  # between two jobs
    heartbeat: float = 45.0  # between two reports when nothing changes
    start_method: str = "spawn"  # of worker processes
    limit_s: float = 60.0  # then the bot dumps all its stacks and dies

    @classmethod
    def read(cls) -> BotSettings:
        """Those of this run."""
        settings = cls(**json.loads(sys.argv[1]))
        faulthandler.dump_traceback_later(settings.limit_s, exit=True)
        return settings
