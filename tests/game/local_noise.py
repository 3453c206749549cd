"""Environments whose copies differ in something, of consequence or of none."""

from __future__ import annotations

import os
import random
import secrets
import time
import uuid
from datetime import datetime
from random import Random
from time import perf_counter
from typing import Any

import numpy as np

from tests.game.unruly import ByAddress, Walker

__all__ = [
    "Clocked",
    "Dated",
    "Decorated",
    "Drawn",
    "Herded",
    "Homesick",
    "KeyedByAddress",
    "LateByAddress",
    "Listed",
    "Maker",
    "Named",
    "SeldomByAddress",
    "SeldomDrawer",
    "SilentlyByAddress",
    "Sparkling",
]

_HOME = os.getpid()


class Dated(Walker):
    """Holds the time at which an episode began and how long it has lasted, and tells both."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        self.began, self.id = time.time(), uuid.uuid4().hex
        self.on = datetime.now()  # noqa: DTZ005 as people write it
        self.lasted = 0.0
        seen, info = super().reset(seed=seed, options=options)
        return seen, {**info, "began": self.began, "id": self.id}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.lasted = time.perf_counter() - self.began
        *rest, info = super().step(action)
        return (*rest, {**info, "lasted": self.lasted})


class Clocked(Walker):
    """Tells how long it has lasted, by a clock and a generator that it knows by names of its own."""

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        *rest, info = super().step(action)
        self.stamp = perf_counter(), Random().random()
        return (*rest, {**info, "stamp": self.stamp})


class Homesick(Clocked):
    """The same; and earns something where its process is no fork of the one that has loaded this module."""

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        seen, _, *rest = super().step(action)
        return (seen, float(os.getppid() != _HOME), *rest)


class Sparkling(Walker):
    """Draws, for what only looks nice, from generators that nobody seeds."""

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        if not hasattr(self, "chance"):
            self.chance, self.other = np.random.default_rng(), random.Random()
        self.sparks = [float(self.chance.random()), self.other.random(), secrets.randbelow(10**9)]
        *rest, info = super().step(action)
        return (*rest, {**info, "sparks": list(self.sparks)})


class Named(ByAddress):
    """Goes through its objects in their order, and names itself by its address."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        result = super().reset(seed=seed, options=options)
        self.name, self.heap = f"walker at {id(self):x}", list(self.things)  # type: ignore[assignment]  # of no one type
        return result

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        *rest, info = super().step(action)
        return (*rest, {**info, "name": self.name})


class SilentlyByAddress(ByAddress):
    """Goes through a set of objects, and does not tell what becomes of that."""

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        *rest, _ = super().step(action)
        return (*rest, {})


class SeldomByAddress(SilentlyByAddress):
    """Takes one of three objects by its place in a set, twice in an episode, and does not tell."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        result = super().reset(seed=seed, options=options)
        self.herd = set(self.things[:3])
        self.heap = list(self.things)  # type: ignore[assignment]  # of no one type
        self.age = 0
        return result

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.age += 1
        if self.age in {5, 11}:
            list(self.herd)[self.age % 3].worth += self.age
        return super().step(action)


class LateByAddress(SilentlyByAddress):
    """Shows it, late."""

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        seen, _, *rest = super().step(action)
        late = sum(thing.worth for thing in self.things) > 36 * 100
        order = sum(place * thing.worth for place, thing in enumerate(self.things))
        return (seen, float(order) if late else 0.0, *rest)


class Decorated(Walker):
    """Draws from the global generator, for what only looks nice."""

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.colour = random.random()
        return super().step(action)


class SeldomDrawer(Walker):
    """Draws from the global generator; in one of four episodes it shows."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.recipe = (
            int(np.random.randint(1000)) if seed is not None and seed % 4 == 0 else np.random.random()
        )
        return self.seen(), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        seen, *rest = super().step(action)
        return (seen, self.recipe if self.recipe >= 1 else 0.0, *rest[1:])


class KeyedByAddress(Walker):
    """Keeps what belongs to its objects under their identities, and one of these as a goal."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        self.pieces = [Maker(n) for n in range(4)]
        self.worths = {id(piece): 10 for piece in self.pieces}
        self.known = {id(piece) for piece in self.pieces[1:]}
        return super().reset(seed=seed, options=options)

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        for place, piece in enumerate(self.pieces):
            self.worths[id(piece)] -= place + int(action)
        self.goal = id(self.pieces[int(action)])
        return super().step(action)


class Listed(Walker):
    """Lists a set of objects once, and tells what came of it or keeps it."""

    told = True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        seen, info = super().reset(seed=seed, options=options)
        self.order = [one.kind for one in {Maker(n) for n in range(12)}]
        return seen, {**info, **self.more()}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        *rest, info = super().step(action)
        return (*rest, {**info, **self.more()})

    def more(self) -> dict[str, Any]:
        return {"order": list(self.order)} if self.told else {}


class Herded(Listed):
    """Keeps the objects in that order."""

    told = False

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        result = super().reset(**kwargs)
        self.herd, self.order = [Maker(n) for n in self.order], []
        return result


class Drawn(Listed):
    """Has drawn the order from a generator that nobody seeds."""

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        seen, info = super().reset(**kwargs)
        self.order.sort()
        Random().shuffle(self.order)
        return seen, {**info, **self.more()}


class Maker:
    """Makes environments of one kind; no other program has the same object."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind

    def make(self) -> Any:
        return self.kind()
