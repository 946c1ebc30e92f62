-- A database as a Supabase project has it, made from the description in Supabase's documentation: a superuser called
-- supabase_admin, whose cluster this is; `postgres`, which is none; the API's roles; the schema auth; the publication.
create role postgres login createdb createrole replication bypassrls;
create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
create role authenticator login noinherit;
create role supabase_auth_admin noinherit createrole login;
grant anon, authenticated, service_role to authenticator;
grant anon, authenticated, service_role to postgres;
