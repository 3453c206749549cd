"""Plots as SVG that may stand in a page: drawn without a display, told apart without colours."""

from __future__ import annotations

import contextlib
import html
import io
import itertools
import re
import warnings
from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from gym_p2p.core.wire.foreign_text import printable

__all__ = ["HATCHES", "MARKERS", "Plot", "colour", "label", "line_style"]

_WIDTH, _HEIGHT = 6.4, 4.0
"""In inches of 72 points: on a narrow screen a point of it is 0.8 of a pixel, and 13 points can be read."""

_MAX_TEXT = 2000

_COLOURS = ("#000000", "#0072b2", "#d55e00", "#009e73", "#7a3e74", "#8a6d00")
"""Of Okabe and Ito's palette, the dark ones: they have enough contrast to white."""
_LINES = ("solid", (0, (5, 2)), (0, (1, 1.5)), (0, (7, 2, 1.5, 2)), (0, (3, 1, 1, 1, 1, 1)), (0, (9, 3)))
MARKERS = ("o", "x", "^", "s", "+", "D")
HATCHES = ("////", "....", "xxxx", "\\\\\\\\", "++", "oo")

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # who is called $x$ is no formula
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica", "sans-serif"],
    "font.size": 13,
    "axes.titlesize": 14,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.8,
    "legend.fontsize": 12,
    "legend.frameon": False,
    "hatch.linewidth": 0.8,
    "path.simplify": True,
    "path.simplify_threshold": 1.0,
}

_ids = re.compile(r'(\bid="|url\(#|href="#)')


def colour(number: int) -> str:
    """Return the colour of a plot's thing of this number."""
    return _COLOURS[number % len(_COLOURS)]


def line_style(number: int) -> Any:
    """Return how its line is drawn."""
    return _LINES[number % len(_LINES)]


def label(value: Any, *, most: int = 24) -> str:
    """Return a foreign text as it may stand in a plot: in one line, short, and never like an attribute."""
    shown = printable(str(value)).replace('"', "”")
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


class Plot:
    """Draws plots, and numbers them: two in one page share no name."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    @contextlib.contextmanager
    def axes(self, *, rows: int = 1, height: float = _HEIGHT) -> Iterator[Any]:
        """Yield a figure with its axes (one, or as many below each other that share their x)."""
        with mpl.rc_context(_STYLE):
            figure = Figure(figsize=(_WIDTH, height), layout="constrained")
            FigureCanvasSVG(figure)
            axes = figure.subplots(rows, 1, sharex=True, squeeze=True)
            yield figure, axes

    def svg(self, figure: Any, title: str, description: str) -> str:
        """Return a figure as SVG for a page, with its alternative text."""
        number = next(self._numbers)
        buffer = io.StringIO()
        with mpl.rc_context({**_STYLE, "svg.hashsalt": f"figure {number}"}), warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # of names: no room for a long one, no glyphs where the browser has
            figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        drawn = buffer.getvalue()
        drawn = drawn[drawn.index("<svg") :]
        drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
        drawn = _ids.sub(lambda found: f"{found.group(1)}f{number}-", drawn)
        opening, rest = drawn.split(">", 1)
        opening = re.sub(r'\s(width|height)="[^"]*"', "", opening)
        names = f"f{number}-title f{number}-desc"
        return (
            f'{opening} role="img" aria-labelledby="{names}">'
            f'<title id="f{number}-title">{html.escape(printable(title, _MAX_TEXT))}</title>'
            f'<desc id="f{number}-desc">{html.escape(printable(description, _MAX_TEXT))}</desc>{rest}'
        ).strip()
