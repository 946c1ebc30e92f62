"""What the page about Supabase's clients shows works as it is shown, with the clients themselves."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest

from botlight.edge.supabase.filters import OPERATORS
from tests.conftest import StartService
from tests.docs.conftest import Bot
from tests.docs.tracked import Document
from tests.edge.supabase.official import NODE, SCRIPTS
from tests.support.service import API

PAGE: Final = Document("docs/supabase-clients.md")
SHOWN_ADDRESS: Final = "https://bots.example.org"
Within = Callable[[float, Callable[[], object]], None]

AROUND_JS: Final = """
import {{ readFileSync }} from "node:fs";
const freshToken = async () => readFileSync("token", "utf8");
const say = (words) => process.stdout.write(words + "\\n");
{shown}
const readAgain = () => say("read");
await follow("{user_id}", (change) => say(`${{change.eventType}} ${{change.new.id ?? change.old.id}}`), readAgain);
"""

AROUND_PYTHON: Final = """
from pathlib import Path
{shown}
async def fresh_token():
    return Path("token").read_text()

def on_change(payload):
    data = payload["data"]
    row = data["record"] if "record" in data else data["old_record"]
    print(getattr(data["type"], "value", data["type"]), row["id"], flush=True)

asyncio.run(follow("{user_id}", fresh_token, on_change, lambda: print("read", flush=True)))
"""


@pytest.mark.parametrize("language", ["js", "python"])
def test_the_lines_follow_past_an_outage_and_the_end_of_a_token(
    start_service: StartService, tmp_path: Path, within: Within, language: str
) -> None:
    """Read at first, told of a change, ended with the token, joined again with the next one, and after a restart too."""
    running = start_service()
    person = running.person()
    bot_token = person.token("report")
    bot, session_id = Bot(service=running, token=bot_token), str(uuid4())
    later = person.token("view")
    (tmp_path / "token").write_text(person.token("view", lives_s=6).secret)
    shown = PAGE.block(language).replace(SHOWN_ADDRESS, running.address)
    script = tmp_path / ("follow.mjs" if language == "js" else "follow.py")
    script.write_text((AROUND_JS if language == "js" else AROUND_PYTHON).format(shown=shown, user_id=person.id))
    (tmp_path / "node_modules").symlink_to(SCRIPTS / "node_modules")
    command = [str(NODE) if language == "js" else sys.executable, script.name]
    heard = tmp_path / "heard"
    with heard.open("w") as out, subprocess.Popen(command, cwd=tmp_path, stdout=out) as process:
        try:
            within(15, lambda: heard.read_text() == "read\n")
            bot.beat(session_id)
            within(10, lambda: f"INSERT {session_id}\n" in heard.read_text())
            (tmp_path / "token").write_text(later.secret)
            within(20, lambda: heard.read_text().count("read\n") == 2)  # the first token has ended
            bot.beat(session_id)
            within(10, lambda: f"UPDATE {session_id}\n" in heard.read_text())
            with running.client(bot_token.headers) as client:
                body = {"session_id": session_id, "result": {"outcome": "success"}}
                assert client.post(f"{API}/complete", json=body).status_code == 200
            with running.client(person.sign_in().headers) as client:
                assert client.delete(f"{API}/sessions/{session_id}").status_code == 204
            within(10, lambda: f"DELETE {session_id}\n" in heard.read_text())
            assert running.stop() == 0
            start_service(folder=running.folder, port=running.port)
            within(30, lambda: heard.read_text().count("read\n") == 3)
            assert process.poll() is None
        finally:
            process.kill()


def test_every_operator_is_there() -> None:
    """In the table of the filters, and those that are not offered in the words below it."""
    rows = " ".join(PAGE.table("Filters"))
    assert all(operator in rows for operator in OPERATORS)
    assert "`match` and `imatch` are not offered" in PAGE.below("Filters")
