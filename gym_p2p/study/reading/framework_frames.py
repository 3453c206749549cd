"""The browser framework's table of an episode's frames: a CSV for each player and episode.

What such a file says, and what it cannot: a column that is shorter than the frames has been filled up at its
end, so which of its values belongs to which frame is not known, and it is left out. ``rollbackEvents`` is a
list of the session laid down a column, in no relation to rows: it is never read. Cells are texts of Python's:
numbers and literals are read as such, within bounds; anything else stays a text. Nothing is run.
"""

from __future__ import annotations

import ast
import csv
import io
import itertools
import math
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from gym_p2p.study.problems import Problems
from gym_p2p.study.reading.files import Found, Unreadable, unpacked
from gym_p2p.study.reading.recordings import RecordedEpisode

__all__ = ["Begin", "EpisodeFrames", "FrameFile", "begin_of", "read_frames"]

_NEEDED = frozenset({"t", "episode_num", "timestamp"})
_MAX_EPISODES = 2**20
_MAX_FRAME = 2**31
_MAX_BYTES = 2**26
"""A day of an episode's frames at 30 a second has a quarter of this."""
_MAX_WHOLE = 2**53
"""Beyond this a float is not exact."""
_MAX_LITERAL = 2_000
"""Characters of a cell that is read as a literal: lists of actions have some tens."""


@attrs.frozen
class Begin:
    """What the first lines of a file say.

    Attributes:
        subjects: who sat on which seat.
        at_ms: when its first frame was played, in Unix milliseconds; ``None`` where it is not said.
    """

    subjects: dict[str, str]
    at_ms: float | None


@attrs.frozen(eq=False)
class EpisodeFrames:
    """The frames of one episode.

    Attributes:
        frames: their numbers.
        actions: of every seat, as plain data.
        seats: those of which rewards and ends are known, in the order of ``played``.
        played: the same as of a recording; ``None`` where frames are missing.
    """

    frames: list[int]
    actions: dict[str, list[Any]]
    seats: list[str]
    played: RecordedEpisode | None


@attrs.frozen(eq=False)
class FrameFile:
    """What one file says; episodes count from 1 on."""

    name: str
    subjects: dict[str, str]
    episodes: dict[int, EpisodeFrames]


def begin_of(text: str) -> Begin:
    """Return what the begin of a file says.

    Raises:
        Unreadable: it is no table of frames.
    """
    rows = _rows(text, 2)
    if not rows or not set(rows[0]) >= _NEEDED or not any(name.startswith("actions.") for name in rows[0]):
        raise Unreadable("foreign", "is no table of an episode's frames")
    first = dict(zip(rows[0], rows[1], strict=False)) if len(rows) > 1 else {}
    prefix = "player_subjects."
    subjects = {
        name.removeprefix(prefix): cell for name, cell in first.items() if name.startswith(prefix) and cell
    }
    return Begin(subjects, _number(first.get("timestamp", "")))


def read_frames(file: Found, problems: Problems) -> FrameFile:
    """Return what a file says.

    Raises:
        Unreadable: it is no table of frames.
    """
    data = unpacked(file.path)
    if len(data) > _MAX_BYTES:
        raise Unreadable("skipped", f"is larger than {_MAX_BYTES // 2**20} MiB")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise Unreadable("unreadable", f"is no text ({error.reason})") from error
    rows = _rows(text)
    begin = begin_of(text)
    header, lines = rows[0], rows[1:]
    cut = [number for number, row in enumerate(lines) if len(row) != len(header)]
    if cut or not text.endswith("\n"):
        lines = lines[: cut[0]] if cut else lines[:-1]
        problems.add("partial", "its lines are cut: what comes after is left out", path=file.name)
    table = _Table(header, lines, file.name, problems)
    return FrameFile(file.name, begin.subjects, table.episodes())


def _rows(text: str, most: int | None = None) -> list[list[str]]:
    try:
        reader = csv.reader(io.StringIO(text, newline=""))
        return [row for row in itertools.islice(reader, most) if row]
    except csv.Error as error:
        raise Unreadable("unreadable", f"is no table ({error})") from error


