-- Sessions, their instances, timeline and proof list. Instants are milliseconds since 1970, counters millionths.
pragma application_id = 0x426F744C; -- "BotL": a file without it is another program's
create table bot_sessions (
  id                text primary key not null,
  user_id           text not null references users (id),
  bot_name          text,
  bot_version       text,
  platform          text,
  status            text not null check (status in ('running', 'lost', 'completed', 'failed', 'stopped', 'interrupted')),
  -- written out: an `in` of four would build a table for every heartbeat
  outcome           text check (outcome = 'success' or outcome = 'failed' or outcome = 'stopped' or outcome = 'interrupted'),
  inferred          integer not null default 0,
  error_type        text,
  error_message     text,
  activity          text,
  activity_details  text,
  activity_at       integer,
  jobs_found        integer not null default 0,
  jobs_applied      integer not null default 0,
  jobs_failed       integer not null default 0,
  credits_used      integer not null default 0,
  counters          text not null default '{}',
  progress_done     integer,
  progress_total    integer,
  progress_at       integer,
  waiting_until     integer,
  waiting_reason    text,
  created_at        integer not null,
  started_at        integer not null,
  last_heartbeat_at integer,
  heartbeat_s       integer not null,
  lease_expires_at  integer,
  stop_requested_at integer,
  stop_reason       text,
  stop_delivered_at integer,
  stop_seen_at      integer,
  ended_at          integer,
  instances         integer not null,
  revision          integer not null,
  -- internal: the newest main instance, whole; all others live in bot_instances
  instance_id       text,
  instance          text,
  -- the revision of the last start, end, recovery or change of name: seldom set, so its index costs a heartbeat nothing
  moved_revision    integer not null,
  -- the order of every list: running, lost, ended; newest first in each
  list_group        integer generated always as (case status when 'running' then 0 when 'lost' then 1 else 2 end) virtual,
  list_at           integer generated always as (coalesce(ended_at, started_at)) virtual
) strict;
create index bot_sessions_list on bot_sessions (user_id, list_group, list_at desc, id);
create index bot_sessions_open on bot_sessions (id) where status in ('running', 'lost');
create index bot_sessions_moved on bot_sessions (user_id, moved_revision);
create index bot_sessions_ended on bot_sessions (ended_at) where ended_at is not null;

create table bot_instances (
  session_id text not null references bot_sessions (id) on delete cascade,
  id         text not null,
  instance   text not null,
  primary key (session_id, id)
) strict, without rowid;

create table facts (
  session_id  text not null references bot_sessions (id) on delete cascade,
  n           integer not null,
  at          integer not null,
  kind        text not null,
  instance_id text,
  data        text not null,
  primary key (session_id, n)
) strict, without rowid;

create table jobs (
  session_id text not null references bot_sessions (id) on delete cascade,
  key        text not null,
  outcome    text not null check (outcome in ('applied', 'failed', 'skipped')),
  n          integer not null,
  at         integer not null,
  title      text,
  company    text,
  url        text,
  reason     text,
  credits    integer,
  primary key (session_id, key, outcome)
) strict, without rowid;
create unique index jobs_n on jobs (session_id, n);

-- Positions: one counter for the whole file; a position is boot.revision, and boots tell which revisions a boot gave.
create table counter (one integer primary key check (one = 1), revision integer not null) strict;
insert into counter values (1, 0);
create table boots (boot text primary key not null, first_revision integer not null, at integer not null) strict;

-- What is gone: told to readers who had it, and the tombstone that a late report meets, for 30 days.
create table gone (
  session_id text primary key not null,
  user_id    text not null,
  bot_name   text,
  revision   integer not null,
  at         integer not null
) strict;
create index gone_user on gone (user_id, revision);
create index gone_at on gone (at);
-- Positions before the floor may have missed what was pruned from gone.
create table floor (one integer primary key check (one = 1), revision integer not null) strict;
insert into floor values (1, 0);

create trigger bot_sessions_gone after delete on bot_sessions begin
  update counter set revision = revision + 1;
  insert or replace into gone (session_id, user_id, bot_name, revision, at)
  select old.id, old.user_id, old.bot_name, revision, cast(unixepoch('subsec') * 1000 as integer) from counter;
end;

-- When the service last looked for leases that ran out: silence counts only while it could hear.
create table reaper (one integer primary key check (one = 1), ticked_at integer not null) strict;
