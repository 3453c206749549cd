"""What a link's latency was, as it stands in every document, and the arithmetic that leads there.

It knows figures over round trips. It refuses to know where the round trips come from and how many are kept.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

__all__ = ["Count", "LatencyStatistics", "Milliseconds", "Outage", "Sample", "figures", "nearest_rank"]

Count = Annotated[int, Meta(ge=0)]
Milliseconds = Annotated[float, Meta(ge=0)]


class Sample(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False, rename="camel"):
    """A measured round trip."""

    timestamp: int
    """When the answer was there, in Unix milliseconds."""
    rtt_ms: Milliseconds
    """The round trip, in milliseconds."""


class Outage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False, rename="camel"):
    """A period without an answer."""

    start_ms: int
    """The first poll that found nothing, in Unix milliseconds."""
    end_ms: int | None
    """The next measurement, in Unix milliseconds; null while it lasts."""


class LatencyStatistics(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False, rename="camel"
):
    """Round trips of one link, in milliseconds, over the retained samples.

    Percentiles are interpolated linearly between the two nearest ranks (Hyndman and Fan's type 7).
    """

    sample_count: Annotated[int, Meta(ge=1)]
    """Samples that are retained."""
    min_ms: Milliseconds
    """The shortest retained round trip, in milliseconds."""
    max_ms: Milliseconds
    """The longest retained round trip, in milliseconds."""
    mean_ms: Milliseconds
    """The mean of the retained round trips, in milliseconds."""
    median_ms: Milliseconds
    """The middle round trip, or the mean of the middle two, in milliseconds; not rounded."""
    p90_ms: Milliseconds
    """The 90th percentile, in milliseconds."""
    p95_ms: Milliseconds
    """The 95th percentile, in milliseconds."""
    p99_ms: Milliseconds
    """The 99th percentile, in milliseconds."""
    std_dev_ms: Milliseconds
    """The population's standard deviation, in milliseconds."""
    jitter_ms: Milliseconds
    """RFC 3550's estimator (6.4.1) over successive round trips, all since the start, in milliseconds."""
    polls: Count
    """Measurements that were attempted."""
    missed: Count
    """Polls without a fresh measurement."""
    total_samples: Count
    """Samples since the start, also those that are not retained any more."""
    outages: list[Outage]
    """Periods without an answer, the newest thousand."""
    source: str
    """How the round trips were measured."""
    samples: list[Sample]
    """The retained samples, oldest first."""


def figures(values: Sequence[float]) -> dict[str, float]:
    """Return the figures of a non-empty sequence, named as in :class:`LatencyStatistics`."""
    ordered = sorted(values)
    count, low, high = len(ordered), ordered[0], ordered[-1]
    mean = min(max(math.fsum(ordered) / count, low), high)  # rounding must not carry it outside the samples
    return {
        "min_ms": low,
        "max_ms": high,
        "mean_ms": mean,
        "median_ms": statistics.median(ordered),
        "p90_ms": _percentile(ordered, 0.90),
        "p95_ms": _percentile(ordered, 0.95),
        "p99_ms": _percentile(ordered, 0.99),
        "std_dev_ms": math.sqrt(math.fsum((value - mean) ** 2 for value in ordered) / count),
    }


def _percentile(ordered: Sequence[float], share: float) -> float:
    """Interpolate between the two nearest ranks of sorted values (type 7, the default of NumPy and R)."""
    position = (len(ordered) - 1) * share
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def nearest_rank(values: Sequence[float], share: float) -> float:
    """Return the percentile of a non-empty sequence that is one of its values.

    >>> nearest_rank([3.0, 1.0, 2.0], 0.5), nearest_rank([3.0, 1.0, 2.0], 0.99)
    (2.0, 3.0)
    """
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)]
