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
# draws in both is swapped. One that the dark does not know is left where it is, and put back when the light
# is turned on again, for going back to a state from before the window was opened takes it away.


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
        self._modes = [(thing, name) for thing in _parts(env) for name in _mode_names(thing)]
        self._human = list({id(thing): thing for thing, _ in self._modes}.values())
        self._windows: list[dict[str, Any]] = [{} for _ in self._human]
        self.light, self.dark = env, env
        while isinstance(self.dark, FILMING):
            self.dark = self.dark.env
        self._spliced = list(_spliced(self.dark))
        self.draws = bool(self._human) or bool(self._spliced) or self.dark is not self.light
        self._shown = False
        self._set_mode(None)
        for outer, _, inner in self._spliced:
            outer.env = inner

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Turn the light on; inside of itself this changes nothing."""
        if not self.draws or self._shown:
            yield
            return
        dark = [dict(vars(thing)) for thing in self._human]
        self._shown = True
        self._set_mode(_HUMAN)
        for thing, windows in zip(self._human, self._windows, strict=True):
            vars(thing).update(windows)
        for outer, filming, _ in self._spliced:
            outer.env = filming
        try:
            yield
        finally:
            for outer, _, inner in self._spliced:
                outer.env = inner
            self._windows = [_windows(thing) for thing in self._human]
            for thing, was, windows in zip(self._human, dark, self._windows, strict=True):
                vars(thing).update(
                    {name: was[name] for name in windows if is_drawing_type(type(was.get(name)))}
                )
            self._set_mode(None)
            self._shown = False

    def _set_mode(self, mode: str | None) -> None:
        for thing, name in self._modes:
            vars(thing)[name] = mode


def _parts(env: Any) -> Iterator[Any]:
    """Yield the layers, and what they hold: some wrap a game that is no environment by an attribute."""
    seen: set[int] = set()
    for layer in layers(env):
        for thing in (layer, *getattr(layer, "__dict__", {}).values()):
            if id(thing) not in seen and isinstance(getattr(thing, "__dict__", None), dict):
                seen.add(id(thing))
                yield thing


def _mode_names(thing: Any) -> list[str]:
    """Name the attributes by which an object says "human"; a property passes on what another object says."""
    own = [name for name, value in vars(thing).items() if name.endswith(_MODE) and value == _HUMAN]
    of_class = not own and inspect.getattr_static(thing, _MODE, None) == _HUMAN
    return [_MODE] if of_class else own


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
