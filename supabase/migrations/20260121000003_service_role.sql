-- The role as which Botlight works: it owns nothing, bypasses no policy, and has what its work needs. Botlight logs in with
-- any address whose role may take this one (and `authenticated`, as which it reads for a person) and takes it with SET ROLE.
do $$
begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'botlight_service') then
    begin
      create role botlight_service nologin noinherit;
    exception when insufficient_privilege then
      raise exception 'the role botlight_service is missing, and % may not create it', current_user
        using hint = 'On plain PostgreSQL apply plain_postgres.sql first, as a superuser.';
    end;
  end if;
  if not exists (select from pg_catalog.pg_auth_members m where m.roleid = 'botlight_service'::pg_catalog.regrole
                 and m.member = current_user::pg_catalog.regrole and not m.admin_option)
     and not (select rolsuper from pg_catalog.pg_roles where rolname = current_user) then
    execute format('grant botlight_service to %I', current_user);
  end if;
end $$;

grant usage on schema public, botlight to botlight_service;
grant select, insert, update, delete on table public.bot_sessions, botlight.bot_instances, botlight.facts, botlight.jobs
  to botlight_service;
grant select on table botlight.feed, botlight.gone, botlight.mark, botlight.floor to botlight_service;
grant select, delete on table botlight.tombstones to botlight_service;
grant select, insert, update on table botlight.reaper to botlight_service;
grant select, insert, update, delete on table botlight.users, botlight.tokens, botlight.sign_ins, botlight.links
  to botlight_service;
grant execute on function botlight.current_epoch(), botlight.open_epoch(), botlight.prune_feed(interval) to botlight_service;

-- It serves everybody: whose rows it hands to whom is its own affair, and reading for a person it is `authenticated`.
drop policy if exists bot_sessions_service on public.bot_sessions;
create policy bot_sessions_service on public.bot_sessions to botlight_service using (true) with check (true);
drop policy if exists bot_instances_service on botlight.bot_instances;
create policy bot_instances_service on botlight.bot_instances to botlight_service using (true) with check (true);
drop policy if exists facts_service on botlight.facts;
create policy facts_service on botlight.facts to botlight_service using (true) with check (true);
drop policy if exists jobs_service on botlight.jobs;
create policy jobs_service on botlight.jobs to botlight_service using (true) with check (true);
