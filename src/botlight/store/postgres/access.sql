-- Every statement about people and what lets them in. `-- name: what it does` opens one; {name} puts another one in its place.

-- user_fields: The columns of a user, in the order of access._user. On Supabase there is no row: the id stands for the name.
owner.id::text, coalesce(u.name, owner.id::text), u.password_hash, coalesce(u.operator, false),
coalesce(floor(extract(epoch from u.created_at) * 1000)::bigint, 0)

-- token_fields: The columns of a token, in the order of access._token.
t.id, t.user_id::text, t.name, t.scope, floor(extract(epoch from t.created_at) * 1000)::bigint,
floor(extract(epoch from t.expires_at) * 1000)::bigint, floor(extract(epoch from t.last_used_at) * 1000)::bigint,
t.bot, t.session_id::text, t.origin

-- users: Everybody, oldest first.
select {user_fields} from botlight.users u, lateral (select u.id) as owner order by u.created_at, lower(u.name)

-- user_named: A person by name, whatever the case.
select {user_fields} from botlight.users u, lateral (select u.id) as owner where lower(u.name) = lower($1)

-- may_look: Whether the login of a command may read who the people of a Supabase project are.
select has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'auth' and c.relname = 'users'

-- supabase_user: A person of a Supabase project by id or e-mail; only the login of a command may ask.
select id::text from auth.users where id = $1::text::uuid or lower(email) = lower($2) limit 1

-- add_identity: What the other tables refer to.
insert into auth.users (id) values ($1::text::uuid)

-- add_user: Add a person, unless the name is taken.
insert into botlight.users (id, name, password_hash, operator, created_at)
values ($1::text::uuid, $2, $3, $4, timestamptz 'epoch' + $5::bigint * interval '1 ms')
on conflict ((lower(name))) do nothing returning 1

-- settle_identity: What the other tables refer to, of a person from elsewhere.
insert into auth.users (id) values ($1::text::uuid) on conflict (id) do nothing

-- settle: Keep a person from elsewhere: the id is the name.
insert into botlight.users (id, name, created_at)
values ($1::text::uuid, $1, timestamptz 'epoch' + $2::bigint * interval '1 ms') on conflict do nothing

-- set_password: Set a person's password.
update botlight.users set password_hash = $2 where id = $1::text::uuid

-- end_sign_ins: End every sign-in of a person.
delete from botlight.sign_ins where user_id = $1::text::uuid

-- find_token: The token with this secret, and whose it is.
select {user_fields}, {token_fields}
from botlight.tokens t left join botlight.users u on u.id = t.user_id, lateral (select t.user_id as id) as owner
where t.secret_hash = $1

-- find_sign_in: The sign-in with this secret, and whose it is.
select {user_fields}, i.id, floor(extract(epoch from i.expires_at) * 1000)::bigint
from botlight.sign_ins i left join botlight.users u on u.id = i.user_id, lateral (select i.user_id as id) as owner
where i.secret_hash = $1

-- valid: Those among a list of tokens and sign-ins that are there and have not expired.
select id from botlight.tokens
where id = any ($1::text[]) and (expires_at is null or expires_at > timestamptz 'epoch' + $2::bigint * interval '1 ms')
union all
select id from botlight.sign_ins
where id = any ($1::text[]) and expires_at > timestamptz 'epoch' + $2::bigint * interval '1 ms'

-- tokens: A person's tokens, newest first.
select {token_fields} from botlight.tokens t where t.user_id = $1::text::uuid order by t.created_at desc, t.id desc

-- add_token: Keep a new token.
insert into botlight.tokens
  (id, user_id, name, scope, created_at, expires_at, last_used_at, bot, session_id, origin, secret_hash)
values ($1, $2::text::uuid, $3, $4, timestamptz 'epoch' + $5::bigint * interval '1 ms',
  timestamptz 'epoch' + $6::bigint * interval '1 ms', timestamptz 'epoch' + $7::bigint * interval '1 ms',
  $8, $9::text::uuid, $10, $11)

-- revoke: Remove a person's token.
delete from botlight.tokens where user_id = $1::text::uuid and id = $2 returning 1

-- used: Note when tokens were used; never an earlier time than known. Sorted, since several servers do this at once.
update botlight.tokens t set last_used_at = timestamptz 'epoch' + $2::bigint * interval '1 ms'
from (select id from botlight.tokens where id = any ($1::text[]) order by id for no key update) as locked
where t.id = locked.id
  and (t.last_used_at is null or t.last_used_at < timestamptz 'epoch' + $2::bigint * interval '1 ms')

-- embed_origins: The origins that embed tokens name.
select distinct origin from botlight.tokens where scope = 'embed' and origin is not null

-- drop_sign_ins: Drop the sign-ins that have expired, but those that somebody else is dropping.
delete from botlight.sign_ins where id in (
  select id from botlight.sign_ins where expires_at <= timestamptz 'epoch' + $1::bigint * interval '1 ms'
  for update skip locked)

-- add_sign_in: Keep a new sign-in.
insert into botlight.sign_ins (id, user_id, secret_hash, created_at, expires_at)
values ($1, $2::text::uuid, $3, timestamptz 'epoch' + $4::bigint * interval '1 ms',
  timestamptz 'epoch' + $5::bigint * interval '1 ms')

-- sign_out: End one sign-in.
delete from botlight.sign_ins where id = $1

-- drop_links: Drop the links that expired before an instant, but those that somebody else is dropping.
delete from botlight.links where secret_hash in (
  select secret_hash from botlight.links where expires_at < timestamptz 'epoch' + $1::bigint * interval '1 ms'
  for update skip locked)

-- add_link: Keep a one-time link.
insert into botlight.links (secret_hash, user_id, expires_at)
values ($1, $2::text::uuid, timestamptz 'epoch' + $3::bigint * interval '1 ms')

-- take_link: Consume a one-time link.
delete from botlight.links where secret_hash = $1
returning user_id::text, floor(extract(epoch from expires_at) * 1000)::bigint

-- user: A person by id.
select {user_fields} from (select $1::text::uuid as id) as owner left join botlight.users u on u.id = owner.id
