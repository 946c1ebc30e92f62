"""The way to the service is full of strangers: none of them gets the token, stops the bot or counts as an answer."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fake_service import TOKEN, FakeService, Reply

from status_reporter import StatusReporter, _Address, _Worker
from tests.support.certificates import Authority, Certificate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import MakeReporter, RunBot


def until(fact: Callable[[], Any], seconds: float = 15.0) -> None:
    """Waits for a fact about the reporter."""
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end
        time.sleep(0.001)


class Stranger:
    """A listening socket that writes down what it hears, and does nothing else."""

    def __init__(self) -> None:
        self.heard = b""
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            try:
                one, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(one)
            with contextlib.suppress(OSError):
                self.heard += one.recv(65536)

    def close(self) -> None:
        """Ends it and its connections."""
        for one in (self._socket, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)  # wakes the thread
        self._thread.join(5)
        for one in (self._socket, *self._open):
            one.close()


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    """A host that must not see the token, or that never answers."""
    one = Stranger()
    yield one
    one.close()


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(service: FakeService, make: MakeReporter, stranger: Stranger, code: int) -> None:
    """The host that a redirect names sees no connection at all, and the counters wait."""
    service.script.append(Reply(code, headers={"Location": f"http://127.0.0.1:{stranger.port}/x"}))
    reporter = make()
    reporter.start_session("1.0")
    until(lambda: reporter.status["fails"])
    assert "redirect" in reporter.status["last_error"]
    assert reporter.complete_session(timeout=20)
    assert stranger.connections == 0


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, body=b"<html>Welcome to our Wi-Fi", headers={"Content-Type": "text/html"}, marker=False),
        Reply(200, body=b'{"ok": true, "applied": true}', marker=False),
        Reply(200, body=b'{"fine": true}'),
        Reply(200, body=b"[1]"),
        Reply(200, body=b"{"),
        Reply(200, body=b"[" * 60_000),
        Reply(200, body=b'{"ok": true, "x": "' + b"y" * 100_000 + b'"}'),
        Reply(511, body=b"log in", marker=False),
        Reply(404, body=b"no such page", marker=False),
        Reply(401, body=b"who are you", marker=False),
        Reply(204, body=b""),
    ],
)
def test_only_an_answer_of_the_service_counts(service: FakeService, make: MakeReporter, reply: Reply) -> None:
    """A captive portal's 200, a block page, half a document: a failure, and everything comes again."""
    service.script.append(reply)
    reporter = make()
    reporter.job("a").applied()
    reporter.start_session("1.0")
    until(lambda: reporter.status["fails"])
    assert not reporter.status["connected"]
    assert reporter.complete_session(timeout=20)
    assert service.totals["jobs_applied"] == 1


@pytest.mark.parametrize(("code", "problem"), [(401, "token"), (403, "scope")])
def test_a_refused_token_is_said_once_and_not_tried_again_soon(
    service: FakeService, make: MakeReporter, caplog: pytest.LogCaptureFixture, code: int, problem: str
) -> None:
    """The bot goes on; the next try is minutes away, but the end is tried once, and nothing was dropped."""
    service.script.append(Reply(code, problem))
    reporter = make()
    reporter.job("a").applied()
    reporter.start_session("1.0")
    until(lambda: reporter.status["fails"])
    until(lambda: caplog.records)
    assert caplog.records[0].getMessage() == "status reports do not get through: the token was refused"
    until(lambda: reporter.status["next_try_s"])
    assert 200 < reporter.status["next_try_s"] <= 300
    assert reporter.complete_session(timeout=5)
    assert service.totals["jobs_applied"] == 1


def test_a_429_is_waited_out_even_by_an_end(service: FakeService, make: MakeReporter) -> None:
    """The service said when to come back: nothing of the bot's own cuts that short."""
    service.script.append(Reply(429, "rate", headers={"Retry-After": "2"}))
    reporter = make()
    reporter.start_session("1.0")
    until(lambda: reporter.status["fails"])
    assert not reporter.complete_session()
    service.wait_for(lambda: service.sessions)
    first, second = service.posts()[:2]
    assert second.at - first.at >= 2


