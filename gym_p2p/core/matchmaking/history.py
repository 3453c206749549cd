"""What the queues remember of matches: who has played with whom, and how far apart they were.

Knows subjects by their ids, for as long as it is worth it. It refuses to know queues.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence

from gym_p2p.core.matchmaking.pairs import Pair, pair_of

__all__ = ["Partners", "RunningLatency"]

_SUBJECTS = 10_000
"""Beyond it those whose last match is longest ago are forgotten."""
_PARTNERS = 16
"""Of one subject, the most recent ones."""
_PAIRS = 10_000


class Partners:
    """Former partners, by subject."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, deque[str]] = OrderedDict()

    def played(self, subjects: Sequence[str]) -> None:
        """Note that these have been matched."""
        for subject in subjects:
            partners = self._of.setdefault(subject, deque(maxlen=_PARTNERS))
            partners.extend(other for other in subjects if other != subject)
            self._of.move_to_end(subject)
        while len(self._of) > _SUBJECTS:
            self._of.popitem(last=False)

    def of(self, subject_id: str) -> tuple[str, ...]:
        """Return a subject's former partners, the most recent last."""
        return tuple(self._of.get(subject_id, ()))


class RunningLatency:
    """What the players of running matches report of the round trip between them; one report alone is none."""

    def __init__(self) -> None:
        self._reported: OrderedDict[Pair, dict[str, float]] = OrderedDict()

    def report(self, reporter: str, partner: str, rtt_ms: float) -> float | None:
        """Take one side's figure; return the pair's, the larger of both, once both have reported."""
        pair = pair_of(reporter, partner)
        reported = self._reported.setdefault(pair, {})
        reported[reporter] = rtt_ms
        self._reported.move_to_end(pair)
        if len(self._reported) > _PAIRS:
            self._reported.popitem(last=False)
        if len(reported) < 2:
            return None
        del self._reported[pair]
        return max(reported.values())
