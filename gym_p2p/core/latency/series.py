"""The round trips of one link, kept once: what was measured goes in, statistics come out.

It knows which samples are retained one by one, how all others are kept, and what an outage is. It refuses to
know where the readings come from, what time it is, and who polls: all of that is passed in.

Two threads may share a :class:`LatencySeries`: one writes, any may read. Reading needs no lock, because the
samples are copied by one call into C that runs no Python code, and everything else is a single number or
replaced whole.
"""

from __future__ import annotations

import collections
from array import array
from typing import Any

import attrs
import msgspec

from gym_p2p.config.player import DEFAULT_MAX_SAMPLES
from gym_p2p.core.latency.delta_series import ENCODING, encode_series
from gym_p2p.core.latency.statistics import (
    LatencyFigures,
    LatencySamples,
    LatencyStatistics,
    Outage,
    Sample,
    UnmeasuredLatency,
    figures,
)
from gym_p2p.core.latency.webrtc_stats import MAX_MEASURED_RTT_MS, ConnectionDetails, PollStatus
from gym_p2p.errors import ConfigurationError

__all__ = ["WEBRTC_STATS_SOURCE", "LatencySeries", "Poll", "SeriesGrowth"]

WEBRTC_STATS_SOURCE = "candidate-pair.currentRoundTripTime"
"""The name of the measurement in W3C's webrtc-stats, as exported under ``source``."""

_MAX_OUTAGES = 1000
"""Enough for an outage every few seconds of an hour, and still a bounded memory."""

_NOTHING_DUE = frozenset({PollStatus.FRESH, PollStatus.STALE, PollStatus.NO_PAIR})
"""After these a poll without a measurement is no sign of an outage."""

_JITTER_GAIN = 1 / 16
"""RFC 3550, 6.4.1: 'the gain parameter 1/16 gives a good noise reduction ratio'."""


@attrs.frozen
class Poll:
    """One poll of one link, as it travels from where it was made to the series that keeps it."""

    timestamp_ms: int
    """Unix time in milliseconds."""
    rtt_ms: float | None
    """The fresh round trip; ``None`` in every status but ``FRESH``."""
    status: PollStatus
    connection: ConnectionDetails | None = None


class SeriesGrowth(msgspec.Struct, frozen=True, rename="camel"):
    """What came to a series since it was looked at before."""

    samples: list[Sample]
    outages: list[Outage]
    """Those that have ended since."""
    missed: int
    outage_since_ms: int | None
    first_miss_ms: int | None
    without_pair: int = 0


