"""Certificates of every kind that a server may show, made with `openssl` for one run."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.pythons import IN_CI

__all__ = ["HOST", "Authority", "Certificate"]

HOST = "botlight.example"  # beside 127.0.0.1 and localhost
CONFIG = """
[ca]
default_ca = here
[here]
database = {folder}/index
new_certs_dir = {folder}
serial = {folder}/serial
default_md = sha256
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
[req]
distinguished_name = name
prompt = no
[name]
CN = unused
[as_they_should_be]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[as_companies_make_them]
basicConstraints = CA:true
subjectKeyIdentifier = none
authorityKeyIdentifier = none
[as_they_should_be_server]
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[as_companies_make_them_server]
subjectKeyIdentifier = none
authorityKeyIdentifier = none
"""


class Certificate(NamedTuple):
    """Of a server: the file of the certificate, and that of its key."""

    file: Path
    key: Path

    @property
    def context(self) -> ssl.SSLContext:
        """What a server shows it with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file, self.key)
        return context


class Authority:
    """An authority in `folder`; `file` is what a bot has to trust. A company's lacks the identifiers that Python 3.13 wants."""

    def __init__(self, folder: Path, *, of_a_company: bool = False) -> None:
        if shutil.which("openssl") is None:
            assert not IN_CI, "there is no openssl, and in CI there must be (Debian: openssl)"
            pytest.skip("needs openssl (Debian: apt-get install openssl)")
        folder.mkdir()
        self._folder = folder
        self.file = folder / "authority.pem"
        self._config = folder / "config"
        self._config.write_text(CONFIG.format(folder=folder))
        (folder / "index").touch()
        (folder / "serial").write_text("1000\n")
        kind = self._kind = "as_companies_make_them" if of_a_company else "as_they_should_be"
        self._key = self._new_key("authority")
        self._openssl(
            "req", "-x509", "-key", self._key, "-subj", "/CN=An authority", "-extensions", kind, "-out", self.file
        )

    def signed(self, name: str, *, host: str = HOST, until: str = "20991231235959Z") -> Certificate:
        """A certificate for a server, from long ago until then."""
        key, request, file = self._new_key(name), self._folder / f"{name}.csr", self._folder / f"{name}.pem"
        names = f"subjectAltName=DNS:{host}" + (",DNS:localhost,IP:127.0.0.1" if host == HOST else "")
        self._openssl("req", "-new", "-key", key, "-subj", f"/CN={host}", "-addext", names, "-out", request)
        times = ("-extensions", f"{self._kind}_server", "-startdate", "20200101000000Z", "-enddate", until)
        own = ("-cert", self.file, "-keyfile", self._key)
        self._openssl("ca", "-batch", "-notext", *own, *times, "-in", request, "-out", file)
        return Certificate(file, key)

    def self_signed(self, name: str) -> Certificate:
        """A certificate that only vouches for itself."""
        key, file = self._new_key(name), self._folder / f"{name}.pem"
        names = f"subjectAltName=DNS:{HOST},DNS:localhost,IP:127.0.0.1"
        self._openssl("req", "-x509", "-key", key, "-subj", f"/CN={HOST}", "-addext", names, "-out", file)
        return Certificate(file, key)

    def _new_key(self, name: str) -> Path:
        key = self._folder / f"{name}.key"
        kind = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        subprocess.run(("openssl", "genpkey", *kind, "-out", key), check=True, capture_output=True, timeout=30)
        return key

    def _openssl(self, word: str, *arguments: str | Path) -> None:
        command = ("openssl", word, "-config", self._config, *arguments)
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
