-- Every statement of the SQLite adapter. `-- name: what it does` opens one; {name} puts another one in its place.

-- session_fields: The columns of a session, in the order of rows.session_from.
id, user_id, bot_name, bot_version, platform, status, outcome, inferred, error_type, error_message,
activity, activity_details, activity_at, jobs_found, jobs_applied, jobs_failed, credits_used, counters,
progress_done, progress_total, progress_at, waiting_until, waiting_reason, created_at, started_at,
last_heartbeat_at, heartbeat_s, lease_expires_at, stop_requested_at, stop_reason, stop_delivered_at, stop_seen_at,
ended_at, instances, revision, instance_id

-- live_fields: What a heartbeat may change, in the order of rows.live_values; no column of it is in an index.
bot_version = said.column1, platform = said.column2, outcome = said.column3, inferred = said.column4,
error_type = said.column5, error_message = said.column6, activity = said.column7,
activity_details = said.column8, activity_at = said.column9, jobs_found = said.column10,
jobs_applied = said.column11, jobs_failed = said.column12, credits_used = said.column13,
counters = said.column14, progress_done = said.column15, progress_total = said.column16,
progress_at = said.column17, waiting_until = said.column18, waiting_reason = said.column19,
last_heartbeat_at = said.column20, heartbeat_s = said.column21, lease_expires_at = said.column22,
stop_requested_at = said.column23, stop_reason = said.column24, stop_delivered_at = said.column25,
stop_seen_at = said.column26, instances = said.column27, instance_id = said.column28, instance = said.column29,
revision = said.column30

-- touch: Save sessions that only live on, if they are as they were loaded; no index is rewritten.
update bot_sessions set {live_fields}
from (values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)) as said
where id = said.column31 and revision = said.column32

-- move: Save sessions that began, ended, came back or got a name, if they are as they were loaded.
update bot_sessions set {live_fields}, bot_name = said.column33, status = said.column34,
  started_at = said.column35, ended_at = said.column36, moved_revision = said.column30
from (values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)) as said
where id = said.column31 and revision = said.column32

-- create: Save sessions that nobody knew; one that was deleted does not come back.
insert into bot_sessions (
  bot_version, platform, outcome, inferred, error_type, error_message, activity, activity_details, activity_at,
  jobs_found, jobs_applied, jobs_failed, credits_used, counters,
  progress_done, progress_total, progress_at, waiting_until, waiting_reason,
  last_heartbeat_at, heartbeat_s, lease_expires_at, stop_requested_at, stop_reason, stop_delivered_at, stop_seen_at,
  instances, instance_id, instance, revision,
  id, user_id, created_at, bot_name, status, started_at, ended_at, moved_revision)
select said.*, said.column30 from (values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)) as said
where said.column31 is not null and not exists (select 1 from gone where session_id = said.column31)
on conflict (id) do nothing

-- saved: Sessions among a JSON list of ids that were given a revision above one.
select id from bot_sessions where id in (select value from json_each(?1)) and revision > ?2

-- save_instances: Keep instances that are not their sessions' newest main ones.
insert into bot_instances (session_id, id, instance)
select * from (values (?, ?, ?)) as said where said.column1 is not null
on conflict (session_id, id) do update set instance = excluded.instance

-- lift_instances: Remove instances that became the newest main ones, which their sessions keep.
delete from bot_instances where (session_id, id) in (values (?, ?))

-- last_facts: The numbers of the newest facts of sessions among a JSON list of ids, as a JSON object.
select json_group_object(id.value, (select coalesce(max(n), 0) from facts where session_id = id.value))
from json_each(?1) as id

-- add_facts: Add entries to timelines.
insert into facts (session_id, n, at, kind, instance_id, data)
select * from (values (?, ?, ?, ?, ?, ?)) as said where said.column1 is not null

-- trim_facts: Drop the oldest entries of a timeline, up to a number.
delete from facts where session_id = ?1 and n <= ?2

-- last_job: The number of a session's newest job outcome.
select coalesce(max(n), 0) from jobs where session_id = ?1

-- add_job: Add one outcome to a proof list, once.
insert into jobs (session_id, n, at, key, outcome, title, company, url, reason, credits)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
on conflict (session_id, key, outcome) do nothing

