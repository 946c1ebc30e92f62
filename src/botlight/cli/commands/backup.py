"""`botlight backup`: a copy of the store."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from botlight.cli.options import DatabaseUrl, store_settings
from botlight.cli.running import run
from botlight.cli.trouble import Trouble
from botlight.cli.wiring import back_up

__all__ = ["backup"]


def backup(
    target: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="A new file; by default botlight-DATE-TIME.db here.", show_default=False),
    ] = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Copy the store to a new file, whole and as of one moment, while the service goes on.

    To go back to a copy, stop the service and put it in the place of the store's file.

    \b
    Examples:
      botlight backup
      botlight backup /mnt/backups/botlight-friday.db
    """  # noqa: D301  \b keeps the examples' lines
    settings = store_settings(database_url)
    if not settings.database_path.exists():
        raise Trouble(f"There is no store at {settings.database_path} yet.")
    file = target or Path(f"botlight-{datetime.now(UTC).astimezone():%Y%m%d-%H%M%S}.db")
    run(back_up(settings, file))
    typer.echo(f"{settings.database_path} is copied to {file.absolute()} ({file.stat().st_size:,} bytes).")
