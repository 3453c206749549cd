"""A policy that plays the seats of players who are away, by the name that :func:`load_policy` takes.

Knows names of policies and seats; refuses to know who is away.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import attrs

from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import UsageError
from gym_p2p.game.env.game import Game
from gym_p2p.game.stand_ins import InformedStandIn
from gym_p2p.policies.load import load_policy
from gym_p2p.policies.model_files import file_digest, require_file
from gym_p2p.policies.seat_policy import SeatPolicy
from gym_p2p.policies.specs import PolicySpec, read_spec

__all__ = ["PolicyStandIn"]


@attrs.frozen(eq=False, repr=False)
class PolicyStandIn(InformedStandIn):
    """What ``stand_in=`` takes, of a policy: its name.

    Raises:
        UsageError: it is none, or its file cannot be read.
    """

    _policy: str
    _seats: Mapping[SeatId, SeatPolicy] = attrs.field(factory=dict, kw_only=True)
    """Who plays; nobody before there is a game."""
    _compared: str = attrs.field(kw_only=True)

    @_compared.default
    def _read(self) -> str:
        return _compared(read_spec(self._policy), self._policy)

    def __repr__(self) -> str:
        """Return what all players compare: of a file its contents, wherever it is and whatever its name."""
        return self._compared

    def in_game(self, game: Game) -> Self:
        """Return one with a policy at every seat of a game.

        Raises:
            UsageError: there is no such policy for one of them.
        """
        return attrs.evolve(self, seats={seat: load_policy(self._policy, game, seat) for seat in game.seats})

    def act(self, seat: SeatId, observation: Any, info: Mapping[Any, Any], frame: int) -> Any:
        """Return the action of a seat.

        Raises:
            UsageError: the policy raised an error, or gave none.
        """
        policy = self._seats.get(seat)
        if policy is None:
            raise UsageError(f"no stand-in for seat {seat!r}")
        return policy.act(observation, info, frame)

    @property
    def file_name(self) -> str | None:
        """See :class:`InformedStandIn`."""
        file = read_spec(self._policy).file
        return None if file is None else file.name


def _compared(spec: PolicySpec, policy: str) -> str:
    """Return what stands for a policy: equal where it does the same."""
    match spec:
        case PolicySpec(kind=kind, file=Path() as file):
            require_file(file, name=str(spec))
            trained = () if spec.algorithm is None else (spec.algorithm,)
            return ":".join((kind, *trained, f"SHA-256 {file_digest(file)}"))
        case _:
            return policy
