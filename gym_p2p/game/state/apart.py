"""Copies of one environment in one process, each as if it had the process to itself.

What an environment keeps in its modules and classes, all copies in a process share. Players of a match have
a process each; virtual players share one. Here the copies take turns on one stage: who is about to play puts
its own contents there, and those of the one before are kept for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from gym_p2p.game.env.describe import layers
from gym_p2p.game.env.game import Game, GameAround
from gym_p2p.game.outcome import Outcome
from gym_p2p.game.state import graph
from gym_p2p.game.state.kinds import Entry, Unreachable
from gym_p2p.game.state.outside import Namespace, Outside
from gym_p2p.game.state.plays import random_actor

__all__ = ["apart"]

_WATCHED_FRAMES = 24
"""As many as a proof has at least."""


def apart(games: Sequence[Game]) -> list[Game]:
    """Return copies of one game that do not see what the others keep in modules and classes."""
    around = list(layers(games[0].env))
    try:
        entries = graph.record(around)
    except Unreachable:  # it cannot be saved; what its code names can be found all the same
        outside = Outside(around, [])
    else:
        outside = Outside(around, entries)
        _watch(games[0], outside, around)
    namespaces = outside.all
    if not namespaces:
        return list(games)
    stage = _Stage(namespaces)
    return [_Apart(game, stage) for game in games]


def _watch(game: Game, outside: Outside, around: Sequence[Any]) -> None:
    """Play a little, see what moves that the code does not name, and leave all as it was."""
    before = graph.record([*around, *outside.everything])
    moments = [outside.marks()]
    with contextlib.suppress(Exception):  # what an environment raises is told by whoever plays it
        act, outcome = random_actor(game), game.reset(1)
        moments.append(outside.marks())
        for frame in range(_WATCHED_FRAMES):
            if outcome.ended:
                break
            outcome = game.step(act(outcome, frame))
    outside.keep_moved([*moments, outside.marks()])
    graph.put_back(before)


class _Stage:
    """The places that all copies share, and who is on it."""

    def __init__(self, namespaces: Sequence[Namespace]) -> None:
        self._namespaces = namespaces
        self._first = self._now()
        self._kept: dict[int, list[Entry]] = {}
        self._on_it: int | None = None

    def enter(self, who: int) -> None:
        if self._on_it == who:
            return
        if self._on_it is not None:
            self._kept[self._on_it] = self._now()
        graph.put_back(self._kept.get(who, self._first))
        self._on_it = who

    def _now(self) -> list[Entry]:
        return graph.record(self._namespaces)


class _Apart(GameAround):
    """A game that takes the stage whenever it is played."""

    def __init__(self, game: Game, stage: _Stage) -> None:
        super().__init__(game)
        self._stage = stage

    def take_stage(self) -> None:
        """See :class:`Game`."""
        self._stage.enter(id(self))

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Outcome:
        self.take_stage()
        return super().reset(seed, options)

    def step(self, actions: Sequence[Any]) -> Outcome:
        self.take_stage()
        return super().step(actions)

    def render(self) -> Any:
        self.take_stage()
        return super().render()
