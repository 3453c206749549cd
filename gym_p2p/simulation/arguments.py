"""The arguments of a simulated match, checked: refused with the option's name, not within the match.

Knows the ranges that make sense; refuses to know how a match is played.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from gym_p2p.config import SyncConfig
from gym_p2p.config.checks import require_number, require_whole
from gym_p2p.config.names import did_you_mean
from gym_p2p.core.api.rooms import MAX_PLAYERS, MatchFound, MatchPlayer
from gym_p2p.core.wire.codec import MAX_SEED
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConfigurationError
from gym_p2p.net.links.memory import Path

__all__ = ["BySeat", "Figure", "Figures", "Policy", "Setting", "check_plain"]

Figure = float | Mapping[tuple[Any, Any], float]
"""One number for all paths, or one for each directed pair of seats (others: 0)."""

Policy = Callable[[Any, int], Any]
"""``policy(observation, frame) -> action``."""

_MOST_MS = 60_000.0
_MOST_DRIFT = 0.5
"""A clock is never so wrong; at -1 it would stand still."""


def check_plain(policies: Mapping[Any, Any], *, frames: int, seed: int, options: Mapping[str, Any]) -> None:
    """Check what can be checked before any environment is made.

    Raises:
        ConfigurationError: something is out of range, no function, or unknown.
    """
    require_whole("frames", frames, 1)
    require_whole("seed", seed, 0, MAX_SEED)
    if not isinstance(policies, Mapping) or not policies:
        raise ConfigurationError("policies", f"wanted a policy for each seat, got {policies!r}")
    for seat, policy in policies.items():
        if not callable(policy):
            problem = f"wanted a function policy(observation, frame) for {seat!r}, got {policy!r}"
            raise ConfigurationError("policies", problem)
    known = [field.name for field in attrs.fields(SyncConfig) if field.name != "mode"]
    for name in options:
        if name not in known:
            raise ConfigurationError(name, f"no such option{did_you_mean(name, known)}")


@attrs.frozen(kw_only=True)
class BySeat:
    """What is particular to the players of some seats; see :func:`~gym_p2p.simulation.simulate`."""

    leave: Mapping[SeatId, int]
    clock_drift: Mapping[SeatId, float]
    input_delay: Mapping[SeatId, int]

    def check(self, seats: Sequence[SeatId]) -> None:
        """Compare it with the seats that there are.

        Raises:
            ConfigurationError: a seat that does not exist, or a value out of range.
        """
        for option, mapping in attrs.asdict(self, recurse=False).items():
            unknown = [seat for seat in mapping if seat not in seats]
            if unknown:
                raise ConfigurationError(option, f"{unknown[0]!r} is none of the seats {list(seats)}")
        for frame in self.leave.values():
            require_whole("leave", frame, 0)
        for drift in self.clock_drift.values():
            require_number("clock_drift", drift, -_MOST_DRIFT, _MOST_DRIFT)


@attrs.frozen
class Figures:
    """The paths between the players, as a simulation is given them."""

    one_way_ms: Figure
    jitter_ms: Figure
    loss: Figure
    reorder: Figure
    duplicate: Figure

    def paths(self, seats: Sequence[SeatId]) -> dict[tuple[int, int], Path]:
        """Return the directed paths between players, by index.

        Raises:
            ConfigurationError: a number out of range, or a pair of other seats.
        """
        figures: dict[str, Figure] = attrs.asdict(self, recurse=False)
        for name, figure in figures.items():
            _check_figure(name, figure, seats)

        def path(pair: tuple[SeatId, SeatId]) -> Path:
            return Path(
                **{
                    name: float(figure.get(pair, 0.0)) if isinstance(figure, Mapping) else float(figure)
                    for name, figure in figures.items()
                }
            )

        return {
            (i, j): path((here, there))
            for i, here in enumerate(seats)
            for j, there in enumerate(seats)
            if i != j
        }


def _check_figure(name: str, figure: Figure, seats: Sequence[SeatId]) -> None:
    most = _MOST_MS if name.endswith("_ms") else 1.0
    for number in figure.values() if isinstance(figure, Mapping) else [figure]:
        require_number(name, number, 0.0, most)
    for pair in figure if isinstance(figure, Mapping) else ():
        if not (isinstance(pair, tuple) and len(pair) == 2 and set(pair) <= set(seats)):
            raise ConfigurationError(name, f"{pair!r} is no pair of the seats {list(seats)}")


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
