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

from gym_p2p.core.latency.delta_series import Encoding

__all__ = [
    "Count",
    "LatencyFigures",
    "LatencySamples",
    "LatencyStatistics",
    "Milliseconds",
    "Outage",
    "Sample",
    "UnmeasuredLatency",
    "figures",
    "nearest_rank",
]

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
    """When a poll found nothing for the first time, in Unix milliseconds."""
    end_ms: int | None
    """When the next measurement was there, in Unix milliseconds; null while it lasts."""


class LatencySamples(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False, rename="camel"):
    """Every round trip of a match, in a short form."""

    encoding: Encoding
    """How ``t`` and ``rtt`` are written: differences, zigzag-coded varints, base64."""
    start_ms: int
    """When the first answer was there, in Unix milliseconds."""
    t: str
    """When each answer was there, in whole milliseconds since ``startMs``; encoded."""
    rtt: str
    """The round trips, in whole tenths of a millisecond; encoded."""
    samples: Count
    """How many there are."""


class LatencyFigures(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False, rename="camel"
):
    """Round trips of one link in figures.

    Percentiles are interpolated linearly between the two nearest ranks (Hyndman and Fan's type 7).
    """

    sample_count: Annotated[int, Meta(ge=1)]
    """How many samples the figures are of."""
    min_ms: Milliseconds
    """The shortest of these round trips, in milliseconds."""
    max_ms: Milliseconds
    """The longest of these round trips, in milliseconds."""
    mean_ms: Milliseconds
    """The mean of these round trips, in milliseconds."""
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


class LatencyStatistics(LatencyFigures, frozen=True, kw_only=True):
    """Round trips of one link: the retained samples and figures of them, then what is of all samples.

    Percentiles are interpolated linearly between the two nearest ranks (Hyndman and Fan's type 7).
    """

    polls: Count
    """How many measurements were attempted."""
    missed: Count
    """How many polls gave no fresh measurement."""
    total_samples: Count
    """How many samples there were since the start, also those that are not retained any more."""
    outages: list[Outage]
    """Periods without an answer, oldest first; the newest thousand."""
    total_outages: Count
    """How many periods without an answer there were since the start, also those not listed any more."""
    source: str
    """How the round trips were measured."""
    samples: list[Sample]
    """The retained samples, oldest first."""
    series: LatencySamples
    """Every sample since the start, also those that are not retained any more."""
    overall: LatencyFigures
    """The same figures over every sample since the start."""
    truncated: bool
    """Whether there were samples or outages that ``samples`` or ``outages`` do not list any more."""
    without_pair: Count = 0
    """How many polls found a report without a selected candidate pair, of which nothing can be read."""


class UnmeasuredLatency(msgspec.Struct, frozen=True, kw_only=True, gc=False, rename="camel"):
    """A link whose reports hold no candidate pair: :class:`LatencyStatistics`' keys, without a figure."""

    sample_count: int = 0
    min_ms: None = None
    max_ms: None = None
    mean_ms: None = None
    median_ms: None = None
    p90_ms: None = None
    p95_ms: None = None
    p99_ms: None = None
    std_dev_ms: None = None
    jitter_ms: None = None
    polls: int
    missed: int
    total_samples: int = 0
    outages: list[Outage]
    total_outages: int
    source: str
    samples: list[Sample] = []
    series: None = None
    overall: None = None
    truncated: bool = False
    without_pair: int


def figures(values: Sequence[float]) -> dict[str, float]:
    """Return the figures of a non-empty sequence, named as in :class:`LatencyFigures`."""
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
