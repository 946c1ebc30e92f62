-- People, and what lets them and their bots in. Secrets are stored as SHA-256; they are random, so no salt is needed.
create table users (
  id            text primary key not null,
  name          text not null unique collate nocase,
  password_hash text,
  operator      integer not null default 0,
  created_at    integer not null
) strict;

create table tokens (
  id           text primary key not null,
  user_id      text not null references users (id) on delete cascade,
  name         text not null,
  scope        text not null check (scope in ('report', 'view', 'operate', 'embed')),
  secret_hash  text not null unique,
  created_at   integer not null,
  expires_at   integer,
  last_used_at integer,
  bot          text,
  session_id   text,
  origin       text
) strict;
create index tokens_user on tokens (user_id);

create table sign_ins (
  id          text primary key not null,
  user_id     text not null references users (id) on delete cascade,
  secret_hash text not null unique,
  created_at  integer not null,
  expires_at  integer not null
) strict;
create index sign_ins_user on sign_ins (user_id);

create table links (
  secret_hash text primary key not null,
  user_id     text not null references users (id) on delete cascade,
  expires_at  integer not null
) strict;
