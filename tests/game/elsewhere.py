"""Environments that keep state outside of their objects, and show it late."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Generator
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

from tests.game import elsewhere_board

__all__ = ["GOERS", "KEEPERS", "results"]

_LATE = 130  # beyond the frames of a proof
_FIRST = 50  # beyond those of a proof where frames are dear

results: list[float] = []
"""A user's own, in the same module: no code of an environment names it."""

_SCORES = [0]
_COUNT = 0


def _count(points: int) -> int:
    global _COUNT  # noqa: PLW0603 that is the point
    _COUNT += points
    return _COUNT


class Keeper(gymnasium.Env[Any, Any]):
    """Adds up what both seats do somewhere, and shows the sum late."""

    action_space: Any = spaces.MultiDiscrete([3, 3])
    observation_space = spaces.Box(0, 1e9, (2,), np.float64)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.frame = 0
        self.begin()
        return np.zeros(2), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.frame += 1
        total = self.add(1 + int(action[0]) + 3 * int(action[1]))
        return np.array([self.frame, total if self.frame > _LATE else 0.0]), 0.0, False, False, {}

    def begin(self) -> None:
        raise NotImplementedError

    def add(self, points: int) -> float:
        raise NotImplementedError


class InAList(Keeper):
    def begin(self) -> None:
        _SCORES[0] = 0

    def add(self, points: int) -> float:
        _SCORES[0] += points
        return _SCORES[0]


class LateInAList(InAList):
    """Writes into it for the first time when many frames have gone by."""

    def add(self, points: int) -> float:
        return super().add(points) if self.frame > _FIRST else 0.0


class InANumber(Keeper):
    def begin(self) -> None:
        _count(-_count(0))

    def add(self, points: int) -> float:
        return _count(points)


class InTheClass(Keeper):
    total = 0

    def begin(self) -> None:
        type(self).total = 0

    def add(self, points: int) -> float:
        InTheClass.total += points
        return InTheClass.total


def _remember(points: int, kept: list[int] = []) -> int:  # noqa: B006 that is the point
    kept.append(points)
    _remember.calls += 1  # type: ignore[attr-defined]  # that too
    return sum(kept) + int(_remember.calls)  # type: ignore[attr-defined]  # that too


_remember.calls = 0  # type: ignore[attr-defined]  # what a first reset makes is not seen: it is read before


class InAFunction(Keeper):
    """As an attribute of it, and in the default of its argument."""

    def begin(self) -> None:
        _remember.__defaults__[0].clear()  # type: ignore[index]  # it has one
        _remember.calls = 0  # type: ignore[attr-defined]  # that is the point

    def add(self, points: int) -> float:
        return _remember(points)


class InAnotherModule(Keeper):
    def begin(self) -> None:
        elsewhere_board.cells.clear()
        elsewhere_board.turn = 0

    def add(self, points: int) -> float:
        elsewhere_board.turn += 1
        elsewhere_board.put(points)
        return sum(elsewhere_board.cells.values()) + elsewhere_board.turn


class _Piece:
    moves: ClassVar[dict[str, int]] = {}

    def move(self, points: int) -> int:
        self.moves["all"] = self.moves.get("all", 0) + points
        return self.moves["all"]


class InAPiece(Keeper):
    def begin(self) -> None:
        self.piece = _Piece()
        self.piece.moves["all"] = 0

    def add(self, points: int) -> float:
        return self.piece.move(points)


class InASpace(Keeper):
    def __init__(self) -> None:
        self.deck = spaces.Dict({"card": spaces.Discrete(1000)})

    def begin(self) -> None:
        self.deck.seed(int(self.np_random.integers(99)))
        self.total = 0

    def add(self, points: int) -> float:
        if points > 4:
            self.total += int(self.deck.sample()["card"])
        return self.total


class InItsOwnSpace(Keeper):
    """Draws by the space that its players act in."""

    def __init__(self) -> None:
        self.action_space = spaces.MultiDiscrete([3, 3])

    def begin(self) -> None:
        self.action_space.seed(int(self.np_random.integers(99)))

    def add(self, points: int) -> float:
        return float(self.action_space.sample().sum()) if points > 4 else 0.0


class _Scores:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.board = spaces.Discrete(9)
        self.total = 0


class InAWindow(Keeper):
    """Has an attribute that is called what others draw on."""

    def begin(self) -> None:
        self._window = _Scores()

    def add(self, points: int) -> float:
        self._window.total += points
        return self._window.total


class UnderANameMadeAtRunTime(Keeper):
    """In its module, in its class, and in the module of another class; the code names none of it."""

    def begin(self) -> None:
        globals()["_TOTAL_" + "HERE"] = 0
        setattr(type(self), "total_" + "here", 0)
        elsewhere_board.__dict__["MORE"] = [0]

    def add(self, points: int) -> float:
        globals()["_TOTAL_" + "HERE"] += points
        setattr(type(self), "total_" + "here", getattr(self, "total_" + "here") + points)
        vars(elsewhere_board)["MORE"][0] += points
        total = globals()["_TOTAL_" + "HERE"] + getattr(self, "total_" + "here")
        return float(total + elsewhere_board.__dict__["MORE"][0])


_THREADS = threading.local()


class InAThread(Keeper):
    """In what only its thread sees, as a global and as an attribute."""

    def begin(self) -> None:
        self.local = threading.local()
        self.local.total = _THREADS.total = 0

    def add(self, points: int) -> float:
        self.local.total += points
        _THREADS.total += points
        return float(self.local.total + _THREADS.total)


_COUNTED = itertools.count()
_CARDS = iter(range(0))


class InACount(Keeper):
    """Draws from a count that its module makes, and from a deck that is gone through."""

    deck: Any = None

    def begin(self) -> None:
        global _COUNTED, _CARDS  # noqa: PLW0603 that is the point
        _COUNTED = itertools.count(5, 3)
        _CARDS = iter(range(1000))
        type(self).deck = iter([*range(7), *range(5000)])

    def add(self, points: int) -> float:
        for _ in range(points):
            next(_COUNTED)
            next(self.deck)
        return float(next(_COUNTED) + next(_CARDS) + next(self.deck))


_FROM: Generator[int, int, None]


class InAGenerator(Keeper):
    """Adds up in a generator that its module keeps: of that nobody can make another one."""

    def begin(self) -> None:
        global _FROM  # noqa: PLW0603 that is the point
        _FROM = _sums()
        next(_FROM)

    def add(self, points: int) -> float:
        return float(_FROM.send(points))


class InAMap(InAGenerator):
    """The same, of what draws from another iterator."""

    def begin(self) -> None:
        global _FROM  # noqa: PLW0603 that is the point
        _FROM = map(abs, itertools.count())  # type: ignore[assignment]  # of another kind

    def add(self, points: int) -> float:
        return float(sum(next(_FROM) for _ in range(points)))


def _sums() -> Generator[int, int, None]:
    total = 0
    while True:
        total += yield total


GOERS = [InAGenerator, InAMap]
KEEPERS = [InAList, LateInAList, InANumber, InTheClass, InAnotherModule, InAPiece, InASpace, InItsOwnSpace]
KEEPERS += [InAWindow, InAFunction, UnderANameMadeAtRunTime, InAThread, InACount]
