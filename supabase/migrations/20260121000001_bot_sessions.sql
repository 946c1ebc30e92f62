-- Sessions of bots, who may see them, and how a reader misses no change of them.
--
-- The same file for a Supabase project (as its role `postgres`) and for plain PostgreSQL 15 and newer (after
-- plain_postgres.sql, as the database's owner). Needs no superuser, runs in one transaction, may be applied again.
-- README.md, beside this folder, says how to read and write what is made here.

-- Everything that is nobody's business lives in a schema that PostgREST does not expose.
create schema if not exists botlight;
revoke all on schema botlight from public, anon, authenticated, service_role;
grant usage on schema botlight to authenticated, service_role;

-- ── The table ────────────────────────────────────────────────────────────────────────────────────────────────────────────
-- The session document, column by column. The checks keep out what a foreign writer could make unreadable; what Botlight
-- itself lets through its doors passes all of them. Counters are plain numbers of at most six decimals.
create table if not exists public.bot_sessions (
  id                uuid primary key default gen_random_uuid(),
  user_id           uuid not null references auth.users (id) on delete cascade,
  bot_name          text constraint bot_name_of_at_most_64_characters check (char_length(bot_name) <= 64),
  bot_version       text constraint bot_version_of_at_most_64_characters check (char_length(bot_version) <= 64),
  platform          text constraint platform_of_at_most_64_characters check (char_length(platform) <= 64),
  status            text not null default 'running'
                    constraint status_is_known
                    check (status in ('running', 'lost', 'completed', 'failed', 'stopped', 'interrupted')),
  activity          text constraint activity_of_1_to_64_characters check (char_length(activity) between 1 and 64),
  -- 2 KB as compact JSON; jsonb adds a space after each comma and colon and writes 1e300 out, which is not held against it
  activity_details  jsonb constraint activity_details_is_an_object_of_at_most_2_kb check (
                      jsonb_typeof(activity_details) = 'object'
                      and pg_column_size(activity_details) <= 12800
                      and (octet_length(activity_details::text) <= 3072
                           or octet_length(regexp_replace(activity_details::text, '\d{4,}', '', 'g')) <= 3072)),
  activity_at       timestamptz,
  jobs_found        numeric not null default 0,
  jobs_applied      numeric not null default 0,
  jobs_failed       numeric not null default 0,
  credits_used      numeric not null default 0,
  counters          jsonb not null default '{}'
                    constraint counters_is_an_object_of_at_most_32_numbers check (
                      counters = '{}'
                      or jsonb_typeof(counters) = 'object'
                      and jsonb_array_length(jsonb_path_query_array(counters, 'strict $.keyvalue()')) <= 32
                      and not counters @? 'strict $.keyvalue() ? (@.key like_regex "^.{65}" flag "s" || @.key == "")'
                      and not counters @? 'strict $.* ? (@.type() <> "number" || @ < 0 || @ > 2000000000000)'),
  progress_done     bigint constraint progress_done_from_0_to_2_53 check (progress_done between 0 and 9007199254740991),
  progress_total    bigint constraint progress_total_from_0_to_2_53 check (progress_total between 0 and 9007199254740991),
  progress_at       timestamptz,
  waiting_until     timestamptz,
  waiting_reason    text constraint waiting_reason_of_at_most_200_characters check (char_length(waiting_reason) <= 200),
  error_type        text constraint error_type_of_at_most_64_characters check (char_length(error_type) <= 64),
  error_message     text constraint error_message_of_at_most_500_characters check (char_length(error_message) <= 500),
  created_at        timestamptz not null default now(),
  started_at        timestamptz not null default now(),
  last_heartbeat_at timestamptz,
  heartbeat_s       integer not null default 45
                    constraint heartbeat_s_from_15_to_3600 check (heartbeat_s between 15 and 3600),
  lease_expires_at  timestamptz,
  stop_requested_at timestamptz,
  stop_reason       text constraint stop_reason_of_at_most_200_characters check (char_length(stop_reason) <= 200),
  stop_delivered_at timestamptz,
  stop_seen_at      timestamptz,
  ended_at          timestamptz,
  outcome           text constraint outcome_is_known check (outcome in ('success', 'failed', 'stopped', 'interrupted')),
  inferred          boolean not null default false,
  instances         integer not null default 0 constraint instances_from_0_to_200 check (instances between 0 and 200),
  -- grows with each change of this session and is compared within it only; given by the trigger `a_stamp`
  revision          bigint not null default 1
                    constraint revision_from_1_to_2_53 check (revision between 1 and 9007199254740991),
  -- Internal from here on, and shown to nobody. The newest main instance, whole, as JSON; all others are in bot_instances.
  instance_id       uuid,
  instance          text constraint instance_of_at_most_64_kb check (octet_length(instance) <= 65536),
  updated_at        timestamptz not null default now(),
  changed_xid       xid8 not null default '0', -- the transaction of the last change,
  moved_xid         xid8 not null default '0', -- and of the last change of what lists go by: it has an index
  constraint counters_from_0_with_at_most_6_decimals check (
    least(jobs_found, jobs_applied, jobs_failed, credits_used) >= 0
    and greatest(jobs_found, jobs_applied, jobs_failed, credits_used) <= 2000000000000 -- 200 instances of 10^10 each
    and greatest(scale(jobs_found), scale(jobs_applied), scale(jobs_failed), scale(credits_used)) <= 6),
  constraint when_ended_with_ended_at_and_outcome check (
    case status
      when 'running' then ended_at is null and outcome is null
      when 'lost' then ended_at is null and outcome is null
      when 'completed' then ended_at is not null and outcome is not null and outcome = 'success'
      else ended_at is not null and outcome is not null and outcome = status
    end),
  constraint instants_from_1970_to_9999 check (
    least(activity_at, progress_at, waiting_until, created_at, started_at, last_heartbeat_at, lease_expires_at,
          stop_requested_at, stop_delivered_at, stop_seen_at, ended_at, updated_at) >= '1970-01-01 00:00:00+00'
    and greatest(activity_at, progress_at, waiting_until, created_at, started_at, last_heartbeat_at, lease_expires_at,
          stop_requested_at, stop_delivered_at, stop_seen_at, ended_at, updated_at) < '10000-01-01 00:00:00+00')
) with (fillfactor = 70); -- room on each page for the next version of a row

-- A heartbeat changes no column of these, so its new version stays on the page of the old one and touches no index.
-- The order of every list: running, lost, ended; newest first in each.
create index if not exists bot_sessions_list on public.bot_sessions
  (user_id, (case status when 'running' then 0 when 'lost' then 1 else 2 end), (coalesce(ended_at, started_at)) desc, id);
create index if not exists bot_sessions_open on public.bot_sessions (id) where status in ('running', 'lost');
create index if not exists bot_sessions_moved on public.bot_sessions (user_id, moved_xid);
create index if not exists bot_sessions_ended on public.bot_sessions (ended_at) where ended_at is not null;

-- FULL would hand a row's old values to its next owner.
alter table public.bot_sessions replica identity default;

-- ── Who may see what ─────────────────────────────────────────────────────────────────────────────────────────────────────
-- A person reads what is theirs, by the columns of the session document, and writes nothing. Revoked first, and by name:
-- projects made before 2026 grant everything in `public` to these roles.
alter table public.bot_sessions enable row level security;
revoke all on table public.bot_sessions from public, anon, authenticated, service_role;
grant select (
  id, user_id, bot_name, bot_version, platform, status, activity, activity_details, activity_at,
  jobs_found, jobs_applied, jobs_failed, credits_used, counters, progress_done, progress_total, progress_at,
  waiting_until, waiting_reason, error_type, error_message, created_at, started_at, last_heartbeat_at, heartbeat_s,
  lease_expires_at, stop_requested_at, stop_reason, stop_delivered_at, stop_seen_at, ended_at, outcome, inferred, instances,
  revision
) on table public.bot_sessions to authenticated;
grant select, insert, update, delete on table public.bot_sessions to service_role; -- it bypasses the policies

drop policy if exists bot_sessions_select_own on public.bot_sessions;
create policy bot_sessions_select_own on public.bot_sessions for select to authenticated
  using ((select auth.uid()) = user_id); -- in a sub-select it is asked once for each query, not for each row

do $$
begin
  if exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime' and not puballtables)
     and not exists (select from pg_catalog.pg_publication_tables
                     where pubname = 'supabase_realtime' and schemaname = 'public' and tablename = 'bot_sessions')
  then
    alter publication supabase_realtime add table public.bot_sessions;
  end if;
end $$;

-- ── What hangs on a session ──────────────────────────────────────────────────────────────────────────────────────────────
-- A session's row locks all of this: whoever writes here has changed the session in the same transaction before.
create table if not exists botlight.bot_instances (
  session_id uuid not null references public.bot_sessions (id) on delete cascade,
  id         uuid not null,
  instance   text not null constraint instance_of_at_most_64_kb check (octet_length(instance) <= 65536),
  primary key (session_id, id)
);

create table if not exists botlight.facts (
  session_id  uuid not null references public.bot_sessions (id) on delete cascade,
  n           bigint not null,
  at          timestamptz not null,
  kind        text not null constraint kind_of_1_to_64_characters check (char_length(kind) between 1 and 64),
  instance_id uuid,
  data        jsonb not null default '{}' constraint data_is_an_object check (jsonb_typeof(data) = 'object'),
  primary key (session_id, n)
);

create table if not exists botlight.jobs (
  session_id uuid not null references public.bot_sessions (id) on delete cascade,
  key        text not null constraint key_of_1_to_128_characters check (char_length(key) between 1 and 128),
  outcome    text not null constraint outcome_is_known check (outcome in ('applied', 'failed', 'skipped')),
  n          bigint not null,
  at         timestamptz not null,
  title      text constraint title_of_at_most_200_characters check (char_length(title) <= 200),
  company    text constraint company_of_at_most_100_characters check (char_length(company) <= 100),
  url        text constraint url_of_at_most_500_characters check (char_length(url) <= 500 and url ~ '^https?://'),
  reason     text constraint reason_of_at_most_200_characters check (char_length(reason) <= 200),
  credits    numeric constraint credits_from_0_to_10_10 check (credits between 0 and 10000000000 and scale(credits) <= 6),
  primary key (session_id, key, outcome),
  unique (session_id, n)
);

alter table botlight.bot_instances enable row level security;
alter table botlight.facts enable row level security;
alter table botlight.jobs enable row level security;
revoke all on table botlight.bot_instances, botlight.facts, botlight.jobs from public, anon, authenticated, service_role;
grant select on table botlight.facts, botlight.jobs to authenticated, service_role;

drop policy if exists facts_select_own on botlight.facts;
create policy facts_select_own on botlight.facts for select to authenticated
  using (exists (select from public.bot_sessions s where s.id = session_id and s.user_id = (select auth.uid())));
drop policy if exists jobs_select_own on botlight.jobs;
create policy jobs_select_own on botlight.jobs for select to authenticated
  using (exists (select from public.bot_sessions s where s.id = session_id and s.user_id = (select auth.uid())));

-- ── Positions ────────────────────────────────────────────────────────────────────────────────────────────────────────────
-- A position is `epoch.pg_snapshot` of the read that gave it; "not yet seen" is what that snapshot did not see. Neither a
-- sequence nor a clock has the order of commits. One row for each statement that changed sessions, whoever wrote it:
create table if not exists botlight.feed (
  xid xid8 not null default pg_current_xact_id(),
  n   bigint generated always as identity,
  ids uuid[] not null,
  made boolean not null default false, -- they were not there before
  primary key (xid, n)
);

-- Who no longer has a session: by deletion or by a change of owner. They may have it again; whoever reads this asks.
create table if not exists botlight.gone (
  user_id    uuid not null,
  xid        xid8 not null default pg_current_xact_id(),
  session_id uuid not null,
  bot_name   text,
  primary key (user_id, xid, session_id)
);
create index if not exists gone_xid on botlight.gone (xid);

-- What a late report meets, for 30 days, whoever deleted.
create table if not exists botlight.tombstones (
  session_id uuid primary key,
  user_id    uuid not null,
  bot_name   text,
  revision   bigint not null,
  deleted_at timestamptz not null default clock_timestamp()
);
create index if not exists tombstones_deleted_at on botlight.tombstones (deleted_at);

-- Below a horizon every transaction had ended when it was noted. The feed is pruned below one that was noted long enough
-- ago, never by the age of a row: a transaction may commit long after it wrote.
create table if not exists botlight.mark (
  n       bigint generated always as identity primary key,
  at      timestamptz not null default clock_timestamp(),
  horizon xid8 not null
);
-- How far it was pruned: a position whose snapshot begins below it gets the whole list.
create table if not exists botlight.floor (one boolean primary key default true check (one), xid xid8 not null);
insert into botlight.floor (xid) values ('0') on conflict do nothing;

-- This life of the database. Unlogged: empty after a crash, when transaction ids are given a second time. The rest tells a
-- dump or a cold copy from what it was taken of.
create unlogged table if not exists botlight.epoch (
  one               boolean primary key default true check (one),
  id                uuid not null default gen_random_uuid(),
  system_identifier bigint not null,
  started_at        timestamptz not null,
  sessions          oid not null
);

-- When Botlight's reaper last looked for leases that ran out: silence counts only while somebody could hear.
create table if not exists botlight.reaper (one boolean primary key default true check (one), ticked_at timestamptz not null);

revoke all on table botlight.feed, botlight.gone, botlight.tombstones, botlight.mark, botlight.floor, botlight.epoch,
  botlight.reaper from public, anon, authenticated, service_role;

-- Stamps each row that is new, and each change by a writer who does not know how. Runs as its owner: writers need no rights
-- on what lies behind.
create or replace function botlight.stamp() returns trigger language plpgsql security definer set search_path = '' as $$
declare
  here constant xid8 := pg_catalog.pg_current_xact_id();
  grave botlight.tombstones;
begin
  if tg_op = 'INSERT' then
    select * into grave from botlight.tombstones t where t.session_id = new.id;
    if found and new.changed_xid = here then
      return null; -- a late report to a deleted session: nothing is written
    elsif found then
      delete from botlight.tombstones t where t.session_id = new.id; -- somebody wants it back
    end if;
    -- Microseconds, so that a session which comes back is ahead of all that was known of it.
    new.revision := greatest((extract(epoch from pg_catalog.clock_timestamp()) * 1000000)::bigint, grave.revision + 1);
    new.moved_xid := here;
  else
    if new.id <> old.id then
      raise exception 'bot_sessions.id never changes' using errcode = 'check_violation';
    end if;
    new.revision := old.revision + 1;
    if (new.user_id, new.bot_name, new.status, new.started_at, new.ended_at)
       is distinct from (old.user_id, old.bot_name, old.status, old.started_at, old.ended_at) then
      new.moved_xid := here;
    else
      new.moved_xid := old.moved_xid;
    end if;
    if new.user_id <> old.user_id then
      insert into botlight.gone (user_id, session_id, bot_name) values (old.user_id, old.id, old.bot_name)
      on conflict do nothing;
    end if;
  end if;
  new.changed_xid := here;
  new.updated_at := pg_catalog.now();
  return new;
end $$;

-- Notes what a statement changed and wakes whoever listens. The notification says nothing: it wakes, a SELECT reads.
create or replace function botlight.announce() returns trigger language plpgsql security definer set search_path = '' as $$
declare changed_ids uuid[];
begin
  if tg_op = 'TRUNCATE' then
    insert into botlight.tombstones (session_id, user_id, bot_name, revision)
    select s.id, s.user_id, s.bot_name, s.revision from public.bot_sessions s
    on conflict (session_id) do update set
      user_id = excluded.user_id, bot_name = excluded.bot_name, revision = excluded.revision, deleted_at = excluded.deleted_at;
    delete from botlight.epoch; -- every position is answered with the whole list
    perform pg_catalog.pg_notify('bot_sessions', '');
    return null;
  end if;
  changed_ids := array(select c.id from changed c);
  if changed_ids = '{}' then
    return null;
  end if;
  insert into botlight.feed (ids, made) values (changed_ids, tg_op = 'INSERT');
  if tg_op = 'DELETE' then
    insert into botlight.gone (user_id, session_id, bot_name) select c.user_id, c.id, c.bot_name from changed c
    on conflict do nothing;
    insert into botlight.tombstones (session_id, user_id, bot_name, revision)
    select c.id, c.user_id, c.bot_name, c.revision from changed c
    on conflict (session_id) do update set
      user_id = excluded.user_id, bot_name = excluded.bot_name, revision = excluded.revision, deleted_at = excluded.deleted_at;
  elsif tg_op = 'INSERT' and exists (select from botlight.tombstones t where t.session_id = any (changed_ids)) then
    -- It was deleted between the look at the tombstone and the insert.
    raise exception 'a session was deleted while it was inserted; try again' using errcode = 'serialization_failure';
  end if;
  perform pg_catalog.pg_notify('bot_sessions', '');
  return null;
end $$;

revoke all on function botlight.stamp(), botlight.announce() from public, anon, authenticated, service_role;

create or replace trigger a_stamp_insert before insert on public.bot_sessions
  for each row execute function botlight.stamp();
-- A writer who sets all of this himself, as Botlight's batches do, is spared the call.
create or replace trigger a_stamp_update before update on public.bot_sessions
  for each row when (
    new.revision is distinct from old.revision + 1
    or new.changed_xid is distinct from pg_current_xact_id()
    or new.updated_at is distinct from now()
    or new.id is distinct from old.id
    or new.user_id is distinct from old.user_id
    or new.moved_xid is distinct from (
      case when new.bot_name is distinct from old.bot_name or new.status is distinct from old.status
             or new.started_at is distinct from old.started_at or new.ended_at is distinct from old.ended_at
           then pg_current_xact_id() else old.moved_xid end))
  execute function botlight.stamp();
create or replace trigger z_announce_insert after insert on public.bot_sessions
  referencing new table as changed for each statement execute function botlight.announce();
create or replace trigger z_announce_update after update on public.bot_sessions
  referencing new table as changed for each statement execute function botlight.announce();
create or replace trigger z_announce_delete after delete on public.bot_sessions
  referencing old table as changed for each statement execute function botlight.announce();
create or replace trigger z_announce_truncate before truncate on public.bot_sessions
  for each statement execute function botlight.announce();

-- The epoch, if it is of this life of the database; null: positions mean nothing until open_epoch() made a new one.
create or replace function botlight.current_epoch() returns uuid
language sql stable security definer set search_path = '' as $$
  select e.id from botlight.epoch e, pg_catalog.pg_control_system() c
  where e.system_identifier = c.system_identifier and e.started_at = pg_catalog.pg_postmaster_start_time()
    and e.sessions = 'public.bot_sessions'::pg_catalog.regclass
$$;

-- The epoch, made anew where it is missing or of another life; what was noted for old positions is dropped then.
create or replace function botlight.open_epoch() returns uuid
language plpgsql security definer set search_path = '' as $$
declare opened uuid;
begin
  lock table botlight.epoch in share row exclusive mode; -- one opens it, the others find it
  opened := botlight.current_epoch();
  if opened is not null then
    return opened;
  end if;
  delete from botlight.feed;
  delete from botlight.gone;
  delete from botlight.mark;
  update botlight.floor set xid = '0';
  delete from botlight.epoch;
  insert into botlight.epoch (system_identifier, started_at, sessions)
  select c.system_identifier, pg_catalog.pg_postmaster_start_time(), 'public.bot_sessions'::pg_catalog.regclass
  from pg_catalog.pg_control_system() c
  returning id into opened;
  return opened;
end $$;

-- Drops what no reader needs whose position is younger than `keep`. Once a minute is plenty; whoever comes second does nothing.
create or replace function botlight.prune_feed(keep interval default interval '10 minutes') returns void
language plpgsql security definer set search_path = '' as $$
declare chosen botlight.mark;
begin
  if not pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended('botlight.prune_feed', 0)) then
    return;
  end if;
  select * into chosen from botlight.mark m where m.at <= pg_catalog.clock_timestamp() - keep order by m.n desc limit 1;
  insert into botlight.mark (horizon) values (pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot()));
  if chosen.n is null then
    return;
  end if;
  update botlight.floor f set xid = chosen.horizon where f.xid < chosen.horizon;
  delete from botlight.feed f where f.xid < chosen.horizon;
  delete from botlight.gone g where g.xid < chosen.horizon;
  delete from botlight.mark m where m.n <= chosen.n;
