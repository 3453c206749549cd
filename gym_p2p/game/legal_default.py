"""The default action of a seat whose player does not act, minding an action mask."""

from __future__ import annotations

from typing import Any

from gym_p2p.core.wire.seats import SeatId
from gym_p2p.game.env.game import Game
from gym_p2p.game.outcome import Outcome
from gym_p2p.game.spaces.masks import legal_or_nearest, mask_of

__all__ = ["legal_default"]


def legal_default(game: Game, seat: SeatId, seen: Outcome) -> Any:
    """Return a seat's default action; the first that is legal where a mask forbids that.

    Args:
        game: the game.
        seat: whose.
        seen: what came of the frame before.
    """
    index, default, space = game.seats.index(seat), game.default_action(seat), game.codec(seat).space
    mask = mask_of(space, seen.observations[index], seen.infos[index])
    return legal_or_nearest(space, mask, default, default)
