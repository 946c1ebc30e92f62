"""The verbs: use cases and the ports they need."""
