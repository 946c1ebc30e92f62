"""How the service is reached: names, origins, proxies, prefix. What the settings say, as the edge needs it."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address
from urllib.parse import urlsplit

from msgspec import Struct

__all__ = ["Doors", "is_loopback"]

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


class Doors(Struct, frozen=True, kw_only=True):
    """The addresses by which people and bots come.

    `public_url` is what people type; it gives allowed host, origin, path prefix and https. Without one the loopback
    names on the port are it.
    """

    port: int
    public_url: str | None = None
    allowed_hosts: frozenset[str] = frozenset()
    allowed_origins: frozenset[str] = frozenset()
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    metrics_open: bool = False

    @property
    def https(self) -> bool:
        """Whether people come by https."""
        return self.public_url is not None and urlsplit(self.public_url).scheme == "https"

    @property
    def prefix(self) -> str:
        """The path under which the service lives, without a slash at the end; empty at the root."""
        return urlsplit(self.public_url).path.rstrip("/") if self.public_url else ""

    @property
    def origins(self) -> frozenset[str]:
        """Our own exact origins."""
        own = {f"http://{name}:{self.port}" for name in LOOPBACK_NAMES}
        if self.public_url:
            url = urlsplit(self.public_url)
            own.add(f"{url.scheme}://{url.netloc}".lower())
        return frozenset(own)

    @property
    def hosts(self) -> frozenset[str]:
        """What a Host header may say."""
        own = {f"{name}:{self.port}" for name in LOOPBACK_NAMES} | set(LOOPBACK_NAMES if self.port == 80 else ())
        if self.public_url:
            own.add(urlsplit(self.public_url).netloc.lower())
        return frozenset(own | {host.lower() for host in self.allowed_hosts})

    @property
    def cookie(self) -> str:
        """The cookie's name. Cookies are shared between the ports of a host, so the port is part of it."""
        return f"__Host-botlight_{self.port}" if self.https else f"botlight_{self.port}"

    def trusts(self, address: str) -> bool:
        """Whether a peer is a proxy whose forwarded headers are believed."""
        try:
            peer = ip_address(address)
        except ValueError:
            return False
        return any(peer in network for network in self.trusted_proxies)

    def peer(self, address: str, forwarded: str) -> str:
        """Who the peer at an address is: of a trusted proxy, the last address in `X-Forwarded-For` that none has."""
        if not self.trusted_proxies or not self.trusts(address):
            return address
        for hop in reversed(forwarded.split(",")):
            address = hop.strip() or address
            if not self.trusts(address):
                break
        return address


def is_loopback(address: str) -> bool:
    """Whether a peer is on this machine."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