-- trim_jobs: Drop the oldest outcomes of a proof list, up to a number.
delete from jobs where session_id = ?1 and n <= ?2

-- counter: The revision that was given last.
select revision from counter

-- news: The revision that was given last, and a number that changes when another process writes to the file.
select revision, data_version from counter, pragma_data_version

-- count: Note the revision that was given last.
update counter set revision = ?1

-- gone_between: Sessions deleted within a span of revisions.
select session_id, user_id from gone where revision > ?1 and revision <= ?2 order by revision

-- states: Sessions among a JSON list of ids, each with its newest main instance.
select {session_fields}, instance from bot_sessions where id in (select value from json_each(?1))

-- other_instances: The instances, but the newest main ones, of sessions among a JSON list of ids.
select session_id, instance from bot_instances where session_id in (select value from json_each(?1))

-- tombstones: Deleted sessions among a JSON list of ids.
select session_id from gone where session_id in (select value from json_each(?1))

-- running: How many sessions of a person are running.
select count(*) from bot_sessions where user_id = ?1 and list_group = 0

-- delete_ended: Delete the ended sessions among a JSON list of ids, of one person or (null) of anybody; a trigger notes what is gone.
delete from bot_sessions
where id in (select value from json_each(?1)) and status not in ('running', 'lost') and (?2 is null or user_id = ?2)
returning id, user_id

-- listed: One group of a person's list from a place on, newest first.
select {session_fields} from bot_sessions
where user_id = :user and list_group = :group and list_at between :at_least and :at_most
  and (list_at < :at_most or id > :after_id)
  and (:bot is null or bot_name = :bot) and (:status is null or status = :status)
  and revision > :since
order by list_at desc, id limit :limit

-- listed_one: One session of a person's list.
select {session_fields} from bot_sessions
where id = :id and user_id = :user and revision > :since
  and (:bot is null or bot_name = :bot) and (:status is null or status = :status)

-- left: Sessions that ended since a revision, longer ago than the list goes back.
select {session_fields} from bot_sessions
where user_id = :user and moved_revision > :since and list_group = 2 and list_at < :at_least
  and (:bot is null or bot_name = :bot)
order by moved_revision limit :limit

-- other_bots_moved: Whether a session that is not this bot's, and may have been, moved since a revision.
select 1 from bot_sessions
where user_id = :user and moved_revision > :since and (bot_name is null or bot_name <> :bot) limit 1

-- removed: A person's sessions deleted since a revision.
select session_id, user_id from gone
where user_id = :user and revision > :since
  and (:id is null or session_id = :id) and (:bot is null or bot_name = :bot)
order by revision limit :limit

-- timeline: Facts above a number, oldest first.
select n, at, kind, instance_id, data from facts where session_id = ?1 and n > ?2
  and exists (select 1 from bot_sessions where id = ?1 and user_id = ?4)
order by n limit ?3

-- jobs: Each job under its strongest outcome, oldest first; the alphabet happens to sort outcomes by strength.
select n, at, key, outcome, title, company, url, reason, credits from jobs
where session_id = :id and n > :after and (:outcome is null or outcome = :outcome)
  and exists (select 1 from bot_sessions where id = :id and user_id = :user)
  and not exists (select 1 from jobs stronger where stronger.session_id = jobs.session_id
    and stronger.key = jobs.key and stronger.outcome < jobs.outcome)
order by n limit :limit

-- expired: Open sessions whose lease ran out while the service could hear; lost ones when they are to be closed.
-- The service has heard for a full lease (model.liveness.lease_ms) or it says nothing about silence yet.
select id from bot_sessions
where status in ('running', 'lost') and id > :after
  and coalesce(lease_expires_at, created_at) <= :now - iif(status = 'lost', :closed_after, 0)
  and max(60000, 3000 * heartbeat_s) <= :now - :hearing_since
order by id limit :limit

-- last_tick: When the reaper looked last.
select ticked_at from reaper

-- tick: Note that the reaper looks; a clock that was set back takes nothing back.
insert into reaper (one, ticked_at) values (1, ?1)
on conflict (one) do update set ticked_at = max(ticked_at, excluded.ticked_at)

-- prunable: Sessions that ended before an instant, oldest first.
select id from bot_sessions where ended_at < ?1 and status not in ('running', 'lost') order by ended_at limit ?2

