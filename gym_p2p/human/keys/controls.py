"""What the keys that are held come to, an action at a time.

Of every kind of action space one class: a choice (``Discrete``), several choices at once (``MultiDiscrete``,
``MultiBinary``), and axes (``Box``). Knows codes and actions; refuses to know where a table came from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import attrs
import numpy as np

__all__ = ["Axes", "Axis", "Binding", "Choice", "Controls", "Legal", "Parts", "effects"]


@attrs.frozen
class Binding:
    """Keys that, held together, are an action.

    Attributes:
        codes: of the keys.
        action: what they do.
        label: what that is, in words; "" where nobody says.
        part: of the action, where its parts have keys of their own.
    """

    codes: frozenset[str]
    action: Any
    label: str = ""
    part: int = 0


Legal = Callable[[Binding], bool]
"""Whether what a binding does is legal now."""


def _any(_binding: Binding) -> bool:
    return True


class Controls(Protocol):
    """Turns held keys into actions; may remember, as an axis that moves by and by does."""

    @property
    def bindings(self) -> tuple[Binding, ...]:
        """Every key and combination, for the page."""

    def act(self, held: Sequence[str], legal: Legal = _any) -> Any:
        """Return this frame's action.

        Args:
            held: the codes, in the order in which they were pressed; a key that was pressed and released
                since the frame before is among them.
            legal: which bindings count; the others' keys do nothing.
        """

    def plays(self, held: Sequence[str], legal: Legal = _any) -> bool:
        """Whether the held keys do anything."""


def effects(bindings: Sequence[Binding]) -> list[int]:
    """Return for each binding the first one that does the same.

    >>> effects([Binding(frozenset({code}), action) for code, action in (("w", 2), ("s", 3), ("ArrowUp", 2))])
    [0, 1, 0]
    """
    first: dict[Any, int] = {}
    doing = [(one.part, _as_key(one.action)) for one in bindings]
    return [first.setdefault(what, place) for place, what in enumerate(doing)]


def _as_key(action: Any) -> Any:
    """Return what is equal of equal actions, and can be hashed."""
    if isinstance(action, Mapping):
        return tuple((name, _as_key(part)) for name, part in sorted(action.items()))
    if isinstance(action, tuple | list):
        return tuple(map(_as_key, action))
    return np.asarray(action).tobytes()


@attrs.frozen
class Choice:
    """One of several actions.

    Of the bindings whose keys are all held the one with most keys counts; among equals, the one that was
    completed last: who turns around without letting go first goes the new way.
    """

    bindings: tuple[Binding, ...]
    nothing: Any

    def act(self, held: Sequence[str], legal: Legal = _any) -> Any:
        """Return the action of the held keys."""
        fits = self._fitting(held, legal)
        if not fits:
            return self.nothing
        place = {code: index for index, code in enumerate(held)}
        best = max(fits, key=lambda one: (len(one.codes), max(place[code] for code in one.codes)))
        return best.action

    def plays(self, held: Sequence[str], legal: Legal = _any) -> bool:
        """Whether the held keys do anything."""
        return bool(self._fitting(held, legal))

    def _fitting(self, held: Sequence[str], legal: Legal) -> list[Binding]:
        codes = frozenset(held)
        return [one for one in self.bindings if one.codes and one.codes <= codes and legal(one)]


def _numbered(parts: Iterable[Choice]) -> tuple[Choice, ...]:
    """Let every binding know of which part of the action it is."""
    return tuple(
        [
            attrs.evolve(part, bindings=tuple([attrs.evolve(one, part=place) for one in part.bindings]))
            for place, part in enumerate(parts)
        ]
    )


@attrs.frozen(eq=False)
class Parts:
    """Several choices at once, each with keys of its own."""

    parts: tuple[Choice, ...] = attrs.field(converter=_numbered)
    dtype: np.dtype[Any]

    @property
    def bindings(self) -> tuple[Binding, ...]:
        """Every key, for the page."""
        return _all(part.bindings for part in self.parts)

    def act(self, held: Sequence[str], legal: Legal = _any) -> np.ndarray[Any, Any]:
        """Return the action of the held keys."""
        return np.array([part.act(held, legal) for part in self.parts], self.dtype)

    def plays(self, held: Sequence[str], legal: Legal = _any) -> bool:
        """Whether the held keys do anything."""
        return any(part.plays(held, legal) for part in self.parts)


@attrs.frozen
class Axis:
    """One number, moved by two keys.

    Attributes:
        down: the codes that lower it.
        up: the codes that raise it.
        low: where the first lead.
        high: where the others lead.
        rest: where it goes when neither is held.
        step: the most that it moves in a frame.
        label: what it is, in words.
    """

    down: frozenset[str]
    up: frozenset[str]
    low: float
    high: float
    rest: float
    step: float
    label: str = ""

    def label_of(self, sign: str) -> str:
        """Return what a key does that moves it up or down, in words: a sign where it goes both ways."""
        both = self.up and self.down
        return f"{self.label} {sign}".strip() if both or not self.label else self.label

    def moved(self, level: float, held: Sequence[str]) -> float:
        """Return where it is after a frame with these keys held: the one pressed last counts."""
        target = self.rest
        for code in held:
            if code in self.up:
                target = self.high
            elif code in self.down:
                target = self.low
        return min(max(target, level - self.step), level + self.step)


@attrs.define(eq=False)
class Axes:
    """Numbers, each moved by two keys; what no key moves stays at rest.

    Attributes:
        axes: by place in the flattened action.
        rest: the action when nothing was ever held.
    """

    axes: dict[int, Axis]
    rest: np.ndarray[Any, Any]
    _levels: dict[int, float] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._levels = {place: axis.rest for place, axis in self.axes.items()}

    @property
    def bindings(self) -> tuple[Binding, ...]:
        """Every key, for the page."""
        return _all(
            [Binding(frozenset({code}), sign, axis.label_of(sign), at) for code in sorted(codes)]
            for at, axis in self.axes.items()
            for sign, codes in (("+", axis.up), ("-", axis.down))
        )

    def plays(self, held: Sequence[str], _legal: Legal = _any) -> bool:
        """Whether the held keys do anything: no mask is of numbers."""
        return any(code in axis.up | axis.down for code in held for axis in self.axes.values())

    def act(self, held: Sequence[str], _legal: Legal = _any) -> np.ndarray[Any, Any]:
        """Return the action of the held keys; every call is a frame."""
        action = self.rest.copy()
        for place, axis in self.axes.items():
            self._levels[place] = level = axis.moved(self._levels[place], held)
            action.flat[place] = level
        return action


def _all(lists: Iterable[Iterable[Binding]]) -> tuple[Binding, ...]:
    return tuple(binding for one in lists for binding in one)
