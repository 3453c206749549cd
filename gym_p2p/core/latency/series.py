"""Round trips to statistics: what a link's latency was, without asking anything itself.

It knows the arithmetic over round trips: statistics, outages, clock offsets, grades. It refuses to know
where the readings come from, what time it is, and who polls: all of that is passed in.

Two threads may share a :class:`LatencySeries`: one writes, any may read. Reading needs no lock, because the
samples are copied by one call into C that runs no Python code, and everything else is a single number.
"""

from __future__ import annotations

import collections
import enum
import math
from collections.abc import Sequence
from typing import Any

import attrs

from gym_p2p.core.latency.webrtc_stats import MAX_RTT_MS, ConnectionDetails, PollStatus
from gym_p2p.errors import ConfigurationError

__all__ = [
    "WEBRTC_STATS_SOURCE",
    "ClockEstimate",
    "ClockOffset",
    "LatencySeries",
    "Poll",
    "Quality",
    "QualityChange",
    "QualityMonitor",
]

WEBRTC_STATS_SOURCE = "candidate-pair.currentRoundTripTime"
"""The name of the measurement in W3C's webrtc-stats, as exported under ``source``."""

_MAX_OUTAGES = 1000
"""Enough for an outage every few seconds of an hour, and still a bounded memory."""

_JITTER_GAIN = 1 / 16
"""RFC 3550, 6.4.1: 'the gain parameter 1/16 gives a good noise reduction ratio'."""


@attrs.frozen
class Poll:
    """One poll of one link: all that the recording half needs to reach the same statistics."""

    timestamp_ms: int
    """Unix time in milliseconds."""
    rtt_ms: float | None
    """The fresh round trip; ``None`` in every status but ``FRESH``."""
    status: PollStatus
    connection: ConnectionDetails | None = None


