-- What `botlight copy` reads from a SQLite store and writes to PostgreSQL. `-- name: what it does` opens a statement.

-- source_sessions: How many sessions there are.
select count(*) from bot_sessions

-- source_ids: Sessions above an id.
select id from bot_sessions where id > ?1 order by id limit ?2

-- source_facts: The timelines of sessions among a JSON list of ids.
select session_id, n, at, kind, instance_id, data from facts where session_id in (select value from json_each(?1))

-- source_jobs: The proof lists of sessions among a JSON list of ids.
select session_id, n, at, key, outcome, title, company, url, reason, credits from jobs
where session_id in (select value from json_each(?1))

-- source_users: Everybody, oldest first.
select id, name, password_hash, operator, created_at from users order by created_at, rowid

-- source_tokens: Every token.
select id, user_id, name, scope, secret_hash, created_at, expires_at, last_used_at, bot, session_id, origin from tokens

-- source_sign_ins: Every sign-in.
select id, user_id, secret_hash, created_at, expires_at from sign_ins

-- source_graves: What was deleted.
select session_id, user_id, bot_name, revision, at from gone

-- may_write: Whether the login may write what only the owner may.
select has_table_privilege('botlight.tombstones', 'insert') and has_table_privilege('public.bot_sessions', 'insert')

-- person: The id of a person by name, or on Supabase by id or e-mail.
select id::text from botlight.users where lower(name) = lower($1)

-- supabase_person: The id of a person of a Supabase project, by id or e-mail.
select id::text from auth.users where id::text = lower($1) or lower(email) = lower($1)

-- put_identity: What the other tables refer to.
insert into auth.users (id) values ($1::text::uuid) on conflict (id) do nothing

-- put_user: A person.
insert into botlight.users (id, name, password_hash, operator, created_at)
values ($1::text::uuid, $2, $3, $4, timestamptz 'epoch' + $5::bigint * interval '1 ms') on conflict (id) do nothing

-- put_tokens: Tokens that are not there yet.
insert into botlight.tokens
  (id, user_id, name, scope, secret_hash, created_at, expires_at, last_used_at, bot, session_id, origin)
select u.id, u.user_id, u.name, u.scope, u.secret_hash, timestamptz 'epoch' + u.created_at * interval '1 ms',
  timestamptz 'epoch' + u.expires_at * interval '1 ms', timestamptz 'epoch' + u.last_used_at * interval '1 ms',
  u.bot, u.session_id, u.origin
from unnest($1::text[], $2::text[]::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
  $8::bigint[], $9::text[], $10::text[]::uuid[], $11::text[])
  as u (id, user_id, name, scope, secret_hash, created_at, expires_at, last_used_at, bot, session_id, origin)
on conflict (id) do nothing

-- put_sign_ins: Sign-ins that are not there yet.
insert into botlight.sign_ins (id, user_id, secret_hash, created_at, expires_at)
select u.id, u.user_id, u.secret_hash, timestamptz 'epoch' + u.created_at * interval '1 ms',
  timestamptz 'epoch' + u.expires_at * interval '1 ms'
from unnest($1::text[], $2::text[]::uuid[], $3::text[], $4::bigint[], $5::bigint[])
  as u (id, user_id, secret_hash, created_at, expires_at)
on conflict (id) do nothing

-- put_graves: Tombstones of sessions that are not there.
insert into botlight.tombstones (session_id, user_id, bot_name, revision, deleted_at)
select u.session_id, u.user_id, u.bot_name, u.revision, timestamptz 'epoch' + u.at * interval '1 ms'
from unnest($1::text[]::uuid[], $2::text[]::uuid[], $3::text[], $4::bigint[], $5::bigint[])
  as u (session_id, user_id, bot_name, revision, at)
where not exists (select from public.bot_sessions s where s.id = u.session_id)
on conflict (session_id) do nothing

-- put_facts: Entries of timelines, under their numbers.
insert into botlight.facts (session_id, n, at, kind, instance_id, data)
select u.session_id, u.n, timestamptz 'epoch' + u.at * interval '1 ms', u.kind, u.instance_id, u.data::jsonb
from unnest($1::text[]::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::text[]::uuid[], $6::text[])
  as u (session_id, n, at, kind, instance_id, data)

-- put_jobs: Outcomes of proof lists, under their numbers.
insert into botlight.jobs (session_id, n, at, key, outcome, title, company, url, reason, credits)
select u.session_id, u.n, timestamptz 'epoch' + u.at * interval '1 ms', u.key, u.outcome, u.title, u.company, u.url,
  u.reason, trim_scale(u.credits * 0.000001)
from unnest($1::text[]::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
  $9::text[], $10::bigint[]) as u (session_id, n, at, key, outcome, title, company, url, reason, credits)

-- known: Those of a list of sessions that are there, and those that were deleted there.
select s.id::text, true from public.bot_sessions s where s.id = any ($1::text[]::uuid[])
union all
select t.session_id::text, false from botlight.tombstones t
where t.session_id = any ($1::text[]::uuid[])
  and not exists (select from public.bot_sessions s where s.id = t.session_id)

-- counted: What there is of each of a list of sessions: instances, facts, jobs, and the sum of its four counters.
select s.id::text,
  (select count(*) from botlight.bot_instances i where i.session_id = s.id) + (s.instance is not null)::integer,
  (select count(*) from botlight.facts f where f.session_id = s.id),
  (select count(*) from botlight.jobs j where j.session_id = s.id),
  ((s.jobs_found + s.jobs_applied + s.jobs_failed + s.credits_used) * 1000000)::bigint
from public.bot_sessions s where s.id = any ($1::text[]::uuid[])

-- there: How many of a list of tokens and sign-ins are there.
select (select count(*) from botlight.tokens where id = any ($1::text[]))
  + (select count(*) from botlight.sign_ins where id = any ($1::text[]))

-- met: When sessions that are there were last heard, and their timelines; nobody changes them until the end.
select s.id::text, coalesce(floor(extract(epoch from s.last_heartbeat_at) * 1000)::bigint, 0),
  array(select f.n from botlight.facts f where f.session_id = s.id order by f.n),
  array(select floor(extract(epoch from f.at) * 1000)::bigint from botlight.facts f where f.session_id = s.id order by f.n),
  array(select f.kind from botlight.facts f where f.session_id = s.id order by f.n)
from public.bot_sessions s where s.id = any ($1::text[]::uuid[]) order by s.id for update

-- drop_sessions: Remove sessions that are about to be brought again.
delete from public.bot_sessions where id = any ($1::text[]::uuid[])

-- drop_graves: Remove the tombstones that this left.
delete from botlight.tombstones where session_id = any ($1::text[]::uuid[])
