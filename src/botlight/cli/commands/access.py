"""`botlight user`, `botlight token`, `botlight link`: who may come in. They work beside a running service."""

from __future__ import annotations

import re
import sys
import time
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import typer
from rich.table import Table
from rich.text import Text

from botlight.cli.issuer_settings import trusted_issuer
from botlight.cli.options import DatabaseUrl, store_settings
from botlight.cli.running import run
from botlight.cli.screen import show
from botlight.cli.settings import Settings
from botlight.cli.trouble import Trouble, WrongCall
from botlight.cli.wiring import open_access
from botlight.model.access import Scope
from botlight.model.errors import Unauthorized, Unknown
from botlight.model.identity import is_id
from botlight.model.session import Instant
from botlight.service.people import People
from botlight.service.ports import Token, User

__all__ = ["Whose", "fresh_link", "link", "tokens", "users"]

users = typer.Typer(name="user", help="Add people, set passwords.", no_args_is_help=True)
tokens = typer.Typer(name="token", help="Make, list and revoke tokens.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The person's name.", show_default=False)]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from the first line of stdin.")
]
Whose = Annotated[
    str | None,
    typer.Option(
        "--user",
        metavar="NAME",
        help="Whose; may be left out while there is one person. With Supabase an id or an e-mail.",
    ),
]
Owner = Annotated[
    str | None,
    typer.Option(
        "--user",
        metavar="NAME",
        help="Whose; may be left out while there is one person. Of somebody from elsewhere the id, or 'issuer|sub'.",
    ),
]
UNITS_S = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


@users.command("add")
def add_user(
    name: Name,
    database_url: DatabaseUrl = None,
    password_stdin: PasswordStdin = False,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="Sign in by `botlight link` only, for now.")
    ] = False,
) -> None:
    """Add a person. Asks for the password twice, without showing it.

    \b
    Examples:
      botlight user add ada
      botlight user add ada --password-stdin < password.txt
    """  # noqa: D301  \b keeps the examples' lines
    settings = store_settings(database_url)
    if settings.on_postgres:
        run(_managed_here(settings))  # before anybody types a password for nothing
    password = None if no_password else _password(from_stdin=password_stdin)

    async def add() -> User:
        async with open_access(settings) as (people, _):
            return await people.add(name, password)

    user = run(add())
    typer.echo(f"Added {user.name}{', who runs this service' if user.operator else ''}.")


@users.command("passwd")
def set_password(name: Name, database_url: DatabaseUrl = None, password_stdin: PasswordStdin = False) -> None:
    """Set a person's password. Every sign-in of theirs ends.

    \b
    Examples:
      botlight user passwd ada
    """  # noqa: D301  \b keeps the examples' lines
    settings = store_settings(database_url)

    async def known() -> None:
        async with open_access(settings) as (people, _):
            _check_managed(people)
            await people.named(name)

    async def change(password: str) -> None:
        async with open_access(settings) as (people, _):
            await people.set_password(name, password)

    run(known())  # before anybody types a password for nothing
    run(change(_password(from_stdin=password_stdin)))
    typer.echo(f"The password of {name} is set; every sign-in of theirs has ended.")


@users.command("list")
def list_users(database_url: DatabaseUrl = None) -> None:
    """List everybody, oldest first.

    \b
    Examples:
      botlight user list
    """  # noqa: D301  \b keeps the examples' lines

    async def everybody() -> list[User]:
        async with open_access(store_settings(database_url)) as (people, _):
            _check_managed(people)
            return list(await people.all())

    table = _table("NAME", "SINCE", "SIGNS IN", "RUNS THE SERVICE")
    for user in run(everybody()):
        by = "by password or link" if user.password_hash else "elsewhere" if user.elsewhere else "by link"
        table.add_row(Text(user.name), _day(user.created_at), by, "yes" if user.operator else "")
    show(table)


