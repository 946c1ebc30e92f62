"""The store of many servers: PostgreSQL, plain or a Supabase project's."""
