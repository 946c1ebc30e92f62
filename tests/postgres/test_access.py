"""Who sees what: a person their own rows and nothing else, and nobody forges anything."""

from __future__ import annotations

import pytest

from tests.postgres.conftest import KINDS, Person
from tests.postgres.psql import Database, RefusedSql, as_person

DENIED = "42501"
SHOWN = "id, status, jobs_applied"
WRITES = (
    "insert into bot_sessions (user_id) values ('{me}')",
    "update bot_sessions set jobs_applied = 99 where user_id = '{me}'",
    "update bot_sessions set stop_requested_at = now() where user_id = '{me}'",
    "delete from bot_sessions where user_id = '{me}'",
    "truncate bot_sessions",
    "select id from bot_sessions for update",
    "insert into botlight.facts (session_id, n, at, kind) select id, 2, now(), 'activity' from bot_sessions",
    "delete from botlight.jobs",
)
SECRETS = (
    "select changed_xid from bot_sessions",
    "select instance from bot_sessions",
    "select updated_at from bot_sessions",
    "select * from botlight.bot_instances",
    "select * from botlight.feed",
    "select * from botlight.gone",
    "select * from botlight.tombstones",
    "select * from botlight.tokens",
    "select * from botlight.users",
    "select * from botlight.sign_ins",
    "select * from botlight.links",
    "select botlight.cleanup()",
    "select botlight.open_epoch()",
    "select botlight.prune_feed()",
)


class Two:
    """Two people with one session each, which has a fact and a job."""

    def __init__(self, database: Database, person: Person) -> None:
        self.database = database
        self.mine, self.theirs = person(), person()
        for user_id in (self.mine, self.theirs):
            session = database.value(f"insert into bot_sessions (user_id) values ('{user_id}') returning id")
            database.run(
                f"""insert into botlight.facts (session_id, n, at, kind) values ('{session}', 1, now(), 'session.started');
                    insert into botlight.jobs (session_id, n, at, key, outcome) values ('{session}', 1, now(), 'k', 'applied')"""
            )

    def seen(self, user_id: str | None, role: str = "authenticated", user: str | None = None) -> list[tuple[str, ...]]:
        """Whose sessions somebody sees."""
        return self.database.run(as_person(user_id, "select user_id from bot_sessions", role), user=user)


@pytest.fixture
def two(database: Database, person: Person) -> Two:
    """Two people who have nothing to do with each other."""
    return Two(database, person)


def test_the_persons_path_is_under_row_security(database: Database) -> None:
    """`authenticated` is neither superuser nor exempt from policies, and does not own the table; so is Botlight's role."""
    for role in ("authenticated", "anon", "botlight_service"):
        [(superuser, bypasses)] = database.run(f"select rolsuper, rolbypassrls from pg_roles where rolname = '{role}'")
        assert (superuser, bypasses) == ("f", "f"), role
        owned = f"select count(*) from pg_class where relowner = '{role}'::regrole"
        assert database.value(owned) == "0", role
    for table in ("public.bot_sessions", "botlight.facts", "botlight.jobs", "botlight.bot_instances"):
        assert database.value(f"select relrowsecurity from pg_class where oid = '{table}'::regclass") == "t", table


def test_a_person_sees_their_own_sessions(two: Two) -> None:
    """A sees A's row, B sees B's row."""
    assert two.seen(two.mine) == [(two.mine,)]
    assert two.seen(two.theirs) == [(two.theirs,)]


def test_a_persons_read_is_not_the_owners(two: Two) -> None:
    """The table's owner sees all rows, the same statement as `authenticated` sees one: the policy is in force."""
    assert len(two.database.run("select id from bot_sessions")) == 2
    assert len(two.seen(two.mine)) == 1


def test_without_claims_nothing_is_seen(two: Two) -> None:
    """`authenticated` without a `sub`, or with one that nobody has, sees no rows."""
    assert two.seen(None) == []
    assert two.seen("00000000-0000-4000-8000-000000000000") == []
    assert two.database.run("begin; set local role authenticated; select id from bot_sessions; commit") == []


def test_anon_is_refused(two: Two) -> None:
    """Who has not signed in is told so, whatever claims it brings."""
    with pytest.raises(RefusedSql) as refused:
        two.seen(two.mine, "anon")
    assert refused.value.code == DENIED


@pytest.mark.parametrize("database", KINDS[:2], indirect=True)
def test_the_login_of_the_api_is_refused_without_a_role(two: Two) -> None:
    """Forgetting SET ROLE fails closed, and PostgREST's login cannot become Botlight."""
    for sql in ("select id from bot_sessions", "set role botlight_service"):
        with pytest.raises(RefusedSql) as refused:
            two.database.run(sql, user="authenticator")
        assert refused.value.code == DENIED
    assert two.seen(two.mine, user="authenticator") == [(two.mine,)]


def test_the_service_role_of_supabase_sees_everybody(two: Two) -> None:
    """A trusted program of the same project reads and writes all rows; the checks hold for it too."""
    trusted = two.database.superuser  # whose login may take that role differs, what the role may do does not
    assert sorted(two.seen(None, "service_role", trusted)) == sorted([(two.mine,), (two.theirs,)])
    two.database.run(as_person(None, "update bot_sessions set jobs_applied = 3", "service_role"), user=trusted)
    assert two.database.run("select distinct jobs_applied from bot_sessions") == [("3",)]
    with pytest.raises(RefusedSql, match="status_is_known"):
        two.database.run(as_person(None, "update bot_sessions set status = 'paused'", "service_role"), user=trusted)