def test_an_end_is_tried_at_once_although_the_last_attempt_failed(service: FakeService, make: MakeReporter) -> None:
    """Else a bot that is done would have to wait for a back-off of up to a minute."""
    service.script.append(Reply(503, "unavailable", headers={"Retry-After": "100"}))
    reporter = make()
    reporter.start_session("1.0")
    until(lambda: reporter.status["fails"])
    assert reporter.complete_session(timeout=5)


def test_a_service_that_hangs_or_drips_is_given_up_after_ten_seconds(make: MakeReporter, stranger: Stranger) -> None:
    """A time-out per byte would last for ever; the bot's end waits its two seconds and no longer."""
    with FakeService() as dripping:
        dripping.always = Reply(drip_s=0.2)
        drip, hang = make(base_url=dripping.url, stream=False), make(base_url=f"http://127.0.0.1:{stranger.port}")
        began = time.monotonic()
        drip.start_session("1.0")
        hang.start_session("1.0")
        assert not hang.complete_session()
        assert 2 <= time.monotonic() - began < 4
        until(lambda: drip.status["fails"] and hang.status["fails"])
        assert 9 < time.monotonic() - began < 14
        assert drip.status["last_error"] == hang.status["last_error"] == "took too long"
        dripping.always = None
        assert drip.complete_session(timeout=10)


def test_a_thread_that_hangs_is_left_to_itself() -> None:
    """A lookup at a name server that never answers cannot be interrupted: another thread takes over, three may hang."""
    release = threading.Event()

    class Hanging(_Worker):
        def __init__(self) -> None:
            super().__init__("test")
            self.threads: list[threading.Thread] = []

        def round(self) -> None:
            self.threads.append(threading.current_thread())
            release.wait()

    worker = Hanging()
    assert worker.ensure()
    for hung in range(1, 4):
        while len(worker.threads) < hung:
            time.sleep(0.001)
        assert worker.replace()
    until(lambda: len(worker.threads) == 4)
    assert not worker.replace()
    release.set()
    until(lambda: not any(thread.is_alive() for thread in worker.threads[:3]))
    worker.closed = True


def test_plain_http_stays_within_the_own_network() -> None:
    """A public address is refused before the token is sent, also behind a name; a private one is not."""
    ways = {"allow_insecure": False, "proxy": None, "ca_file": None}
    for url in ("http://8.8.8.8", "http://[2001:4860:4860::8888]", "http://[::ffff:8.8.8.8]"):
        with pytest.raises(ValueError, match="allow_insecure"):
            _Address(url, TOKEN, **ways)  # type: ignore[arg-type]  # one dict for all
        _Address(url, TOKEN, **{**ways, "allow_insecure": True})  # type: ignore[arg-type]  # likewise
    for host in ("10.1.2.3", "192.168.1.5", "[fe80::1]", "[fd00::1]", "nas.local", "localhost", "127.8.8.8"):
        _Address(f"http://{host}:3000", TOKEN, **ways)  # type: ignore[arg-type]  # likewise


def test_the_environments_proxy_is_for_https_alone(
    make: MakeReporter, stranger: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bots set it to hide their browser: plain http, this machine and excepted names go past it."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{stranger.port}")
    reporter = make()
    reporter.start_session("1.0")
    assert reporter.complete_session()
    assert stranger.connections == 0


SETTINGS_OF_MACOS = """
import socket, sys, time, types
from status_reporter import StatusReporter
asked = []
def nobody_answers(host):
    asked.append(host)
    time.sleep(3)
    raise OSError
socket.gethostbyname = nobody_answers
settings = {"exclude_simple": False, "exceptions": ["*.local", "169.254/16", EXCEPTED]}
proxies = {"https": "http://127.0.0.1:9"}
sys.modules["_scproxy"] = types.SimpleNamespace(_get_proxy_settings=lambda: settings, _get_proxies=lambda: proxies)
sys.platform = "darwin"
reporter = StatusReporter(spool_dir=None)
began = time.monotonic()
reporter.start_session()
assert time.monotonic() - began < 2
while not reporter.status["fails"]:
    time.sleep(0.01)
print(reporter.status["last_error"])
"""


@pytest.mark.parametrize(
    ("excepted", "error"), [("other.example", "ConnectionRefusedError"), ("*.invalid", "gaierror")]
)
def test_the_systems_proxy_costs_the_bot_no_name_server(run_bot: RunBot, excepted: str, error: str) -> None:
    """Whether its settings except the host may take one that never answers; the session begins meanwhile."""
    done = run_bot(SETTINGS_OF_MACOS.replace("EXCEPTED", repr(excepted)), url="https://status.invalid")
    assert (done.stdout.strip(), done.stderr) == (error, "")


