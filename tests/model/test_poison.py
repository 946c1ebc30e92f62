"""One report that the database refuses fails alone: all others of its batch are acknowledged, and durable."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import apsw
import pytest

from botlight.model.errors import Invalid
from botlight.model.merge import Report, Step
from botlight.model.session import MICROS
from tests.model.disorder import START
from tests.model.stored import Stored
from tests.model.story import snapshot

POISON = "poison"
TRIGGER = f"""
create trigger refuse before insert on facts when new.data like '%{POISON}%'
  begin select raise(abort, 'refused by a trigger'); end;
"""


def poisoned(path: Path) -> None:
    """Teach a database to refuse one activity."""
    connection = apsw.Connection(str(path))
    connection.execute(TRIGGER)
    connection.close()


def report(owner: str, session_id: str, **fields: Any) -> Report:
    """A bot's report."""
    return Report(user_id=owner, session_id=session_id, instance_id="a", snapshot=snapshot(**fields))


@pytest.mark.parametrize("place", [0, 17, 63])
@pytest.mark.parametrize("known", [False, True], ids=["new sessions", "known sessions"])
def test_a_batch_with_one_poisoned_heartbeat_acknowledges_the_63_others(
    tmp_path: Path, place: int, *, known: bool
) -> None:
    """Wherever it stands in the batch, the offender alone gets an error, and nothing of it is kept."""
    path = tmp_path / "botlight.db"
    with Stored(path) as stored:
        owner = stored.newcomer().owner
        ids = [str(uuid4()) for _ in range(64)]
        if known:
            stored.fold(ids, [report(owner, id_, counters={"jobs_found": 1}) for id_ in ids], START)
        poisoned(path)
        beats = [
            report(owner, id_, activity=POISON if n == place else "applying", counters={"jobs_found": 5})
            for n, id_ in enumerate(ids)
        ]
        answers = stored.fold(ids, beats, START + 1)
        assert [n for n, answer in enumerate(answers) if isinstance(answer, Invalid)] == [place]
        assert sum(isinstance(answer, Step) for answer in answers) == 63
        stored.restart()
        for n, id_ in enumerate(ids):
            state = stored.session(id_)
            if n == place and not known:
                assert state is None
            else:
                assert state is not None
                assert state.session.totals == {"jobs_found": (1 if n == place else 5) * MICROS}


def test_a_poisoned_heartbeat_spares_the_others_of_its_session(tmp_path: Path) -> None:
    """Before and after it in the same batch, reports of the same session count; its own counts do not."""
    path = tmp_path / "botlight.db"
    with Stored(path) as stored:
        newcomer = stored.newcomer()
        stored.fold([newcomer.session_id], [report(newcomer.owner, newcomer.session_id)], START)
        poisoned(path)
        beats = [
            report(newcomer.owner, newcomer.session_id, activity=activity, counters={name: 1})
            for activity, name in (("searching", "before"), (POISON, "poisoned"), ("applying", "after"))
        ]
        first, second, third = stored.fold([newcomer.session_id] * 3, beats, START + 1)
        assert isinstance(second, Invalid)
        assert isinstance(first, Step)
        assert isinstance(third, Step)
        stored.restart()
        state = stored.session(newcomer.session_id)
        assert state is not None
        assert state.session.totals == {"before": MICROS, "after": MICROS}
        assert state.session.activity == "applying"


def test_several_poisoned_heartbeats_fail_alone(tmp_path: Path) -> None:
    """Halving finds every one of them."""
    path = tmp_path / "botlight.db"
    with Stored(path) as stored:
        owner = stored.newcomer().owner
        ids = [str(uuid4()) for _ in range(32)]
        poisoned(path)
        bad = {0, 1, 15, 30}
        beats = [report(owner, id_, activity=POISON if n in bad else "applying") for n, id_ in enumerate(ids)]
        answers = stored.fold(ids, beats, START)
        assert {n for n, answer in enumerate(answers) if isinstance(answer, Invalid)} == bad
        assert {n for n, id_ in enumerate(ids) if stored.session(id_) is None} == bad
