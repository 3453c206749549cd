"""What draws: surfaces, fonts, windows, clocks that wait for the screen. Told by whose class a thing is.

And how fast an environment is made to be drawn.
"""

from __future__ import annotations

from typing import Any

from gym_p2p.config.mappings import plain_number

__all__ = ["RATES", "is_drawing_type", "module_of", "own_rate"]

RATES = (0.01, 10_000.0)
"""Frames a second that a match may have."""

_DEFAULT_FPS = 30.0
"""Where an environment does not say how fast a person is to play it."""

_DRAWING = frozenset(
    {"pyglet", "moviepy", "matplotlib", "PIL", "cv2", "OpenGL", "tkinter", "_tkinter", "_io"}
)
_DRAWING_IN_PYGAME = frozenset({"Surface", "Font", "Clock", "Sound", "Channel", "Window", "PixelArray"})


def is_drawing_type(kind: type) -> bool:
    """Whether a class's objects draw, or are drawn on."""
    package = module_of(kind).partition(".")[0]
    return kind.__name__ in _DRAWING_IN_PYGAME if package == "pygame" else package in _DRAWING


def module_of(kind: type) -> str:
    """Return the module of a class, or "" where it names none, as some written in C do."""
    module = getattr(kind, "__module__", "")
    return module if isinstance(module, str) else ""


def own_rate(env: Any) -> float:
    """Return the frames a second that an environment is made for (``metadata["render_fps"]``).

    What no match could be paced by says nothing.
    """
    said = plain_number((getattr(env, "metadata", None) or {}).get("render_fps"))
    known = isinstance(said, int | float) and RATES[0] <= said <= RATES[1]
    return float(said) if known else _DEFAULT_FPS