def _at_least_one(_instance: Any, attribute: attrs.Attribute[int], value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(attribute.name, f"wanted a whole number above 0, got {value!r}")


@attrs.frozen
class _Cached:
    """Figures of one version of a series, with the samples that they are of."""

    version: int
    samples: collections.deque[tuple[int, float]]
    figures: dict[str, Any]


@attrs.define(eq=False)
class LatencySeries:
    """The round trips of one link: the newest ``max_samples`` of them, and counts of all.

    Memory is bounded. One thread may write while others read (see the module's docstring).
    """

    max_samples: int = attrs.field(default=600, validator=_at_least_one)
    source: str = attrs.field(default=WEBRTC_STATS_SOURCE, kw_only=True)
    _samples: collections.deque[tuple[int, float]] = attrs.field(init=False)
    _outages: collections.deque[tuple[int, int]] = attrs.field(init=False)
    _outage_since_ms: int | None = attrs.field(default=None, init=False)
    _first_miss_ms: int | None = attrs.field(default=None, init=False)
    _total: int = attrs.field(default=0, init=False)
    _missed: int = attrs.field(default=0, init=False)
    _jitter_ms: float = attrs.field(default=0.0, init=False)
    _version: int = attrs.field(default=0, init=False)
    _cached: _Cached | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._samples = collections.deque(maxlen=self.max_samples)
        self._outages = collections.deque(maxlen=_MAX_OUTAGES)

    def record(self, timestamp_ms: int, rtt_ms: float) -> bool:
        """Take a fresh measurement; it ends an outage.

        Returns whether it was one: NaN, infinity, a negative value and more than :data:`MAX_RTT_MS`
        count as a missed poll instead.
        """
        if not 0 <= rtt_ms <= MAX_RTT_MS:
            self.missed(timestamp_ms, unanswered=False)
            return False
        if self._samples:
            self._jitter_ms += (abs(rtt_ms - self._samples[-1][1]) - self._jitter_ms) * _JITTER_GAIN
        if self._outage_since_ms is not None:
            self._outages.append((self._outage_since_ms, max(self._outage_since_ms, timestamp_ms)))
        self._outage_since_ms = self._first_miss_ms = None
        self._total += 1  # before the sample: a reader never sees more samples than were ever taken
        self._samples.append((timestamp_ms, float(rtt_ms)))
        self._version += 1
        return True

    def missed(self, timestamp_ms: int, *, unanswered: bool = True) -> None:
        """Count a poll without a fresh measurement.

        Args:
            timestamp_ms: when, in Unix milliseconds.
            unanswered: whether an answer was due. If so an outage is open from the first poll on that
                found nothing, until the next measurement.
        """
        self._missed += 1
        if self._first_miss_ms is None:
            self._first_miss_ms = timestamp_ms
        if unanswered and self._outage_since_ms is None:
            self._outage_since_ms = self._first_miss_ms
        self._version += 1

    def add(self, poll: Poll) -> None:
        """Record what a poll found, so that both halves of a match reach the same statistics."""
        if poll.status is PollStatus.FRESH and poll.rtt_ms is not None:
            self.record(poll.timestamp_ms, poll.rtt_ms)
        else:
            answer_was_due = poll.status not in {PollStatus.STALE, PollStatus.FRESH}
            self.missed(poll.timestamp_ms, unanswered=answer_was_due)

    def samples(self) -> list[dict[str, Any]]:
        """Return the retained samples, oldest first, as new ``{"timestamp", "rttMs"}`` dicts."""
        return _as_dicts(self._samples.copy())

    def statistics(self) -> dict[str, Any] | None:
        """Return JSON-ready statistics over the retained samples, or ``None`` without a sample.

        Percentiles are interpolated linearly between the two nearest ranks (Hyndman and Fan's type 7, the
        default of NumPy and R), so that ``p50`` would be ``medianMs``. ``stdDevMs`` is the population's.
        ``jitterMs`` is RFC 3550's estimator (6.4.1) over successive round trips, all since the start.
        ``outages`` has the newest thousand. Repeated calls between two samples cost one copy.
        """
        version, cached = self._version, self._cached
        if cached is None or cached.version != version:
            samples = self._samples.copy()
            if not samples:
                return None
            cached = _Cached(version, samples, {**_summary([rtt for _, rtt in samples]), **self._counts()})
            self._cached = cached
        figures = dict(cached.figures)
        figures["outages"] = [dict(outage) for outage in figures["outages"]]
        figures["samples"] = _as_dicts(cached.samples)
        return figures

    def _counts(self) -> dict[str, Any]:
        outages: list[dict[str, int | None]] = [{"startMs": s, "endMs": e} for s, e in self._outages.copy()]
        if (since := self._outage_since_ms) is not None:
            outages.append({"startMs": since, "endMs": None})
        total, missed = self._total, self._missed
        return {
            "jitterMs": self._jitter_ms,
            "polls": total + missed,
            "missed": missed,
            "totalSamples": total,
            "outages": outages,
            "source": self.source,
        }


def _as_dicts(samples: collections.deque[tuple[int, float]]) -> list[dict[str, Any]]:
    return [{"timestamp": at, "rttMs": rtt} for at, rtt in samples]


def _summary(values: list[float]) -> dict[str, Any]:
    ordered = sorted(values)
    count, low, high = len(ordered), ordered[0], ordered[-1]
    mean = min(max(math.fsum(ordered) / count, low), high)  # rounding must not carry it outside the samples
    middle = count // 2
    median = ordered[middle] if count % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    variance = math.fsum((value - mean) ** 2 for value in ordered) / count
    return {
        "sampleCount": count,
        "minMs": low,
        "maxMs": high,
        "meanMs": mean,
        "medianMs": median,
        "p90Ms": _percentile(ordered, 0.90),
        "p95Ms": _percentile(ordered, 0.95),
        "p99Ms": _percentile(ordered, 0.99),
        "stdDevMs": math.sqrt(variance),
    }


def _percentile(ordered: Sequence[float], share: float) -> float:
    position = (len(ordered) - 1) * share
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


_CLOCK_WINDOW = 8
"""Exchanges that are kept: the eight stages of NTP's clock filter (RFC 5905, 10)."""

_CLOCK_DRIFT = 15e-6
"""How far two clocks may drift apart: PHI of RFC 5905 (7.2), 15 ppm."""

_CLOCK_RESOLUTION_S = 1e-4
"""Times are rounded on the wire, so that the round trip over no distance may come out below zero."""


@attrs.frozen
class ClockEstimate:
    """How far the peer's clock is ahead of ours, and what that says of each direction.

    The truth lies within ``error_s`` of ``offset_s``, however asymmetric the path is; the one-way delays
    have the same error.
    """

    offset_s: float
    """Theirs minus ours."""
    error_s: float
    rtt_s: float
    """Of the exchange that the offset comes from."""
    outbound_s: float
    """From us to them, in the newest exchange."""
    inbound_s: float
    """From them to us, in the newest exchange."""


@attrs.frozen
class _Exchange:
    offset_s: float
    rtt_s: float
    at_s: float
    there_s: float
    back_s: float

    def error_s(self, now_s: float) -> float:
        return self.rtt_s / 2 + _CLOCK_DRIFT * max(0.0, now_s - self.at_s)


@attrs.define(eq=False)
class ClockOffset:
    """The offset between two clocks from ping and pong, as NTP has it (RFC 5905, 8 and 10).

    Of the newest eight exchanges the one with the smallest error counts: half its round trip, plus the
    drift since. A short round trip leaves the least room for asymmetry.
    """

    _window: collections.deque[_Exchange] = attrs.field(init=False)
    _estimate: ClockEstimate | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._window = collections.deque(maxlen=_CLOCK_WINDOW)

    @property
    def offset_s(self) -> float | None:
        """Their clock minus ours; ``None`` before the first exchange."""
        return None if self._estimate is None else self._estimate.offset_s

    @property
    def error_s(self) -> float | None:
        """The bound of the error of :attr:`offset_s`; ``None`` before the first exchange."""
        return None if self._estimate is None else self._estimate.error_s

    def observe(self, sent_s: float, received_s: float, replied_s: float, returned_s: float) -> bool:
        """Take one exchange: T1 to T4 of RFC 5905, the first and last on our clock, the others on theirs.

        Returns False, having changed nothing, when the four cannot be true.
        """
        rtt_s = (returned_s - sent_s) - (replied_s - received_s)
        if not (-_CLOCK_RESOLUTION_S <= rtt_s <= MAX_RTT_MS / 1000 and received_s <= replied_s):
            return False
        there_s, back_s = received_s - sent_s, returned_s - replied_s
        self._window.append(
            _Exchange(
                (there_s - back_s) / 2, max(0.0, rtt_s), at_s=returned_s, there_s=there_s, back_s=back_s
            )
        )
        best = min(self._window, key=lambda exchange: exchange.error_s(returned_s))
        self._estimate = ClockEstimate(
            offset_s=best.offset_s,
            error_s=best.error_s(returned_s),
            rtt_s=best.rtt_s,
            outbound_s=there_s - best.offset_s,
            inbound_s=back_s + best.offset_s,
        )
        return True

    def estimate(self) -> ClockEstimate | None:
        """Return the best estimate as of the newest exchange, or ``None`` before the first."""
        return self._estimate


class Quality(enum.StrEnum):
    """How good a link's latency is."""

    GOOD = "good"
    WARNING = "warning"
    CRITICAL = "critical"


@attrs.frozen
class QualityChange:
    """A link's quality is another than before; ``previous`` is ``None`` at the first measurement."""

    status: Quality
    previous: Quality | None
    rtt_ms: float


@attrs.define(eq=False)
class QualityMonitor:
    """Grades round trips: strictly above ``warning_ms`` and ``critical_ms``; at a threshold is below it."""

    warning_ms: float = 150.0
    critical_ms: float = attrs.field(default=300.0)
    status: Quality | None = attrs.field(default=None, init=False)
    """The newest grade; ``None`` before the first measurement."""

    @critical_ms.validator
    def _in_order(self, _attribute: attrs.Attribute[float], value: float) -> None:
        if not 0 <= self.warning_ms <= value:
            raise ConfigurationError(
                "critical_ms", f"wanted at least warning_ms ({self.warning_ms!r}), got {value!r}"
            )

    def observe(self, rtt_ms: float) -> QualityChange | None:
        """Grade a measurement; return the change if there is one."""
        status = Quality.GOOD
        if rtt_ms > self.critical_ms:
            status = Quality.CRITICAL
        elif rtt_ms > self.warning_ms:
            status = Quality.WARNING
        if status is self.status:
            return None
        change = QualityChange(status, self.status, rtt_ms)
        self.status = status
        return change
