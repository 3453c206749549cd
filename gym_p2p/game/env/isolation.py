"""Games that draw from the global generators of ``random`` and ``numpy.random``, made playable by peers.

An environment that does so shares its chance with everything else in the process: a policy, a data loader,
another match. :func:`isolate_global_random` gives it streams of its own, seeded by ``reset``, and makes them
part of what the game keeps of its progress, so that they are saved and restored with the state.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import numpy as np

from gym_p2p.game.env.game import Game, GameAround
from gym_p2p.game.outcome import Outcome

__all__ = ["GlobalRandom", "isolate_global_random"]

_NUMPY_SEEDS = 2**32  # what numpy.random.seed takes


@attrs.frozen(eq=False)
class GlobalRandom:
    """Where the two global generators stand."""

    standard: tuple[Any, ...]
    numpy: dict[str, Any]

    @classmethod
    def now(cls) -> GlobalRandom:
        """Return where they stand now."""
        return cls(random.getstate(), dict(np.random.get_state(legacy=False)))

    @classmethod
    def seeded(cls, seed: int) -> GlobalRandom:
        """Return where they would stand after having been seeded."""
        numpy = np.random.RandomState(seed % _NUMPY_SEEDS).get_state(legacy=False)
        return cls(random.Random(seed).getstate(), dict(numpy))

    @classmethod
    @contextlib.contextmanager
    def kept(cls) -> Iterator[None]:
        """Set them back at the end to where they stand now."""
        before = cls.now()
        try:
            yield
        finally:
            before.put_back()

    def put_back(self) -> None:
        """Set both of them to here."""
        random.setstate(self.standard)
        np.random.set_state(self.numpy)

    def moved(self) -> tuple[str, ...]:
        """Return which of them have been drawn from or seeded since: ``"random"``, ``"numpy.random"``."""
        moved = () if random.getstate() == self.standard else ("random",)
        now = np.random.get_state(legacy=False)
        before = self.numpy
        same = now["state"]["pos"] == before["state"]["pos"] and now["has_gauss"] == before["has_gauss"]
        same = same and np.array_equal(now["state"]["key"], before["state"]["key"])
        return moved if same else (*moved, "numpy.random")


def isolate_global_random(game: Game) -> Game:
    """Return the game with global streams of its own. It owns the one given from now on.

    ``reset(seed)`` seeds the streams; without a seed they go on. What other code draws between two steps does
    not reach the environment, nor the other way round.
    """
    return _Isolated(game)


class _Isolated(GameAround):
    """A game in whose calls the global generators are its own."""

    def __init__(self, game: Game) -> None:
        super().__init__(game)
        self._streams = GlobalRandom.seeded(0)

    @property
    def progress(self) -> tuple[Any, GlobalRandom]:
        """What the game remembers, and where its streams stand."""
        return self._game.progress, self._streams

    @progress.setter
    def progress(self, value: tuple[Any, GlobalRandom]) -> None:
        self._game.progress, self._streams = value

    def comparable(self, progress: tuple[Any, GlobalRandom]) -> tuple[Any, GlobalRandom]:
        """See :class:`Game`; where the streams stand is state too."""
        return self._game.comparable(progress[0]), progress[1]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Outcome:
        """Seed the streams, and begin an episode."""
        if seed is not None:
            self._streams = GlobalRandom.seeded(seed)
        with self._own_streams():
            return self._game.reset(seed, options)

    def step(self, actions: Sequence[Any]) -> Outcome:
        """Advance one frame; see :class:`Game`."""
        with self._own_streams():
            return self._game.step(actions)

    def describe(self) -> dict[str, str]:
        """See :class:`Game`; isolation is a thing to agree on."""
        return self._game.describe() | {"global random state": "isolated"}

    @contextlib.contextmanager
    def _own_streams(self) -> Iterator[None]:
        with GlobalRandom.kept():
            self._streams.put_back()
            try:
                yield
            finally:
                self._streams = GlobalRandom.now()
