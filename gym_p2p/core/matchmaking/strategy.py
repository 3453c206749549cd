"""How players are put together: the interface of matchmakers, and the three simple ones.

A matchmaker is a strategy and nothing else: it is shown who has arrived and who waits, and chooses with whom
to play. It keeps no queue, opens no socket, reads no clock;
:class:`~gym_p2p.core.matchmaking.planner.Planner` owns the queue, requests probes and decides when a
matchmaker has to choose.

To write one, derive from :class:`Matchmaker` and define :meth:`~Matchmaker.find_match`::

    class SameRegion(Matchmaker):
        def find_match(self, arriving, waiting, group_size):
            near = [w for w in waiting if region_of(w.subject_id) == region_of(arriving.subject_id)]
            return [*near[: group_size - 1], arriving] if len(near) >= group_size - 1 else None

``waiting`` then holds :class:`QueuedCandidate` objects, which hold more than :class:`MatchCandidate`: how
long each has waited, and the estimated round trip between it and the arriving one.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence

import attrs

from gym_p2p.config.checks import require_number
from gym_p2p.core.api.matches import GroupHistory
from gym_p2p.core.matchmaking.estimator import UNKNOWN, Estimate

__all__ = [
    "FIFOMatchmaker",
    "GroupReunionMatchmaker",
    "LatencyFIFOMatchmaker",
    "MatchCandidate",
    "Matchmaker",
    "QueuedCandidate",
    "require_matchmaker",
]


@attrs.frozen
class MatchCandidate:
    """Somebody who wants to play.

    Attributes:
        subject_id: who.
        rtt_ms: the round trip between this subject and the *service*; ``None`` if it is not known. It says
            little about the round trip to another subject.
        group_history: former partners; ``None`` if there are none.
    """

    subject_id: str
    rtt_ms: float | None = None
    group_history: GroupHistory | None = None

    @property
    def previous_partners(self) -> Sequence[str]:
        """Former partners, the most recent last; empty without a history."""
        return self.group_history.previous_partners if self.group_history is not None else ()


@attrs.frozen(kw_only=True)
class QueuedCandidate(MatchCandidate):
    """A candidate as the planner shows it: with what the queue knows.

    Attributes:
        wait_s: how long this subject has waited.
        estimate: the round trip between this one and the arriving one (of the arriving one itself: unknown).
        rejections: how many pairs with this subject have been turned down since it joined.
        page_rtt_ms: of a person, the round trip between their process and their page; ``None`` without one.
    """

    wait_s: float = 0.0
    estimate: Estimate = UNKNOWN
    rejections: int = 0
    page_rtt_ms: float | None = None


class Matchmaker(abc.ABC):
    """The strategy that puts players together; derive from it to bring your own.

    Every method must be a pure function of its arguments and of the constructor's: the planner calls them
    often, in any order, and a recorded queue is replayed through other matchmakers. A method that raises, or
    a match that is not one, counts as "nobody", is reported, and harms no one else in the queue.

    Attributes:
        max_p2p_rtt_ms: the largest measured round trip of a pair. ``None`` takes every pair, and nobody is
            probed unless the queue insists on it.

    Raises:
        TypeError: it is no number.
        ConfigurationError: it is out of range.
    """

    max_p2p_rtt_ms: float | None = None

    def __init__(self, max_p2p_rtt_ms: float | None = None) -> None:
        if max_p2p_rtt_ms is not None:
            if isinstance(max_p2p_rtt_ms, bool) or not isinstance(max_p2p_rtt_ms, int | float):
                raise TypeError(f"max_p2p_rtt_ms: wanted milliseconds or None, got {max_p2p_rtt_ms!r}")
            require_number("max_p2p_rtt_ms", max_p2p_rtt_ms, 0)
        self.max_p2p_rtt_ms = max_p2p_rtt_ms

    @abc.abstractmethod
    def find_match(
        self, arriving: MatchCandidate, waiting: list[MatchCandidate], group_size: int
    ) -> list[MatchCandidate] | None:
        """Choose the group in which ``arriving`` is to play.

        Args:
            arriving: who is to be matched; not in ``waiting``. After its arrival it is offered again whenever
                something has changed for it.
            waiting: who is free to play with ``arriving``, longest wait first, or as :meth:`rank_candidates`
                has put them. Pairs that have just failed are not in it. Must not be modified.
            group_size: how many players a match has.

        Returns:
            Exactly ``group_size`` candidates: the chosen ones of ``waiting`` first, ``arriving`` last.
            ``None`` lets ``arriving`` wait. A group is a proposal: it is probed pair by pair before it is a
            match.
        """

    def rank_candidates(
        self,
        arriving: MatchCandidate,  # noqa: ARG002 - part of the interface
        waiting: list[MatchCandidate],
        group_size: int,
    ) -> list[MatchCandidate]:
        """Return those of ``waiting`` who are worth a probe, the best first; the others are left out.

        Returns a new list, empty if there are too few for a group. By default everybody, in order of arrival.
        """
        return list(waiting) if len(waiting) + 1 >= group_size else []

    def should_reject_for_rtt(self, measured_rtt_ms: float | None) -> bool:
        """Tell whether a pair with this measured round trip must not play.

        Without a threshold never; a failed measurement (``None``) always; else when it is strictly greater.
        """
        if self.max_p2p_rtt_ms is None:
            return False
        return measured_rtt_ms is None or measured_rtt_ms > self.max_p2p_rtt_ms

    # ---- for matchmakers that look at waits and estimates; each has a default that does not

    def rejects_pair(self, measured_rtt_ms: float | None, wait_a_s: float, wait_b_s: float) -> bool:  # noqa: ARG002  # the interface
        """Tell whether a pair must not play *yet*, both having waited that long.

        Longer waits may turn a rejection into an acceptance, never the reverse. Infinite waits ask whether
        the pair is out of the question altogether.
        """
        return self.should_reject_for_rtt(measured_rtt_ms)

    def threshold_ms(self, wait_a_s: float, wait_b_s: float) -> float | None:  # noqa: ARG002  # the interface
        """Return the largest round trip that a pair may have by now; for tables and the decision log."""
        return self.max_p2p_rtt_ms

    def worth_probing(self, one: QueuedCandidate, other: QueuedCandidate) -> bool:  # noqa: ARG002  # the interface
        """Tell whether two members of a group might pass; ``other.estimate`` is the one between them."""
        return True

    def next_chance_s(self, arriving: QueuedCandidate, waiting: Sequence[QueuedCandidate]) -> float | None:  # noqa: ARG002  # the interface
        """Return in how many seconds waiting alone will change the answer for ``arriving``.

        ``None``: only an event will (somebody arrives, a pair's cool-down ends).
        """
        return None


class FIFOMatchmaker(Matchmaker):
    """Whoever has waited longest, whatever the distance."""

    def find_match(
        self, arriving: MatchCandidate, waiting: list[MatchCandidate], group_size: int
    ) -> list[MatchCandidate] | None:
        """Choose those who have waited longest."""
        return _first(arriving, waiting, group_size)


class LatencyFIFOMatchmaker(Matchmaker):
    """Whoever has waited longest, among those with whom the sum of both *server* round trips is small.

    Kept because studies use it. The sum is a poor guide: far from the service, it parts neighbours.

    Args:
        max_server_rtt_ms: the largest sum of a pair's two server round trips; a pair of which either is
            unknown passes.
        max_p2p_rtt_ms: the largest measured round trip of a pair; ``None`` takes every pair, unprobed.
    """

    def __init__(self, max_server_rtt_ms: float, max_p2p_rtt_ms: float | None = None) -> None:
        super().__init__(max_p2p_rtt_ms)
        require_number("max_server_rtt_ms", max_server_rtt_ms, 0)
        self.max_server_rtt_ms = max_server_rtt_ms

    def rank_candidates(
        self, arriving: MatchCandidate, waiting: list[MatchCandidate], group_size: int
    ) -> list[MatchCandidate]:
        """Return those who pass, in their order."""
        passing = [candidate for candidate in waiting if self._passes(arriving, candidate)]
        return passing if len(passing) + 1 >= group_size else []

    def find_match(
        self, arriving: MatchCandidate, waiting: list[MatchCandidate], group_size: int
    ) -> list[MatchCandidate] | None:
        """Choose those who have waited longest and pass with ``arriving`` and with each other."""
        chosen: list[MatchCandidate] = []
        for candidate in self.rank_candidates(arriving, waiting, group_size):
            if all(self._passes(member, candidate) for member in chosen):
                chosen.append(candidate)
        return _first(arriving, chosen, group_size)

    def _passes(self, one: MatchCandidate, other: MatchCandidate) -> bool:
        if one.rtt_ms is None or other.rtt_ms is None:
            return True
        return one.rtt_ms + other.rtt_ms <= self.max_server_rtt_ms


class GroupReunionMatchmaker(Matchmaker):
    """Former partners play together again.

    Args:
        max_p2p_rtt_ms: the largest measured round trip of a pair; ``None`` takes every pair, unprobed.
        fallback_to_fifo: play with others when too few former partners wait; ``False`` waits for them.
    """

    def __init__(self, max_p2p_rtt_ms: float | None = None, fallback_to_fifo: bool = True) -> None:  # noqa: FBT001, FBT002 - the known interface
        super().__init__(max_p2p_rtt_ms)
        self.fallback_to_fifo = fallback_to_fifo

    def rank_candidates(
        self, arriving: MatchCandidate, waiting: list[MatchCandidate], group_size: int
    ) -> list[MatchCandidate]:
        """Return former partners (of either's memory) first, then the others if these will do."""
        if len(waiting) + 1 < group_size:
            return []
        partners = [candidate for candidate in waiting if _played(arriving, candidate)]
        if not self.fallback_to_fifo:
            return partners if len(partners) + 1 >= group_size else []
        return partners + [candidate for candidate in waiting if not _played(arriving, candidate)]

    def find_match(
        self, arriving: MatchCandidate, waiting: list[MatchCandidate], group_size: int
    ) -> list[MatchCandidate] | None:
        """Choose former partners; where they are too few, fill up with others or wait."""
        return _first(arriving, self.rank_candidates(arriving, waiting, group_size), group_size)


def require_matchmaker(value: object) -> Matchmaker:
    """Return ``value`` if it is a matchmaker.

    Raises:
        TypeError: it is none (a class instead of an object of it is the usual reason).
    """
    if isinstance(value, Matchmaker):
        return value
    if isinstance(value, type) and issubclass(value, Matchmaker):
        raise TypeError(f"wanted a matchmaker, got the class {value.__name__}; call it: {value.__name__}(…)")
    raise TypeError(f"wanted a gym_p2p.Matchmaker, got {value!r}")


def _first(
    arriving: MatchCandidate, ranked: Sequence[MatchCandidate], group_size: int
) -> list[MatchCandidate] | None:
    if len(ranked) + 1 < group_size:
        return None
    return [*ranked[: group_size - 1], arriving]


def _played(one: MatchCandidate, other: MatchCandidate) -> bool:
    return other.subject_id in one.previous_partners or one.subject_id in other.previous_partners
