"""What a recording says of every frame, without playing it again: seeds, rewards and ends."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from gym_p2p.errors import P2PError
from gym_p2p.game.replay.header import ReplayHeader
from gym_p2p.game.replay.reader import Replay, read_replay
from gym_p2p.game.replay.records import Begun, Frames, Record
from gym_p2p.study.problems import Problems
from gym_p2p.study.reading.files import Found

__all__ = ["Played", "RecordedEpisode", "Recording", "difference", "read_recordings"]


@attrs.frozen(eq=False)
class RecordedEpisode:
    """An episode of a recording.

    Attributes:
        seed: what it was reset with; ``None`` where it is not said.
        options: the same.
        rewards: of every frame and seat, (frames, seats).
        ends: 1 where a seat has terminated, 2 where it was truncated, 3 for both; (frames, seats).
        completed: whether the environment ended it; ``None`` if the recording ends before.
        started_ms, ended_ms: its first and last frame, in Unix milliseconds; ``None`` where it is not said.
        t_ms: when every frame was played, since the first one; the same.
    """

    seed: int | None
    options: dict[str, Any]
    rewards: np.ndarray
    ends: np.ndarray
    completed: bool | None
    started_ms: float | None = None
    ended_ms: float | None = None
    t_ms: np.ndarray | None = None

    def length(self, seat: int) -> int:
        """Return how many frames a seat took part in."""
        ended = np.flatnonzero(self.ends[:, seat])
        return int(ended[0]) + 1 if len(ended) else len(self.ends)


@attrs.frozen(eq=False)
class Played:
    """What was earned in a match, and when it ended for whom.

    Attributes:
        seats: the seats' ids as texts, in the order of the columns.
        episodes: by number, from 1 on.
    """

    seats: list[str]
    episodes: dict[int, RecordedEpisode]


@attrs.frozen(eq=False)
class Recording:
    """A recording; its episodes by number, from 1 on, as the documents count them."""

    file: Found
    header: ReplayHeader
    episodes: dict[int, RecordedEpisode]
    missing: str | None

    @property
    def frames(self) -> int:
        """How many frames it has."""
        return sum(len(episode.ends) for episode in self.episodes.values())

    @property
    def played(self) -> Played:
        """What was earned."""
        return Played([str(seat) for seat in self.header.seats], self.episodes)


def read_recordings(files: Sequence[Found], problems: Problems) -> list[Recording]:
    """Return the recordings of a match, the longest first; of copies of one, one."""
    found: dict[str, Recording] = {}
    for file in files:
        if file.kind != "recording":
            continue
        try:
            episodes = _Episodes()
            replay = read_replay(file.path, told=episodes.take)
            recording = Recording(file, replay.header, episodes.finished(replay), replay.missing)
        except (P2PError, ValueError, OverflowError, MemoryError) as error:
            text = str(error).replace(file.path, file.name)
            problems.add("recording", text or type(error).__name__, path=file.name)
            continue
        if replay.fingerprint in found:
            continue
        found[replay.fingerprint] = recording
        if replay.missing is not None:
            problems.add("recording", replay.missing, path=file.name, player=_text(replay.header.player_id))
    recordings = sorted(found.values(), key=lambda one: -one.frames)
    _compare(recordings, problems)
    return recordings


class _Episodes:
    """Keeps of a recording what the tables have of it, while it is read."""

    def __init__(self) -> None:
        self._begun: list[tuple[Begun, list[np.ndarray], list[bytes]]] = []

    def take(self, record: Record) -> None:
        """Take in the next record."""
        match record:
            case Begun():
                self._begun.append((record, [], []))
            case Frames():
                _, rewards, ends = self._begun[-1]
                rewards.append(np.fromiter(itertools.chain.from_iterable(record.rewards), np.float64))
                ends += record.ends

    def finished(self, replay: Replay) -> dict[int, RecordedEpisode]:
        """Return the episodes by number, from 1 on."""
        seats = len(replay.header.seats)
        return {
            episode.number + 1: RecordedEpisode(
                begun.seed,
                begun.options,
                np.concatenate([np.zeros(0), *rewards]).reshape(-1, seats),
                np.frombuffer(b"".join(ends), np.uint8).reshape(-1, seats),
                episode.completed,
            )
            for episode, (begun, rewards, ends) in zip(replay.episodes, self._begun, strict=True)
        }


def _compare(recordings: Sequence[Recording], problems: Problems) -> None:
    """Say where the recordings of a match do not agree: each player's copy computes the rewards anew."""
    for other in recordings[1:]:
        first = recordings[0]
        if other.header.seats != first.header.seats:
            problems.add("disagreement", "the recordings have other seats", path=other.file.name)
            continue
        for number in sorted(first.episodes.keys() & other.episodes.keys()):
            what = difference(first.episodes[number], other.episodes[number])
            if what is not None:
                where = f"the recordings differ in episode {number}, {what}"
                problems.add("disagreement", where, path=other.file.name)


def difference(one: RecordedEpisode, other: RecordedEpisode) -> str | None:
    """Return the first frame in which two accounts of an episode differ, in words; ``None`` if none does."""
    if one.seed != other.seed:
        return f"the seed: {one.seed} and {other.seed}"
    frames = min(len(one.ends), len(other.ends))
    for what, here, there in (("reward", one.rewards, other.rewards), ("end", one.ends, other.ends)):
        same = np.equal(here[:frames], there[:frames]) | (here[:frames] != here[:frames])  # NaN
        if not same.all():
            frame, seat = (int(place) for place in np.argwhere(~same)[0])
            values = f"{here[frame, seat]} and {there[frame, seat]}"
            return f"frame {frame}, {what} of seat number {seat}: {values}"
    return None


def _text(player: int | str | None) -> str | None:
    return None if player is None else str(player)
