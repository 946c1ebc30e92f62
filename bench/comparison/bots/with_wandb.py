"""wandb as its quickstart uses it; WANDB_MODE=offline is its own way of working without a server."""

from __future__ import annotations

from typing import Any

import wandb  # type: ignore[import-not-found, unused-ignore]  # lives in a virtual environment of its own


def start() -> Any:
    """The run begins."""
    return wandb.init(project="bot")


def report(run: Any, total: int) -> None:
    """So many applications by now."""
    run.log({"jobs_applied": total})


def end(run: Any) -> None:
    """The run is over."""
    run.finish()
