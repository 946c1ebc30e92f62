"""`botlight copy`: brings a SQLite store into PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from botlight.cli.options import store_settings
from botlight.cli.running import run
from botlight.cli.trouble import Trouble, WrongCall
from botlight.store.copying import Copied
from botlight.store.copying import copy as bring_over

__all__ = ["copy"]

SHOWN = 20  # ids at most


def copy(
    source: Annotated[str, typer.Option("--from", metavar="URL", help="The store to copy: sqlite:///absolute/path.")],
    target: Annotated[str, typer.Option("--to", metavar="URL", help="Where to: postgresql://…, migrated already.")],
    person: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=ID", help="With Supabase: who a person is in the project, by id or e-mail."),
    ] = None,
) -> None:
    """Copy a SQLite store into PostgreSQL: people, tokens, sessions, timelines and proof lists.

    The service of the SQLite store has to be stopped. What is in PostgreSQL already is left alone, so a copy that was
    interrupted goes on when it is called again; a session that went on here alone since an earlier copy is brought
    again. Everything that arrives is counted.

    \b
    Examples:
      botlight copy --from sqlite:///srv/botlight/botlight.db --to postgresql://bots@localhost/bots
      botlight copy --from sqlite:///srv/b.db --to postgresql://… --person ada=ada@example.org
    """  # noqa: D301  \b keeps the examples' lines
    path = store_settings(source).database_path
    if path is None:
        raise WrongCall(
            "--from: expected sqlite:///absolute/path/to/file.db; a copy goes from SQLite to PostgreSQL only."
        )
    if not path.exists():
        raise Trouble(f"There is no store at {path}.")
    there = store_settings(target)
    if not there.on_postgres:
        raise WrongCall("--to: expected postgresql://name:password@host:5432/database.")
    try:
        with _progress() as show:
            copied = run(bring_over(path, there.database_url, show, dict(_people(person or []))))
    except KeyboardInterrupt:
        typer.echo("What was copied stays; the same command goes on from there.", err=True)
        raise
    _tell(copied)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """What draws a bar, once there is something to count: a message of before that stands alone."""
    words = (TextColumn("sessions"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*words, console=Console(stderr=True))
    task = bar.add_task("sessions", total=None)
    with ExitStack() as showing:

        def show(done: int, total: int) -> None:
            if not bar.live.is_started:
                showing.enter_context(bar)
            bar.update(task, completed=done, total=total)

        yield show


def _people(said: list[str]) -> list[tuple[str, str]]:
    pairs = [text.rpartition("=") for text in said]
    if not all(name and who for name, _, who in pairs):
        raise WrongCall("--person: expected a name and an id or e-mail, as in ada=ada@example.org.")
    return [(name, who) for name, _, who in pairs]


def _tell(copied: Copied) -> None:
    typer.echo(f"{copied.people} people, {copied.credentials} tokens and sign-ins: all are there.")
    typer.echo(
        f"{copied.sessions} sessions: {copied.new} copied now, {copied.known} were there already"
        f"{f', {copied.renewed} had gone on here and were brought again' if copied.renewed else ''}"
        f"{f', {copied.deleted} were deleted there, and stay so' if copied.deleted else ''}; with {copied.instances} instances, "
        f"{copied.facts} facts and {copied.jobs} job outcomes. All was counted on both sides."
    )
    if copied.parted:
        typer.echo(
            f"Look at these, which went on here and there after an earlier copy, and are left as they are there: "
            f"{', '.join(copied.parted[:SHOWN])}{' …' if len(copied.parted) > SHOWN else ''}"
        )
    for name in copied.joined:
        typer.echo(f"{name} had an account there already, which now has what was theirs here.")
