"""What draws: surfaces, fonts, windows, clocks that wait for the screen. Told by whose class a thing is."""

from __future__ import annotations

__all__ = ["is_drawing_type", "module_of"]

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
