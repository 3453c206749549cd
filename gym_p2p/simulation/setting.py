"""What the players of a simulated match have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from gym_p2p.config import SyncConfig
from gym_p2p.core.api.rooms import MAX_PLAYERS, MatchFound, MatchPlayer
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConfigurationError
from gym_p2p.simulation.arguments import BySeat

__all__ = ["Policy", "Setting"]

Policy = Callable[[Any, int], Any]
"""``policy(observation, frame) -> action``."""


@attrs.frozen
class Setting:
    """What the players of a simulated match have in common.

    Attributes:
        seats: every seat, one a player.
        policies: by seat.
        config: how frames are kept together.
        by_seat: what is particular to some players.
        frames: after so many the match ends.
        seed: of the episode.

    Raises:
        ConfigurationError: policies for other seats than there are, or something particular to no seat.
    """

    seats: tuple[SeatId, ...]
    policies: Mapping[SeatId, Policy]
    config: SyncConfig
    by_seat: BySeat
    frames: int
    seed: int

    def __attrs_post_init__(self) -> None:
        """Check that everything is of the same seats."""
        if set(self.policies) != set(self.seats):
            problem = f"wanted one for each of {list(self.seats)}, got {list(self.policies)}"
            raise ConfigurationError("policies", problem)
        if not 2 <= len(self.seats) <= MAX_PLAYERS:
            problem = f"a match has 2 to {MAX_PLAYERS} players, got {len(self.seats)}"
            raise ConfigurationError("policies", problem)
        self.by_seat.check(self.seats)

    def config_of(self, seat: SeatId) -> SyncConfig:
        """Return how the player of a seat keeps frames together."""
        delays = self.by_seat.input_delay
        return attrs.evolve(self.config, input_delay=delays[seat]) if seat in delays else self.config

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
