"""What plays the seats of players who are gone, or away: their default actions, or a stand-in.

That is a function, or a policy that is told the info, too. Knows how each is asked; refuses to know for
whom, and when.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from typing import Any, Self

from gym_p2p.config.names import load_callable
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.game.env.game import Game
from gym_p2p.game.outcome import Outcome, fresh
from gym_p2p.game.spaces.masks import legal_or_nearest, mask_of

__all__ = ["InformedStandIn", "StandIn", "legal_default", "stand_in_action", "stand_in_for"]


class InformedStandIn(abc.ABC):
    """A stand-in that is told what the environment says beside an observation: a mask of actions, say."""

    @property
    def file_name(self) -> str | None:
        """The name, without its folder, of the file that all players compare; ``None`` without one."""
        return None

    @abc.abstractmethod
    def in_game(self, game: Game) -> Self:
        """Return what plays in a game; only that may be asked for actions. This one stays as it is.

        Raises:
            UsageError: it cannot play there.
        """

    @abc.abstractmethod
    def act(self, seat: SeatId, observation: Any, info: Mapping[Any, Any], frame: int) -> Any:
        """Return the action of a seat."""

    def __call__(self, seat: SeatId, observation: Any, frame: int) -> Any:
        """Return the action of a seat, as any stand-in does that is told no info."""
        return self.act(seat, observation, {}, frame)


StandIn = Callable[[SeatId, Any, int], Any] | InformedStandIn
"""``stand_in(seat, observation, frame) -> action`` for a player who is gone; the same for every player."""


def stand_in_for(game: Game, configured: StandIn | str | None) -> StandIn | None:
    """Return what plays in a game, as ``stand_in=`` takes it; ``None`` without one.

    Raises:
        ConfigurationError: it cannot be loaded.
        UsageError: it cannot play in this game.
    """
    if configured is None:
        return None
    stand_in: StandIn = load_callable("stand_in", configured)
    return stand_in.in_game(game) if isinstance(stand_in, InformedStandIn) else stand_in


def stand_in_action(stand_in: StandIn, game: Game, seat: SeatId, seen: Outcome, frame: int) -> Any:
    """Return what a stand-in does at a seat.

    Args:
        stand_in: it.
        game: that is played.
        seat: of this.
        seen: the outcome before the frame, of all seats.
        frame: to be played.

    Raises:
        Exception: what the stand-in raises.
    """
    index = game.seats.index(seat)
    observation = fresh(seen.observations[index])
    if isinstance(stand_in, InformedStandIn):
        return stand_in.act(seat, observation, fresh(seen.infos[index]), frame)
    return stand_in(seat, observation, frame)


def legal_default(game: Game, seat: SeatId, seen: Outcome) -> Any:
    """Return a seat's default action; the first that is legal where a mask forbids that.

    Args:
        game: that is played.
        seat: of this.
        seen: the outcome before the frame, of all seats.
    """
    index, default, space = game.seats.index(seat), game.default_action(seat), game.codec(seat).space
    mask = mask_of(space, seen.observations[index], seen.infos[index])
    return legal_or_nearest(space, mask, default, default)
