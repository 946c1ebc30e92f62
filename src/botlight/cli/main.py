"""`botlight`: the commands by their names, and what becomes of trouble."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from botlight import __version__
from botlight.cli.commands import access
from botlight.cli.commands.backup import backup
from botlight.cli.commands.copy import copy
from botlight.cli.commands.doctor import doctor
from botlight.cli.commands.migrate import migrate
from botlight.cli.commands.open import open_page
from botlight.cli.commands.run import run
from botlight.cli.commands.serve import serve
from botlight.cli.commands.sessions import sessions, stop
from botlight.cli.commands.watch import watch
from botlight.cli.server import CannotListen
from botlight.cli.settings import SettingError
from botlight.cli.trouble import Trouble
from botlight.model.errors import Refusal
from botlight.store.errors import CannotOpen

__all__ = ["app", "main"]

app = typer.Typer(
    name="botlight",
    help="Shows you, live, what your bot is doing, and lets you stop it for real.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain text: paragraphs that wrap, and examples that can be copied
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"botlight {__version__}")
        raise typer.Exit


@app.callback(epilog="Begin with `botlight serve`; then `botlight run -- python bot.py` in a second terminal.")
def botlight(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Say which version this is.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """Shows you, live, what your bot is doing, and lets you stop it for real."""


app.command()(serve)
app.command(context_settings={"allow_interspersed_args": False})(run)
app.command()(watch)
app.command()(sessions)
app.command()(stop)
app.command("open")(open_page)
app.command()(doctor)
app.add_typer(access.users)
app.add_typer(access.tokens)
app.command()(access.link)
app.command()(backup)
app.command()(migrate)
app.command()(copy)


def main() -> None:
    """Run the command that was typed. What a person can mend is one line on stderr: exit code 2 for a wrong call, else 1."""
    try:
        code = app(prog_name="botlight", standalone_mode=False)
    except typer.TyperException as wrong:
        code = _complain(wrong.format_message(), wrong.exit_code)
    except SettingError as wrong:
        code = _complain(str(wrong), 2)
    except Trouble as trouble:
        code = _complain(str(trouble), trouble.exit_code)
    except (Refusal, CannotListen, CannotOpen) as trouble:
        code = _complain(str(trouble), 1)
    except OSError as error:
        code = _complain(f"{error.filename}: {error.strerror}" if error.filename else str(error), 1)
    except typer.Abort:
        code = 130
    sys.exit(code if isinstance(code, int) else 0)


def _complain(message: str, code: int) -> int:
    """Say it on stderr; a help text that stands in for a missing command is shown as it is."""
    text = message if "\n" in message else f"botlight: {message}"
    if message:
        print(text, file=sys.stderr)  # noqa: T201  a word to the person
    return code


if __name__ == "__main__":
    main()
