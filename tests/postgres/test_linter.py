"""Supabase's database linter finds nothing. The queries are our own, after the rules' published descriptions.

Splinter itself is in no package registry; each rule that matters for these objects is asked here in our words, and each is
shown an object that breaks it, so that it can find something.
"""

from __future__ import annotations

import pytest

from tests.postgres.conftest import KINDS
from tests.postgres.psql import Database

OURS = "('public', 'botlight', 'bad')"
EXPOSED = "('public', 'bad')"
TABLES = f"""(select c.oid, n.nspname || '.' || c.relname as name, n.nspname, c.relrowsecurity, c.relkind from pg_class c
    join pg_namespace n on n.oid = c.relnamespace where n.nspname in {OURS} and c.relkind in ('r', 'p'))"""
ANYBODY = "('anon'::regrole::oid, 'authenticated'::regrole::oid, 0::oid)"

RULES = {
    "0001 unindexed foreign key": f"""select conrelid::regclass || ' ' || conname from pg_constraint f
        join {TABLES} t on t.oid = f.conrelid where f.contype = 'f' and not exists (
          select from pg_index i where i.indrelid = f.conrelid and i.indpred is null
            and (i.indkey::int2[])[0:cardinality(f.conkey) - 1] @> f.conkey)""",
    "0003 auth function called for each row": """select polrelid::regclass || ' ' || polname from pg_policy p where
        regexp_replace(lower(coalesce(pg_get_expr(polqual, polrelid), '') || coalesce(pg_get_expr(polwithcheck, polrelid), '')),
          'select auth\\.(uid|jwt|role)\\(\\)', '', 'g') ~ 'auth\\.(uid|jwt|role)\\(\\)'""",
    "0004 no primary key": f"""select t.name from {TABLES} t where not exists (
        select from pg_index i where i.indrelid = t.oid and i.indisprimary)""",
    "0006 multiple permissive policies": """select p.polrelid::regclass || ' ' || r || ' ' || c from pg_policy p,
        unnest(p.polroles) r, unnest(case p.polcmd when '*' then array['r','a','w','d'] else array[p.polcmd::text] end) c
        where p.polpermissive group by p.polrelid, r, c having count(*) > 1""",
    "0007 policy but no row level security": f"""select t.name from {TABLES} t where not t.relrowsecurity and exists (
        select from pg_policy p where p.polrelid = t.oid)""",
    "0008 row level security but no policy": f"""select t.name from {TABLES} t where t.relrowsecurity and not exists (
        select from pg_policy p where p.polrelid = t.oid)""",
    "0009 duplicate index": f"""select min(i.indexrelid::regclass::text) from pg_index i join {TABLES} t on t.oid = i.indrelid
        group by i.indrelid, i.indkey::text, i.indclass::text, i.indoption::text, coalesce(pg_get_expr(i.indexprs, i.indrelid), ''),
          coalesce(pg_get_expr(i.indpred, i.indrelid), '') having count(*) > 1""",
    "0010 view that runs as its owner": f"""select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind = 'v' and n.nspname in {EXPOSED} and not coalesce(
          c.reloptions && array['security_invoker=true', 'security_invoker=on', 'security_invoker=1'], false)""",
    "0011 function with a mutable search_path": f"""select p.oid::regprocedure::text from pg_proc p
        join pg_namespace n on n.oid = p.pronamespace where n.nspname in {OURS}
        and not coalesce((select bool_or(c like 'search_path=%') from unnest(p.proconfig) c), false)""",
    "0013 exposed without row level security": f"""select t.name from {TABLES} t where t.nspname in {EXPOSED}
        and not t.relrowsecurity""",
    "0014 extension in public": """select extname::text from pg_extension where extnamespace in (
        select oid from pg_namespace where nspname in ('public', 'bad'))""",
    "0015 policy by what a person may set": """select polname::text from pg_policy where
        coalesce(pg_get_expr(polqual, polrelid), '') || coalesce(pg_get_expr(polwithcheck, polrelid), '') like '%user_metadata%'""",
    "0021 reference to another key of auth": f"""select f.conname::text from pg_constraint f join {TABLES} t on t.oid = f.conrelid
        join pg_index i on i.indexrelid = f.conindid where f.contype = 'f' and not i.indisprimary
        and (select relnamespace from pg_class where oid = f.confrelid) = 'auth'::regnamespace""",
    "0023 secrets exposed": f"""select a.attrelid::regclass || '.' || a.attname from pg_attribute a
        join {TABLES} t on t.oid = a.attrelid where t.nspname in {EXPOSED} and a.attnum > 0
        and a.attname ~ 'password|secret|token|api_key|ssn|credit_card' and not t.relrowsecurity""",
    "0024 policy that lets anybody write": f"""select polname::text from pg_policy where polcmd <> 'r' and polroles && array{ANYBODY.replace("(", "[").replace(")", "]")}
        and ('true' in (coalesce(pg_get_expr(polqual, polrelid), ''), coalesce(pg_get_expr(polwithcheck, polrelid), '')))""",
    "0028, 0029 function of its owner that anybody may call": f"""select p.oid::regprocedure::text from pg_proc p
        join pg_namespace n on n.oid = p.pronamespace, (values ('anon'), ('authenticated')) r (name)
        where n.nspname in {OURS} and p.prosecdef and has_function_privilege(r.name, p.oid, 'execute')""",
}

BAD = """
create schema bad;
create table bad.parent (id int primary key, email text references auth.users (email));
create table bad.plain (secret text, parent int references bad.parent (id));
create index one on bad.plain (secret); create index two on bad.plain (secret);
create policy p on bad.plain for select to authenticated using (auth.uid() is not null and (auth.jwt() -> 'user_metadata') is null);
create policy q on bad.plain for select to authenticated using (true);
create policy w on bad.plain for insert to authenticated with check (true);
create table bad.closed (id int primary key); alter table bad.closed enable row level security;
create view bad.seen as select * from bad.closed;
create function bad.run() returns int language sql security definer as 'select 1';
do $$ begin execute (select format('create extension %I schema bad', min(name)) from pg_available_extensions
  where name in ('pg_trgm', 'vector')); end $$;
"""


@pytest.mark.parametrize("rule", RULES)
def test_clean(database: Database, rule: str) -> None:
    """None of the rules finds anything among our objects."""
    assert database.run(RULES[rule]) == []


@pytest.mark.parametrize("database", [KINDS[0]], indirect=True)
def test_each_rule_finds_what_breaks_it(database: Database) -> None:
    """In the same database a schema made to break the rules is found by every one of them."""
    email = "create unique index if not exists all_emails on auth.users (email)"
    jwt = "create or replace function auth.jwt() returns jsonb language sql stable as $$ select '{}'::jsonb $$"
    asked = "; ".join(f"select '{rule}', count(*) from ({sql}) found" for rule, sql in RULES.items())
    script = f"begin; {email}; {jwt}; {BAD}; {asked}; rollback"
    found = database.run(script, user=database.superuser)
    assert [rule for rule, count in found if count == "0"] == []
    assert len(found) == len(RULES)
