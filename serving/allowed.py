"""Which sources may be added over the network. Pure: what a URL says, and what its host's name stands for.

Whoever may control the server makes it open connections from where it stands: from inside a firewall, to services that
listen on this machine only, or to a cloud's metadata (server-side request forgery). So such URLs have few schemes, and
hosts that the operator has named or, while none is named, any but this machine and its link.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from facestream.errors import ConfigError
from facestream.io.urls import check_name

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

SCHEMES: Final = ("rtsp", "rtsps", "http", "https", "push")

NO_SUCH_FORM: Final = "only {} sources can be added over the network"

_SAME_AS: Final = {"rtspt": "rtsp", "rtspu": "rtsp"}
_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_HOST: Final = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,252}[a-z0-9_.])?|[0-9a-f:.]+")


@dataclass(frozen=True, slots=True)
class AllowedSources:
    """What may be added.

    Attributes:
        schemes: of URLs, in lower case.
        hosts: names, names with ``*``, addresses and networks (``10.0.0.0/8``); none for any host but this machine and
            its link, which are let in by being named only.
        local: files and devices of this machine too.
        follow: a web address may send on to any host, by a redirection or a playlist.

    Raises:
        ConfigError: a host or scheme can't be one.
    """

    schemes: tuple[str, ...] = SCHEMES
    hosts: tuple[str, ...] = ()
    local: bool = False
    follow: bool = False
    _names: tuple[str, ...] = field(init=False, default=(), repr=False)
    _networks: tuple[Network, ...] = field(init=False, default=(), repr=False)

    def __post_init__(self) -> None:
        for scheme in self.schemes:
            if scheme.lower() not in SCHEMES:
                raise ConfigError(f"{scheme!r} can't be allowed over the network; choose of {', '.join(SCHEMES)}")
        names, networks = [], []
        for host in self.hosts:
            network = _network(host)
            if network is not None:
                networks.append(network)
            elif re.fullmatch(r"[A-Za-z0-9_.*-]+", host):
                names.append(host.lower().rstrip("."))
            else:
                raise ConfigError(f"{host!r} is no host; write a name, *.name, an address or a network as 10.0.0.0/8")
        object.__setattr__(self, "_names", tuple(names))
        object.__setattr__(self, "_networks", tuple(networks))

    def host_to_resolve(self, url: str) -> str | None:
        """Check what can be seen of ``url`` (without ``NAME=``).

        Returns: a host whose addresses are to be looked up and shown to :meth:`check_addresses`; None for a URL that
            may be opened as it is.

        Raises:
            ConfigError: it may not be added.
        """
        match = _URL.match(url)
        if match is None and url[:5].lower() != "push:":
            if self.local:
                return None
            raise ConfigError(NO_SUCH_FORM.format(self._forms()))
        scheme = match[1].lower() if match else "push"
        if _SAME_AS.get(scheme, scheme) not in (each.lower() for each in self.schemes):
            raise ConfigError(NO_SUCH_FORM.format(self._forms()))
        if match is None:
            check_name(url.partition(":")[2])
            return None
        return self._unknown(_host_of(url))

    def _unknown(self, host: str) -> str | None:
        """``host`` if its addresses matter.

        Raises:
            ConfigError: it is an address that isn't allowed, or a name that no address could make good.
        """
        address = _literal(host)
        if address is not None:
            self._check_address(host, address)
            return None
        if host in self._names:
            return None  # the operator trusts whoever answers to it
        if self._names and not self._networks and not self._is_named(host):
            raise self._refusal(host)
        return host

    def check_addresses(self, host: str, addresses: Sequence[str]) -> None:
        """Check what a name stands for; every one of its addresses, as any may be connected to.

        Raises:
            ConfigError: it may not be connected to, or stands for nothing.
        """
        if not addresses:
            raise ConfigError(f"{host[:80]} can't be found by its name; check it, or name it in source_hosts")
        named = self._is_named(host)
        for text in addresses:
            address = _literal(text)
            if address is None:
                raise self._refusal(host)
            self._check_address(host, address, named=named)

    def _is_named(self, host: str) -> bool:
        return any(fnmatch.fnmatchcase(host, name) for name in self._names)

    def _check_address(self, host: str, address: Address, *, named: bool = False) -> None:
        if _in_any(address, self._networks):
            return
        anybody = named or not (self._names or self._networks)
        if not anybody or is_special(address):
            raise self._refusal(host)

    def _refusal(self, host: str) -> ConfigError:
        return ConfigError(f"sources of {host[:80]} can't be added over the network: it isn't allowed by source_hosts")

    def _forms(self) -> str:
        forms = [f"{scheme.lower()}{':' if scheme.lower() == 'push' else '://'}" for scheme in self.schemes]
        return " and ".join([", ".join(forms[:-1]), forms[-1]]) if len(forms) > 1 else "".join(forms) or "no"


def is_special(address: Address) -> bool:
    """Whether an address is this machine's own, its link's (clouds have their secrets there), or nobody's."""
    inner = _embedded(address)
    if inner is not None:
        return is_special(inner)
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or address.is_multicast
        or address.is_reserved
        or _in_any(address, _SPECIAL)
    )


_SPECIAL: Final = tuple(
    ipaddress.ip_network(network)
    for network in ("0.0.0.0/8", "100.100.100.200/32", "168.63.129.16/32", "fd00:ec2::/32")  # the latter are clouds'
)
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


def _embedded(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address leads to."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if 1 < int(address) < 1 << 32:  # ::a.b.c.d, long out of use
        return ipaddress.IPv4Address(int(address))
    return None


def _host_of(url: str) -> str:
    """
    Raises:
        ConfigError: it has none, or one that programs read in different ways.
    """
    # FFmpeg and Python end a host at different characters if odd ones are in it.
    authority = re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0]
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        host = ""
    place = authority.rpartition("@")[2]
    plain = place.rpartition("]")[0].lstrip("[") or place.partition(":")[0]
    if "\\" in url or not url.isprintable() or not _HOST.fullmatch(host) or plain.lower().rstrip(".") != host:
        raise ConfigError("the URL has no host, or a strange one; write scheme://[user:password@]host[:port]/path")
    return host


def _literal(host: str) -> Address | None:
    """``host`` as an address, also in the short and octal forms that C libraries take for one (``127.1``)."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return _old_form(host)
    return _embedded(address) or address


def _old_form(host: str) -> Address | None:
    parts = host.split(".")
    if not 1 <= len(parts) <= 4 or not all(re.fullmatch(r"0[xX][0-9a-fA-F]*|[0-9]+", part) for part in parts):
        return None
    values = [int(part[2:] or "0", 16) if part[:2].lower() == "0x" else _octal(part) for part in parts]
    total = sum(value << (8 * (3 - index)) for index, value in enumerate(values[:-1])) + values[-1]
    return ipaddress.IPv4Address(total & 0xFFFFFFFF)


def _octal(part: str) -> int:
    return int(part, 8) if part.startswith("0") and set(part) <= set("01234567") else int(part)


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text.strip("[]"), strict=False)
    except ValueError:
        return None


def _in_any(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)
