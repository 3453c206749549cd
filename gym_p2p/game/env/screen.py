"""What of an environment draws while it is played: switched off, but for what is to be shown.

An environment made with ``render_mode="human"`` draws within every ``reset`` and ``step``, and waits for the
screen's refresh; so do Gymnasium's wrappers that show or film. Frames that are only tried out, guessed or
played again are nobody's to see. Knows where an environment keeps its render mode and its windows; refuses to
know which frames are shown.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any

from gym_p2p.game.drawing import is_drawing_type
from gym_p2p.game.env.describe import FILMING, layers

__all__ = ["Screen"]

_HUMAN = "human"
_MODE = "render_mode"

# Between two calls the environment is in the *dark*: every part of it that says "human" says None, and the
# wrappers that film are taken out of the chain. :meth:`Screen.shown` turns the light on for one call.
#
# What draws is often made in one light and no good in the other (a window, or a surface of the same name for
# observations that are made of pixels). So each light has its own: an attribute that holds something that
# draws in both is swapped, and one that was None at the start is None in the light until it is made there.
# One that the dark does not know is left where it is, and put back when the light is turned on again, for
# going back to a state from before the window was opened takes it away.


class Screen:
    """The lights of one environment; it is in the dark from now on.

    Attributes:
        render_mode: what the environment was made with.
        draws: whether it draws by itself while it is played.
        dark: the environment without the wrappers that film.
        light: with them.
    """

    def __init__(self, env: Any) -> None:
        self.render_mode: str | None = getattr(env, "render_mode", None)
        self.light, self.dark = env, env
        while isinstance(self.dark, FILMING):
            self.dark = self.dark.env
        self._spliced = list(_spliced(self.dark))
        self._human: set[tuple[type, str]] = set()  # where it said "human", by the class and the attribute
        self._shown = False
        self._darken()
        self._windows = {type(part): _windows(part) for part in self._drawers()}
        self._unopened = {
            type(part): {name for name, value in vars(part).items() if value is None}
            for part in self._drawers()
        }
        self.draws = bool(self._human) or bool(self._spliced) or self.dark is not self.light
        self._splice(filming=False)

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Turn the light on; inside of itself this changes nothing."""
        if not self.draws or self._shown:
            yield
            return
        self._shown = True
        dark = [(part, _windows(part)) for part in self._drawers()]
        self._lighten()
        for part, own in dark:
            unopened = self._unopened.get(type(part), set()) & own.keys()
            vars(part).update(dict.fromkeys(unopened) | self._windows.get(type(part), {}))
        self._splice(filming=True)
        try:
            yield
        finally:
            self._splice(filming=False)
            self._windows = {type(part): _windows(part) for part in self._drawers()}
            for part, own in dark:
                vars(part).update(own)
            self._darken()
            self._shown = False

    def _drawers(self) -> list[Any]:
        """Return the parts of the classes that say "human": the windows are theirs."""
        kinds = {kind for kind, _ in self._human}
        return [part for part in _parts(self.light) if type(part) in kinds]

    def _darken(self) -> None:
        """Let nothing say "human" any more; what was made anew in the light says it too."""
        for kind, place, name in _places(self.light):
            if place.get(name, _of_class(kind)) == _HUMAN:
                self._human.add((kind, name))
                place[name] = None

    def _lighten(self) -> None:
        for kind, place, name in _places(self.light):
            if place.get(name) is None and (kind, name) in self._human:
                place[name] = _HUMAN

    def _splice(self, *, filming: bool) -> None:
        for outer, wrapper, inner in self._spliced:
            outer.env = wrapper if filming else inner


def _parts(env: Any) -> Iterator[Any]:
    """Yield the layers, and what they hold: some wrap a game that is no environment by an attribute."""
    seen: set[int] = set()
    for layer in layers(env):
        for thing in (layer, *getattr(layer, "__dict__", {}).values()):
            if id(thing) not in seen and isinstance(getattr(thing, "__dict__", None), dict):
                seen.add(id(thing))
                yield thing


def _places(env: Any) -> Iterator[tuple[type, dict[str, Any], str]]:
    """Yield where a render mode is kept: in attributes, and in arguments by which a reset makes a part."""
    for part in list(_parts(env)):
        own = vars(part)
        names = [name for name in own if name.endswith(_MODE)]
        if not names and _of_class(type(part)) == _HUMAN:
            names = [_MODE]
        yield from ((type(part), own, name) for name in names)
        for kept in [value for value in own.values() if type(value) is dict and _MODE in value]:
            yield type(part), kept, _MODE


def _of_class(kind: type) -> Any:
    """Return the mode that a class itself has; a property only passes on what another object has."""
    return inspect.getattr_static(kind, _MODE, None)


def _spliced(env: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Yield the wrappers around one that films, that one, and what is inside of it."""
    for layer in layers(env):
        inner = getattr(layer, "__dict__", {}).get("env")
        filming = inner
        while isinstance(inner, FILMING):
            inner = inner.env
        if inner is not filming and not isinstance(layer, FILMING):
            yield layer, filming, inner


def _windows(thing: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(thing).items() if is_drawing_type(type(value))}
