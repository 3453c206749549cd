"""Tables that fit: where a line is too short, columns go and numbers stay whole.

Knows widths and which column matters more; refuses to know what stands in them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import attrs
from rich.box import Box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

__all__ = ["Column", "FittingTable", "figure", "output_console", "terminal_console"]

_PIPED_COLUMNS = 200
"""A pipe or a file has no width of its own."""

_MEASURED_COLUMNS = 10_000
"""Wider than any table is."""

_SHORTEST_WORDS = (24, 12, 6)
"""To how many columns words are cut, one after the other, where nothing else helps."""


def output_console(*, soft_wrap: bool = False) -> Console:
    """Return what prints results; in a pipe or a file lines are as long as they are."""
    console = _Output(soft_wrap=soft_wrap)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = _Output(width=_PIPED_COLUMNS, soft_wrap=soft_wrap)
    return console


class _Output(Console):
    """Leaves it to the command what becomes of it when nobody reads any more."""

    def on_broken_pipe(self) -> None:
        """Raise it; rich would exit with 1."""
        raise BrokenPipeError


def terminal_console() -> Console:
    """Return what shows, on standard error, how it goes."""
    return Console(stderr=True)


def figure(value: float, form: str) -> str:
    """Return a number in this format; what rounds to nothing has no sign.

    >>> figure(-0.04, ".1f"), figure(-0.0, "g"), figure(-1.25, "g")
    ('0.0', '0', '-1.25')
    """
    return format(value, f"z{form}")


@attrs.frozen
class Column:
    """A column of a table.

    Attributes:
        name: its heading.
        rank: the one with the largest goes first; 0 stays.
        words: whether it holds words, to the left, which may be cut; else figures, to the right.
    """

    name: str
    rank: int = 0
    words: bool = False


class FittingTable:
    """A table of which, where the line is too short, the columns of the highest ranks are left out.

    Args:
        columns: all of them, in their order.
        title: above it; ``None`` is no title.
        caption: below it.
        box: its lines; ``None`` is none.
        tells: whether a line below says what was left out.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        title: str | Text | None = None,
        caption: str | None = None,
        box: Box | None = None,
        tells: bool = False,
    ) -> None:
        self.columns = list(columns)
        self._title, self._caption, self._box, self._tells = title, caption, box, tells
        self._rows: list[list[str | Text]] = []

    def add_row(self, *cells: str | Text) -> None:
        """Add a row: a cell for every column."""
        self._rows.append(list(cells))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield what fits."""
        left_out: list[str] = []
        kept = self._fitting(console, options, left_out)
        yield kept
        if left_out and self._tells:
            yield Text(f"left out, for want of width: {', '.join(left_out)}", style="dim")

    def _fitting(self, console: Console, options: ConsoleOptions, left_out: list[str]) -> Table:
        wide = options.update(width=_MEASURED_COLUMNS)
        places = list(range(len(self.columns)))
        going = sorted((place for place in places if self.columns[place].rank), key=self._rank)
        longest = _SHORTEST_WORDS[0]
        table = self._table(places, None)
        while Measurement.get(console, wide, table).maximum > options.max_width:
            if going and len(places) > 1:
                gone = going.pop()
                places.remove(gone)
                left_out.insert(0, self.columns[gone].name)
            elif longest == _SHORTEST_WORDS[-1]:
                break
            else:
                longest = _SHORTEST_WORDS[_SHORTEST_WORDS.index(longest) + 1]
            table = self._table(places, longest)
        return table

    def _rank(self, place: int) -> int:
        return self.columns[place].rank

    def _table(self, places: Sequence[int], longest: int | None) -> Table:
        table = Table(
            title=self._title,
            title_justify="left",
            caption=self._caption,
            caption_justify="left",
            box=self._box,
            pad_edge=False,
            padding=(0, 1, 0, 0) if self._box is None else (0, 0, 0, 1),
            header_style="bold",
        )
        for place in places:
            column = self.columns[place]
            table.add_column(column.name, justify="left" if column.words else "right", no_wrap=True)
        for row in self._rows:
            table.add_row(
                *(_cell(row[place], longest if self.columns[place].words else None) for place in places)
            )
        return table


def _cell(content: str | Text, longest: int | None) -> Text:
    text = content.copy() if isinstance(content, Text) else Text(content)
    if longest is not None and cell_len(text.plain) > longest:
        text.truncate(longest, overflow="ellipsis")
    return text