# A machine of two addresses, one of the own network and one of the world, and a proxy that is meant for the bot's browser.
TWO_ADDRESSES = """\
import fcntl, os, socket, struct, time
from fake_service import TOKEN, FakeService
from status_reporter import StatusReporter

def give(name, address):
    request = struct.pack("16sH2s4s8x", name, socket.AF_INET, bytes(2), socket.inet_aton(address))
    with socket.socket() as one:
        fcntl.ioctl(one, 0x8916, request)  # SIOCSIFADDR
        fcntl.ioctl(one, 0x8914, struct.pack("16sh", name, 0x41))  # SIOCSIFFLAGS: up and running

for name, address in ((b"lo", "127.0.0.1"), (b"lo:1", "10.1.2.3"), (b"lo:2", "8.8.8.8")):
    give(name, address)
os.environ["http_proxy"] = os.environ["ALL_PROXY"] = "http://127.0.0.1:9"
with FakeService(host="10.1.2.3") as service:
    own = StatusReporter(TOKEN, f"http://10.1.2.3:{service.port}")
    own.start_session()
    assert own.complete_session(), own.status
with FakeService(host="8.8.8.8") as service:
    world = StatusReporter(TOKEN, f"http://134744072:{service.port}")  # a name for the resolver, not a number for us
    world.start_session()
    while not world.status["fails"]:
        time.sleep(0.001)
    assert "allow_insecure" in world.status["last_error"], world.status
    assert service.journal == []
    daring = StatusReporter(TOKEN, f"http://134744072:{service.port}", allow_insecure=True)
    daring.start_session()
    assert daring.complete_session(), daring.status
"""


def test_a_name_of_a_public_address_is_refused_before_the_token_leaves(own_network: list[str]) -> None:
    """Only the connection shows where a name leads; and plain http in the own network uses no proxy."""
    if not own_network:
        pytest.skip("needs a network of its own")
    environment = {"PYTHONPATH": str(Path(__file__).parents[1]), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [*own_network, sys.executable, "-c", TWO_ADDRESSES],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_https_goes_through_the_proxy_in_a_tunnel(
    make: MakeReporter, stranger: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy sees the name of the host and its own password, never the token."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:pass%20word@127.0.0.1:{stranger.port}")
    reporter = make(base_url="https://botlight.example")
    reporter.start_session("1.0")
    until(lambda: stranger.heard)
    assert stranger.heard.startswith(b"CONNECT botlight.example:443 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic bWU6cGFzcyB3b3Jk\r\n" in stranger.heard
    assert TOKEN.encode() not in stranger.heard
    monkeypatch.setenv("NO_PROXY", "other.example, .example")
    excepted = make(base_url="https://botlight.example")
    excepted.start_session("1.0")
    forbidden = make(base_url="https://botlight.invalid", proxy=False)
    forbidden.start_session("1.0")
    until(lambda: excepted.status["fails"] and forbidden.status["fails"])
    assert stranger.connections == 1


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    """For 127.0.0.1; only whoever names it trusts it."""
    return Authority(tmp_path / "authority").self_signed("own")


class Tunnel(BaseHTTPRequestHandler):
    """A proxy that connects to wherever it is told."""

    def do_CONNECT(self) -> None:
        """Connects, and copies both ways until either side is done."""
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port))) as there:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=self.copy, args=(there, self.connection), daemon=True)
            back.start()
            self.copy(self.connection, there)
            back.join(5)

    @staticmethod
    def copy(source: socket.socket, target: socket.socket) -> None:
        """One way."""
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                target.sendall(chunk)
            target.shutdown(socket.SHUT_WR)

    def log_message(self, *_: Any) -> None:
        """Silent."""


