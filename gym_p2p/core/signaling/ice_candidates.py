"""ICE candidates as values, and which of them a service may pass on.

A candidate is an address to which somebody else's machine will send packets, so a forged one makes the
receiver of it knock at doors of the forger's choice: five STUN packets each, on any host and port. Hence
every candidate is read, judged by :class:`CandidatePolicy`, and written anew from what was read, so that
nobody downstream can read something else in it.

It knows the grammar of RFC 8839 section 5.1 and the special ranges of the address families. It refuses to
know sockets, names' addresses (nothing is resolved) and descriptions
(:mod:`gym_p2p.core.signaling.sdp_filter`).
"""

from __future__ import annotations

import enum
import functools
import ipaddress
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Self

import attrs

from gym_p2p.errors import ProtocolError

__all__ = [
    "RESERVED_CANDIDATES",
    "CandidatePolicy",
    "DropReason",
    "IceCandidate",
    "address_objection",
    "candidate_type",
    "preferred",
]

RESERVED_CANDIDATES = 16
"""Of each type, where candidates come one by one and there are too many: the relays come last."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_CANDIDATE = re.compile(
    r"candidate:(?P<foundation>[A-Za-z0-9+/]{1,32}) (?P<component>[1-9][0-9]{0,2})"
    r" (?P<transport>[A-Za-z0-9-]{1,16}) (?P<priority>[0-9]{1,10})"
    r" (?P<address>[A-Za-z0-9.:%_-]{1,255}) (?P<port>[0-9]{1,5})"
    r" typ (?P<type>host|srflx|prflx|relay)(?P<extensions>(?: [!-~]+ [!-~]+)*)"
)
_TYPE = re.compile(r" typ (host|srflx|prflx|relay)(?: |$)")
_MDNS_NAME = re.compile(r"[A-Za-z0-9-]{1,63}\.local", re.IGNORECASE)
"""One label under ``.local``, as draft-ietf-mmusic-mdns-ice-candidates section 3.2 wants it."""

_MAX_PORT = 65_535
_FIRST_USER_PORT = 1024
"""Below are the system's services (RFC 6335 section 6); no peer of ours listens there."""
_DISCARD_PORT = 9
"""What an active TCP candidate carries, which nobody connects to (RFC 6544 section 4.5)."""