def refusals(database: Database, user_id: str, statements: tuple[str, ...]) -> dict[str, str]:
    """What the database answers a person on each statement: an SQLSTATE, or "allowed"."""
    said = {}
    for sql in statements:
        try:
            database.run(as_person(user_id, sql.format(me=user_id)))
            said[sql] = "allowed"
        except RefusedSql as refused:
            said[sql] = refused.code
    return said


def test_a_person_writes_nothing(two: Two) -> None:
    """Nobody forges counters or stops through PostgREST: also their own rows are only to be read."""
    assert refusals(two.database, two.mine, WRITES) == dict.fromkeys(WRITES, DENIED)


def test_a_person_sees_nothing_internal(two: Two) -> None:
    """What is not in the session document is shown to nobody, and no function of ours answers them."""
    assert refusals(two.database, two.mine, SECRETS) == dict.fromkeys(SECRETS, DENIED)


def test_a_person_sees_every_column_of_the_document(two: Two) -> None:
    """All that the session document holds can be read by whose it is."""
    columns = two.database.run(
        "select attname from pg_attribute where attrelid = 'public.bot_sessions'::regclass and attnum > 0 and not attisdropped"
        " and attname not in ('instance_id', 'instance', 'updated_at', 'changed_xid', 'moved_xid')"
    )
    names = ", ".join(name for (name,) in columns)
    assert (
        len(two.database.run(as_person(two.mine, f"select row_to_json(x) from (select {names} from bot_sessions) x")))
        == 1
    )


@pytest.mark.parametrize("table", ["botlight.facts", "botlight.jobs"])
def test_timeline_and_proof_are_their_owners(two: Two, table: str) -> None:
    """A person reads the facts and jobs of their own sessions and of no other."""
    whose = f"select s.user_id from {table} x join bot_sessions s on s.id = x.session_id"
    assert two.database.run(as_person(two.mine, whose)) == [(two.mine,)]
    assert len(two.database.run(as_person(two.mine, f"select n from {table}"))) == 1


def test_a_session_that_is_given_away_is_the_new_owners(two: Two) -> None:
    """After a change of owner the old one sees nothing of it."""
    two.database.run(f"update bot_sessions set user_id = '{two.theirs}' where user_id = '{two.mine}'")
    assert two.seen(two.mine) == []
    assert len(two.seen(two.theirs)) == 2
    assert two.database.run(as_person(two.mine, "select n from botlight.facts")) == []


def test_botlights_role_works_and_owns_nothing(two: Two, person: Person) -> None:
    """Botlight's own role does all that the service does, and cannot change the tables or become somebody else's owner."""
    newcomer = person()
    as_service = "begin; set local role botlight_service; {}; commit"
    two.database.run(
        as_service.format(
            f"""insert into bot_sessions (user_id) values ('{newcomer}');
                update bot_sessions set jobs_found = 1;
                insert into botlight.bot_instances select id, id, '{{}}' from bot_sessions;
                insert into botlight.tokens (id, user_id, name, scope, secret_hash, created_at)
                  values ('t', '{newcomer}', 'n', 'report', 'h', now());
                insert into botlight.reaper (ticked_at) values (now());
                select botlight.open_epoch(), botlight.current_epoch(), botlight.prune_feed();
                delete from bot_sessions where user_id = '{newcomer}';
                delete from botlight.tombstones"""
        )
    )
    assert two.database.value(as_service.format("select count(*) from bot_sessions")) == "2"
    for sql in (
        "drop policy bot_sessions_select_own on bot_sessions",
        "alter table bot_sessions disable row level security",
        "truncate bot_sessions",
        "insert into botlight.feed (ids) values ('{}')",
        "delete from botlight.gone",
        "select botlight.cleanup()",
    ):
        with pytest.raises(RefusedSql) as refused:
            two.database.run(as_service.format(sql))
        assert refused.value.code == DENIED, sql


def test_a_login_of_its_own_can_serve(two: Two) -> None:
    """A login that may take Botlight's role and `authenticated` needs nothing else, and without SET ROLE sees nothing."""
    login = f"login_{two.database.name}"
    two.database.run(
        f"create role {login} login noinherit; grant botlight_service, authenticated to {login}",
        user=two.database.superuser,
    )
    assert two.seen(two.mine, user=login) == [(two.mine,)]
    assert two.database.value("set role botlight_service; select count(*) from bot_sessions", user=login) == "2"
    with pytest.raises(RefusedSql) as refused:
        two.database.run("select id from bot_sessions", user=login)
    assert refused.value.code == DENIED


def test_who_is_deleted_takes_their_sessions_along(two: Two) -> None:
    """A person that Supabase deletes leaves no rows, and a tombstone for each session."""
    two.database.run(f"delete from auth.users where id = '{two.mine}'", user=two.database.superuser)
    assert two.database.run("select user_id from bot_sessions") == [(two.theirs,)]
    assert two.database.value("select count(*) from botlight.facts") == "1"
    assert two.database.run("select user_id from botlight.tombstones") == [(two.mine,)]
