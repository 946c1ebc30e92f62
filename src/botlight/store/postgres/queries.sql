-- Every statement about sessions of the PostgreSQL adapter. `-- name: what it does` opens one; {name} puts another one in
-- its place.

-- session_fields: The columns of a session document, in the order of rows.session_from.
s.id::text, s.user_id::text, s.bot_name, s.bot_version, s.platform, s.status, s.outcome, s.inferred, s.error_type,
s.error_message, s.activity, s.activity_details::text, floor(extract(epoch from s.activity_at) * 1000)::bigint,
(s.jobs_found * 1000000)::bigint, (s.jobs_applied * 1000000)::bigint, (s.jobs_failed * 1000000)::bigint,
(s.credits_used * 1000000)::bigint, s.counters::text, s.progress_done, s.progress_total,
floor(extract(epoch from s.progress_at) * 1000)::bigint, floor(extract(epoch from s.waiting_until) * 1000)::bigint,
s.waiting_reason, floor(extract(epoch from s.created_at) * 1000)::bigint,
floor(extract(epoch from s.started_at) * 1000)::bigint, floor(extract(epoch from s.last_heartbeat_at) * 1000)::bigint,
s.heartbeat_s, floor(extract(epoch from s.lease_expires_at) * 1000)::bigint,
floor(extract(epoch from s.stop_requested_at) * 1000)::bigint, s.stop_reason,
floor(extract(epoch from s.stop_delivered_at) * 1000)::bigint, floor(extract(epoch from s.stop_seen_at) * 1000)::bigint,
floor(extract(epoch from s.ended_at) * 1000)::bigint, s.instances, s.revision

-- writes: Rows of what is to be saved, a column each, in the order of rows.write_values; instants in milliseconds.
unnest($1::text[]::uuid[], $2::text[]::uuid[], $3::bigint[], $4::boolean[], $5::text[], $6::text[], $7::bigint[],
  $8::bigint[], $9::bigint[], $10::text[], $11::text[], $12::text[], $13::boolean[], $14::text[], $15::text[],
  $16::text[], $17::text[], $18::bigint[], $19::bigint[], $20::bigint[], $21::bigint[], $22::bigint[], $23::text[],
  $24::bigint[], $25::bigint[], $26::bigint[], $27::bigint[], $28::text[], $29::bigint[], $30::integer[], $31::bigint[],
  $32::bigint[], $33::text[], $34::bigint[], $35::bigint[], $36::integer[], $37::text[]::uuid[], $38::text[])
as u (id, user_id, before, moved, bot_name, status, started_at,
  ended_at, created_at, bot_version, platform, outcome, inferred, error_type, error_message,
  activity, activity_details, activity_at, jobs_found, jobs_applied, jobs_failed, credits_used, counters,
  progress_done, progress_total, progress_at, waiting_until, waiting_reason, last_heartbeat_at, heartbeat_s, lease_expires_at,
  stop_requested_at, stop_reason, stop_delivered_at, stop_seen_at, instances, instance_id, instance)

-- save: Save sessions that are as they were loaded; answers which were. What stands in an index is written only where it
-- changes, so that a heartbeat touches none.
update public.bot_sessions s set
  bot_name = case when u.moved then u.bot_name else s.bot_name end,
  status = case when u.moved then u.status else s.status end,
  started_at = case when u.moved then timestamptz 'epoch' + u.started_at * interval '1 ms' else s.started_at end,
  ended_at = case when u.moved then timestamptz 'epoch' + u.ended_at * interval '1 ms' else s.ended_at end,
  moved_xid = case when u.moved then pg_current_xact_id() else s.moved_xid end,
  revision = s.revision + 1, changed_xid = pg_current_xact_id(), updated_at = now(),
  bot_version = u.bot_version, platform = u.platform, outcome = u.outcome, inferred = u.inferred,
  error_type = u.error_type, error_message = u.error_message, activity = u.activity,
  activity_details = u.activity_details::jsonb,
  activity_at = timestamptz 'epoch' + u.activity_at * interval '1 ms',
  jobs_found = trim_scale(u.jobs_found * 0.000001), jobs_applied = trim_scale(u.jobs_applied * 0.000001),
  jobs_failed = trim_scale(u.jobs_failed * 0.000001), credits_used = trim_scale(u.credits_used * 0.000001),
  counters = u.counters::jsonb, progress_done = u.progress_done, progress_total = u.progress_total,
  progress_at = timestamptz 'epoch' + u.progress_at * interval '1 ms',
  waiting_until = timestamptz 'epoch' + u.waiting_until * interval '1 ms', waiting_reason = u.waiting_reason,
  last_heartbeat_at = timestamptz 'epoch' + u.last_heartbeat_at * interval '1 ms', heartbeat_s = u.heartbeat_s,
  lease_expires_at = timestamptz 'epoch' + u.lease_expires_at * interval '1 ms',
  stop_requested_at = timestamptz 'epoch' + u.stop_requested_at * interval '1 ms', stop_reason = u.stop_reason,
  stop_delivered_at = timestamptz 'epoch' + u.stop_delivered_at * interval '1 ms',
  stop_seen_at = timestamptz 'epoch' + u.stop_seen_at * interval '1 ms',
  instances = u.instances, instance_id = u.instance_id, instance = u.instance
