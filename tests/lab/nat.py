"""Address translators between a host and the path: their kinds, and the nftables rules that make them.

The kinds are RFC 4787's: how a mapping depends on the destination, and who may send through it. Linux keeps a
source port where it can, which makes its mappings independent of the destination; its filter admits only
answers.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

_OTHER_PORTS = 20_000
"""Below those that Linux gives to sockets, so that no mapping gets its old one."""


class Nat(enum.Enum):
    """How the translator in front of a host behaves."""

    FULL_CONE = "full cone"
    """One mapping, open to anybody: a router that forwards everything to its only host."""
    ADDRESS_RESTRICTED = "address restricted"
    """One mapping, open to those (whatever their port) whose address was sent to."""
    PORT_RESTRICTED = "port restricted"
    """One mapping, open to those (address and port) that were sent to: most home routers."""
    SYMMETRIC = "symmetric"
    """A mapping with a random port for each destination: only an open other side can be met directly."""


def rules(kind: Nat, *, outside: str, host: str) -> str:
    """Return nftables rules for a translator with the device ``outside`` and the address ``host`` behind."""
    random_port = " fully-random" if kind is Nat.SYMMETRIC else ""
    to_host = {
        Nat.FULL_CONE: f"iifname {outside} meta l4proto udp dnat to {host}",
        Nat.ADDRESS_RESTRICTED: f"iifname {outside} meta l4proto udp ip saddr @sent_to dnat to {host}",
    }.get(kind, "")
    # Without the input rule a packet that comes too early would be tracked as one for the translator itself,
    # and would take the very port that the host's mapping needs a moment later.
    return f"""
table ip nat {{
  set sent_to {{ type ipv4_addr; flags dynamic; timeout 10m; }}
  chain noting {{ type filter hook postrouting priority mangle;
    oifname {outside} update @sent_to {{ ip daddr }}
  }}
  chain prerouting {{ type nat hook prerouting priority dstnat; {to_host}
  }}
  chain postrouting {{ type nat hook postrouting priority srcnat; oifname {outside} masquerade{random_port}
  }}
}}
table ip filter {{
  chain input {{ type filter hook input priority filter; iifname {outside} drop
  }}
  chain forward {{ type filter hook forward priority filter; policy drop; ct state established,related accept
    iifname != {outside} accept
    ct status dnat accept
  }}
}}
"""


def other_ports(ports: Iterable[int], *, outside: str, times: int) -> str:
    """Return the change of these rules after which the host's ports, where mapped anew, have other ones.

    Each has one of its own, whoever it sends to: given a range, Linux would draw for each destination.

    Args:
        ports: the host's.
        outside: as for :func:`rules`.
        times: how often that was done before.
    """
    first = _OTHER_PORTS + 1000 * (times % 10)
    return "".join(
        f"insert rule ip nat postrouting oifname {outside} udp sport {port} masquerade to :{first + number}\n"
        for number, port in enumerate(ports)
    )
