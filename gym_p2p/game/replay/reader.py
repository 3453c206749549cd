"""Recorded matches: what one is, and reading it from its file.

Knows a match as its confirmed joint actions, what came of them, and how the environment was made; so it can
be played again anywhere (:mod:`gym_p2p.game.replay.verify`). Reading checks that the file is what was
written; whether the match really went so, only playing it again can tell.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import attrs

from gym_p2p.errors import DamagedReplay, UnreadableReplay
from gym_p2p.game.replay.header import ReplayHeader, read_header
from gym_p2p.game.replay.records import (
    MAX_HEADER_BYTES,
    Begun,
    Closed,
    Ended,
    Frames,
    RawRecord,
    Record,
    decode,
    digest_of_header,
    inflate,
    raw_records,
)

__all__ = ["LATE_STATES", "Replay", "ReplayEpisode", "read_replay"]

LATE_STATES = 1024
"""The digest of a state is recorded before so many later frames are checked."""

_BASE_BYTES = 64 * 2**20
_MAX_ACTION_BYTES = 2**16
"""A file unpacks to no more than its frames can need: a million bytes could hold gigabytes of nothing."""


@attrs.frozen(kw_only=True)
class ReplayEpisode:
    """One episode: where in the file it is. What is in it is read when it is wanted, a record at a time.

    Attributes:
        number: which one of the recording's, from 0; the documents count from 1.
        frames: how many confirmed frames it has.
        has_states: whether digests of states were recorded.
        completed: whether the environment ended it; None if the file ends within the episode.
    """

    number: int
    frames: int
    has_states: bool
    completed: bool | None
    _path: str
    _places: tuple[_Place, ...] = attrs.field(repr=False)

    def begun(self) -> Begun:
        """Read what it began with.

        Raises:
            UnreadableReplay: the file is gone.
            DamagedReplay: it was changed after it had been read.
        """
        found = _read_at(self._path, self._places[0])
        assert isinstance(found, Begun)  # noqa: S101 - the same bytes were one before
        return found

    def parts(self) -> Iterator[Frames]:
        """Read its frames in their order, some hundred at a time; raises as :meth:`begun` does."""
        for place in self._places[1:]:
            found = _read_at(self._path, place)
            assert isinstance(found, Frames)  # noqa: S101 - the same bytes were some before
            yield found


@attrs.frozen
class _Place:
    """Where a record is, and what its digest was."""

    number: int
    offset: int
    before: bytes
    digest: bytes


def _read_at(path: str, place: _Place) -> Record:
    try:
        with Path(path).open("rb") as file:
            file.seek(place.offset)
            record = next(raw_records(file, place.before, path, number=place.number), None)
    except OSError as error:
        raise UnreadableReplay(path, f"cannot be read any more ({error.strerror})") from error
    if record is None or record.digest != place.digest:
        raise DamagedReplay(path, f"record {place.number} at byte {place.offset}", "it was changed meanwhile")
    return decode(record, inflate(record, path), path)


@attrs.frozen(kw_only=True)
class Replay:
    """A recorded match as read from its file.

    Attributes:
        path: the file.
        header: what the match was.
        episodes: what happened.
        reason: why the match ended; None if the file was not finished.
        missing: what is not there of a file that was not finished: its player was killed, or somebody cut it.
        whole_bytes: how many bytes that is: of a file that was not finished, up to its last whole record.
        fingerprint: the last digest, as hex digits. It stands for the whole file: kept elsewhere, it proves
            later that this is still the same recording.
    """

    path: str
    header: ReplayHeader
    episodes: tuple[ReplayEpisode, ...]
    reason: str | None
    missing: str | None
    whole_bytes: int
    fingerprint: str

    @property
    def frames(self) -> int:
        """How many frames all episodes have."""
        return sum(episode.frames for episode in self.episodes)


def read_replay(path: str | Path, *, told: Callable[[Record], None] = lambda _record: None) -> Replay:
    """Read a recorded match.

    A file that was not finished is no error: what is there is returned, and ``missing`` says what is not.
    Memory does not grow with what the file unpacks to, and that is bounded by the frames that were played.

    Args:
        path: the file.
        told: is called with every record in turn, once it is found to be as it should be; so what is in all
            episodes can be had without reading them a second time.

    Raises:
        UnreadableReplay: there is no such file, it is no recorded match, or one of a newer version.
        DamagedReplay: it was changed after it had been written; the error says where.
    """
    try:
        with Path(path).open("rb") as file:
            return _read(file, path, told)
    except OSError as error:
        raise UnreadableReplay(path, f"cannot be read ({error.strerror})") from error


def _read(file: IO[bytes], path: str | Path, told: Callable[[Record], None]) -> Replay:
    line = file.readline(MAX_HEADER_BYTES)
    header = read_header(line, path)
    reader = _Reader(str(path), len(header.seats))
    fingerprint, end = digest_of_header(line), len(line)
    try:
        for record in raw_records(file, fingerprint, path):
            told(reader.take(record))
            fingerprint, end = record.digest, record.end
            if reader.closed is not None:
                break
    except DamagedReplay as error:
        raise DamagedReplay(path, f"{error.where} ({reader.place})", error.problem) from None
    rest = file.seek(0, os.SEEK_END) - end
    if reader.closed is not None and rest:
        raise DamagedReplay(path, f"byte {end}", f"{rest} bytes follow the end of the recording")
    return Replay(
        path=str(path),
        header=header,
        episodes=tuple(reader.finished()),
        reason=None if reader.closed is None else reader.closed.reason,
        missing=None if reader.closed is not None else reader.missing(cut_bytes=rest),
        whole_bytes=end,
        fingerprint=fingerprint.hex(),
    )


@attrs.define
class _Growing:
    """An episode while its records are read."""

    places: list[_Place]
    frames: int = 0
    has_states: bool = False
    completed: bool | None = None
    checked: deque[int] = attrs.field(factory=lambda: deque(maxlen=LATE_STATES))


class _Reader:
    """Notes where the episodes are, and refuses an order that no recording has, or more than it can need."""

    def __init__(self, path: str, seats: int) -> None:
        self._path = path
        self._seats = seats
        self._open = False
        self._frames = self._inflated = 0
        self._episodes: list[_Growing] = []
        self.closed: Closed | None = None

    def take(self, record: RawRecord) -> Record:
        """Take in the next record, and return what it says; raises :class:`DamagedReplay`."""
        packed = inflate(record, self._path)
        value = decode(record, packed, self._path)
        problem = self._problem(value)
        if problem is not None:
            raise DamagedReplay(self._path, record.where, problem)
        place = _Place(record.number, record.offset, record.before, record.digest)
        match value:
            case Begun():
                self._episodes.append(_Growing([place]))
                self._open = True
            case Frames():
                episode = self._episodes[-1]
                episode.places.append(place)
                episode.frames += len(value.inputs)
                self._frames += len(value.inputs)
                episode.has_states |= bool(value.states)
            case Ended():
                self._episodes[-1].completed = value.completed
                self._open = False
            case Closed():
                self.closed = value
        self._inflated += len(packed)
        if self._inflated > _BASE_BYTES + self._frames * self._seats * _MAX_ACTION_BYTES:
            raise DamagedReplay(self._path, record.where, f"{self._frames} frames cannot need so many bytes")
        return value

    def finished(self) -> Iterator[ReplayEpisode]:
        """Yield the episodes."""
        for number, episode in enumerate(self._episodes):
            yield ReplayEpisode(
                number=number,
                frames=episode.frames,
                has_states=episode.has_states,
                completed=episode.completed,
                path=self._path,
                places=tuple(episode.places),
            )

    def missing(self, *, cut_bytes: int) -> str:
        """Say what is not there of a file without an end."""
        cut = f" (its last {cut_bytes} bytes are a part of a record)" if cut_bytes else ""
        return f"the end of the recording is missing, {self.place}{cut}"

    @property
    def place(self) -> str:
        """How far the records have been read, in words."""
        if not self._episodes:
            return "before the first episode"
        where = f"at frame {self._episodes[-1].frames} of" if self._open else "after the end of"
        return f"{where} episode {len(self._episodes)}"

    def _problem(self, value: Record) -> str | None:
        """Say why this record cannot come next; None if it can."""
        running = self._episodes[-1] if self._open else None
        problem: str | None = None
        match value:
            case Begun() if running is not None:
                problem = "an episode begins within another one"
            case Frames() | Ended() if running is None:
                problem = "frames of no episode"
            case Frames() if running is not None:
                problem = _problem_of_frames(value, running, self._seats)
            case Ended(frames=frames) if running is not None and frames != running.frames:
                problem = f"the episode had {frames} frames, and {running.frames} are here"
            case Closed(episodes=episodes, frames=frames):
                if running is not None or (len(self._episodes), self._frames) != (episodes, frames):
                    problem = (
                        f"{episodes} episodes of {frames} frames were recorded, and {self._frames} are here"
                    )
        return problem


def _problem_of_frames(value: Frames, running: _Growing, seats: int) -> str | None:
    at = running.frames
    if value.first != at:
        return f"frame {value.first} follows {at} frames: some were taken out or put in"
    count = len(value.inputs)
    if not len(value.rewards) == len(value.ends) == count:
        return "not as many actions as rewards and ends"
    if any(set(map(len, rows)) - {seats} for rows in (value.inputs, value.rewards, value.ends)):
        return f"not one value for each of {seats} seats"
    frames = [check.frame for check in value.checks]
    if frames != sorted(set(frames)) or not all(at <= frame < at + count for frame in frames):
        return "checks of other frames"
    running.checked.extend(frames)
    states = [state.frame for state in value.states]
    for frame in states:
        if frame not in running.checked:
            return "states of other frames"
        running.checked.remove(frame)  # each has one
    return None
