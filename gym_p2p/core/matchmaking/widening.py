r"""The recommended matchmaker: the nearest first, and farther ones the longer the wait.

What a pair may have, and what it is worth::

    T(w)       = min(T_max, T0 + g·w)          the threshold of somebody who has waited w seconds
    T(a, b)    = T(min(w_a, w_b))              of a pair: the newcomer need not take what the old hand would
                 last resort, once one of them has waited for last_resort_after_s
                 and the other's threshold stands at T_max
    score(a,b) = estimate / g - (w_a + w_b) / 2 + repetition - reunion        the lowest is the best

The score is in *seconds of waiting*: dividing by ``g`` says how long one would have to wait until the
threshold has widened by that many milliseconds, so that distance and waiting can be weighed against each
other. A pair is probed when its estimate is below ``slack · T + margin``: estimates err, and what is probed
too early is known later. A pair that has been measured is not estimated: it plays as soon as its threshold
has reached it.

Both questions come down to one number, the threshold that a pair *wants*: the measured round trip, or
``(estimate - margin) / slack``. ``T(a, b)`` never falls while both wait, so a pair is possible from the
moment at which it reaches that number, and the moment follows from inverting T:

- up to T_max the younger wait alone counts, and T is a straight line of it: ``(wanted - T0) / g``;
- above T_max only the last resort is left. It takes the younger to stand at T_max, ``(T_max - T0) / g``, and
  the older to have waited ``last_resort_after_s``: the later of both moments;
- above the last resort there is no such moment, and the pair is never worth a probe.

It knows candidates as values. The seed, the probes and the clock are the planner's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from gym_p2p.config.checks import require_number
from gym_p2p.core.matchmaking.estimator import UNKNOWN, Estimate
from gym_p2p.core.matchmaking.strategy import MatchCandidate, Matchmaker, QueuedCandidate

__all__ = ["WideningMatchmaker"]

_RECENT_PARTNERS = 2
"""Playing the same person a third time in a row is what anti-repetition is to prevent."""
_MANY_REJECTIONS = 5
_REJECTED_BONUS_S = 20.0
"""Who has been turned down often is hard to place, and counts as if they had waited this much longer."""


class WideningMatchmaker(Matchmaker):
    """The nearest first, with a threshold that widens while one waits. The recommended default.

    Args:
        max_p2p_rtt_ms: where widening ends (T_max).
        initial_rtt_ms: the threshold of a newcomer (T0).
        widen_ms_per_s: how fast it widens (g).
        last_resort_rtt_ms: accepted instead of giving up; ``None`` rather gives up.
        last_resort_after_s: from which wait on.
        slack: how far above the threshold an estimate may lie and still be probed, as a factor.
        margin_ms: the same as a number of milliseconds, added.
        assumed_rtt_ms: how a pair of which nothing is known is ranked.
        repeat_penalty_s: how much longer one rather waits than to meet one of the last two partners again.
        reunion_bonus_s: how much longer one would have to wait for others to be as good as a former partner;
            above 0 it replaces the penalty.

    Raises:
        ConfigurationError: a value is out of range.
    """

    max_p2p_rtt_ms: float

    def __init__(
        self,
        max_p2p_rtt_ms: float = 150.0,
        *,
        initial_rtt_ms: float = 60.0,
        widen_ms_per_s: float = 3.0,
        last_resort_rtt_ms: float | None = 200.0,
        last_resort_after_s: float = 45.0,
        slack: float = 1.1,
        margin_ms: float = 5.0,
        assumed_rtt_ms: float = 120.0,
        repeat_penalty_s: float = 10.0,
        reunion_bonus_s: float = 0.0,
    ) -> None:
        require_number("max_p2p_rtt_ms", max_p2p_rtt_ms, 0)
        super().__init__(max_p2p_rtt_ms)
        require_number("initial_rtt_ms", initial_rtt_ms, 0, max_p2p_rtt_ms)
        require_number("widen_ms_per_s", widen_ms_per_s, 0.001)
        if last_resort_rtt_ms is not None:
            require_number("last_resort_rtt_ms", last_resort_rtt_ms, max_p2p_rtt_ms)
        require_number("last_resort_after_s", last_resort_after_s, 0)
        require_number("slack", slack, 1)
        require_number("margin_ms", margin_ms, 0)
        require_number("assumed_rtt_ms", assumed_rtt_ms, 0)
        require_number("repeat_penalty_s", repeat_penalty_s, 0)
        require_number("reunion_bonus_s", reunion_bonus_s, 0)
        self.initial_rtt_ms = initial_rtt_ms
        self.widen_ms_per_s = widen_ms_per_s
        self.last_resort_rtt_ms = last_resort_rtt_ms
        self.last_resort_after_s = last_resort_after_s
        self.slack = slack
        self.margin_ms = margin_ms
        self.assumed_rtt_ms = assumed_rtt_ms
        self.repeat_penalty_s = repeat_penalty_s
        self.reunion_bonus_s = reunion_bonus_s
        self._widest_after_s = (max_p2p_rtt_ms - initial_rtt_ms) / widen_ms_per_s

    def threshold_ms(self, wait_a_s: float, wait_b_s: float) -> float:
        """Return the largest round trip that a pair may have by now (the module's ``T(a, b)``)."""
        younger_s = min(wait_a_s, wait_b_s)
        if younger_s < self._widest_after_s:
            return self.initial_rtt_ms + self.widen_ms_per_s * younger_s
        if self.last_resort_rtt_ms is not None and max(wait_a_s, wait_b_s) >= self.last_resort_after_s:
            return self.last_resort_rtt_ms
        return self.max_p2p_rtt_ms

    def rejects_pair(self, measured_rtt_ms: float | None, wait_a_s: float, wait_b_s: float) -> bool:
        """Tell whether the pair's threshold has not reached the measured round trip yet."""
        return measured_rtt_ms is None or measured_rtt_ms > self.threshold_ms(wait_a_s, wait_b_s)

    def worth_probing(self, one: MatchCandidate, other: MatchCandidate) -> bool:
        """Tell whether the pair's threshold has reached what it wants; any pair's is at least T0.

        Of an unknown pair the difference of both round trips to the service is a lower bound.
        """
        wanted_ms = self._wanted_ms(one, other)
        if wanted_ms <= self.initial_rtt_ms:
            return True
        return wanted_ms <= self.threshold_ms(_wait_s(one), _wait_s(other))

    def rank_candidates(
        self, arriving: MatchCandidate, waiting: list[MatchCandidate], group_size: int
    ) -> list[MatchCandidate]:
        """Return those who might pass by now, the best score first, equal scores in order of arrival."""
        scored = [
            (self._score(arriving, candidate), place, candidate)
            for place, candidate in enumerate(waiting)
            if self.worth_probing(arriving, candidate)
        ]
        if len(scored) + 1 < group_size:
            return []
        return [candidate for _score, _place, candidate in sorted(scored, key=lambda entry: entry[:2])]

    def find_match(
        self, arriving: MatchCandidate, waiting: list[MatchCandidate], group_size: int
    ) -> list[MatchCandidate] | None:
        """Choose the best of those who might pass by now."""
        ranked = self.rank_candidates(arriving, waiting, group_size)
        return [*ranked[: group_size - 1], arriving] if len(ranked) + 1 >= group_size else None

    def next_chance_s(self, arriving: QueuedCandidate, waiting: Sequence[QueuedCandidate]) -> float | None:
        """Return when the threshold will have widened to the next candidate; ``None`` if it never will."""
        times_s = [self._time_until_possible_s(arriving, candidate) for candidate in waiting]
        soonest_s = min(times_s, default=math.inf)
        return soonest_s if math.isfinite(soonest_s) else None

    def _wanted_ms(self, one: MatchCandidate, other: MatchCandidate) -> float:
        """Return the threshold at which a pair is worth a probe, or plays if it has been measured."""
        estimate = _estimate(other)
        if estimate.exact and estimate.rtt_ms is not None:
            return estimate.rtt_ms
        guess_ms = _floor_ms(one, other) if estimate.rtt_ms is None else estimate.rtt_ms
        return (guess_ms - self.margin_ms) / self.slack

    def _time_until_possible_s(self, one: MatchCandidate, other: MatchCandidate) -> float:
        """Return in how many seconds the pair will be possible: T inverted, infinite for never."""
        wanted_ms = self._wanted_ms(one, other)
        younger_s, older_s = sorted((_wait_s(one), _wait_s(other)))
        if wanted_ms <= self.max_p2p_rtt_ms:
            return max(0.0, (wanted_ms - self.initial_rtt_ms) / self.widen_ms_per_s - younger_s)
        if self.last_resort_rtt_ms is None or wanted_ms > self.last_resort_rtt_ms:
            return math.inf
        return max(0.0, self._widest_after_s - younger_s, self.last_resort_after_s - older_s)

    def _score(self, arriving: MatchCandidate, candidate: MatchCandidate) -> float:
        distance_ms = _estimate(candidate).rtt_ms
        if distance_ms is None:
            distance_ms = max(self.assumed_rtt_ms, _floor_ms(arriving, candidate))
        score_s = distance_ms / self.widen_ms_per_s - (_wait_s(arriving) + _wait_s(candidate)) / 2
        if isinstance(candidate, QueuedCandidate) and candidate.rejections >= _MANY_REJECTIONS:
            score_s -= _REJECTED_BONUS_S
        return score_s + self._history_s(arriving, candidate) + self._history_s(candidate, arriving)

    def _history_s(self, one: MatchCandidate, other: MatchCandidate) -> float:
        """Return what one's memory of the other adds; half of it, for the other may remember too."""
        if one.group_history is None:
            return 0.0
        if self.reunion_bonus_s:
            return -self.reunion_bonus_s / 2 if other.subject_id in one.previous_partners else 0.0
        recent = one.previous_partners[-_RECENT_PARTNERS:]
        return self.repeat_penalty_s / 2 if other.subject_id in recent else 0.0


def _wait_s(candidate: MatchCandidate) -> float:
    return candidate.wait_s if isinstance(candidate, QueuedCandidate) else 0.0


def _estimate(candidate: MatchCandidate) -> Estimate:
    return candidate.estimate if isinstance(candidate, QueuedCandidate) else UNKNOWN


def _floor_ms(one: MatchCandidate, other: MatchCandidate) -> float:
    """Return what two round trips to the service prove: the pair's is no shorter than their difference."""
    if one.rtt_ms is None or other.rtt_ms is None:
        return 0.0
    return abs(one.rtt_ms - other.rtt_ms)
