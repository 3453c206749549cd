"""What the planner keeps: tickets, probes, proposals; what it remembers of pairs; and its alarms.

State without rules: each class keeps its own books straight, and :mod:`gym_p2p.core.matchmaking.planner`
decides.
"""

from __future__ import annotations

import collections
import enum
import heapq
import itertools
import math
from collections.abc import Hashable

import attrs

from gym_p2p.core.api.matches import GroupHistory
from gym_p2p.core.matchmaking.commands import Pair, PairProbe, pair_of

__all__ = ["Action", "Agenda", "Alarm", "Budget", "PairMemory", "PairNote", "Probe", "Proposal", "Ticket"]


class Action(enum.Enum):
    """What an alarm is for."""

    CONSIDER = "consider"
    GIVE_UP = "give up"
    END_PROBE = "end probe"
    END_HOOK = "end hook"


@attrs.define(eq=False)
class Alarm:
    """Something to be done at a time, unless it is cancelled before."""

    when: float
    action: Action
    target: Ticket | Probe | Proposal
    cancelled: bool = False


class Agenda:
    """Alarms in order of time, equal times in order of setting."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Alarm]] = []
        self._serials = itertools.count()

    def at(self, when: float, action: Action, target: Ticket | Probe | Proposal) -> Alarm:
        """Set an alarm."""
        alarm = Alarm(when, action, target)
        heapq.heappush(self._heap, (when, next(self._serials), alarm))
        return alarm

    def next(self) -> float | None:
        """Return the time of the first alarm, or ``None``."""
        while self._heap and self._heap[0][2].cancelled:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: float) -> Alarm | None:
        """Take the first alarm that is due, or ``None``."""
        when = self.next()
        return heapq.heappop(self._heap)[2] if when is not None and when <= now else None


@attrs.define(eq=False)
class Ticket:
    """Somebody's place in the queue, from joining to a match, giving up or leaving."""

    subject_id: str
    enqueued_at: float
    serial: int
    rtt_ms: float | None
    group_history: GroupHistory | None
    role: Hashable = None
    """What only one member of a match can be; ``None`` goes with everybody."""
    proposal: Proposal | None = None
    probe: Probe | None = None
    probes: int = 0
    rejections: int = 0
    met_anyone: bool = False
    overdue: bool = False
    """It would have given up, had it not been engaged."""
    gone: bool = False
    end: Alarm | None = None
    wake: Alarm | None = None

    @property
    def busy(self) -> bool:
        """Whether it takes part in a proposal or a probe."""
        return self.proposal is not None or self.probe is not None

    def rivals(self, other: Ticket) -> bool:
        """Tell whether the two want the same role, so that no match can have both."""
        return self.role is not None and self.role == other.role

    def wait_s(self, now: float) -> float:
        """Return how long it has waited."""
        return max(0.0, now - self.enqueued_at)

    def silence(self) -> None:
        """Cancel its alarms."""
        for alarm in (self.end, self.wake):
            if alarm is not None:
                alarm.cancelled = True


@attrs.define(eq=False)
class Probe:
    """A probe that has been asked for. ``proposal`` is ``None`` once nobody waits for its outcome."""

    number: int
    one: Ticket
    other: Ticket
    attempt: int
    relay_only: bool
    proposal: Proposal | None
    deadline: Alarm | None = None

    @property
    def pair(self) -> Pair:
        """Whom it is of."""
        return pair_of(self.one.subject_id, self.other.subject_id)


@attrs.define(eq=False)
class Proposal:
    """A group that might become a match; the seed is the last member."""

    number: int
    members: tuple[Ticket, ...]
    relay_only: bool
    missing: list[tuple[Ticket, Ticket]]
    """Pairs still to be probed."""
    results: dict[Pair, PairProbe]
    probing: int = 0
    """Probes in flight."""
    deadline: Alarm | None = None
    """Of the hook, while it is asked."""

    @property
    def pairs(self) -> list[tuple[Ticket, Ticket]]:
        """Every pair of members."""
        return list(itertools.combinations(self.members, 2))


@attrs.define(eq=False)
class PairNote:
    """What is remembered of a pair, whether or not its subjects are in the queue."""

    touched_at: float
    put_off_until: float = -math.inf
    measured: PairProbe | None = None
    measured_at: float = -math.inf
    measured_relay: bool = False
    failed: bool = False
    """The last probe found no way."""
    relay_tried: bool = False


class PairMemory:
    """Notes on pairs, each kept for ``keep_s`` after it was last written to."""

    def __init__(self, keep_s: float) -> None:
        self._keep_s = keep_s
        self._notes: dict[Pair, PairNote] = {}  # in the order of touched_at

    def __len__(self) -> int:
        return len(self._notes)

    def get(self, a: str, b: str) -> PairNote | None:
        """Return what is remembered of a pair, or ``None``."""
        return self._notes.get((a, b) if a < b else (b, a))

    def touch(self, pair: Pair, now: float) -> PairNote:
        """Return the note of a pair to write to, a new one if there is none; forget what is too old."""
        while self._notes:
            oldest = next(iter(self._notes))
            if now < self._notes[oldest].touched_at + self._keep_s:
                break
            del self._notes[oldest]
        note = self._notes.pop(pair, None) or PairNote(now)
        note.touched_at = now
        self._notes[pair] = note
        return note


class Budget:
    """How many probes a subject may still take part in, within a sliding window."""

    def __init__(self, limit: int, window_s: float) -> None:
        self._limit = limit
        self._window_s = window_s
        self._by_subject: dict[str, collections.deque[float]] = {}
        self._all: collections.deque[tuple[float, str]] = collections.deque()

    def spend(self, subject_id: str, now: float) -> None:
        """Count one probe."""
        while self._all and self._all[0][0] + self._window_s <= now:
            _when, subject = self._all.popleft()
            times = self._by_subject[subject]
            times.popleft()
            if not times:
                del self._by_subject[subject]
        self._all.append((now, subject_id))
        self._by_subject.setdefault(subject_id, collections.deque()).append(now)

    def free_at(self, subject_id: str, now: float) -> float | None:
        """Return when the subject may be probed again; ``None``: now."""
        times = self._by_subject.get(subject_id)
        if times is None or len(times) < self._limit:
            return None
        free_at = times[len(times) - self._limit] + self._window_s
        return free_at if now < free_at else None
