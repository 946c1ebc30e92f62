-- What lets people and their bots in. Secrets are kept as SHA-256; they are random, so no salt is needed.
-- On Supabase people are Supabase's: `users` stays empty there, and the other tables name ids of auth.users. What a deleted
-- person had goes with them.

-- What Botlight knows of its people where nobody else manages them: name, password, who runs the service.
create table if not exists botlight.users (
  id            uuid primary key references auth.users (id) on delete cascade,
  name          text not null constraint name_of_1_to_64_characters check (char_length(name) between 1 and 64),
  password_hash text,
  operator      boolean not null default false,
  created_at    timestamptz not null default now()
);
create unique index if not exists users_name on botlight.users (lower(name));

create table if not exists botlight.tokens (
  id           text primary key,
  user_id      uuid not null references auth.users (id) on delete cascade,
  name         text not null,
  scope        text not null constraint scope_is_known check (scope in ('report', 'view', 'operate', 'embed')),
  secret_hash  text not null unique,
  created_at   timestamptz not null,
  expires_at   timestamptz,
  last_used_at timestamptz,
  bot          text,
  session_id   uuid, -- of an embed token: no reference, it may name a session that is deleted
  origin       text
);
create index if not exists tokens_user on botlight.tokens (user_id);

create table if not exists botlight.sign_ins (
  id          text primary key,
  user_id     uuid not null references auth.users (id) on delete cascade,
  secret_hash text not null unique,
  created_at  timestamptz not null,
  expires_at  timestamptz not null
);
create index if not exists sign_ins_user on botlight.sign_ins (user_id);

create table if not exists botlight.links (
  secret_hash text primary key,
  user_id     uuid not null references auth.users (id) on delete cascade,
  expires_at  timestamptz not null
);
create index if not exists links_user on botlight.links (user_id);

revoke all on table botlight.users, botlight.tokens, botlight.sign_ins, botlight.links
  from public, anon, authenticated, service_role;
