"""Whom to propose: shows the queue to a matchmaker and takes its answer with care.

It filters what must not be proposed (pairs that have just failed, that are known to be too far apart, that
have spent their probes), adds waits and estimates, checks that the answer is a group, and says when it is
worth asking again. It changes nothing; a matchmaker that raises or answers nonsense has answered "nobody".
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs

from gym_p2p.config import MatchmakingConfig
from gym_p2p.core.matchmaking.estimator import UNKNOWN, Estimate, LatencyEstimator, Source
from gym_p2p.core.matchmaking.memory import PairMemory, PairNote
from gym_p2p.core.matchmaking.strategy import MatchCandidate, Matchmaker, QueuedCandidate
from gym_p2p.core.matchmaking.tickets import Ticket
from gym_p2p.core.presence.rate_limits import SlidingWindow

__all__ = ["Choice", "Chooser", "threshold_of"]

_WAKE_LATE_S = 0.01
"""Asking a moment after the threshold has widened: rounding must not make it a moment before."""
_PAUSE_S = 0.1
"""At least this long between two looks at the same pair of tickets, whatever a matchmaker answers."""
_GROUP_PAUSE_S = 1.0
"""The same in larger groups, where the thresholds between *others* may be what keeps a group from forming."""
_GROUP_STARTS = 5
"""With how many different first members a larger group is tried."""


@attrs.frozen
class Choice:
    """What came of asking a matchmaker.

    Attributes:
        seed: who was to be matched, as shown.
        waiting: who could have been chosen, as shown.
        group: the members of a proposal, the seed last; ``None`` for nobody.
        again_at: when time alone may change the answer; ``None`` for never.
        fault: what the matchmaker did wrong.
    """

    seed: QueuedCandidate
    waiting: tuple[QueuedCandidate, ...]
    group: tuple[Ticket, ...] | None = None
    again_at: float | None = None
    fault: str | None = None


@attrs.define(eq=False)
class Chooser:
    """Asks one matchmaker about one queue.

    Attributes:
        probes: whether pairs are probed at all.
    """

    _matchmaker: Matchmaker
    _config: MatchmakingConfig
    _estimator: LatencyEstimator
    _memory: PairMemory
    _budget: SlidingWindow
    probes: bool = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        has_threshold = self._matchmaker.max_p2p_rtt_ms is not None
        self.probes = self._config.probe == "always" or (self._config.probe == "threshold" and has_threshold)

    def choose(self, seed: Ticket, tickets: Sequence[Ticket], now: float) -> Choice:
        """Return with whom ``seed`` is to play, of those who are idle."""
        arriving = self.show(seed, now)
        waiting: list[QueuedCandidate] = []
        later: list[QueuedCandidate] = []
        again_at = math.inf
        by_id = {seed.subject_id: seed}
        for other in tickets:
            if other.probe is not None or other.proposal is not None or other is seed:
                continue
            if seed.wish.take is not None and seed.rivals(other):
                continue
            note = self._memory.get(seed.subject_id, other.subject_id)
            blocked_until = self._blocked_until(seed, other, note, now)
            if blocked_until is not None:
                again_at = min(again_at, blocked_until)
                continue
            candidate = self.show(other, now, self._estimate(other, seed, note, now))
            by_id[other.subject_id] = other
            (later if self._known_too_far(seed, other, note, now) else waiting).append(candidate)
        shown = (*waiting, *later)
        try:
            group = self._ask(arriving, waiting, by_id, now)
            chance_s = None if group else self._matchmaker.next_chance_s(arriving, shown)
            later_s = None if chance_s is None else chance_s + _WAKE_LATE_S
        except Exception as error:  # noqa: BLE001 - a plug-in's bug must not stop the queue; it is reported
            return Choice(arriving, shown, fault=f"{type(error).__name__}: {error}")
        if later_s is not None:
            pause_s = _PAUSE_S if self._config.group_size == 2 else _GROUP_PAUSE_S
            again_at = min(again_at, now + max(later_s, pause_s))
        return Choice(arriving, shown, group, again_at if math.isfinite(again_at) else None)

    def show(self, ticket: Ticket, now: float, estimate: Estimate = UNKNOWN) -> QueuedCandidate:
        """Return a ticket as matchmakers see it, with the estimate to the one that it is shown beside."""
        return QueuedCandidate(
            ticket.subject_id,
            ticket.wish.rtt_ms,
            ticket.wish.group_history,
            wait_s=max(0.0, now - ticket.enqueued_at),
            estimate=estimate,
            rejections=ticket.rejections,
            page_rtt_ms=ticket.wish.page_rtt_ms,
        )

    def estimate(self, one: Ticket, other: Ticket, now: float) -> Estimate:
        """Return the round trip between two tickets, exact if they have just been probed."""
        return self._estimate(one, other, self._memory.get(one.subject_id, other.subject_id), now)

    def _estimate(self, one: Ticket, other: Ticket, note: PairNote | None, now: float) -> Estimate:
        if note is not None and (measured := note.trusted(now)) is not None:
            return Estimate(measured.rtt_ms, Source.MEASURED, exact=True)
        return self._estimator.estimate(one.subject_id, other.subject_id, now)

    def rejects(self, rtt_ms: float | None, one: Ticket, other: Ticket, now: float) -> bool:
        """Tell whether this measured round trip keeps the two from playing by now."""
        return self._rejects(rtt_ms, one.wait_s(now), other.wait_s(now))

    def hopeless(self, rtt_ms: float | None) -> bool:
        """Tell whether no wait would make this round trip acceptable."""
        return self._rejects(rtt_ms, math.inf, math.inf)

    def threshold_ms(self, one: Ticket, other: Ticket, now: float) -> float | None:
        """Return the pair's threshold by now, ``None`` if there is none."""
        return threshold_of(self._matchmaker, one.wait_s(now), other.wait_s(now))

    def budget_spent(self, ticket: Ticket, now: float) -> bool:
        """Tell whether a subject has been probed as often as it may."""
        return self._budget.free_at(ticket.subject_id, now) is not None

    def _rejects(self, rtt_ms: float | None, wait_a_s: float, wait_b_s: float) -> bool:
        try:
            return bool(self._matchmaker.rejects_pair(rtt_ms, wait_a_s, wait_b_s))
        except Exception:  # noqa: BLE001 - a plug-in's bug must not stop the queue: nobody plays by mistake
            return True

    def _blocked_until(self, one: Ticket, other: Ticket, note: PairNote | None, now: float) -> float | None:
        """Return until when this pair cannot be proposed; ``None``: it can."""
        if note is not None:
            if now < note.put_off_until:
                return note.put_off_until
            if (measured := note.trusted(now)) is not None:
                return note.trusted_until if self.hopeless(measured.rtt_ms) else None
        if not self.probes:
            return None
        one_at = self._budget.free_at(one.subject_id, now)
        other_at = self._budget.free_at(other.subject_id, now)
        if one_at is None or other_at is None:
            return one_at or other_at
        return max(one_at, other_at)

    def _known_too_far(self, one: Ticket, other: Ticket, note: PairNote | None, now: float) -> bool:
        if note is None or (measured := note.trusted(now)) is None:
            return False
        return self.rejects(measured.rtt_ms, one, other, now)

    def _ask(
        self, arriving: QueuedCandidate, waiting: list[QueuedCandidate], by_id: dict[str, Ticket], now: float
    ) -> tuple[Ticket, ...] | None:
        size = self._config.group_size
        ranked = self._matchmaker.rank_candidates(arriving, list(waiting), size)
        starts = 1 if size == 2 else _GROUP_STARTS
        for start in range(min(starts, len(ranked) - size + 2)):
            offered = ranked[start:] if size == 2 else self._fitting(ranked[start:], by_id, now)
            found = self._matchmaker.find_match(arriving, list(offered), size)
            if found is not None:
                _check(found, arriving, offered, size)
                return tuple(by_id[candidate.subject_id] for candidate in found)
        return None

    def _fitting(
        self, ranked: Sequence[MatchCandidate], by_id: dict[str, Ticket], now: float
    ) -> list[MatchCandidate]:
        """Return those that might all play with each other: greedily, the first ones first."""
        fitting: list[MatchCandidate] = []
        for candidate in ranked:
            ticket = by_id[candidate.subject_id]
            if all(self._fit(by_id[member.subject_id], ticket, now) for member in fitting):
                fitting.append(candidate)
        return fitting

    def _fit(self, one: Ticket, other: Ticket, now: float) -> bool:
        if one.rivals(other):
            return False
        note = self._memory.get(one.subject_id, other.subject_id)
        if self._blocked_until(one, other, note, now) is not None:
            return False
        if self._known_too_far(one, other, note, now):
            return False
        beside = self.show(other, now, self._estimate(other, one, note, now))
        return self._matchmaker.worth_probing(self.show(one, now), beside)


def threshold_of(matchmaker: Matchmaker, wait_a_s: float, wait_b_s: float) -> float | None:
    """Return a pair's threshold in ms; ``None`` where there is none, or the matchmaker returns no number."""
    try:
        answer = matchmaker.threshold_ms(wait_a_s, wait_b_s)
        threshold_ms = math.inf if answer is None else float(answer)
    except Exception:  # noqa: BLE001 - a plug-in's bug must not stop the queue
        return None
    return threshold_ms if 0 <= threshold_ms < math.inf else None


def _check(
    found: Sequence[MatchCandidate],
    arriving: MatchCandidate,
    offered: Sequence[MatchCandidate],
    group_size: int,
) -> None:
    """Raise :exc:`ValueError` if a matchmaker's answer is no group."""
    chosen = [candidate.subject_id for candidate in found]
    if len(chosen) != group_size or len(set(chosen)) != group_size:
        raise ValueError(f"find_match returned {len(set(chosen))} candidates for a group of {group_size}")
    if chosen[-1] != arriving.subject_id:
        raise ValueError("find_match did not return the arriving one last")
    if not set(chosen[:-1]) <= {candidate.subject_id for candidate in offered}:
        raise ValueError("find_match returned somebody who was not offered")