-- raise_floor: Positions that may have missed a tombstone which is dropped next get the whole list.
update floor set revision = max(revision, (select coalesce(max(revision), 0) from gone where at < ?1))

-- forget: Drop tombstones older than an instant.
delete from gone where at < ?1

-- floor: The oldest revision whose successors are all known.
select revision from floor

-- open_boot: Begin a life of this file; its revisions follow all that were given before.
insert into boots (boot, first_revision, at)
select ?1, revision + 1, cast(unixepoch('subsec') * 1000 as integer) from counter

-- trim_boots: Keep the newest lives; a position of an older one gets the whole list.
delete from boots where rowid <= (select max(rowid) from boots) - ?1

-- last_boot: The newest life of this file.
select boot from boots order by rowid desc limit 1

-- span: The revisions that positions of a life may name; without end while it goes on.
select first_revision - 1, (select min(later.first_revision) - 1 from boots later where later.rowid > boots.rowid)
from boots where boot = ?1

-- user_fields: The columns of a user, in the order of rows.user_from.
users.id, users.name, users.password_hash, users.operator, users.created_at

-- token_fields: The columns of a token, in the order of rows.token_from.
tokens.id, tokens.user_id, tokens.name, tokens.scope, tokens.created_at, tokens.expires_at, tokens.last_used_at,
tokens.bot, tokens.session_id, tokens.origin

-- users: Everybody, oldest first.
select {user_fields} from users order by created_at, rowid

-- user_named: A person by name, whatever the case.
select {user_fields} from users where name = ?1

-- add_user: Add a person, unless the name is taken.
insert into users (id, name, password_hash, operator, created_at) values (?1, ?2, ?3, ?4, ?5)
on conflict (name) do nothing returning id

-- settle: Keep a person from elsewhere: the id is the name.
insert into users (id, name, password_hash, operator, created_at) values (?1, ?1, null, 0, ?2) on conflict do nothing

-- set_password: Set a person's password.
update users set password_hash = ?2 where id = ?1

-- end_sign_ins: End every sign-in of a person.
delete from sign_ins where user_id = ?1

-- find_token: The token with this secret, and whose it is.
select {user_fields}, {token_fields} from tokens join users on users.id = tokens.user_id where secret_hash = ?1

-- find_sign_in: The sign-in with this secret, and whose it is.
select {user_fields}, sign_ins.id, sign_ins.expires_at
from sign_ins join users on users.id = sign_ins.user_id where secret_hash = ?1

-- credentials: The tokens and sign-ins that there are among a JSON list of ids, and when they expire.
select id, expires_at from tokens where id in (select value from json_each(?1))
union all select id, expires_at from sign_ins where id in (select value from json_each(?1))

-- tokens: A person's tokens, newest first.
select {token_fields} from tokens where user_id = ?1 order by created_at desc, rowid desc

-- add_token: Keep a new token.
insert into tokens (id, user_id, name, scope, created_at, expires_at, last_used_at, bot, session_id, origin, secret_hash)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)

-- revoke: Remove a person's token.
delete from tokens where user_id = ?1 and id = ?2 returning id

-- used: Note when tokens were used; never an earlier time than known.
update tokens set last_used_at = ?2
where id in (select value from json_each(?1)) and coalesce(last_used_at, 0) < ?2

-- embed_origins: The origins that embed tokens name.
select distinct origin from tokens where scope = 'embed' and origin is not null

-- drop_sign_ins: Drop the sign-ins that have expired.
delete from sign_ins where expires_at <= ?1

-- add_sign_in: Keep a new sign-in.
insert into sign_ins (id, user_id, secret_hash, created_at, expires_at) values (?1, ?2, ?3, ?4, ?5)

-- sign_out: End one sign-in.
delete from sign_ins where id = ?1

-- drop_links: Drop the links that expired before an instant.
delete from links where expires_at < ?1

-- add_link: Keep a one-time link.
insert into links (secret_hash, user_id, expires_at) values (?1, ?2, ?3)

-- take_link: Consume a one-time link.
delete from links where secret_hash = ?1 returning user_id, expires_at

-- user: A person by id.
select {user_fields} from users where id = ?1
