"""How often one address may connect: much, until its clients had to be dropped again and again.

A client that was dropped for what it sends comes back at once if it may, and every connection costs the
others some of the service's time. But a laboratory, or a proxy, has one address for all of its players: so
an address is slowed down, and not shut out, its standing connections stay, it takes several drops, and the
time is short at first. Who has a join token is held back by that, and not by the address.
"""

from __future__ import annotations

import ipaddress

import attrs

from gym_p2p.core.presence.penalties import Penalties
from gym_p2p.core.presence.rate_limits import RateLimit

__all__ = ["SLOW_S", "Connects", "network_of"]

SLOW_S = 10.0
"""An address is slow for so long after the drop that made it so, and for longer after each later one."""
_FORGIVEN = 2
"""A faulty client, and its next try."""
_HOSTS_BITS = 64
"""Of an IPv6 address: who has one has all that differ in these (RFC 6177), and may come from each."""
_MOST_CHARS = 64
"""Of what a proxy says is an address."""


def network_of(address: str) -> str:
    """Return whose an address is: itself, or the network of 2**64 addresses that one subscriber has."""
    try:
        read = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:_MOST_CHARS]
    if isinstance(read, ipaddress.IPv4Address):
        return str(read)
    if read.ipv4_mapped is not None:
        return str(read.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(read) >> _HOSTS_BITS << _HOSTS_BITS)) + "/64"


def _slow() -> RateLimit:
    return RateLimit(1.0, 5)


def _penalties() -> Penalties:
    return Penalties(_FORGIVEN, SLOW_S)


@attrs.define(eq=False)
class Connects:
    """New connections, by address.

    Attributes:
        usual: of an address.
        slow: of one whose clients had to be dropped.
    """

    usual: RateLimit
    slow: RateLimit = attrs.field(factory=_slow)
    _penalties: Penalties = attrs.field(init=False, factory=_penalties)

    def take(self, address: str, now: float) -> float | None:
        """Count one; where it is one too many, return the seconds until the next may come."""
        network = network_of(address)
        wait_s = self.usual.take(network, now)
        if wait_s is None and self._penalties.wait_s(network, now) is not None:
            wait_s = self.slow.take(network, now)
        return wait_s

    def drop(self, address: str, now: float) -> None:
        """Note that a client of this address was dropped for what it sent."""
        self._penalties.count(network_of(address), now)
