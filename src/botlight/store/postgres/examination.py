"""Looks at a database without opening it for work: what `botlight doctor` tells, and what opening begins with."""

from __future__ import annotations

from msgspec import Struct

from botlight.store.errors import CannotOpen
from botlight.store.postgres.connection import connect, sentence
from botlight.store.postgres.failures import is_of_the_database
from botlight.store.postgres.footing import Footing, look
from botlight.store.postgres.standing import Standing, check

__all__ = ["Examined", "examine"]


class Examined(Struct, frozen=True, kw_only=True):
    """A database that Botlight may work in."""

    footing: Footing
    standing: Standing

    @property
    def server(self) -> int:
        """PostgreSQL's version, as it writes it: 150018."""
        return self.standing.server

    @property
    def login(self) -> str:
        """As whom the address logs in."""
        return self.standing.login

    @property
    def warnings(self) -> list[str]:
        """What works less well than it could, and what to do about each."""
        return [words for words in (self.standing.words, self.footing.words) if words]


async def examine(url: str) -> Examined:
    """Log in, try out what the address can do, and make sure that roles and schema are what they have to be.

    Raises:
        CannotOpen: with a message for the person who asked, in which the password of the URL is never repeated.
    """
    footing = await look(url)
    probe = await connect(url, statement_cache_size=0)
    try:
        return Examined(footing=footing, standing=await check(probe))
    except Exception as error:
        if not is_of_the_database(error):
            raise
        raise CannotOpen(f"The database cannot be used: {sentence(error)}") from error
    finally:
        probe.terminate()
