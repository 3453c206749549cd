"""Which game of the browser framework a table of frames is of, and what its match log says.

A table names subjects and times, no game: it is of the newest game of these subjects that had begun by then,
by the documents, the aggregates and the match log; without one it is a match of its own. A scene that is
played twice overwrites the tables and the documents of the first time, and the log keeps both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import attrs
import msgspec

from gym_p2p.study.problems import Problems, plural
from gym_p2p.study.reading.files import Found, Unreadable, first_bytes, unpacked
from gym_p2p.study.reading.framework_documents import in_our_words, plain
from gym_p2p.study.reading.framework_frames import Begin, begin_of

__all__ = ["LoggedMatch", "place", "read_line"]

_LATE_MS = 60_000.0
"""A page's clock may be behind the server's by so much, and the frame is still of the game."""
_PEEK_BYTES = 2**20


class _Seated(msgspec.Struct, frozen=True):
    subject_id: str


class LoggedMatch(msgspec.Struct, frozen=True):
    """A line of a match log.

    Attributes:
        game_id: the match.
        timestamp: when it was made, in Unix seconds.
    """

    game_id: str
    scene_id: str
    timestamp: float
    participants: list[_Seated]

    @property
    def subjects(self) -> list[str]:
        """Who was brought together."""
        return [one.subject_id for one in self.participants]


_LINES = msgspec.json.Decoder(LoggedMatch)


def read_line(line: bytes) -> LoggedMatch | None:
    """Return what a line of a match log says; ``None`` of what is none."""
    try:
        return _LINES.decode(line)
    except (ValueError, RecursionError):
        return None


@attrs.define(eq=False)
class _Game:
    subjects: set[str] = attrs.field(factory=set)
    started_ms: float | None = None


def place(files: Sequence[Found], problems: Problems) -> list[Found]:
    """Return the files with every table of frames, and every line of a match log, at its match."""
    logs = [file for file in files if file.kind == "match log"]
    tables = [file for file in files if file.kind == "frames"]
    if not logs and not tables:
        return list(files)
    placed = [file for file in files if file.kind not in {"match log", "frames"}]
    games: dict[str, _Game] = {}
    for log in logs:
        placed += _lines_of(log, games, problems)
    if tables:
        for file in placed:
            _take_document(file, games)
    for table in tables:
        try:
            begin = begin_of(first_bytes(table.path, _PEEK_BYTES).decode(errors="replace"))
        except Unreadable as error:
            problems.add(error.kind, error.problem, path=table.name)
            continue
        placed.append(attrs.evolve(table, match=_game_of(table, begin, games)))
    return sorted(placed, key=lambda file: (file.name, file.match))


def _lines_of(log: Found, games: dict[str, _Game], problems: Problems) -> Iterator[Found]:
    try:
        lines = unpacked(log.path).splitlines()
    except Unreadable as error:
        problems.add(error.kind, error.problem, path=log.name)
        return
    others = 0
    for line in lines:
        logged = read_line(line)
        if logged is None:
            others += bool(line.strip())
            continue
        game = games.setdefault(logged.game_id, _Game())
        game.subjects |= set(logged.subjects)
        game.started_ms = logged.timestamp * 1000
        yield attrs.evolve(log, match=logged.game_id, line=line, size_bytes=len(line))
    if others:
        problems.add("partial", f"{plural(others, 'line')} of no match: left out", path=log.name)


def _take_document(file: Found, games: dict[str, _Game]) -> None:
    if file.kind != "document" or b'"schemaVersion"' in first_bytes(file.path, 256):
        return
    try:
        told = in_our_words(plain(unpacked(file.path)), file.name)
    except Unreadable:
        return
    if told is None:
        return
    game = games.setdefault(file.match, _Game())
    for entry in told.get("participants") or told.get("players") or ():
        game.subjects.add(entry["subjectId"])
    started = told.get("sessionStartTime")
    if isinstance(started, int | float) and game.started_ms is None:
        game.started_ms = float(started)


def _game_of(table: Found, begin: Begin, games: dict[str, _Game]) -> str:
    file = PurePosixPath(table.name)
    subjects = set(begin.subjects.values()) or {file.stem.rpartition("_ep")[0] or file.stem}
    alike = [
        (match, game.started_ms)
        for match, game in games.items()
        if game.subjects & subjects and (game.subjects <= subjects or subjects <= game.subjects)
    ]
    at_ms = begin.at_ms
    begun = [
        (match, start)
        for match, start in alike
        if start is None or at_ms is None or start <= at_ms + _LATE_MS
    ]
    if begun:
        return max(begun, key=lambda one: (one[1] is not None, one[1] or 0.0))[0]
    return f"{file.parent}: {' and '.join(sorted(subjects))}"