def test_https_is_verified(
    certificate: Certificate, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate that nobody vouches for is refused with a hint; with `ca_file` all works, through a tunnel too."""
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Tunnel)
    threading.Thread(target=proxy.serve_forever, args=(0.02,), daemon=True).start()
    with FakeService(tls=certificate.context) as service:
        refused = StatusReporter(TOKEN, service.url)
        refused.start_session("1.0")
        until(lambda: refused.status["fails"])
        until(lambda: caplog.records)
        assert "ca_file=" in caplog.records[0].getMessage()
        assert service.journal == []
        refused.close(0)
        for way in (None, f"http://127.0.0.1:{proxy.server_address[1]}"):
            trusting = StatusReporter(TOKEN, service.url, ca_file=str(certificate.file), proxy=way)
            with trusting.session("1.0"):
                service.wait_for(lambda: service.streams)
                service.press_stop(trusting.session_id or "")
                assert trusting.wait(10)
            assert service.sessions[trusting.session_id or ""].status == "stopped"
            trusting.close(0)
            service.streams.clear()
    proxy.shutdown()
    proxy.server_close()


def test_a_path_before_the_prefix_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    """A service behind a path of a larger site."""
    with FakeService(path="/tools/botlight") as service:
        reporter = StatusReporter(TOKEN, service.url + "/")
        reporter.start_session("1.0")
        assert reporter.complete_session()
        reporter.close(0)
    assert service.session.status == "completed"
    assert caplog.records == []


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_localhost_is_found_in_either_family_and_remembered(
    service: FakeService, make: MakeReporter, family: socket.AddressFamily
) -> None:
    """A name with two addresses, one of which nobody listens on."""
    if family == socket.AF_INET6:
        with FakeService(host="::1") as six:
            known = {one[0] for one in socket.getaddrinfo("localhost", six.port)}
            host = "localhost" if family in known else "[::1]"
            reporter = make(base_url=f"http://{host}:{six.port}")
            reporter.start_session("1.0")
            assert reporter.complete_session()
    else:
        reporter = make(base_url=f"http://localhost:{service.port}")
        reporter.start_session("1.0")
        assert reporter.complete_session()
    assert reporter._address.family == family


def test_requests_say_who_sends_them(service: FakeService, reporter: StatusReporter) -> None:
    """One connection per request, the token in its header, and a name."""
    assert reporter.complete_session()
    headers = service.posts()[-1].headers
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["user-agent"].startswith("status-reporter/")
    assert len(headers["x-request-id"]) == 32


def test_authorities_are_found_where_python_looks_in_vain(run_bot: RunBot, tmp_path: Path) -> None:
    """A frozen bot looks where its builder's system had them; never is nothing checked for that."""
    done = run_bot(
        """
        import ssl
        from status_reporter import _trusting
        assert not ssl.create_default_context().cert_store_stats()["x509_ca"]
        context = _trusting(None)
        assert context.cert_store_stats()["x509_ca"] > 50
        assert context.check_hostname and context.verify_mode == ssl.CERT_REQUIRED
        """,
        env={"SSL_CERT_FILE": str(tmp_path / "nothing"), "SSL_CERT_DIR": str(tmp_path)},
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_file_of_authorities_that_is_none_is_named(make: MakeReporter, tmp_path: Path) -> None:
    """Nothing else is trusted in its place."""
    (tmp_path / "text.pem").write_text("no certificate")
    for file in ("text.pem", "nowhere.pem"):
        with socket.create_server(("127.0.0.1", 0)) as listening:
            reporter = make(base_url=f"https://127.0.0.1:{listening.getsockname()[1]}", ca_file=str(tmp_path / file))
            reporter.start_session("1.0")
            until(lambda one=reporter: one.status["fails"])  # type: ignore[misc]  # bound at once
        assert reporter.status["last_error"] == "no certificate authorities can be read from ca_file"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_threads_that_are_killed_come_back(service: FakeService, reporter: StatusReporter) -> None:
    """Whatever ends one of them, the others start it again within seconds, and `status` tells that it happened."""
    service.wait_for(lambda: service.streams)
    threads = [one for one in threading.enumerate() if one.name.startswith("status-reporter")]
    assert len(threads) == 4
    for one in threads:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(one.ident or 0), ctypes.py_object(SystemExit))
    keeper = reporter._keeper
    assert keeper is not None
    until(lambda: keeper.restarts and keeper.sender.restarts and keeper.spool.restarts)
    assert reporter.status["restarts"] >= 3  # the stream's is noticed with its next event
    reporter.increment_jobs_found(5)
    assert reporter.flush(15)
    assert service.totals["jobs_found"] == 5