_METADATA = frozenset(
    map(
        ipaddress.ip_address,
        (
            "169.254.169.254",  # AWS, Azure, Google Cloud and most others
            "169.254.170.2",  # AWS, credentials of containers
            "169.254.170.23",  # AWS, credentials of pods
            "168.63.129.16",  # Azure's wire server, in public space
            "100.100.100.200",  # Alibaba Cloud
            "192.0.0.192",  # Oracle Cloud
            "fd00:ec2::254",  # AWS
            "fd00:ec2::23",  # AWS, credentials of pods
            "fd20:ce::254",  # Google Cloud
            "fd00:42::42",  # Scaleway
        ),
    )
)
"""Where clouds hand their credentials to whoever asks from inside."""
_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")
_BROADCAST = ipaddress.ip_address("255.255.255.255")
_FUTURE_USE = ipaddress.ip_network("240.0.0.0/4")
_NOT_GLOBAL = tuple(
    map(
        ipaddress.ip_network,
        (
            *("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24"),
            *("192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
            *("64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23", "2001:db8::/32"),
            *("3fff::/20", "5f00::/16", "fc00::/7", "fec0::/10"),
        ),
    )
)
"""What the IANA's registries of special-purpose addresses (RFC 6890) call not globally reachable, and the
site-local ones of before. Not ``ipaddress.is_global``: it says otherwise in each version of Python, and all
players have to be judged alike. 6to4 (2002::/16) is as good as the IPv4 address in it."""
_REACHED = tuple(
    map(
        ipaddress.ip_network,
        (
            *("192.0.0.9/32", "192.0.0.10/32", "2001:1::1/128", "2001:1::2/128", "2001:1::3/128"),
            *("2001:3::/32", "2001:4:112::/48", "2001:20::/28", "2001:30::/28"),
        ),
    )
)
"""The exceptions within these."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_IPV4_COMPATIBLE = ipaddress.ip_network("::/96")


class DropReason(enum.StrEnum):
    """Why a candidate is not passed on; also the name of a counter."""

    MALFORMED = "malformed"
    TRANSPORT = "transport"
    """Neither UDP nor TCP."""
    PORT = "port"
    HOSTNAME = "hostname"
    """A name that is no mDNS name: whoever resolves it can be sent anywhere, later."""
    UNSPECIFIED = "unspecified"
    METADATA = "metadata"
    MULTICAST = "multicast"
    BROADCAST = "broadcast"
    LINK_LOCAL = "link_local"
    RESERVED = "reserved"
    LOOPBACK = "loopback"
    PRIVATE = "private"
    """Not reachable from the Internet at large: private, shared, documentation, benchmarks."""
    NOT_RELAY = "not_relay"
    SURPLUS = "surplus"
    """Beyond the most that one side may have; better ones were there."""


@attrs.frozen(kw_only=True)
class IceCandidate:
    """One candidate attribute, read strictly."""

    foundation: str
    component: int
    transport: str
    priority: int
    address: str = attrs.field(repr=False)
    """An IP address, or a name."""
    port: int = attrs.field(repr=False)
    type: str
    extensions: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    """What follows the type, by name: ``raddr``, ``rport``, ``tcptype``, ``ufrag`` and so on."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``candidate:...``, with ``a=`` before it or not; raises :class:`ProtocolError`."""
        match = _CANDIDATE.fullmatch(text.removeprefix("a="))
        if match is None or int(match["port"]) > _MAX_PORT:
            raise ProtocolError("malformed candidate")
        foundation, component, transport, priority, address, port, kind, extensions = match.groups()
        parts = extensions.split()
        return cls(
            foundation=foundation,
            component=int(component),
            transport=transport,
            priority=int(priority),
            address=address,
            port=int(port),
            type=kind,
            extensions=tuple(zip(parts[::2], parts[1::2], strict=True)),
        )

    @property
    def kind(self) -> tuple[str, str, bool]:
        """What it has in common with others that would do the same: type, transport, IPv6 or not."""
        return self.type, self.transport.lower(), ":" in self.address

    def to_text(self) -> str:
        """Return ``candidate:...``, the shape of W3C's ``RTCIceCandidateInit.candidate``."""
        head = (
            f"candidate:{self.foundation} {self.component} {self.transport} {self.priority}"
            f" {self.address} {self.port} typ {self.type}"
        )
        return " ".join([head, *map(" ".join, self.extensions)])

    def without_relation(self) -> Self:
        """Return it without the address behind the relay, in the way of RFC 8839 section 5.1."""
        hidden = {"raddr": "::" if ":" in self.address else "0.0.0.0", "rport": str(_DISCARD_PORT)}  # noqa: S104  # nobody listens on it
        return attrs.evolve(
            self, extensions=tuple((name, hidden.get(name, value)) for name, value in self.extensions)
        )


@attrs.frozen(kw_only=True)
class CandidatePolicy:
    """Which candidates are passed on.

    Attributes:
        private: also loopback and private addresses: right where the players share a machine or a network,
            wrong on the Internet, where they would let one player knock at doors inside another's network.
        relay_only: only relayed ones, so that no player learns another's address.
    """

    private: bool
    relay_only: bool = False

    def objection(self, candidate: IceCandidate) -> DropReason | None:
        """Say why a candidate is not to be passed on, or ``None``."""
        if self.relay_only and candidate.type != "relay":
            return DropReason.NOT_RELAY
        transport = candidate.transport.lower()
        if transport not in {"udp", "tcp"}:
            return DropReason.TRANSPORT
        active = transport == "tcp" and ("tcptype", "active") in candidate.extensions
        if candidate.port < _FIRST_USER_PORT and not (active and candidate.port == _DISCARD_PORT):
            return DropReason.PORT
        if _MDNS_NAME.fullmatch(candidate.address):
            return None
        return address_objection(candidate.address, private=self.private)


def candidate_type(text: str) -> str:
    """Return the type that a candidate names, whatever else is in it; empty where it names none."""
    found = _TYPE.search(text)
    return "" if found is None else found[1]


def preferred(candidates: Sequence[IceCandidate], most: int) -> set[int]:
    """Return which ones to keep, by index, where there are too many.

    The best of every kind, the second best of every kind, and so on: a single relay is what connects where
    sixty addresses of a machine's own do not. What is better of one kind, its priority says.
    """
    by_kind: dict[tuple[str, str, bool], list[int]] = {}
    for index in sorted(range(len(candidates)), key=lambda index: -candidates[index].priority):
        by_kind.setdefault(candidates[index].kind, []).append(index)
    ranked = [
        index for best in itertools.zip_longest(*by_kind.values()) for index in best if index is not None
    ]
    return set(ranked[:most])


@functools.lru_cache(maxsize=1024)  # one player has few addresses, and names each of them often
def address_objection(text: str, *, private: bool) -> DropReason | None:
    """Return why nobody should learn of this address to send packets to, or ``None``.

    Args:
        text: an IP address; anything else is a host name, in whatever disguise (``127.1``, ``0x7f000001``).
        private: whether loopback and private addresses will do.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return DropReason.HOSTNAME
    if "%" in text:  # a zone has a meaning on one machine alone, RFC 4007 section 6
        return DropReason.LINK_LOCAL
    objections = (_objection(one, private=private) for one in _meanings(address))
    return next((drop for drop in objections if drop is not None), None)


def _meanings(address: _Address) -> Iterator[_Address]:
    """Yield the address, and the IPv4 addresses to which somebody on the way may turn it."""
    if isinstance(address, ipaddress.IPv4Address):
        yield address
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
        return
    yield address
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if address in _NAT64 or (address in _IPV4_COMPATIBLE and int(address) > 1):
        yield ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)


def _objection(address: _Address, *, private: bool) -> DropReason | None:
    never = (
        (DropReason.UNSPECIFIED, address.is_unspecified or address in _THIS_NETWORK),
        (DropReason.METADATA, address in _METADATA),
        (DropReason.BROADCAST, address == _BROADCAST),
        (DropReason.MULTICAST, address.is_multicast),
        (DropReason.LINK_LOCAL, address.is_link_local),
        (DropReason.RESERVED, address in _FUTURE_USE),
    )
    for drop, applies in never:
        if applies:
            return drop
    if private:
        return None
    if address.is_loopback:
        return DropReason.LOOPBACK
    reached = any(address in network for network in _REACHED)
    return DropReason.PRIVATE if not reached and any(address in n for n in _NOT_GLOBAL) else None
