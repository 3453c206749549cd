"""What the players of a simulated match have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from gym_p2p.config import SyncConfig
from gym_p2p.core.api.rooms import MatchFound, MatchPlayer
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.net.links.memory import MemoryNetwork, VirtualClock

__all__ = ["Policy", "Setting"]

Policy = Callable[[Any, int], Any]
"""``policy(observation, frame) -> action``."""


@attrs.frozen(kw_only=True)
class Setting:
    """What the players of a simulated match have in common.

    Attributes:
        seats: every seat, one a player.
        policies: by seat.
        config: how frames are kept together.
        frames: after so many the match ends.
        seed: of the episode.
        delays: input delays of seats that differ from ``config``'s.
        leave: the frame at which the player of a seat vanishes.
        drift: by how much the clock of a seat's player is faster.
    """

    seats: tuple[SeatId, ...]
    policies: Mapping[SeatId, Policy]
    config: SyncConfig
    frames: int
    seed: int
    delays: Mapping[SeatId, int]
    leave: Mapping[SeatId, int]
    drift: Mapping[SeatId, float]
    clock: VirtualClock
    network: MemoryNetwork

    def config_of(self, seat: SeatId) -> SyncConfig:
        """Return how the player of a seat keeps frames together."""
        if seat not in self.delays:
            return self.config
        return attrs.evolve(self.config, input_delay=self.delays[seat])

    def found_by(self, seat: SeatId) -> MatchFound:
        """Return the match as the player of a seat would have learned of it."""
        players = [
            MatchPlayer(player_id=s, subject_id=f"simulated-{s}", seats=(s,), client=None) for s in self.seats
        ]
        return MatchFound(
            match_id=f"simulated-{self.seed}",
            room="simulation",
            player_id=seat,
            seats_taken=(seat,),
            players=tuple(players),
            seed=self.seed % 2**32,
            ice_servers=(),
            relay_only=False,
            token="simulated",  # noqa: S106 - nothing is uploaded
        )
