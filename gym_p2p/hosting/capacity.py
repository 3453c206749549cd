"""How many people there are seats for: by what a seat costs, and whether all who play are on time.

Before anybody plays, that is what the environment cost when it was tried (:mod:`gym_p2p.hosting.cost`); from
then on what the processes of the seats really take: the first who come take half of the seats, and the others
wait at the door until that is known. And nobody more is let in while frames come late: rather is somebody
asked to wait at the door than that all play badly. Without I/O, on monotonic seconds that are passed in.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

import attrs

__all__ = ["USABLE", "Capacity", "Punctuality"]

USABLE = 0.65
"""Of all cores: what is left takes the service, the host, and moments in which all are busy at once; with
three quarters, twenty seats on two cores were late in more than one frame of a hundred."""

MOST_LATE = 0.01
"""Of the frames of those who play: above it nobody more is let in."""

SETTLED_S = 5.0
"""From when somebody comes, or begins to play: until then their processes load and make what they need."""

_MEASURED_S = 8.0
"""For what a seat costs: several times as long as from one word of it about its frames to the next."""

HELD_S = 40.0
"""From when half of the seats are taken, at most: where frames are few, as in a game of turns, nothing is
measured, and where nobody plays that half must not wait for the other one."""

_JUDGED_S = 10.0
"""How long back frames count."""
_LEAST_FRAMES = 200
"""Before there are as many, one that is late says nothing."""

_ON_TIME_FRAMES = 1.25
"""After so much of a frame's time since the one before, it is late."""
_PAUSE_S = 0.3
_TOLD_EVERY_S = 2.0


@attrs.frozen
class _Frames:
    at: float
    count: int
    late: int


@attrs.frozen
class _Since:
    """From when on seats are measured: what their processes had used by then, and how much was played."""

    at: float
    seconds: Mapping[int, float]
    frames: int


@attrs.define(eq=False, kw_only=True)
class Capacity:
    """What this machine can do.

    Args:
        cores: of it.
        fps: frames a second.
        expected: what a person is thought to take, with the programs beside them, as a share of a core.
        together: how many people one match takes; with fewer seats nobody here would ever play.
        most: people for whose seats there is memory; ``None`` is unknown.
        fixed: as many as this whatever they cost, where whoever runs the host has said so.
    """

    cores: int
    fps: float
    expected: float
    together: int = 1
    most: int | None = None
    fixed: int | None = None
    _playing: set[str] = attrs.field(factory=set, init=False)
    _changed_at: float = attrs.field(default=-math.inf, init=False)
    _held_at: float | None = attrs.field(default=None, init=False)
    _frames: deque[_Frames] = attrs.field(factory=deque, init=False)
    _played: int = attrs.field(default=0, init=False)
    _since: _Since | None = attrs.field(default=None, init=False)
    _found: float | None = attrs.field(default=None, init=False)

    @property
    def cost(self) -> float:
        """What a person's seat costs, as a share of a core, by what is known now."""
        return self.expected if self._found is None else self._found

    @property
    def expected_seats(self) -> int:
        """For how many people there should be seats, by what was tried before anybody came."""
        return self._seats_of(self.expected)

    @property
    def expected_room(self) -> int:
        """For how many people there should be room, by what was tried before anybody came; 0 is for none."""
        return self._room(self.expected)

    def came(self, taken: int, now: float) -> None:
        """Note that somebody took a seat, and how many are taken now."""
        self._changed_at = now
        if self._held_at is None and taken >= self.first_seats:
            self._held_at = now

    def began(self, code: str, now: float) -> None:
        """Note that somebody plays from now on."""
        self._playing.add(code)
        self._changed_at = now

    def ended(self, code: str, now: float) -> None:
        """Note that somebody has no seat any more."""
        self._playing.discard(code)
        if not self._playing:
            self._frames.clear()  # nobody is there whom anybody else would hold up
        self._changed_at = now

    def played(self, count: int, late: int, now: float) -> None:
        """Note frames of somebody who plays, and how many of them came late."""
        self._frames.append(_Frames(now, count, late))
        self._played += count

    def used(self, seconds: Mapping[int, float], now: float) -> None:
        """Take in the processor time that the processes of all seats have used so far, by their ids.

        What a person costs is what their seat takes in a time in which nobody came, began or left. While
        frames come late, it is what a frame takes: a machine that has too much to do lets seats play fewer of
        them, which costs less, and nobody is served. Else there are fewer where players wait for each other.
        """
        if not self._playing or self._changed_at + SETTLED_S > now:
            self._since = None
            return
        if self._since is None:
            self._since = _Since(now, dict(seconds), self._played)
        since = self._since
        frames = self._played - since.frames
        if since.at + _MEASURED_S > now or frames < _LEAST_FRAMES:
            return
        taken = sum(max(0.0, at - since.seconds[one]) for one, at in seconds.items() if one in since.seconds)
        served_s = frames / self.fps if self.is_late(now) else (now - since.at) * len(self._playing)
        if taken > 0:
            self._found = taken / served_s

    def is_late(self, now: float) -> bool:
        """Return whether more frames come late than may."""
        while self._frames and self._frames[0].at + _JUDGED_S <= now:
            self._frames.popleft()
        count = sum(one.count for one in self._frames)
        return count >= _LEAST_FRAMES and sum(one.late for one in self._frames) > MOST_LATE * count

    def is_held(self, now: float) -> bool:
        """Return whether seats are kept until it is measured what one costs."""
        if self._found is not None or self.fixed is not None or self.first_seats == self.expected_seats:
            return False
        return self._held_at is None or now < self._held_at + HELD_S

    @property
    def first_seats(self) -> int:
        """How many of these are taken until it is measured what one costs: half, in whole matches."""
        return min(self.expected_seats, self.together * math.ceil(self.expected_seats / (2 * self.together)))

    def _seats_of(self, cost: float) -> int:
        """Return for how many there are seats, in whole matches: one at least.

        Who waits for people that are never let in waits in vain.
        """
        return self.together * max(1, self._room(cost) // self.together)

    def _room(self, cost: float) -> int:
        room = math.floor(USABLE * self.cores / cost)
        return room if self.most is None else min(room, self.most)

    def seats(self, taken: int, now: float) -> int:
        """Return how many people may sit here now: those of one match, at least, where nobody plays badly.

        While somebody does, nobody comes beside those who are here.

        Args:
            taken: how many sit here.
            now: monotonic seconds.
        """
        if self.fixed is not None:
            return self.fixed
        seats = self._seats_of(self.cost)
        if self.is_held(now):
            seats = min(seats, self.first_seats)
        return max(1, min(seats, taken)) if self.is_late(now) else seats


@attrs.define(eq=False)
class Punctuality:
    """Whether the frames of one seat are on time.

    Args:
        fps: frames a second.
    """

    fps: float
    _count: int = attrs.field(default=0, init=False)
    _late: int = attrs.field(default=0, init=False)
    _at: float | None = attrs.field(default=None, init=False)
    _told_at: float = attrs.field(default=0.0, init=False)

    def frame(self, now: float) -> tuple[int, int] | None:
        """Note a frame; return, now and then, how many there were since the last time, and how many late.

        A frame that took far too long was waited for on purpose: a countdown, a path that broke, the others.
        """
        before, self._at = self._at, now
        if before is None:
            self._told_at = now
        elif now - before < _PAUSE_S:
            self._count += 1
            self._late += now - before > _ON_TIME_FRAMES / self.fps
        if self._told_at + _TOLD_EVERY_S > now:
            return None
        found = self._count, self._late
        self._count = self._late = 0
        self._told_at = now
        return found
