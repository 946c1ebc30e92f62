"""`botlight doctor`: goes the way of a heartbeat, step by step, and says where it ends and what to do about it."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import typer

from botlight import __version__
from botlight.cli.commands.access import fresh_link
from botlight.cli.credential import credential, has_own_store
from botlight.cli.http_service import API, HttpService, is_local
from botlight.cli.issuer_settings import trusted_issuer
from botlight.cli.options import DatabaseUrl, Url, address, given_token, store_settings
from botlight.cli.running import run
from botlight.cli.settings import Settings
from botlight.cli.trouble import NoAnswer, NotBotlight, Refused, Trouble
from botlight.cli.wiring import open_access
from botlight.issuer.source import NoKeys
from botlight.model.access import Scope
from botlight.model.errors import Refusal
from botlight.store.errors import CannotOpen
from botlight.store.postgres.examination import examine

__all__ = ["doctor"]

LIFE = timedelta(minutes=5)
FULL_BELOW = 100 * 1024 * 1024
NAME = "botlight doctor"
TOKENS = {"STATUS_REPORTER_TOKEN": "report", "BOTLIGHT_TOKEN": "operate"}


def doctor(*, url: Url = None, database_url: DatabaseUrl = None) -> None:
    """Find out why a bot does not show: address, store, tokens, a test heartbeat. Exit code 1 when something is wrong.

    Tries the tokens in STATUS_REPORTER_TOKEN (the bots') and BOTLIGHT_TOKEN (yours) where they are set. The heartbeat goes
    out with the bots' token; on the computer that runs the service it can do without, and cleans up behind itself.

    \b
    Examples:
      botlight doctor
      STATUS_REPORTER_TOKEN=… botlight doctor --url https://bots.example.org
    """  # noqa: D301  \b keeps the examples' lines
    settings = store_settings(database_url)
    examination = _Examination(settings, address(url, settings))
    run(examination.run())
    if examination.wrong:
        raise typer.Exit(1)
    typer.echo("All is well.")


class _Examination:
    """One run of all checks, each of which prints one line."""

    def __init__(self, settings: Settings, url: str) -> None:
        self._settings = settings
        self._url = url
        self._own = is_local(url) and has_own_store(settings)
        self._reporter: str | None = None  # the name of the person whose STATUS_REPORTER_TOKEN is
        self._store_away = False  # said once; what needs the store cannot be known then
        self.wrong = 0

    async def run(self) -> None:
        """Check all in the order in which a heartbeat meets it.

        After a wrong address no more can be known than whether the database is why nothing answers there.
        """
        if not await self._address():
            if self._settings.on_postgres:
                await self._database()
            return
        await self._store()
        await self._keys()
        for name, scope in TOKENS.items():
            await self._token(name, scope)
        await self._heartbeat()

    def _well(self, what: str, words: str) -> None:
        typer.echo(f"ok     {what:<10} {words}")

    def _ill(self, what: str, words: str) -> None:
        self.wrong += 1
        typer.echo(f"WRONG  {what:<10} {words}")

    def _note(self, what: str, words: str) -> None:
        typer.echo(f"note   {what:<10} {words}")

    def _unknown(self, what: str, words: str) -> None:
        typer.echo(f"skip   {what:<10} {words}")

    async def _address(self) -> bool:
        try:
            async with HttpService(self._url) as service:
                await service.alive()
        except (NoAnswer, NotBotlight, Refused) as trouble:
            self._ill("address", str(trouble))
            return False
        self._well("address", f"Botlight answers at {self._url}.")
        if urlsplit(self._url).scheme == "http" and not is_local(self._url):
            self._ill(
                "address", "Tokens travel there unencrypted; put a proxy that speaks TLS in front of the service."
            )
        return True

    async def _store(self) -> None:
        try:
            async with HttpService(self._url) as service:
                await service.ask("GET", "/readyz")
        except Refused as refusal:
            if refusal.status != 503:
                self._unknown("store", "The service tells its own computer only whether it can write.")
            else:
                self._store_away = True
                self._ill("store", f"The service cannot write: {refusal} Its log says why{self._guess()}")
        else:
            self._well("store", "The service can read and write it.")
        path = self._settings.database_path
        if path is None:
            await self._database()
        elif self._own:
            self._space(path)

    def _guess(self) -> str:
        """Of a file the usual cause is the disk; of a database more is known from the next check."""
        return ": a full or read-only disk?" if self._settings.database_path else "."

    async def _database(self) -> None:
        """What this computer's own settings say of PostgreSQL: the service may run elsewhere and have others."""
        try:
            known = await examine(self._settings.database_url)
        except CannotOpen as trouble:
            self._ill("database", str(trouble))
            return
        self._well(
            "database", f"PostgreSQL {known.server // 10_000} takes the login {known.login}, and its schema fits."
        )
        for warning in known.warnings:
            self._note("database", warning)

    def _space(self, path: Path) -> None:
        free = shutil.disk_usage(path.parent).free
        words = f"{path} has {free // 1024**2:,} MB left on its disk."
        if free < FULL_BELOW:
            self._ill("store", f"{words} A full disk stops every bot's report; make room.")
        else:
            self._well("store", words)

    async def _keys(self) -> None:
        """The keys of the issuer whose JWTs are accepted, where one is set."""
        trusted = trusted_issuer(self._settings)
        if trusted is None:
            return
        source = trusted.source()
        if source is None:
            self._well("keys", f"What proves tokens of {trusted.issuer.url} is set; nothing is fetched.")
            return
        try:
            keys = (await source.fetch()).keys
        except NoKeys as missing:
            self._ill("keys", f"{missing}. Nobody of {trusted.issuer.url} who is new here gets in.")
            return
        finally:
            await source.close()
        words = f"{len(keys)} usable keys of {trusted.issuer.url} come by {source.url}."
        if keys or trusted.secret is not None:
            self._well("keys", words)
        else:
            self._ill("keys", f"{words} Used are RS256, ES256 and EdDSA; HS256 needs BOTLIGHT_JWT_SECRET.")

    async def _token(self, name: str, wanted: str) -> None:
        try:
            token = given_token(name=name)
            if token is None:
                self._unknown("token", f"{name} is not set.")
                return
            async with HttpService(self._url, token) as service:
                identity = await service.identity()
        except Refused as refusal:
            if refusal.code == "token":
                self._ill(
                    "token",
                    f"{name} is unknown, revoked or expired. `botlight token create --scope {wanted}` makes a new one.",
                )
            elif refusal.code == "unavailable" and self._store_away:
                self._unknown("token", f"{name} cannot be looked up now: {refusal}")
            else:
                self._ill("token", f"{name}: {refusal}")
        except Trouble as trouble:
            self._ill("token", str(trouble))
        else:
            if name == "STATUS_REPORTER_TOKEN":
                self._reporter = identity.user.get("name")
            self._scope(name, wanted, identity.scopes, identity.user.get("name", "?"))

    def _scope(self, name: str, wanted: str, scopes: list[str], user: str) -> None:
        fits = wanted in scopes or (wanted == "operate" and not {"view", "person"}.isdisjoint(scopes))
        words = f"{name} is {user}'s, of scope {', '.join(scopes)}"
        if fits:
            self._well("token", f"{words}.")
        else:
            self._ill("token", f"{words}; expected {wanted}: `botlight token create --scope {wanted}` makes one.")

    async def _heartbeat(self) -> None:
        session_id = str(uuid4())
        try:
            async with self._report_token() as token, HttpService(self._url, token) as service:
                await self._report(service, session_id)
            removed = self._own and await self._removed(session_id)
        except _NoToken:
            self._unknown("heartbeat", "Not tried: set STATUS_REPORTER_TOKEN to a bot's token (scope report).")
        except (Trouble, CannotOpen) as trouble:
            self._ill("heartbeat", f"A test heartbeat was not taken: {trouble}")
        else:
            rest = "" if removed else f" It stays on the board as {NAME!r}."
            self._well("heartbeat", f"A test heartbeat was taken.{rest}")

    @asynccontextmanager
    async def _report_token(self) -> AsyncIterator[str]:
        given = given_token(name="STATUS_REPORTER_TOKEN")
        if given is None and not self._own:
            raise _NoToken
        async with credential(self._settings, self._url, given, name=NAME, scope=Scope.REPORT, life=LIFE) as token:
            yield token

    async def _report(self, service: HttpService, session_id: str) -> None:
        snapshot = {
            "session_id": session_id,
            "instance_id": str(uuid4()),
            "bot": {"name": NAME, "version": __version__},
            "activity": "starting",
        }
        await service.ask("POST", f"{API}/heartbeat", json=snapshot | {"seq": 1})
        result = {"outcome": "success", "inferred": False, "error": None, "ended_age_ms": 0}
        await service.ask("POST", f"{API}/complete", json=snapshot | {"seq": 2, "result": result})

    async def _removed(self, session_id: str) -> bool:
        """Whether the test session is off the board again: signed in for a moment, as only a person may delete."""
        origin = {"Origin": "{0.scheme}://{0.netloc}".format(urlsplit(self._url))}
        try:
            secret = (await fresh_link(self._settings, await self._whose(), self._url)).partition("#")[2]
            async with HttpService(self._url) as service:
                signed_in = (await service.ask("POST", f"{API}/link", json={"secret": secret}, headers=origin)).json()
                headers = origin | {"X-CSRF-Token": signed_in["csrf"]}
                try:
                    await service.ask("DELETE", f"{API}/sessions/{session_id}", headers=headers)
                finally:
                    await service.ask("POST", f"{API}/sign-out", headers=headers)
        except (Trouble, Refusal):
            return False
        return True

    async def _whose(self) -> str | None:
        """The name of the person who has the test session: the token's, else the first, as whom one was lent."""
        if self._reporter is not None:
            return self._reporter
        async with open_access(self._settings) as (people, _):
            everybody = await people.all() if people.managed_here else []
        return everybody[0].name if everybody else None


class _NoToken(Exception):  # noqa: N818  no error: a check that cannot be made
    """There is nothing to come with."""
