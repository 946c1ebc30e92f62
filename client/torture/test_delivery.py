"""T1 to T16: what the bot counted is what the service shows, whatever happens on the way."""

from __future__ import annotations

from torture.bot import StartBot
from torture.oracle import assert_exact
from torture.pythons import Python
from torture.services import Service


def test_seed_script(service: Service, start_bot: StartBot, python: Python) -> None:
    """T1: the seed's script runs to its end, says nothing, and all it reported is there."""
    bot = start_bot(service, python, "seed")
    bot.wait()
    assert_exact(service, {"jobs_found": 5})
    (session,) = service.sessions()
    assert (session["status"], session["activity"]) == ("completed", "jobs_found")