from {writes}
where s.id = u.id and s.revision = u.before and s.user_id = u.user_id
returning s.id::text, s.revision

-- free: Those of a sorted list of sessions that nobody else is changing, kept so until the transaction ends.
select s.id::text from public.bot_sessions s where s.id = any($1::text[]::uuid[])
order by s.id for no key update skip locked

-- create: Save sessions that nobody knew; one that was deleted does not come back, which a trigger sees to.
insert into public.bot_sessions (
  id, user_id, bot_name, status, started_at, ended_at, created_at, bot_version, platform, outcome, inferred, error_type,
  error_message, activity, activity_details, activity_at, jobs_found, jobs_applied, jobs_failed, credits_used, counters,
  progress_done, progress_total, progress_at, waiting_until, waiting_reason, last_heartbeat_at, heartbeat_s,
  lease_expires_at, stop_requested_at, stop_reason, stop_delivered_at, stop_seen_at, instances, instance_id, instance,
  changed_xid)
select
  u.id, u.user_id, u.bot_name, u.status, timestamptz 'epoch' + u.started_at * interval '1 ms',
  timestamptz 'epoch' + u.ended_at * interval '1 ms', timestamptz 'epoch' + u.created_at * interval '1 ms',
  u.bot_version, u.platform, u.outcome, u.inferred, u.error_type, u.error_message, u.activity,
  u.activity_details::jsonb, timestamptz 'epoch' + u.activity_at * interval '1 ms',
  trim_scale(u.jobs_found * 0.000001), trim_scale(u.jobs_applied * 0.000001), trim_scale(u.jobs_failed * 0.000001),
  trim_scale(u.credits_used * 0.000001), u.counters::jsonb, u.progress_done, u.progress_total,
  timestamptz 'epoch' + u.progress_at * interval '1 ms', timestamptz 'epoch' + u.waiting_until * interval '1 ms',
  u.waiting_reason, timestamptz 'epoch' + u.last_heartbeat_at * interval '1 ms', u.heartbeat_s,
  timestamptz 'epoch' + u.lease_expires_at * interval '1 ms',
  timestamptz 'epoch' + u.stop_requested_at * interval '1 ms', u.stop_reason,
  timestamptz 'epoch' + u.stop_delivered_at * interval '1 ms', timestamptz 'epoch' + u.stop_seen_at * interval '1 ms',
  u.instances, u.instance_id, u.instance, pg_current_xact_id()
from {writes}
order by u.id
on conflict (id) do nothing
returning id::text, revision

-- lift_instances: Remove instances that became the newest main ones, which their sessions keep.
delete from botlight.bot_instances i
using unnest($1::text[]::uuid[], $2::text[]::uuid[]) as u (session_id, id)
where i.session_id = u.session_id and i.id = u.id

-- save_instances: Keep instances that are not their sessions' newest main ones.
insert into botlight.bot_instances (session_id, id, instance)
select u.session_id, u.id, u.instance
from unnest($1::text[]::uuid[], $2::text[]::uuid[], $3::text[]) as u (session_id, id, instance)
on conflict (session_id, id) do update set instance = excluded.instance

-- add_facts: Add entries to timelines, numbered on from the newest; answers the newest number of each timeline.
with told as (
  select u.* from unnest($1::text[]::uuid[], $2::integer[], $3::bigint[], $4::text[], $5::text[]::uuid[], $6::text[])
    as u (session_id, place, at, kind, instance_id, data)),
newest as materialized (
  select d.session_id, coalesce((select max(f.n) from botlight.facts f where f.session_id = d.session_id), 0) as n
  from (select distinct t.session_id from told t) d),
