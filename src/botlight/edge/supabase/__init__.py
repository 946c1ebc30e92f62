"""The socket that Supabase's clients speak: frames, filters and conversation without I/O, then a thin connection."""
