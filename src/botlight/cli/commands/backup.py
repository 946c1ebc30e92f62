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
    path = settings.database_path
    if path is None:
        raise Trouble("PostgreSQL has tools of its own for this: pg_dump, or the back-ups of whoever hosts it.")
    if not path.exists():
        raise Trouble(f"There is no store at {path} yet.")
    file = target or Path(f"botlight-{datetime.now(UTC).astimezone():%Y%m%d-%H%M%S}.db")
    run(back_up(path, file))
    typer.echo(f"{path} is copied to {file.absolute()} ({file.stat().st_size:,} bytes).")
