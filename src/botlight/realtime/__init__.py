"""The voice: fan-out of committed changes. Knows no protocol."""
