"""The words: what a session is and how it changes. Pure: no clock, no I/O."""
