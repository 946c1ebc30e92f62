"""The environment of every process that the comparison starts: a home of its own and nothing of whoever runs the bench."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["private"]

QUIET = {  # what these libraries would tell their makers over the internet
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "WANDB_ERROR_REPORTING": "false",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


def private(home: Path, **more: str) -> dict[str, str]:
    """Variables for a process that keeps its files below a home; makes the home."""
    home.mkdir(parents=True, exist_ok=True)
    return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(home), "TMPDIR": str(home), **QUIET, **more}
