"""A policy that plays the seats of players who are away, by the name that :func:`load_policy` takes.

Knows names of policies and seats; refuses to know who is away.
"""

from __future__ import annotations

from typing import Any

from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import UsageError
from gym_p2p.game.env.game import Game
from gym_p2p.policies.load import load_policy
from gym_p2p.policies.seat_policy import SeatPolicy

__all__ = ["PolicyStandIn"]


class PolicyStandIn:
    """What ``stand_in=`` takes, of a policy: ``stand_in(seat, observation, frame) -> action``.

    Args:
        policy: its name.
    """

    def __init__(self, policy: str) -> None:
        self._policy = policy
        self._seats: dict[SeatId, SeatPolicy] = {}

    def __repr__(self) -> str:
        return self._policy  # by which all players compare it

    def play(self, game: Game, seats: tuple[SeatId, ...]) -> None:
        """Be the stand-in of a game.

        Args:
            game: that is played.
            seats: of which others may be away.

        Raises:
            UsageError: there is no such policy for one of them.
        """
        self._seats = {seat: load_policy(self._policy, game, seat) for seat in seats}

    def __call__(self, seat: SeatId, observation: Any, frame: int) -> Any:
        """Return the action of a seat.

        Raises:
            UsageError: the policy raised an error, or gave none.
        """
        policy = self._seats.get(seat)
        if policy is None:
            raise UsageError(f"no stand-in for seat {seat!r}")
        return policy(observation, frame)
