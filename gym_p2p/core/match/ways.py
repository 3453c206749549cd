"""The ways from one player to another: directly, by the service, or by a third player; what is told of them.

Values alone; which way is taken when is :mod:`gym_p2p.core.match.rerouting`'s to know.
"""

from __future__ import annotations

import enum

import msgspec

__all__ = [
    "DIRECT",
    "SERVICE",
    "DirectPathLost",
    "Forwarding",
    "Way",
    "WayChanged",
    "WayKind",
    "Why",
    "through",
]


class WayKind(enum.StrEnum):
    """What stands between two players; the values are the exports' words."""

    DIRECT = "direct"
    """Nothing of ours: a peer connection."""
    SERVICE = "service"
    PLAYER = "player"
    """A third player of the match."""


class Way(msgspec.Struct, frozen=True):
    """One way to a player.

    Attributes:
        via: the index of the player in between; ``None`` where there is none.
    """

    kind: WayKind
    via: int | None = None


DIRECT = Way(WayKind.DIRECT)
SERVICE = Way(WayKind.SERVICE)


def through(player: int) -> Way:
    """Return the way by a third player."""
    return Way(WayKind.PLAYER, player)


class Why(enum.StrEnum):
    """What made two players take another way; the values are the exports' words."""

    NO_DIRECT_PATH = "no_direct_path"
    """No peer connection came about while the match began."""
    LOST = "lost"
    """Nothing arrived any more."""
    BAD = "bad"
    """Too much was lost, or took too long."""
    CARRIES = "carries"
    """The direct path carries, after all."""
    GOOD_AGAIN = "good_again"
    """The direct path has carried well for a while."""
    OTHER_PLAYER = "other_player"
    """The player at the other end took it."""


class WayChanged(msgspec.Struct, frozen=True):
    """Messages to and from a player take another way from now on; both have agreed.

    Attributes:
        loss: the share of messages that the way before lost; ``None`` where that is not the reason.
        rtt_ms: its median round trip; the same.
    """

    player: int
    kind: WayKind
    via: int | None
    why: Why
    loss: float | None = None
    rtt_ms: float | None = None


class DirectPathLost(msgspec.Struct, frozen=True):
    """Messages to a player take another way, and nothing arrives directly: a new link is wanted."""

    player: int


class Forwarding(msgspec.Struct, frozen=True):
    """This player passes on messages from one player to another; told once for each stretch of it."""

    origin: int
    recipient: int
