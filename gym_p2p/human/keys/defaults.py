"""Keys for an action space of which nobody says what its numbers mean: arrows first, then letters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np
from gymnasium import Space, spaces

from gym_p2p.human.keys.controls import Axes, Axis, Binding, Choice, Controls, Parts

__all__ = ["SWING_S", "bounds_of", "default_controls"]

SWING_S = 0.2
"""How long an axis takes from one end to the other: a tap is a small move, and holding soon all of it."""

_PAIRS = (
    *(("ArrowLeft", "ArrowRight"), ("ArrowDown", "ArrowUp"), ("KeyA", "KeyD"), ("KeyS", "KeyW")),
    *(("KeyJ", "KeyL"), ("KeyK", "KeyI"), ("KeyF", "KeyH"), ("KeyG", "KeyT")),
)
_SINGLES = (
    *("ArrowUp", "ArrowDown", "Space", "KeyX", "KeyC", "KeyV", "KeyZ", "ArrowLeft", "ArrowRight"),
    *("KeyW", "KeyS", "KeyA", "KeyD"),
)
_GROUPS = (
    ("ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"),
    ("KeyW", "KeyS", "KeyA", "KeyD"),
    ("KeyI", "KeyK", "KeyJ", "KeyL"),
    ("Space", "KeyX", "KeyC", "KeyV"),
)
_BITS = (*_GROUPS[0], *_GROUPS[3], "KeyZ", *_GROUPS[1][:4], *_GROUPS[2])


def default_controls(space: Space[Any], nothing: Any, fps: float) -> Controls | None:
    """Return keys by a space's shape alone; ``None`` for ``Discrete``, whose numbers could mean anything."""
    if isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.number) and np.size(nothing):
        return _of_box(space, np.asarray(nothing, space.dtype), fps)
    rest = [int(value) for value in np.ravel(nothing)] if _is_of_choices(space) else []
    if isinstance(space, spaces.MultiBinary) and len(space.shape) == 1 and len(rest) <= len(_BITS):
        parts = [
            Choice((Binding(frozenset({code}), 1 - no),), no) for code, no in zip(_BITS, rest, strict=False)
        ]
        return Parts(tuple(parts), np.dtype(space.dtype))
    if isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim == 1:
        return _of_choices(space, rest)
    return None


def _is_of_choices(space: Space[Any]) -> bool:
    return isinstance(space, spaces.MultiBinary | spaces.MultiDiscrete)


def bounds_of(space: spaces.Box, place: int) -> tuple[float, float]:
    """Return between what a number of a box moves: its bounds, and one to either side where it has none."""
    low, high = float(space.low.flat[place]), float(space.high.flat[place])
    return (low if np.isfinite(low) else min(-1.0, high - 1)), (
        high if np.isfinite(high) else max(1.0, low + 1)
    )


def _of_box(space: spaces.Box, rest: np.ndarray[Any, Any], fps: float) -> Axes:
    """Give two keys to numbers that go both ways from rest, and one to those that go one way."""
    bounds = [bounds_of(space, place) for place in range(rest.size)]
    both = [p for p, (low, high) in enumerate(bounds) if low < rest.flat[p] < high][: len(_PAIRS)]
    pairs = dict(zip(both, _PAIRS, strict=False))
    used = {code for pair in pairs.values() for code in pair}
    free = iter([code for code in _SINGLES if code not in used])
    axes: dict[int, Axis] = {}
    for place, (low, high) in enumerate(bounds):
        if place in pairs:
            down, up = ({code} for code in pairs[place])
        elif low == high or (code := next(free, None)) is None:
            continue
        else:
            down, up = (set(), {code}) if rest.flat[place] < high else ({code}, set())
        axes[place] = Axis(
            down=frozenset(down),
            up=frozenset(up),
            low=low,
            high=high,
            rest=float(rest.flat[place]),
            step=(high - low) / max(1.0, SWING_S * fps),
        )
    if len(axes) > 1:  # which keys are for one number, nobody would know by their signs
        axes = {place: attrs.evolve(axis, label=str(place + 1)) for place, axis in axes.items()}
    return Axes(axes, rest)


def _of_choices(space: spaces.MultiDiscrete, rest: list[int]) -> Parts | None:
    """Give every part a group of keys, one for each of its values but the one at rest."""
    parts = []
    groups: Iterator[tuple[str, ...]] = iter(_GROUPS)
    for count, start, none in zip(space.nvec, np.asarray(space.start), rest, strict=True):
        values = [int(start) + index for index in range(int(count)) if int(start) + index != none]
        group = next(groups, ())
        if len(values) > len(group):
            return None
        bindings = [Binding(frozenset({code}), value) for code, value in zip(group, values, strict=False)]
        parts.append(Choice(tuple(bindings), none))
    return Parts(tuple(parts), np.dtype(space.dtype))
