"""What a simulated match comes to: confirmed frames, counters, documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from gym_p2p.core.wire.seats import SeatId

__all__ = ["ConfirmedFrame", "Counters", "SimulatedPlayer", "Simulation"]


@attrs.frozen(kw_only=True)
class ConfirmedFrame:
    """One frame as it became final for one player.

    Attributes:
        actions: every seat's, by seat, as JSON-ready data.
        observation: what this player's seat saw after it.
        checksum: 16 hex digits over everything up to it; equal for all players who agree.
    """

    frame: int
    actions: Mapping[SeatId, Any]
    observation: Any
    reward: float
    terminated: bool
    truncated: bool
    checksum: str


@attrs.define
class Counters:
    """What keeping together cost one player."""

    rollbacks: int = 0
    resimulated_frames: int = 0
    mispredictions: int = 0
    stalls: int = 0
    messages: int = 0
    bytes: int = 0
    max_rollback_frames: int = 0


@attrs.frozen(kw_only=True)
class SimulatedPlayer:
    """What one player's match came to.

    Attributes:
        confirmed: every final frame, in order.
        exports: the three documents: ``session``, ``validation``, ``multiplayer``.
        ending: ``frames`` (as many as were asked for), ``ended`` (by the environment), ``left`` (as
            ``leave`` has it), or why the match ended early.
    """

    confirmed: list[ConfirmedFrame]
    exports: Mapping[str, Mapping[str, Any]]
    counters: Counters
    ending: str

    @property
    def total_reward(self) -> float:
        """The sum of this seat's final rewards."""
        return sum(frame.reward for frame in self.confirmed)


@attrs.frozen(kw_only=True)
class Simulation:
    """What a simulated match came to.

    Attributes:
        players: by seat.
        sync: the mode that was played in.
        why: why that one.
        seconds: how long the match took, in virtual time.
        lost: game messages that the network lost.
    """

    players: Mapping[SeatId, SimulatedPlayer]
    sync: str
    why: str
    seconds: float
    lost: int
