"""Tiny environments, each with one habit that matters to those who save, compare or restart them."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import EzPickle

__all__ = [
    "Breaking",
    "CalendarReader",
    "ClockReader",
    "Forgetful",
    "GlobalDrawer",
    "GlobalSeeder",
    "Hoarder",
    "HoarderWithHooks",
    "InClosure",
    "Leaky",
    "Moody",
    "Native",
    "Pickled",
    "SetOrdered",
    "Swapping",
    "Unmoved",
    "Walker",
    "shared",
]


def shared(name: str, value: int | None = None) -> int:
    """Return what the process, as its system sees it, has under a name; set it first if there is a value."""
    if value is not None:
        os.environ[f"GYM_P2P_TESTS_{name}"] = str(value)
    return int(os.environ[f"GYM_P2P_TESTS_{name}"])


class Walker(gymnasium.Env[Any, Any]):
    """Walks at random and by its player's will; the well-behaved one."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}  # type: ignore[misc]  # declared without ClassVar
    action_space = spaces.Discrete(3)
    observation_space = spaces.Box(-1e12, 1e12, (2,), np.float64)

    def __init__(self) -> None:
        self.position = 0
        self.trail = np.zeros(4)
        self.rememberers = {"first": self.trail}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.position = 0
        self.trail[:] = 0
        return self.seen(), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.position += int(action) + int(self.np_random.integers(10))
        self.trail[:] = np.roll(self.trail, 1)
        self.rememberers["first"][0] = self.position  # the trail by its other name
        return self.seen(), float(self.position % 7), False, False, {}

    def seen(self) -> Any:
        return np.array([self.position, self.trail.sum()])


class Rounds(Walker):
    """Goes on with its rounds of ten frames where the episode before left off."""

    def __init__(self) -> None:
        super().__init__()
        self.turn = 0

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.turn = (self.turn + 1) % 10
        self.position += 3 * (self.turn == 0)
        return super().step(action)


class Pickled(Walker, EzPickle):
    """A copy of it is a new one: the state is lost without an error."""

    def __init__(self) -> None:
        EzPickle.__init__(self)
        Walker.__init__(self)


class InClosure(Walker):
    """Keeps its position where no attribute is."""

    def __init__(self) -> None:
        super().__init__()
        self.advance, self.where = _counter()

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        self.advance(-self.where())
        return super().reset(**kwargs)

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.advance(int(action) + 1)
        return np.array([self.where(), 0.0]), 0.0, False, False, {}


def _counter() -> tuple[Callable[[int], None], Callable[[], int]]:
    position = 0

    def advance(by: int) -> None:
        nonlocal position
        position += by

    return advance, lambda: position


class Hoarder(Walker):
    """Keeps its position in the process's environment, to which none of its objects leads."""

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        shared("POSITION", 0)
        return super().reset(**kwargs)

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        position = shared("POSITION", shared("POSITION") + int(action) + 1)
        return np.array([position, 0.0]), 0.0, False, False, {}


class HoarderWithHooks(Hoarder):
    """The same; knows how to save itself."""

    def keep(self) -> int:
        return shared("POSITION")

    def restore(self, kept: int) -> None:
        shared("POSITION", kept)


class Forgetful(Walker):
    """Offers its state without the generator's."""

    def get_state(self) -> dict[str, Any]:
        return {"position": self.position, "trail": self.trail.tolist()}

    def set_state(self, state: dict[str, Any]) -> None:
        self.position = state["position"]
        self.trail[:] = state["trail"]


class _Drifting(Walker):
    """Writes on in one and the same array, and gives that out."""

    def __init__(self) -> None:
        super().__init__()
        self.place = np.zeros(2)

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        super().reset(**kwargs)
        self.place = np.zeros(2)
        return self.place, {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.place += 1 + int(action)
        return self.place, 0.0, False, False, {}


class Leaky(_Drifting):
    """What it gives as its state is the running game's own array."""

    def get_state(self) -> Any:
        return self.place

    def set_state(self, state: Any) -> None:
        self.place[:] = state


class Swapping(_Drifting):
    """Copies when it saves, and then plays on in the saved array when it loads."""

    def get_state(self) -> Any:
        return self.place.copy()

    def set_state(self, state: Any) -> None:
        self.place = state


class Native(Walker):
    """Holds something that nobody can rewind."""

    def __init__(self) -> None:
        super().__init__()
        self.counters = [itertools.count()]

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        next(self.counters[0])
        return super().step(action)


class ClockReader(Walker):
    """Shows the time."""

    def seen(self) -> Any:
        return np.array([self.position, time.perf_counter()])


class CalendarReader(Walker):
    """Shows the day, which no short trial sees changing."""

    def seen(self) -> Any:
        return np.array([self.position, time.time() // 86_400])


class SetOrdered(Walker):
    """Shows the order of a set of texts, which is another one in another process."""

    def __init__(self) -> None:
        super().__init__()
        self.names = {f"agent {letter}" for letter in "abcdefghijkl"}

    def seen(self) -> Any:
        order = [ord(name[-1]) for name in self.names]
        return np.array([self.position, sum(i * o for i, o in enumerate(order))], np.float64)


class Moody(Walker):
    """Its info is never the same; the game is."""

    moods = itertools.count()

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        *rest, _ = super().step(action)
        return (*rest, {"mood": next(self.moods)})


class GlobalDrawer(Walker):
    """Draws from everybody's generator."""

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.position += int(np.random.randint(1000))
        return super().step(action)


class GlobalSeeder(GlobalDrawer):
    """The same, seeded by reset: equal as long as nobody else draws."""

    def reset(self, *, seed: int | None = None, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        np.random.seed(seed)
        return super().reset(seed=seed, **kwargs)


class Unmoved(Walker):
    """Nothing ever changes."""

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        del action
        return self.seen(), 0.0, False, False, {}


class Breaking(Walker):
    """Raises an error of its own in the third step."""

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        if self.trail[1]:
            raise RuntimeError("out of fuel")
        return super().step(action)


class _Thing:
    def __init__(self) -> None:
        self.worth = 0


class ByAddress(Walker):
    """Goes through a set of objects, whose order is that of their addresses; an info shows it."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        self.things = [_Thing() for _ in range(9)]
        self.heap = set(self.things)
        return super().reset(seed=seed, options=options)

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        for place, thing in enumerate(self.heap):
            thing.worth += place
        *rest, info = super().step(action)
        return (*rest, {**info, "worths": [thing.worth for thing in self.things]})


class ByIdentity(ByAddress):
    """Sorts objects by their identity."""

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        for place, thing in enumerate(sorted(self.things, key=lambda thing: hash(id(thing)))):
            thing.worth += place
        return super().step(action)


class LateHiddenState(Walker):
    """Keeps a score in the process's environment, and shows it late."""

    shown_after = 60

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        self.age = shared("SCORE", 0)
        return super().reset(seed=seed, options=options)

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.age += 1
        score = shared("SCORE", shared("SCORE") + int(action) + 1)
        seen, reward, *rest = super().step(action)
        return (seen, float(score) if self.age > self.shown_after else reward, *rest)


class VeryLateHiddenState(LateHiddenState):
    """Shows it when every match's own proof is over."""

    shown_after = 150
