"""Event streams: frames without I/O, then thin shells that move bytes."""
