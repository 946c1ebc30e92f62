"""The adapter in a database like a Supabase project's: its login bypasses the policies, and what it reads for a person does not."""

from __future__ import annotations

from typing import Final

import pytest

from botlight.model.session import Instant
from botlight.service.ports import SessionFilter
from tests.conformance.names import named, names_of
from tests.conformance.scribe import ALICE, BOB
from tests.postgres.conftest import MIGRATIONS, SUPABASE, SUPABASE_OLD, Blank
from tests.postgres.following import Followed

pytestmark = pytest.mark.anyio

BYPASSES: Final = "select rolbypassrls from pg_roles where rolname = current_user"


@pytest.mark.parametrize("kind", [SUPABASE, SUPABASE_OLD])
async def test_people_see_their_own(blank: Blank, kind: str) -> None:
    """Sessions are written, announced, listed, resumed and deleted, each by and for whom they are."""
    database = blank(kind)
    database.apply(*MIGRATIONS)
    people = f"insert into auth.users (id) values ('{ALICE}'), ('{BOB}')"
    database.run(people, user=database.superuser)
    assert database.value(BYPASSES) == "t"
    service = Followed(database)
    await service.begin()
    try:
        scribe, store = service.scribe, service.store
        for name, owner in (("a1", ALICE), ("a2", ALICE), ("b1", BOB)):
            await scribe.report(name, owner, activity="searching", jobs=[{"key": "k", "outcome": "applied"}])
        await service.until(lambda: set(service.newest) == {"a1", "a2", "b1"})
        which = SessionFilter(user_id=ALICE, ended_since=Instant(0))
        board = await store.board(which, 10)
        assert sorted(names_of(session.id for session in board.sessions)) == ["a1", "a2"]
        assert await store.session(named("b1"), ALICE) is None
        assert list(await store.timeline(named("b1"), ALICE, 0, 10)) == []
        assert list(await store.jobs(named("b1"), ALICE, None, 0, 10)) == []
        assert len(await store.jobs(named("b1"), BOB, None, 0, 10)) == 1
        await scribe.end("a1")
        await scribe.delete("a1")
        await scribe.report("a2", activity="applying")
        news = await store.board(which, 10, since=board.position)
        assert (news.replaces, names_of(session.id for session in news.sessions)) == (False, ["a2"])
        assert names_of(gone.session_id for gone in news.removals) == ["a1"]
    finally:
        await service.close()
