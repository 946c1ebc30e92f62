"""An issuer of JWTs: real keys of each kind, and a real HTTP server that publishes them and can misbehave."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

__all__ = [
    "DISCOVERY",
    "JWKS",
    "Answer",
    "IssuerServer",
    "SigningKey",
    "assembled",
    "encoded",
    "issuing",
    "signing_key",
]

DISCOVERY: Final = "/.well-known/openid-configuration"
JWKS: Final = "/jwks.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class SigningKey:
    """A key of an issuer: signs tokens, and is published as `jwk`."""

    kid: str
    algorithm: str
    private: Any
    jwk: dict[str, Any]

    def token(self, *, kid: str | None = "its own", **claims: Any) -> str:
        """A token with these claims and no others; those that are None are left out."""
        said = {name: value for name, value in claims.items() if value is not None}
        named = {"its own": self.kid}.get(kid or "", kid)
        return jwt.encode(said, self.private, self.algorithm, headers={} if named is None else {"kid": named})


def signing_key(algorithm: str, kid: str = "") -> SigningKey:
    """A new key for RS256, ES256, EdDSA or HS256."""
    named = kid or f"{algorithm}-{secrets.token_hex(4)}"
    private: Any
    jwk: dict[str, Any]
    if algorithm == "RS256":
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        jwk = RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
    elif algorithm == "ES256":
        private = ec.generate_private_key(ec.SECP256R1())
        jwk = ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
    elif algorithm == "EdDSA":
        private = ed25519.Ed25519PrivateKey.generate()
        jwk = OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
    else:
        private = secrets.token_bytes(32)
        jwk = {"kty": "oct", "k": encoded(private)}
    jwk = {name: value for name, value in jwk.items() if name != "key_ops"}
    return SigningKey(kid=named, algorithm=algorithm, private=private, jwk={**jwk, "kid": named, "alg": algorithm})


def encoded(part: bytes) -> str:
    """Base64 as a token has it."""
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def assembled(header: dict[str, Any] | bytes, payload: dict[str, Any] | bytes, secret: bytes = b"") -> str:
    """A token that no honest library would make, with an HMAC of any secret as its signature."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    signed = ".".join(encoded(part) for part in parts)
    return f"{signed}.{encoded(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What the server answers to one path."""

    body: bytes = b""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


class IssuerServer:
    """Publishes `keys` at `JWKS` and describes itself at `DISCOVERY`; `answers` overrides a path."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.keys: list[SigningKey] = []
        self.answers: dict[str, Answer] = {}
        self.open = threading.Event()  # cleared: nothing is answered until it is set again
        self.open.set()
        self.asked: list[str] = []

    @property
    def jwks_url(self) -> str:
        """Where the keys are."""
        return self.url + JWKS

    def publish(self, *keys: SigningKey) -> None:
        """Publish these keys and no others."""
        self.keys = list(keys)

    def claims(self, **more: Any) -> dict[str, Any]:
        """What a good token of this issuer says of `somebody`, with changes."""
        now = int(time.time())
        return {"iss": self.url, "aud": "botlight", "sub": "somebody", "iat": now, "exp": now + 600, **more}

    def token(self, **more: Any) -> str:
        """A good token, signed with the newest key."""
        return self.keys[-1].token(**self.claims(**more))

    def answer(self, path: str) -> Answer:
        """What it answers."""
        self.asked.append(path)
        self.open.wait(30)
        if path in self.answers:
            return self.answers[path]
        if path == JWKS:
            return Answer(body=json.dumps({"keys": [key.jwk for key in self.keys]}).encode())
        if path == DISCOVERY:
            return Answer(body=json.dumps({"issuer": self.url, "jwks_uri": self.jwks_url}).encode())
        return Answer(status=404)


@contextmanager
def issuing(port: int = 0) -> Iterator[IssuerServer]:
    """An issuer on this machine, without keys."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = issuer.answer(self.path)
            self.send_response(answer.status)
            for name, value in answer.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name is the base class's
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A reader that went away is none."""

    server = Server(("127.0.0.1", port), Handler)
    issuer = IssuerServer(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        issuer.open.set()
        server.shutdown()
        server.server_close()
        thread.join()
