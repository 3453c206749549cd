"""A game that is tried, and then is as it was before.

What an environment keeps over a reset (a counter of its episodes, whose serve it is) would have another past
in a game that was tried than in one that was not: at whoever plays the recording again or looks on, or at a
player who wants lockstep and tries nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from gym_p2p.game.env.describe import RECORDERS, layers
from gym_p2p.game.env.game import Game
from gym_p2p.game.state import graph
from gym_p2p.game.state.kinds import Entry, Unreachable
from gym_p2p.game.state.outside import Outside

__all__ = ["left_as_it_was"]


@contextlib.contextmanager
def left_as_it_was(game: Game) -> Iterator[None]:
    """Take back in the end what happens to a game inside: in its objects, its modules and its classes.

    It has to be reset before it is used: of what is no Python object (the simulator behind one) nothing is
    taken back. A game that holds something of the kind which cannot be recorded is left as it is then.
    """
    game.take_stage()
    before, progress = _recorded(game), game.progress
    try:
        yield
    finally:
        if before is not None:
            game.take_stage()
            graph.put_back(before)
            game.progress = progress


def _recorded(game: Game) -> list[Entry] | None:
    around = list(layers(game.env))
    recorders = [layer for layer in around if isinstance(layer, RECORDERS)]
    roots = [layer for layer in around if layer not in recorders]
    try:
        kept_outside = Outside(around, graph.record(roots, apart_from=recorders))
        return graph.record([*roots, *kept_outside.everything], apart_from=recorders)
    except Unreachable:
        return None
