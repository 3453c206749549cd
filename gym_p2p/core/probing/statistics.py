"""The statistics of a ping burst.

Knows the arithmetic over a few round trips. It refuses to know how they were measured and what they decide.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import attrs

from gym_p2p.core.latency.statistics import nearest_rank

__all__ = ["PingStatistics", "median_interval"]

_CONFIDENCE = 0.9


@attrs.frozen
class PingStatistics:
    """What a burst found; the round trips are in milliseconds."""

    samples_ms: tuple[float, ...]
    """The answered pings' round trips, in the order in which the pings were sent."""
    count: int
    """Pings of the measurement, without warm-ups."""
    borderline: bool = False
    """Whether even the longest burst could not tell on which side of the threshold the median lies."""

    @property
    def lost(self) -> int:
        """Pings that were not answered in time."""
        return self.count - len(self.samples_ms)

    @property
    def loss(self) -> float:
        """The share of lost pings, 0 to 1."""
        return self.lost / self.count if self.count else 0.0

    @property
    def median_ms(self) -> float | None:
        """The median, which is what decides; ``None`` without an answer."""
        return statistics.median(self.samples_ms) if self.samples_ms else None

    @property
    def min_ms(self) -> float | None:
        """The smallest: what the path takes when nothing else is on it."""
        return min(self.samples_ms, default=None)

    @property
    def p95_ms(self) -> float | None:
        """The 95th percentile by nearest rank."""
        return nearest_rank(self.samples_ms, 0.95) if self.samples_ms else None

    @property
    def mad_ms(self) -> float | None:
        """The median absolute deviation from the median: the jitter of a report."""
        middle = self.median_ms
        return None if middle is None else statistics.median(abs(s - middle) for s in self.samples_ms)


def median_interval(samples: Sequence[float]) -> tuple[float, float] | None:
    """Return the narrowest pair of order statistics that holds the median with at least 90 % probability.

    ``None`` with fewer than 5 samples. The probability that the median lies between the ``r``-th smallest and
    the ``r``-th largest of ``n`` is ``1 - 2 P(B < r)`` for ``B`` binomial with ``n`` and one half (David and
    Nagaraja, Order Statistics, section 7.1).
    """
    count = len(samples)
    rank, outside = 0, 0.0
    while rank < count // 2:
        outside += 2 * math.comb(count, rank) / 2**count
        if outside > 1 - _CONFIDENCE:
            break
        rank += 1
    if rank == 0:
        return None
    ordered = sorted(samples)
    return ordered[rank - 1], ordered[count - rank]
