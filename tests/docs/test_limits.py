"""The limits that the reference names are those of the code."""

from __future__ import annotations

from typing import Final

import pytest

from botlight.edge.codec import MAX_DETAILS
from botlight.edge.exchange import BODY_S, MAX_BODY
from botlight.edge.protocol import HEADER_S, MAX_HEADERS
from botlight.issuer.keys import MAX_KEYS
from botlight.issuer.ring import ASK_EVERY_S
from botlight.issuer.source import FETCH_S
from botlight.issuer.source import MAX_BODY as KEYS_BODY
from botlight.model.identity import MAX_JWT
from botlight.model.merge import MAX_INSTANCES
from botlight.model.report import MAX_COUNTER, MAX_COUNTERS
from botlight.realtime.hub import Bounds
from botlight.realtime.subscription import BURST, PER_SECOND
from botlight.service.batch import BATCH_SIZE, BATCHES_WAITING, MAX_AGE_S, MAX_RUNNING_PER_USER
from botlight.service.people import LINK_MS, MAX_PASSWORD, MIN_PASSWORD, SIGN_IN_MS
from botlight.service.pruner import TOMBSTONE_DAYS
from botlight.service.queries import BOARD_SIZE
from botlight.service.tokens import TOKENS_PER_USER
from botlight.store.sqlite.saving import FACTS_KEPT, JOBS_KEPT
from tests.docs.tracked import Document

BOUNDS: Final = Bounds()
EXPECTED: Final = {
    "body of a request": f"{MAX_BODY // 1024} KB",
    "address and headers of a request": f"{MAX_HEADERS // 1024} KB",
    "time for the headers, and for the body": f"{HEADER_S:.0f} s each" if HEADER_S == BODY_S else "two times",
    "reports that wait for the store": f"{BATCHES_WAITING} batches of {BATCH_SIZE}, {MAX_AGE_S:.0f} s",
    "a JWT": f"{MAX_JWT:,} characters",
    "an issuer's answer with its keys": f"{KEYS_BODY // 1024} KB, {MAX_KEYS} keys, {FETCH_S:.0f} s",
    "fetches of keys that unknown `kid`s cause": f"one in {ASK_EVERY_S:.0f} s",
    "running sessions of a person": f"{MAX_RUNNING_PER_USER}",
    "instances of a session": f"{MAX_INSTANCES}; the newest 10 are listed",
    "open event streams of a person": f"{BOUNDS.per_person}",
    "open event streams of an `embed` token": f"{BOUNDS.per_embed}",
    "open command streams of a person's bots": f"{BOUNDS.bots_per_user}, one for each instance",
    "open streams of the service": f"{BOUNDS.in_all:,}",
    "messages to one reader of a stream": f"{BURST + PER_SECOND} a second",
    "a reader that takes nothing": f"{BOUNDS.blocked_s:.0f} s",
    "timeline of a session": f"{FACTS_KEPT:,} facts",
    "outcomes of a session": f"{JOBS_KEPT:,} jobs",
    "names of counters, in a snapshot and in a session": f"{MAX_COUNTERS}",
    "a counter": f"0 to {MAX_COUNTER:,}, in millionths",
    "details of an activity": f"{MAX_DETAILS // 1024} KB of JSON",
    "sessions on the board, and rows of a page": f"{BOARD_SIZE}",
    "tokens of a person": f"{TOKENS_PER_USER}",
    "a password": f"{MIN_PASSWORD} to {MAX_PASSWORD:,} characters",
    "a sign-in": f"{SIGN_IN_MS // 86_400_000} days",
    "a one-time link": f"{LINK_MS // 60_000} minutes, once",
    "a deleted session's tombstone": f"{TOMBSTONE_DAYS} days",
}


@pytest.mark.parametrize(("what", "bound"), EXPECTED.items(), ids=EXPECTED.keys())
def test_the_bound_is_the_one_that_the_code_has(what: str, bound: str) -> None:
    """One row, one constant."""
    assert Document("docs/reference.md").table("Limits")[what][0] == bound
