"""What the planner keeps: tickets, probes, proposals, and when something is to be done about them.

State without rules: each class keeps its own books straight, and :mod:`gym_p2p.core.matchmaking.planner`
decides.
"""

from __future__ import annotations

import enum
import heapq
import itertools

import attrs

from gym_p2p.core.api.matches import QueueTicket
from gym_p2p.core.api.queues import PairMeasured
from gym_p2p.core.matchmaking.commands import RequestProbe
from gym_p2p.core.matchmaking.memory import Pair
from gym_p2p.core.probing.outcome import ProbeOutcome

__all__ = ["Action", "Agenda", "PlannerTimer", "Probe", "Proposal", "Ticket"]


class Action(enum.Enum):
    """What a timer is for."""

    CONSIDER = "consider"
    GIVE_UP = "give up"
    END_PROBE = "end probe"
    END_HOOK = "end hook"


@attrs.define(eq=False)
class PlannerTimer:
    """Something to be done at a time, unless it is cancelled before."""

    when: float
    action: Action
    target: Ticket | Probe | Proposal
    cancelled: bool = False


class Agenda:
    """Timers in order of time, equal times in order of setting."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, PlannerTimer]] = []
        self._serials = itertools.count()

    def at(self, when: float, action: Action, target: Ticket | Probe | Proposal) -> PlannerTimer:
        """Set a timer."""
        timer = PlannerTimer(when, action, target)
        heapq.heappush(self._heap, (when, next(self._serials), timer))
        return timer

    def next(self) -> float | None:
        """Return the time of the first timer, or ``None``."""
        while self._heap and self._heap[0][2].cancelled:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: float) -> PlannerTimer | None:
        """Take the first timer that is due, or ``None``."""
        when = self.next()
        return heapq.heappop(self._heap)[2] if when is not None and when <= now else None


@attrs.define(eq=False)
class Ticket:
    """A subject's place in a queue, from joining to a match, giving up or leaving.

    Attributes:
        wish: what it joined with.
        overdue: it would have given up, had it not been engaged.
        refused: why its last proposal was refused, as the reason of a ``MatchFailed``; else ``None``.
    """

    subject_id: str
    wish: QueueTicket
    enqueued_at: float
    serial: int
    proposal: Proposal | None = None
    probe: Probe | None = None
    probes: int = 0
    rejections: int = 0
    met_anyone: bool = False
    refused: str | None = None
    overdue: bool = False
    gone: bool = False
    end: PlannerTimer | None = None
    wake: PlannerTimer | None = None

    @property
    def busy(self) -> bool:
        """Whether it takes part in a proposal or a probe."""
        return self.proposal is not None or self.probe is not None

    def rivals(self, other: Ticket) -> bool:
        """Tell whether the two want the same seat, so that no match can have both."""
        return self.wish.take is not None and self.wish.take == other.wish.take

    def wait_s(self, now: float) -> float:
        """Return how long it has waited."""
        return max(0.0, now - self.enqueued_at)

    def stop_timers(self) -> None:
        """Cancel what was to be done about it."""
        for timer in (self.end, self.wake):
            if timer is not None:
                timer.cancelled = True


@attrs.define(eq=False)
class Probe:
    """A probe that has been requested. ``proposal`` is ``None`` once nobody waits for its outcome."""

    request: RequestProbe
    one: Ticket
    other: Ticket
    proposal: Proposal | None
    deadline: PlannerTimer | None = None


@attrs.define(eq=False)
class Proposal:
    """A group that might become a match; the seed is the last member."""

    number: int
    members: tuple[Ticket, ...]
    relay_only: bool
    missing: list[tuple[Ticket, Ticket]] = attrs.field(factory=list)
    """Pairs still to be probed."""
    outcomes: dict[Pair, ProbeOutcome] = attrs.field(factory=dict)
    """Of the pairs that have passed."""
    probing: int = 0
    """Probes in flight."""
    deadline: PlannerTimer | None = None
    """Of the hook, while its verdict is awaited."""

    @property
    def measured(self) -> tuple[PairMeasured, ...]:
        """What was measured, as the members are shown it."""
        return tuple(outcome.measured for outcome in self.outcomes.values())
