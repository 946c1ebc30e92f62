-- Which of these files have been applied, for a Botlight that wants to know whether it fits. The newest file says its own
-- number, so each later one defines this function again.
create or replace function botlight.schema_version() returns bigint language sql immutable set search_path = '' as
$$ select 20260121000004 $$;
revoke all on function botlight.schema_version() from public, anon, authenticated, service_role;
grant execute on function botlight.schema_version() to botlight_service;
