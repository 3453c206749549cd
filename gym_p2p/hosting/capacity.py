"""How many people there are seats for: by what a seat costs, and whether all who play are on time.

Before anybody plays, that is what the environment cost when it was tried (:mod:`gym_p2p.hosting.cost`); from
then on what the processes of the seats really take. And nobody more is let in while frames come late: rather
is somebody asked to wait at the door than that all play badly. Without I/O, on monotonic seconds that are
passed in.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

import attrs

__all__ = ["USABLE", "Capacity", "Punctuality"]

USABLE = 0.75
"""Of all cores: what is left takes the service, the host, and a moment in which all are busy at once."""

MOST_LATE = 0.01
"""Of the frames of those who play: above it nobody more is let in."""

SETTLED_S = 5.0
"""From when somebody comes, or begins to play: until then their processes load and make what they need."""

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


@attrs.define(eq=False, kw_only=True)
class Capacity:
    """What this machine can do.

    Args:
        cores: of it.
        expected: what a person is thought to take, with the programs beside them, as a share of a core.
        most: people for whose seats there is memory; ``None`` is unknown.
        fixed: as many as this whatever they cost, where whoever runs the host has said so.
    """

    cores: int
    expected: float
    most: int | None = None
    fixed: int | None = None
    _playing: set[str] = attrs.field(factory=set, init=False)
    _changed_at: float = attrs.field(default=-math.inf, init=False)
    _frames: deque[_Frames] = attrs.field(factory=deque, init=False)
    _used: Mapping[int, float] | None = attrs.field(default=None, init=False)
    _used_at: float = attrs.field(default=0.0, init=False)
    _found: float | None = attrs.field(default=None, init=False)

    @property
    def cost(self) -> float:
        """What a person's seat costs, as a share of a core, by what is known now."""
        return self.expected if self._found is None else self._found

    @property
    def expected_seats(self) -> int:
        """For how many people there should be room, by what was tried before anybody came; at least one."""
        return max(1, self._room(self.expected))

    def came(self, now: float) -> None:
        """Note that somebody took a seat."""
        self._changed_at = now

    def began(self, code: str, now: float) -> None:
        """Note that somebody plays from now on."""
        self._playing.add(code)
        self._changed_at = now

    def ended(self, code: str, now: float) -> None:
        """Note that somebody has no seat any more."""
        self._playing.discard(code)
        self._changed_at = now

    def played(self, count: int, late: int, now: float) -> None:
        """Note frames of somebody who plays, and how many of them came late."""
        self._frames.append(_Frames(now, count, late))

    def used(self, seconds: Mapping[int, float], now: float) -> None:
        """Take in the processor time that the processes of all seats have used so far, by their ids.

        What a person costs is known from a time in which nobody came, began or left: the processes that
        were there all the time, over those who play.
        """
        before, since = self._used, self._used_at
        self._used, self._used_at = seconds, now
        if before is None or now <= since or not self._playing or self._changed_at + SETTLED_S > since:
            return
        taken = sum(max(0.0, at - before[one]) for one, at in seconds.items() if one in before)
        if taken > 0:
            self._found = taken / (now - since) / len(self._playing)

    def is_late(self, now: float) -> bool:
        """Return whether more frames come late than may."""
        while self._frames and self._frames[0].at + _JUDGED_S <= now:
            self._frames.popleft()
        count = sum(one.count for one in self._frames)
        return count >= _LEAST_FRAMES and sum(one.late for one in self._frames) > MOST_LATE * count

    def _room(self, cost: float) -> int:
        room = math.floor(USABLE * self.cores / cost)
        return room if self.most is None else min(room, self.most)

    def seats(self, taken: int, now: float) -> int:
        """Return how many people may sit here now; at least one.

        Args:
            taken: how many sit here.
            now: monotonic seconds.
        """
        if self.fixed is not None:
            return self.fixed
        room = self._room(self.cost)
        return max(1, min(room, taken) if self.is_late(now) else room)


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