end $$;

-- ── Cleanup ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
-- What Botlight's reaper and pruner do, for a table that no Botlight serves. A session is called lost only by somebody who
-- could have heard it: where a reaper has ever ticked, this function leaves silence to it (README.md). Answers how many
-- sessions it marked, closed and deleted. `retention_days`: how long ended sessions are kept; null: for ever.
create or replace function botlight.cleanup(retention_days integer default null, batch integer default 1000)
returns integer language plpgsql security definer set search_path = '' as $$
declare
  touched integer := 0;
  part integer;
begin
  if retention_days < 1 or batch < 1 then
    raise exception 'retention_days and batch: expected at least 1';
  end if;
  if not exists (select from botlight.reaper) then
    with silent as (
      select s.id from public.bot_sessions s
      where s.status = 'running' and pg_catalog.clock_timestamp() >=
        coalesce(s.lease_expires_at, s.created_at + pg_catalog.make_interval(secs => greatest(60, 3 * s.heartbeat_s)))
      order by s.id limit batch for no key update skip locked),
    marked as (
      -- with its lease: a day of being lost begins now
      update public.bot_sessions s set status = 'lost', lease_expires_at = pg_catalog.clock_timestamp()
      from silent where s.id = silent.id returning s.id)
    insert into botlight.facts (session_id, n, at, kind)
    select m.id, 1 + coalesce((select max(f.n) from botlight.facts f where f.session_id = m.id), 0),
      pg_catalog.clock_timestamp(), 'session.lost'
    from marked m;
    get diagnostics part = row_count;
    touched := touched + part;

    with given_up as (
      select s.id from public.bot_sessions s
      where s.status = 'lost'
        and coalesce(s.lease_expires_at, s.created_at) <= pg_catalog.clock_timestamp() - interval '24 hours'
      order by s.id limit batch for no key update skip locked),
    closed as (
      update public.bot_sessions s
      set status = 'interrupted', outcome = 'interrupted', inferred = true,
        ended_at = coalesce(s.last_heartbeat_at, s.created_at) -- when it was last heard
      from given_up where s.id = given_up.id returning s.id, s.ended_at)
    insert into botlight.facts (session_id, n, at, kind, data)
    select c.id, 1 + coalesce((select max(f.n) from botlight.facts f where f.session_id = c.id), 0),
      c.ended_at, 'session.ended', '{"outcome": "interrupted", "inferred": true}'
    from closed c;
    get diagnostics part = row_count;
    touched := touched + part;
  end if;

  if retention_days is not null then
    with old as (
      select s.id from public.bot_sessions s
      where s.ended_at < pg_catalog.clock_timestamp() - pg_catalog.make_interval(days => retention_days)
      order by s.ended_at limit batch for update skip locked)
    delete from public.bot_sessions s using old where s.id = old.id;
    get diagnostics part = row_count;
    touched := touched + part;
  end if;

  delete from botlight.tombstones t where t.deleted_at < pg_catalog.clock_timestamp() - interval '30 days';
  perform botlight.prune_feed();
  return touched;
end $$;

revoke all on function botlight.current_epoch(), botlight.open_epoch(), botlight.prune_feed(interval),
  botlight.cleanup(integer, integer) from public, anon, authenticated, service_role;

do $$
begin
  if not exists (select from pg_catalog.pg_extension where extname = 'pg_cron') then
    raise notice 'pg_cron is not installed: botlight.cleanup() runs when somebody calls it, or Botlight does its work';
  elsif not pg_catalog.has_schema_privilege('cron', 'usage') then
    raise notice 'no rights on schema cron: botlight.cleanup() was not scheduled';
  else
    perform cron.schedule('botlight-cleanup', '* * * * *', 'select botlight.cleanup()'); -- by its name: one job, however often
  end if;
end $$;