def _at_least_one(_instance: Any, attribute: attrs.Attribute[int], value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(attribute.name, f"wanted a whole number above 0, got {value!r}")


@attrs.define(eq=False)
class LatencySeries:
    """The round trips of one link: the newest ``max_samples`` as they came, all of them as two numbers each.

    A sample takes sixteen bytes for good: half a megabyte for nine hours of one a second. One thread may
    write while others read (see the module's docstring).
    """

    max_samples: int = attrs.field(default=DEFAULT_MAX_SAMPLES, validator=_at_least_one)
    source: str = attrs.field(default=WEBRTC_STATS_SOURCE, kw_only=True)
    _samples: collections.deque[Sample] = attrs.field(init=False)
    _all_times: array[int] = attrs.field(init=False)
    _all_rtts: array[float] = attrs.field(init=False)
    _ended_outages: tuple[int, tuple[Outage, ...]] = attrs.field(default=(0, ()), init=False)
    """How many there were, and the newest of them; replaced whole, so that both are of one moment."""
    _outage_since_ms: int | None = attrs.field(default=None, init=False)
    _first_miss_ms: int | None = attrs.field(default=None, init=False)
    _total: int = attrs.field(default=0, init=False)
    _missed: int = attrs.field(default=0, init=False)
    _without_pair: int = attrs.field(default=0, init=False)
    _jitter_ms: float = attrs.field(default=0.0, init=False)
    _version: int = attrs.field(default=0, init=False)
    _cached: tuple[int, LatencyStatistics] | None = attrs.field(default=None, init=False)
    """Statistics with the version that they are of."""

    def __attrs_post_init__(self) -> None:
        self._samples = collections.deque(maxlen=self.max_samples)
        self._all_times, self._all_rtts = array("q"), array("d")

    def add(self, poll: Poll) -> None:
        """Record what a poll found."""
        if poll.status is PollStatus.FRESH and poll.rtt_ms is not None:
            self.record(poll.timestamp_ms, poll.rtt_ms)
        else:
            self._without_pair += poll.status is PollStatus.NO_PAIR
            answer_was_due = poll.status not in _NOTHING_DUE
            self.missed(poll.timestamp_ms, unanswered=answer_was_due)

    def record(self, timestamp_ms: int, rtt_ms: float) -> bool:
        """Take a fresh measurement; it ends an outage.

        Returns whether it was one: NaN, infinity, a negative value and more than
        :data:`~gym_p2p.core.latency.webrtc_stats.MAX_MEASURED_RTT_MS` count as a missed poll instead.
        """
        if not 0 <= rtt_ms <= MAX_MEASURED_RTT_MS:
            self.missed(timestamp_ms, unanswered=False)
            return False
        if self._samples:
            self._jitter_ms += (abs(rtt_ms - self._samples[-1].rtt_ms) - self._jitter_ms) * _JITTER_GAIN
        since_ms = self._outage_since_ms
        self._outage_since_ms = self._first_miss_ms = None  # before it ends: nobody reads it twice
        if since_ms is not None:
            self._end_outages([Outage(since_ms, max(since_ms, timestamp_ms))])
        self._total += 1  # before the sample: a reader never sees more samples than were ever taken
        self._all_times.append(timestamp_ms)
        self._all_rtts.append(rtt_ms)
        self._samples.append(Sample(timestamp_ms, float(rtt_ms)))
        self._version += 1
        return True

    def _end_outages(self, ended: list[Outage]) -> None:
        count, newest = self._ended_outages
        self._ended_outages = count + len(ended), (*newest, *ended)[-_MAX_OUTAGES:]

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

    def samples(self) -> list[Sample]:
        """Return the retained samples, oldest first."""
        return list(self._samples.copy())

    def since(self, mark: tuple[int, int, int]) -> tuple[SeriesGrowth | None, tuple[int, int, int]]:
        """Return what came since a mark, ``None`` for nothing, and the next mark; the first is ``(0, 0, 0)``.

        Of more outages than are retained the newest. An outage that ends meanwhile is told as ended or not at
        all, hence whether one is open is read last.
        """
        missed, rtts = self._missed, self._all_rtts[mark[0] :]
        ended, outages = self._ended_outages
        first_miss_ms, since_ms = self._first_miss_ms, self._outage_since_ms
        after = (mark[0] + len(rtts), ended, missed)
        if after == mark:
            return None, after
        new_outages = ended - mark[1]
        times = self._all_times[mark[0] : after[0]]
        growth = SeriesGrowth(
            samples=list(map(Sample, times, rtts)),
            outages=list(outages[max(0, len(outages) - new_outages) :]),
            missed=missed,
            outage_since_ms=since_ms,
            first_miss_ms=first_miss_ms,
            without_pair=self._without_pair,
        )
        return growth, after

    def grow(self, growth: SeriesGrowth) -> None:
        """Take in what came to another series since this one was like it."""
        self._outage_since_ms = None  # the outages of a growth are those that it names
        for sample in growth.samples:
            self.record(sample.timestamp, sample.rtt_ms)
        self._end_outages(growth.outages)
        self._missed, self._without_pair = growth.missed, growth.without_pair
        self._outage_since_ms, self._first_miss_ms = growth.outage_since_ms, growth.first_miss_ms
        self._version += 1

    def statistics(self) -> LatencyStatistics | None:
        """Return statistics over the retained samples, or ``None`` without a sample.

        Its lists are the caller's own. Repeated calls between two samples cost one copy.
        """
        version, cached = self._version, self._cached
        if cached is None or cached[0] != version:
            samples = self.samples()
            if not samples:
                return None
            cached = version, self._statistics(samples)
            self._cached = cached
        found = cached[1]
        return msgspec.structs.replace(found, outages=found.outages.copy(), samples=found.samples.copy())

    def unmeasured(self) -> UnmeasuredLatency | None:
        """Return what is known without a sample where reports held no candidate pair; else ``None``."""
        if self._total or not self._without_pair:
            return None
        since_ms = self._outage_since_ms
        outages = [] if since_ms is None else [Outage(since_ms, None)]
        return UnmeasuredLatency(
            polls=self._missed,
            missed=self._missed,
            without_pair=self._without_pair,
            outages=outages,
            total_outages=len(outages),
            source=self.source,
        )

    def _statistics(self, samples: list[Sample]) -> LatencyStatistics:
        total_outages, ended = self._ended_outages
        outages = list(ended)
        if (since := self._outage_since_ms) is not None:
            outages.append(Outage(since, None))
            total_outages += 1
        total, missed, jitter_ms = self._total, self._missed, self._jitter_ms
        rtts = self._all_rtts[:]
        retained = figures([sample.rtt_ms for sample in samples])
        overall = figures(rtts) if len(rtts) > len(samples) else retained
        return LatencyStatistics(
            sample_count=len(samples),
            **retained,
            jitter_ms=jitter_ms,
            polls=total + missed,
            missed=missed,
            without_pair=self._without_pair,
            total_samples=total,
            outages=outages,
            total_outages=total_outages,
            source=self.source,
            samples=samples,
            series=_short_form(self._all_times[: len(rtts)], rtts),
            overall=LatencyFigures(sample_count=len(rtts), **overall, jitter_ms=jitter_ms),
            truncated=len(rtts) > self.max_samples or total_outages > len(outages),
        )


def _short_form(times: array[int], rtts: array[float]) -> LatencySamples:
    start_ms = times[0]
    return LatencySamples(
        encoding=ENCODING,
        start_ms=start_ms,
        t=encode_series([time - start_ms for time in times]),
        rtt=encode_series([int(10 * rtt + 0.5) for rtt in rtts]),
        samples=len(rtts),
    )
