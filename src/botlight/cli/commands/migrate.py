"""`botlight migrate`: makes or updates Botlight's tables in PostgreSQL."""

from __future__ import annotations

from typing import Annotated

import typer

from botlight.cli.options import DatabaseUrl, store_settings
from botlight.cli.running import run
from botlight.store.postgres.migrating import migrate as bring_up_to_date

__all__ = ["migrate"]


def migrate(
    database_url: DatabaseUrl = None,
    again: Annotated[
        bool, typer.Option("--again", help="Apply every file once more, which mends what was altered by hand.")
    ] = False,
) -> None:
    """Make or update Botlight's tables in PostgreSQL, plain or a Supabase project's.

    Changes everything or nothing, and does nothing when all is there. Log in as the owner of the database (on Supabase:
    postgres). Plain PostgreSQL needs a few roles before that, which a superuser makes: as one this command does it too,
    else it says the line to run. A SQLite store needs none of this.

    \b
    Examples:
      botlight migrate --database-url postgresql://bots@localhost/bots
      BOTLIGHT_DATABASE_URL=postgresql://… botlight migrate
    """  # noqa: D301  \b keeps the examples' lines
    settings = store_settings(database_url)
    if not settings.on_postgres:
        typer.echo(f"{settings.database_path} is SQLite, which is brought up to date whenever it is opened.")
        return
    applied = run(bring_up_to_date(settings.database_url, typer.echo, again=again))
    typer.echo(f"Done: {len(applied)} applied." if applied else "The database is up to date; nothing was changed.")