added as (
  insert into botlight.facts (session_id, n, at, kind, instance_id, data)
  select t.session_id, newest.n + t.place, timestamptz 'epoch' + t.at * interval '1 ms', t.kind, t.instance_id,
    t.data::jsonb
  from told t join newest on newest.session_id = t.session_id
  returning session_id, n)
select session_id::text, max(n) from added group by session_id

-- trim_facts: Drop the oldest entries of timelines, up to a number each.
delete from botlight.facts f using unnest($1::text[]::uuid[], $2::bigint[]) as u (session_id, n)
where f.session_id = u.session_id and f.n <= u.n

-- add_jobs: Add outcomes to proof lists, each once; answers the newest number of each list that got one.
with told as (
  select distinct on (u.session_id, u.key, u.outcome) u.*
  from unnest($1::text[]::uuid[], $2::integer[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
    $8::text[], $9::text[], $10::bigint[]) as u (session_id, place, at, key, outcome, title, company, url, reason, credits)
  where not exists (select from botlight.jobs j
    where j.session_id = u.session_id and j.key = u.key and j.outcome = u.outcome)
  order by u.session_id, u.key, u.outcome, u.place),
newest as materialized (
  select d.session_id, coalesce((select max(j.n) from botlight.jobs j where j.session_id = d.session_id), 0) as n
  from (select distinct t.session_id from told t) d),
added as (
  insert into botlight.jobs (session_id, n, at, key, outcome, title, company, url, reason, credits)
  select t.session_id, newest.n + row_number() over (partition by t.session_id order by t.place),
    timestamptz 'epoch' + t.at * interval '1 ms', t.key, t.outcome, t.title, t.company, t.url, t.reason,
    trim_scale(t.credits * 0.000001)
  from told t join newest on newest.session_id = t.session_id
  returning session_id, n)
select session_id::text, max(n) from added group by session_id

-- trim_jobs: Drop the oldest outcomes of proof lists, up to a number each.
delete from botlight.jobs j using unnest($1::text[]::uuid[], $2::bigint[]) as u (session_id, n)
where j.session_id = u.session_id and j.n <= u.n

-- states: Sessions among a list of ids, each with its newest main instance and all others, as of one moment.
select {session_fields}, s.instance_id::text, s.instance,
  array(select i.instance from botlight.bot_instances i where i.session_id = s.id)
from public.bot_sessions s where s.id = any($1::text[]::uuid[])

-- all_instances: The id of a session's newest main instance, that instance, and all others.
select s.instance_id::text, s.instance, array(select i.instance from botlight.bot_instances i where i.session_id = s.id)
from public.bot_sessions s where s.id = $1::text::uuid

-- tombstones: Deleted sessions among a list of ids. A tombstone counts only where the session does not exist.
select t.session_id::text from botlight.tombstones t
where t.session_id = any($1::text[]::uuid[])
  and not exists (select from public.bot_sessions s where s.id = t.session_id)

-- credentials: The tokens and sign-ins that there are among a list of ids.
select t.id from botlight.tokens t where t.id = any($1::text[])
union all select i.id from botlight.sign_ins i where i.id = any($1::text[])

-- running: How many sessions of people are running.
select s.user_id::text, count(*) from public.bot_sessions s
where s.user_id = any($1::text[]::uuid[])
  and (case s.status when 'running' then 0 when 'lost' then 1 else 2 end) = 0
group by s.user_id

-- delete_ended: Delete the ended sessions of a sorted list, of one person or (null) of anybody; a trigger notes what is gone.
with doomed as materialized (
  select s.id from public.bot_sessions s
  where s.id = any($1::text[]::uuid[]) and s.status not in ('running', 'lost')
    and ($2::text is null or s.user_id = $2::text::uuid)
  order by s.id for update)
delete from public.bot_sessions s using doomed d where s.id = d.id
returning s.id::text, s.user_id::text

-- listed: One group of a person's list from a place on, newest first.
select {session_fields} from public.bot_sessions s
where s.user_id = $1::text::uuid
  and (case s.status when 'running' then 0 when 'lost' then 1 else 2 end) = $2
  and coalesce(s.ended_at, s.started_at) >= timestamptz 'epoch' + $3::bigint * interval '1 microsecond'
  and coalesce(s.ended_at, s.started_at) <= timestamptz 'epoch' + $4::bigint * interval '1 microsecond'
  and (coalesce(s.ended_at, s.started_at) < timestamptz 'epoch' + $4::bigint * interval '1 microsecond'
    or s.id > $5::text::uuid)
  and ($6::text is null or s.bot_name = $6) and ($7::text is null or s.status = $7)
order by coalesce(s.ended_at, s.started_at) desc, s.id limit $8

-- listed_one: One session of a person's list.
select {session_fields} from public.bot_sessions s
where s.user_id = $1::text::uuid and s.id = $2::text::uuid
  and ($3::text is null or s.bot_name = $3) and ($4::text is null or s.status = $4)

-- place: Where in the list a session stands, to the microsecond.
select (extract(epoch from coalesce(s.ended_at, s.started_at)) * 1000000)::bigint
from public.bot_sessions s where s.id = $1::text::uuid

-- here: Of this moment: the epoch, the snapshot, how far the feed was pruned, and the database's clock.
select botlight.current_epoch()::text, pg_current_snapshot()::text, (select f.xid::text::numeric from botlight.floor f),
  (extract(epoch from clock_timestamp()) * 1000)::bigint

-- changed: Sessions of one group of a person's list that a snapshot did not see as they are.
select s.id::text from public.bot_sessions s
where s.user_id = $1::text::uuid
  and (case s.status when 'running' then 0 when 'lost' then 1 else 2 end) = $2
  and coalesce(s.ended_at, s.started_at) >= timestamptz 'epoch' + $3::bigint * interval '1 microsecond'
  and ($4::text is null or s.bot_name = $4)
  and not pg_visible_in_snapshot(s.changed_xid, $5::text::pg_snapshot)
order by coalesce(s.ended_at, s.started_at) desc, s.id limit $6

-- changed_one: A session of a person, if a snapshot did not see it as it is.
select s.id::text from public.bot_sessions s
where s.user_id = $1::text::uuid and s.id = $2::text::uuid and ($3::text is null or s.bot_name = $3)
  and not pg_visible_in_snapshot(s.changed_xid, $4::text::pg_snapshot)

-- left: Sessions that ended since a snapshot, longer ago than the list goes back.
select s.id::text from public.bot_sessions s
where s.user_id = $1::text::uuid and s.moved_xid >= pg_snapshot_xmin($2::text::pg_snapshot)
  and not pg_visible_in_snapshot(s.moved_xid, $2::text::pg_snapshot)
  and (case s.status when 'running' then 0 when 'lost' then 1 else 2 end) = 2
  and coalesce(s.ended_at, s.started_at) < timestamptz 'epoch' + $3::bigint * interval '1 microsecond'
  and ($4::text is null or s.bot_name = $4)
order by s.moved_xid limit $5

-- other_bots_moved: Whether a session that is not this bot's, and may have been, moved since a snapshot.
select exists (select from public.bot_sessions s
  where s.user_id = $1::text::uuid and s.moved_xid >= pg_snapshot_xmin($2::text::pg_snapshot)
    and not pg_visible_in_snapshot(s.moved_xid, $2::text::pg_snapshot) and s.bot_name is distinct from $3::text)

-- removed: What a person has no longer, and had when a snapshot was taken.
select distinct g.session_id::text from botlight.gone g
where g.user_id = $1::text::uuid and g.xid >= pg_snapshot_xmin($2::text::pg_snapshot)
  and not pg_visible_in_snapshot(g.xid, $2::text::pg_snapshot)
  and ($3::text is null or g.session_id = $3::text::uuid) and ($4::text is null or g.bot_name = $4)
  and not exists (select from public.bot_sessions s where s.id = g.session_id and s.user_id = g.user_id)
limit $5

-- shown: Sessions among a list of ids, in the order of every list.
select {session_fields} from public.bot_sessions s where s.id = any($1::text[]::uuid[])
order by (case s.status when 'running' then 0 when 'lost' then 1 else 2 end), coalesce(s.ended_at, s.started_at) desc, s.id

-- timeline: Facts above a number, oldest first.
select f.n, floor(extract(epoch from f.at) * 1000)::bigint, f.kind, f.instance_id::text, f.data::text
from botlight.facts f where f.session_id = $1::text::uuid and f.n > $2 order by f.n limit $3

-- jobs: Each job under its strongest outcome, oldest first; the alphabet happens to sort outcomes by strength.
select j.n, floor(extract(epoch from j.at) * 1000)::bigint, j.key, j.outcome, j.title, j.company, j.url, j.reason,
  (j.credits * 1000000)::bigint
from botlight.jobs j
where j.session_id = $1::text::uuid and j.n > $3 and ($2::text is null or j.outcome = $2)
  and not exists (select from botlight.jobs stronger where stronger.session_id = j.session_id
    and stronger.key = j.key and stronger.outcome < j.outcome)
order by j.n limit $4

-- news: What the feed holds that a snapshot did not see: ids of sessions, of those that are new, the transactions, and
-- people with what they may have lost.
select
  array(select distinct unnest(f.ids)::text from botlight.feed f
    where f.xid >= pg_snapshot_xmin($1::text::pg_snapshot) and not pg_visible_in_snapshot(f.xid, $1::text::pg_snapshot)
    limit $2),
  array(select distinct unnest(f.ids)::text from botlight.feed f
    where f.made and f.xid >= pg_snapshot_xmin($1::text::pg_snapshot)
      and not pg_visible_in_snapshot(f.xid, $1::text::pg_snapshot)
    limit $2),
  array(select distinct f.xid::xid::text from botlight.feed f
    where f.xid >= pg_snapshot_xmin($1::text::pg_snapshot) and not pg_visible_in_snapshot(f.xid, $1::text::pg_snapshot)),
  array(select g.user_id::text || g.session_id::text from botlight.gone g
    where g.xid >= pg_snapshot_xmin($1::text::pg_snapshot) and not pg_visible_in_snapshot(g.xid, $1::text::pg_snapshot)
    limit $2)

-- told: Sessions among a list of ids, as everybody who may see them is told: all, or those of people or some of them.
select {session_fields}, s.instance_id::text from public.bot_sessions s
where s.id = any($1::text[]::uuid[])
  and ($2::text[] is null or s.user_id = any($2::text[]::uuid[]) or s.id = any($3::text[]::uuid[]))

-- new_facts: The newest facts of sessions that were written by certain transactions, each above a number, oldest first.
select u.session_id::text, f.n, f.at, f.kind, f.instance_id, f.data
from unnest($1::text[]::uuid[], $2::bigint[]) as u (session_id, known)
cross join lateral (
  select f.n, floor(extract(epoch from f.at) * 1000)::bigint as at, f.kind, f.instance_id::text, f.data::text, f.xmin
  from botlight.facts f where f.session_id = u.session_id and f.n > u.known order by f.n desc limit 50) f
where f.xmin = any($3::text[]::xid[])
order by 1, f.n

-- expired: Open sessions whose lease ran out while the service could hear; lost ones when they are to be closed.
-- The service has heard for a full lease (model.liveness.lease_ms) or it says nothing about silence yet.
select s.id::text from public.bot_sessions s
where s.status in ('running', 'lost') and s.id >= $3::text::uuid
  and coalesce(s.lease_expires_at, s.created_at)
    <= timestamptz 'epoch' + ($1::bigint - case s.status when 'lost' then $5::bigint else 0 end) * interval '1 ms'
  and greatest(60000, 3000::bigint * s.heartbeat_s) <= $1 - $2::bigint
order by s.id limit $4

-- tick: Note that the reaper looks, if it is this one's turn: nobody did yet, this one did last, or who did is late.
with last as (select r.ticked_at from botlight.reaper r),
ticked as (
  insert into botlight.reaper as r (one, ticked_at) values (true, timestamptz 'epoch' + $1::bigint * interval '1 ms')
  on conflict (one) do update set ticked_at = greatest(r.ticked_at, excluded.ticked_at)
  where r.ticked_at = timestamptz 'epoch' + $2::bigint * interval '1 ms'
    or r.ticked_at < excluded.ticked_at - $3::bigint * interval '1 ms'
  returning ticked_at)
select (select floor(extract(epoch from l.ticked_at) * 1000)::bigint from last l),
  (select floor(extract(epoch from t.ticked_at) * 1000)::bigint from ticked t)

-- prunable: Sessions that ended before an instant, oldest first.
select s.id::text from public.bot_sessions s
where s.ended_at < timestamptz 'epoch' + $1::bigint * interval '1 ms' and s.status not in ('running', 'lost')
order by s.ended_at limit $2

-- forget: Drop tombstones older than an instant.
delete from botlight.tombstones t where t.deleted_at < timestamptz 'epoch' + $1::bigint * interval '1 ms'

-- open_epoch: Make sure that positions mean something.
select botlight.open_epoch()

-- prune_feed: Drop what no reader needs any more.
select botlight.prune_feed()
