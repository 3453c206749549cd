"""How peers reach each other: over which servers, how long they try, and who helps where they cannot."""

from __future__ import annotations

from typing import Literal

import attrs

from gym_p2p.config.checks import in_range, is_a, is_boolean, one_of, whole_in_range
from gym_p2p.config.ice import IceServer, ice_servers

__all__ = ["LinkConfig", "LinkEmulation"]


@attrs.frozen(kw_only=True)
class LinkEmulation:
    """Delay, jitter and loss added to every datagram that this peer sends (demos and experiments).

    Both peers have to be given the same values for a symmetric path. It acts below ICE, so that
    measured round trips see it too.
    """

    one_way_ms: float = attrs.field(default=0.0, validator=in_range(0, 10_000))
    jitter_ms: float = attrs.field(default=0.0, validator=in_range(0, 10_000))
    """Mean of an exponentially distributed extra delay."""
    loss: float = attrs.field(default=0.0, validator=in_range(0, 1))
    """Probability that a datagram is dropped."""
    seed: int = attrs.field(default=0, validator=whole_in_range(0, 2**63 - 1))

    @property
    def active(self) -> bool:
        """Whether this changes anything."""
        return self.one_way_ms > 0 or self.jitter_ms > 0 or self.loss > 0


@attrs.frozen(kw_only=True)
class LinkConfig:
    """How peers reach each other."""

    ice_servers: tuple[IceServer, ...] = attrs.field(default=(), converter=ice_servers)
    """Used in addition to those that the service hands out. None by default: host candidates only."""
    relay_only: bool = attrs.field(default=False, validator=is_boolean)
    connect_timeout_s: float = attrs.field(default=15.0, validator=in_range(0.1, 600))
    """From the match being found to every channel being open."""
    relay: Literal["service", "players", "none"] = attrs.field(
        default="service", validator=one_of("service", "players", "none")
    )
    """Who may pass messages on where two players have no path to each other, or a bad one: another player who
    reaches both, or else the service; other players alone; or nobody. Both of the two have to allow it."""
    relay_above_ms: float = attrs.field(default=500.0, validator=in_range(1, 60_000))
    """A direct path whose round trips stay above this, or that loses more than three in ten messages, is bad:
    inputs are passed on by others as well until it has been good for five seconds."""
    emulation: LinkEmulation = attrs.field(factory=LinkEmulation, validator=is_a(LinkEmulation))
