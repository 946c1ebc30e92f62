"""The way to an issuer of JWTs: its keys, over HTTP or from a file, and what they prove."""
