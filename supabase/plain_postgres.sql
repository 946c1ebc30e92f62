-- What a Supabase project has and plain PostgreSQL lacks: the roles, auth.users, auth.uid(), the publication.
-- For plain PostgreSQL 15 and newer, before the migrations, by a superuser, in the database that Botlight shall use. It may
-- run again at any time. It refuses to run on Supabase, where all of this belongs to Supabase.
--
-- The migrations are then applied by the database's owner, who need not be a superuser:
--   create role botlight login;  create database botlight owner botlight;
do $$
begin
  if exists (select from pg_catalog.pg_roles where rolname = 'supabase_admin') then
    raise exception 'this is a Supabase database: plain_postgres.sql must not be applied here';
  end if;
end $$;

do $$
declare wanted record;
begin
  for wanted in
    select * from (values
      ('anon', 'nologin noinherit'),                    -- nobody in particular
      ('authenticated', 'nologin noinherit'),           -- a person; which one, the claims say
      ('service_role', 'nologin noinherit bypassrls'),  -- a trusted program that is not Botlight
      ('botlight_service', 'nologin noinherit')         -- Botlight itself
    ) as roles (name, attributes)
  loop
    if not exists (select from pg_catalog.pg_roles where rolname = wanted.name) then
      execute format('create role %I %s', wanted.name, wanted.attributes);
    end if;
  end loop;
end $$;

create schema if not exists auth;
create table if not exists auth.users (
  id         uuid primary key default gen_random_uuid(),
  email      text unique,
  created_at timestamptz not null default now()
);

-- A setting that was used once in a connection is '' and not null afterwards: hence each nullif.
create or replace function auth.jwt() returns jsonb language sql stable set search_path = '' as
$$ select coalesce(nullif(current_setting('request.jwt.claims', true), ''), '{}')::jsonb $$;

create or replace function auth.uid() returns uuid language sql stable set search_path = '' as
$$ select nullif(coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''), auth.jwt() ->> 'sub'), '')::uuid $$;

create or replace function auth.role() returns text language sql stable set search_path = '' as
$$ select coalesce(nullif(current_setting('request.jwt.claim.role', true), ''), auth.jwt() ->> 'role') $$;

revoke all on auth.users from public, anon, authenticated, service_role;
revoke all on function auth.jwt(), auth.uid(), auth.role() from public;
grant usage on schema auth to anon, authenticated, service_role, botlight_service;
grant execute on function auth.jwt(), auth.uid(), auth.role() to anon, authenticated, service_role, botlight_service;
-- Here people are Botlight's own; on Supabase they are Supabase's.
grant select, insert, delete on auth.users to botlight_service;
grant usage on schema public to anon, authenticated, service_role, botlight_service;

do $$
declare
  owner name := (select datdba::pg_catalog.regrole::text from pg_catalog.pg_database where datname = current_database());
  told text := current_setting('client_min_messages');
begin
  -- That nothing is replicated with this wal_level, or that somebody is a member already, concerns nobody here.
  perform set_config('client_min_messages', 'error', true);
  if not exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime') then
    create publication supabase_realtime;
  end if;
  execute format('alter publication supabase_realtime owner to %s', owner);
  execute format('grant usage on schema auth to %s', owner);
  execute format('grant select, insert, delete, references on auth.users to %s', owner);
  execute format('grant execute on function auth.jwt(), auth.uid(), auth.role() to %s', owner);
  -- The service logs in as somebody and speaks as one of these.
  execute format('grant anon, authenticated, botlight_service to %s', owner);
  perform set_config('client_min_messages', told, true);
end $$;
