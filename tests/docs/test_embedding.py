"""What the page about embedding shows works as it is shown, on a page of another origin in a real browser."""

from __future__ import annotations

import re
from typing import Final
from uuid import uuid4

from playwright.sync_api import Locator, expect

from tests.docs.conftest import Bot, ForeignPages
from tests.docs.tracked import REPOSITORY, Document
from tests.support.service import Person, RunningService

EMBEDDING: Final = Document("docs/embedding.md")
SHOWN_ADDRESS: Final = "https://bots.example.org"
WAIT_MS: Final = 15_000


def filled_in(text: str, person: Person, pages: ForeignPages, session_id: str = "") -> str:
    """A shown piece with the service's address, an embed token for the page's origin, and a session."""
    token = person.token("embed", bot="Job hunter", origin=pages.origin, lives_s=600)
    text = text.replace(SHOWN_ADDRESS, person.service.address)
    return text.replace("EMBED_TOKEN", token.secret).replace("SESSION_ID", session_id)


def policy(service: RunningService) -> str:
    """The policy that is shown, and nothing allowed beside it."""
    return f"default-src 'none'; {EMBEDDING.block('').replace(SHOWN_ADDRESS, service.address).strip()}"


def is_live(card: Locator, applied: int) -> None:
    """Wait until a card is live and shows a counter."""
    expect(card.locator('.fresh[data-kind="live"]')).to_be_visible(timeout=WAIT_MS)
    expect(card.locator('[data-counter="jobs_applied"]')).to_have_text(str(applied), timeout=WAIT_MS)


def test_the_two_lines_show_a_live_card_under_the_policy(running: RunningService, foreign_pages: ForeignPages) -> None:
    """The first block and the policy, on a page where nothing else is allowed."""
    person, session_id = running.person(), str(uuid4())
    bot = Bot(service=running, token=person.token("report"))
    bot.beat(session_id, counters={"jobs_applied": 3})

    page = foreign_pages.open(
        policy(running), index_html=filled_in(EMBEDDING.blocks("html")[0].text, person, foreign_pages, session_id)
    )

    is_live(page.locator("bot-status-card"), 3)
    bot.beat(session_id, counters={"jobs_applied": 4})
    is_live(page.locator("bot-status-card"), 4)
    assert foreign_pages.complaints == []


def test_the_newest_session_is_kept_on_the_card(running: RunningService, foreign_pages: ForeignPages) -> None:
    """The second block follows the bot into its next session."""
    person, first, second = running.person(), str(uuid4()), str(uuid4())
    bot = Bot(service=running, token=person.token("report"))
    bot.beat(first, counters={"jobs_applied": 3})
    card, newest = EMBEDDING.blocks("html")

    page = foreign_pages.open(
        policy(running),
        index_html=filled_in(f"{card.text.splitlines()[0]}\n{newest.text}", person, foreign_pages),
    )

    is_live(page.locator("bot-status-card"), 3)
    bot.beat(second, counters={"jobs_applied": 7})
    is_live(page.locator("bot-status-card"), 7)
    assert foreign_pages.complaints == []


def test_an_activity_of_ones_own_gets_its_face(running: RunningService, foreign_pages: ForeignPages) -> None:
    """The block that adds a row to the table."""
    person, session_id = running.person(), str(uuid4())
    bot = Bot(service=running, token=person.token("report"))
    bot.beat(session_id, activity="writing_invoice")
    script = EMBEDDING.block("js")
    card = filled_in(EMBEDDING.blocks("html")[0].text, person, foreign_pages, session_id)

    page = foreign_pages.open(
        policy(running).replace("script-src", "script-src 'self'"),
        index_html=f'<script type="module" src="faces.js"></script>\n{card}',
        faces_js=script.replace(SHOWN_ADDRESS, running.address),
    )

    expect(page.locator("bot-status-card")).to_contain_text("🧾", timeout=WAIT_MS)
    expect(page.locator("bot-status-card")).to_contain_text("Writing the invoice")


def test_every_attribute_of_the_card_is_there() -> None:
    """Those that the element watches, and the one that its style reads."""
    source = (REPOSITORY / "src/botlight/web/static/bot-status-card.js").read_text()
    [watched] = re.findall(r"observedAttributes = \[([^\]]+)\]", source)
    styled = re.findall(r":host\(\[(\w+)=", (REPOSITORY / "src/botlight/web/static/card_style.js").read_text())

    [table] = re.findall(r"^\| attribute \|.*?(?=\n\n)", EMBEDDING.text, re.MULTILINE | re.DOTALL)
    documented = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))

    assert documented == set(re.findall(r'"(\w+)"', watched)) | set(styled)