class _Table:
    """The cells, column by column."""

    def __init__(self, header: list[str], lines: list[list[str]], name: str, problems: Problems) -> None:
        self._places: dict[str, int] = {}
        for place, column in enumerate(header):
            self._places.setdefault(column, place)
        self._lines, self._name, self._problems = lines, name, problems
        frame = self._places["t"]
        self._count = next((n for n, line in enumerate(lines) if not line[frame]), len(lines))

    def episodes(self) -> dict[int, EpisodeFrames]:
        """Return the episodes by number, from 1 on."""
        numbers, frames = self._whole("episode_num", _MAX_EPISODES - 1), self._whole("t", _MAX_FRAME)
        if numbers is None or frames is None:
            return {}
        seats = [column.removeprefix("actions.") for column in self._places if column.startswith("actions.")]
        actions = {seat: column for seat in seats if (column := self._column(f"actions.{seat}")) is not None}
        known = {
            seat: columns
            for seat in seats
            if (columns := [self._column(f"{what}.{seat}") for what in _EARNED])
            and all(column is not None for column in columns)
        }
        times = [_number(cell) for cell in self._column("timestamp") or [""] * self._count]
        found = {}
        rows_of: dict[int, list[int]] = {}
        for row, number in enumerate(numbers):
            rows_of.setdefault(number, []).append(row)
        for number, rows in rows_of.items():
            own = [frames[row] for row in rows]
            if len(set(own)) != len(own):
                self._leave_out("t", f"frames of episode {number + 1} stand there twice")
                continue
            found[number + 1] = EpisodeFrames(
                own,
                {seat: [_value(column[row]) for row in rows] for seat, column in actions.items()},
                list(known),
                self._played(rows, own, list(known.values()), [times[row] for row in rows]),
            )
        return found

    def _played(
        self, rows: list[int], frames: list[int], known: Sequence[Any], times: list[float | None]
    ) -> RecordedEpisode | None:
        if frames != list(range(len(frames))):
            self._leave_out("t", "frames are missing, so rewards cannot be placed")
            return None
        rewards = np.zeros((len(rows), len(known)))
        ends = np.zeros((len(rows), len(known)), np.uint8)
        for place, columns in enumerate(known):
            earned = [_number(columns[0][row]) for row in rows]
            if None in earned:
                self._leave_out("rewards", "not all are numbers")
                return None
            rewards[:, place] = np.array(earned, np.float64)
            for bit, column in ((1, columns[1]), (2, columns[2])):
                ends[:, place] |= np.array([bit * (column[row] in _TRUE) for row in rows], np.uint8)
        at = [time for time in times if time is not None]
        whole = len(at) == len(rows) and max(at) - min(at) < _MAX_FRAME
        t_ms = np.array([round(time - at[0]) for time in at], np.int64) if whole else None
        ended = at[-1] if at else None
        return RecordedEpisode(
            None, {}, rewards, ends, None, started_ms=at[0] if at else None, ended_ms=ended, t_ms=t_ms
        )

    def _column(self, name: str) -> list[str] | None:
        """Return a column that has a value for the last frame and none after; else its rows are unknown."""
        place = self._places.get(name)
        if place is None:
            return None
        cells = [line[place] for line in self._lines]
        if not self._count or cells[self._count - 1] == "" or any(cells[self._count :]):
            self._leave_out(name, "is not as long as the frames, so its values cannot be placed")
            return None
        return cells[: self._count]

    def _whole(self, name: str, limit: int) -> list[int] | None:
        cells = self._column(name)
        numbers = [_number(cell) for cell in cells or ()]
        if cells is None or any(n is None or not n.is_integer() or not 0 <= n < limit for n in numbers):
            self._leave_out(name, "no numbers of frames or episodes")
            return None
        return [int(number) for number in numbers if number is not None]

    def _leave_out(self, what: str, problem: str) -> None:
        self._problems.add("partial", f"{what}: {problem}: left out", path=self._name)


_EARNED = ("rewards", "terminateds", "truncateds")
_TRUE = frozenset({"True", "true", "1", "1.0"})


def _number(cell: str) -> float | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _value(cell: str) -> Any:
    """Return a cell as plain data; a whole number is one, however it is written."""
    number = _number(cell)
    if number is not None:
        return int(number) if number.is_integer() and abs(number) < _MAX_WHOLE else number
    if cell[:1] not in _LITERALS or len(cell) > _MAX_LITERAL or "\\" in cell:
        return cell
    try:
        value = ast.literal_eval(cell)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return cell
    return value if _is_plain(value) else cell


_LITERALS = frozenset("[{(TFN'\"")


def _is_plain(value: Any) -> bool:
    match value:
        case int():  # and bool
            return abs(value) < _MAX_WHOLE
        case None | str():
            return True
        case float():
            return math.isfinite(value)
        case list() | tuple():
            return all(map(_is_plain, value))
        case dict():
            return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    return False
