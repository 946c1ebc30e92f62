"""`botlight serve`: sockets, signals, and an orderly end."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import multiprocessing
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Final

import uvicorn

from botlight.cli.fleet import Fleet
from botlight.cli.issuer_settings import trusted_issuer
from botlight.cli.logs import start_logging
from botlight.cli.settings import Settings
from botlight.cli.wiring import Service, open_access, open_service
from botlight.edge.protocol import Protocol
from botlight.edge.supabase.connection import protocol_for
from botlight.model.errors import Refusal
from botlight.service.people import People
from botlight.store.errors import CannotOpen
from botlight.store.postgres.examination import examine

__all__ = ["CannotListen", "serve"]

log = logging.getLogger(__name__)

BACKLOG: Final = 2048
END_S: Final = 2
NO_SUCH_FAMILY: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


class CannotListen(Exception):  # noqa: N818  a sentence for the person who asked
    """The address cannot be listened on; the message says what to do."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: they would raise the signal again at the end, and leave streams open."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `serve`."""
        yield


def serve(settings: Settings, *, say: Callable[[str], None], vfs: str | None = None) -> None:
    """Serve until SIGINT or SIGTERM; then tell the streams `bye`, answer what waits, and return. Blocks.

    `say` is told where the service is, and a one-time link when nobody has an account yet.

    Raises:
        SettingError: the address must not be listened on like this.
        CannotListen: the port is busy, or the address is not this machine's.
        CannotOpen: the store cannot be opened.
    """
    settings.check_bind()
    settings.check_workers()
    start_logging(settings.log_level)
    with ExitStack() as closing:
        sockets = _bind(settings, closing)
        port = sockets[0].getsockname()[1]
        if settings.workers > 1:
            # Whatever is wrong with settings or database is said once, and not by each worker.
            trusted_issuer(settings)
            asyncio.run(examine(settings.database_url))
            Fleet(settings, sockets, _work).run(lambda: asyncio.run(_introduce_fleet(settings, port, say)))
            return

        async def introduce(people: People) -> None:
            await _introduce(settings, port, people, say)

        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(settings, sockets, introduce, vfs))


def _work(settings: Settings, sockets: Sequence[socket.socket], ready: Callable[[], None]) -> None:
    """What a worker of a fleet does; it ends with its parent."""
    start_logging(settings.log_level)
    for listening in sockets:
        listening.setblocking(False)

    async def introduce(_people: People) -> None:
        ready()

    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(settings, sockets, introduce, None))
    except (CannotOpen, Refusal) as error:  # the parent tries again, with some patience
        log.error("%s", error)  # noqa: TRY400  a sentence for the person who reads the log
        sys.exit(1)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415  not made for Windows

    return uvloop.new_event_loop


async def _serve(
    settings: Settings,
    sockets: Sequence[socket.socket],
    introduce: Callable[[People], Awaitable[None]],
    vfs: str | None,
) -> None:
    port = sockets[0].getsockname()[1]
    async with open_service(settings, settings.doors(port), vfs=vfs) as service:
        server = _Server(_config(service))
        loop = asyncio.get_running_loop()

        def end(number: int) -> None:
            log.info("ending", extra={"signal": signal.Signals(number).name})
            service.hub.bye()
            server.should_exit = True

        for number in (signal.SIGINT, signal.SIGTERM):
            _on_signal(loop, number, end)
        _end_with_parent(loop, end)
        await introduce(service.people)
        gc.freeze()
        gc.set_threshold(
            20_000, 20, 50
        )  # a request leaves no cycles; looking for them every 700 objects is for nothing
        await server.serve(list(sockets))


def _config(service: Service) -> uvicorn.Config:
    return uvicorn.Config(
        service.app,
        http=Protocol,
        ws=protocol_for(service.door),
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=75,  # above the 45 s between heartbeats
        timeout_graceful_shutdown=END_S,
    )


def _on_signal(loop: asyncio.AbstractEventLoop, number: signal.Signals, end: Callable[[int], None]) -> None:
    try:
        loop.add_signal_handler(number, end, number)
    except NotImplementedError:  # Windows
        signal.signal(number, lambda got, _: loop.call_soon_threadsafe(end, got))


def _end_with_parent(loop: asyncio.AbstractEventLoop, end: Callable[[int], None]) -> None:
    """A worker whose parent was killed has nobody who would end it."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        with suppress(RuntimeError):  # the loop has ended by itself
            loop.call_soon_threadsafe(end, signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


async def _introduce_fleet(settings: Settings, port: int, say: Callable[[str], None]) -> None:
    async with open_access(settings) as (people, _):
        await _introduce(settings, port, people, say)


async def _introduce(settings: Settings, port: int, people: People, say: Callable[[str], None]) -> None:
    address = settings.public_url or f"http://{settings.addresses[0]}:{port}"
    say(f"Botlight is at {address}/")
    if people.managed_here and all(user.elsewhere for user in await people.all()):
        secret = await people.link()
        say(f"Sign in once with {address}/link#{secret} (good for 10 minutes; `botlight link` prints a new one)")


def _bind(settings: Settings, closing: ExitStack) -> list[socket.socket]:
    """Sockets for every address; the second loopback family is welcome but no must."""
    bound: list[socket.socket] = []
    port = settings.port
    for address in settings.addresses:
        try:
            bound.append(closing.enter_context(_listen(address, port)))
        except OSError as error:
            if bound and error.errno in NO_SUCH_FAMILY:
                continue
            raise CannotListen(_explained(settings, address, error)) from error
        port = bound[0].getsockname()[1]
    return bound


def _listen(address: str, port: int) -> socket.socket:
    family, kind, protocol, _, where = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(where)
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    listening.setblocking(False)
    return listening


def _explained(settings: Settings, address: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {settings.port} on {address} is busy. Is Botlight running already? "
            "BOTLIGHT_PORT or --port names another one."
        )
    reason: Any = error.strerror or error
    return f"Cannot listen on {address}:{settings.port}: {reason}. BOTLIGHT_HOST or --host names another address."