@tokens.command("create")
def create_token(
    *,
    scope: Annotated[
        str,
        typer.Option(
            metavar="report|view|operate|embed", help="For a bot · to look · to look and stop · for a public page."
        ),
    ],
    user: Owner = None,
    name: Annotated[str | None, typer.Option("--name", metavar="TEXT", help="What you will know it by.")] = None,
    expires: Annotated[
        str | None,
        typer.Option(metavar="30d", help="Good for so long: minutes, hours, days, weeks (12h, 30d). Else for ever."),
    ] = None,
    bot: Annotated[str | None, typer.Option(metavar="NAME", help="embed: the bot whose sessions it shows.")] = None,
    session: Annotated[str | None, typer.Option(metavar="ID", help="embed: the one session it shows.")] = None,
    origin: Annotated[str | None, typer.Option(metavar="URL", help="embed: the site whose pages may use it.")] = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Make a token. Its secret is printed on stdout, once, and kept nowhere.

    \b
    Examples:
      botlight token create --user ada --scope report --name "My laptop"
      export STATUS_REPORTER_TOKEN=$(botlight token create --scope report)
      botlight token create --user "https://login.example.org|248289761001" --scope report
      botlight token create --scope embed --bot "Job hunter" --origin https://blog.example --expires 30d
    """  # noqa: D301  \b keeps the examples' lines
    kind, life_s = _scope(scope), _seconds(expires)
    session_id = _session_id(session)

    async def create() -> tuple[Token, str]:
        settings = store_settings(database_url)
        async with open_access(settings) as (people, tokens):
            return await tokens.issue(
                await _owner(settings, people, user, settle=True),
                name or f"{kind} token",
                kind,
                expires_at=None if life_s is None else Instant(int((time.time() + life_s) * 1000)),
                bot=bot,
                session_id=session_id,
                origin=origin,
            )

    token, secret = run(create())
    typer.echo(f"Token {token.id} ({token.scope}). Keep it now; it is not shown again:", err=True)
    typer.echo(secret)
    if kind is Scope.EMBED:
        typer.echo("It is public to whoever sees the page: names, state, times, counters and progress.", err=True)


@tokens.command("list")
def list_tokens(user: Owner = None, database_url: DatabaseUrl = None) -> None:
    """List a person's tokens, newest first; never with their secrets.

    \b
    Examples:
      botlight token list
      botlight token list --user ada
    """  # noqa: D301  \b keeps the examples' lines

    async def theirs() -> list[Token]:
        settings = store_settings(database_url)
        async with open_access(settings) as (people, tokens):
            return list(await tokens.of(await _owner(settings, people, user)))

    table = _table("ID", "NAME", "SCOPE", "MADE", "LAST USED", "GOOD UNTIL", "FOR")
    for token in run(theirs()):
        what = " on ".join(filter(None, (token.bot or token.session_id, token.origin)))
        used = _day(token.last_used_at) if token.last_used_at else "never"
        until = _day(token.expires_at) if token.expires_at else "for ever"
        table.add_row(token.id, Text(token.name), token.scope.value, _day(token.created_at), used, until, Text(what))
    show(table)


@tokens.command("revoke")
def revoke_token(
    token_id: Annotated[
        str, typer.Argument(metavar="ID", help="As `botlight token list` shows it.", show_default=False)
    ],
    user: Owner = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Revoke a token. It is refused at once, and its open streams are closed within 5 s.

    \b
    Examples:
      botlight token revoke e4a6c9d0-52b7-4813-9f6e-0c1d2b3a4f58
    """  # noqa: D301  \b keeps the examples' lines

    async def revoke() -> None:
        settings = store_settings(database_url)
        async with open_access(settings) as (people, tokens):
            await tokens.revoke(await _owner(settings, people, user), token_id)

    run(revoke())
    typer.echo(f"Token {token_id} is revoked.")


def link(user: Whose = None, database_url: DatabaseUrl = None) -> None:
    """Print a link that signs a browser in, once, within 10 minutes.

    Makes the first person, `local`, when there is none.

    \b
    Examples:
      botlight link
      botlight link --user ada
    """  # noqa: D301  \b keeps the examples' lines
    typer.echo(run(fresh_link(store_settings(database_url), user)))


async def fresh_link(settings: Settings, user: str | None, base: str | None = None) -> str:
    """The address of a new one-time link, below `base` or what people type."""
    async with open_access(settings) as (people, _):
        if user is None and (not people.managed_here or len(await _own(people)) > 1):
            user = (await _person(people, None)).name
        return f"{base or settings.shown_url}/link#{await people.link(user)}"


async def _managed_here(settings: Settings) -> None:
    async with open_access(settings) as (people, _):
        _check_managed(people)


def _check_managed(people: People) -> None:
    if not people.managed_here:
        raise Trouble("People are managed in the Supabase project: add them, list them and set their passwords there.")


async def _person(people: People, name: str | None) -> User:
    if name is not None:
        return await people.named(name)
    if not people.managed_here:
        raise Trouble("--user: expected the id or e-mail of one of the people of the Supabase project.")
    everybody = await _own(people)
    if not everybody:
        raise Trouble("Nobody has an account yet; `botlight user add` or `botlight link` makes the first one.")
    if len(everybody) > 1:
        raise Trouble("--user: expected a name, since there are several people (`botlight user list`).")
    return everybody[0]


async def _own(people: People) -> list[User]:
    """Everybody who has a name here."""
    return [user for user in await people.all() if not user.elsewhere]


async def _owner(settings: Settings, people: People, text: str | None, *, settle: bool = False) -> str:
    """The id of whoever is named: a name of ours, the id or 'issuer|sub' of somebody from elsewhere."""
    try:
        return (await _person(people, text)).id
    except Unknown:
        user_id = None if text is None else _from_elsewhere(settings, text)
        if user_id is None:
            _check_settings(settings, people, text or "")
            raise
    if settle:
        await people.settle(user_id)
    return user_id


def _check_settings(settings: Settings, people: People, text: str) -> None:
    """Nobody of that id is known: it may be that this shell lacks what the service was told."""
    if people.managed_here and ("|" in text or is_id(text)) and trusted_issuer(settings) is None:
        raise Trouble(
            f"There is no user {text!r}. For somebody from elsewhere this command needs the service's own settings: "
            "BOTLIGHT_SUPABASE_URL, or BOTLIGHT_JWT_ISSUER and BOTLIGHT_JWT_AUDIENCE."
        )


def _from_elsewhere(settings: Settings, text: str) -> str | None:
    trusted = trusted_issuer(settings)
    url, bar, subject = text.partition("|")
    if trusted is None or not (bar or trusted.issuer.supabase):
        return None
    if bar and url != trusted.issuer.url:
        raise WrongCall(f"--user: expected '{trusted.issuer.url}|…', the issuer that is set here.")
    try:
        return trusted.issuer.user_id(subject if bar else text)
    except Unauthorized as refusal:
        raise WrongCall(f"--user: {refusal}") from None


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise WrongCall("--password-stdin: expected it, since there is no terminal to ask at.")
    password: str = typer.prompt("Password", hide_input=True, confirmation_prompt="The same again")
    return password


def _scope(text: str) -> Scope:
    if text not in (Scope.REPORT, Scope.VIEW, Scope.OPERATE, Scope.EMBED):
        raise WrongCall(f"--scope: expected report, view, operate or embed, got {text!r}.")
    return Scope(text)


def _seconds(text: str | None) -> int | None:
    if text is None:
        return None
    match = re.fullmatch(r"([1-9][0-9]{0,5})([mhdw])", text)
    if match is None:
        raise WrongCall(f"--expires: expected a number and m, h, d or w, as in 12h or 30d, got {text!r}.")
    return int(match[1]) * UNITS_S[match[2]]


def _session_id(text: str | None) -> str | None:
    try:
        return None if text is None else str(UUID(text))
    except ValueError:
        raise WrongCall(f"--session: expected a session's id, got {text!r}.") from None


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column == "ID")
    return table


def _day(at: Instant) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
