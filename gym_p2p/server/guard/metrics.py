"""The service in numbers, as Prometheus reads them.

Every service has a registry of its own, so that two in one process do not add up. Labels are words of ours
(codes, reasons, kinds) and names of queues, up to a bound; never a subject, a room or an address.

It knows what is counted and under which name. When something happened is reported to it, or read at the
time of a scrape.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Iterable, Iterator

import prometheus_client
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from gym_p2p.core.api.payloads import Payload
from gym_p2p.core.api.probes import ProbeSignal
from gym_p2p.core.api.queues import MatchFailed
from gym_p2p.core.api.relaying import RelayedMessage
from gym_p2p.core.api.rooms import MatchFound, MatchSignal
from gym_p2p.core.probing.outcome import ProbeOutcome
from gym_p2p.core.service.machines import Machines
from gym_p2p.core.signaling.sdp_filter import SignalScreen

__all__ = ["ServiceMetrics"]

_MAX_QUEUES = 50
"""Names of queues come from clients; each one is a time series for good."""
_LAG_INTERVAL_S = 0.25
_LAG_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_TO_MATCH_S = (1, 2, 3, 5, 8, 13, 21, 34, 60, 120, 300)
_RTT_S = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.125, 0.15, 0.2, 0.3, 0.5)


class ServiceMetrics(Collector):
    """The numbers of one service."""

    def __init__(self) -> None:
        self._registry = registry = prometheus_client.CollectorRegistry()
        self._probes = prometheus_client.Counter(
            "gym_p2p_probes", "Probes that ended, by outcome", ["outcome"], registry=registry
        )
        self._joined_at: dict[str, float] = {}  # by socket
        self._matched = prometheus_client.Counter(
            "gym_p2p_matched_players", "Players who were told of a match", registry=registry
        )
        self._to_match = prometheus_client.Histogram(
            "gym_p2p_time_to_match_seconds",
            "From joining to the match, of each player",
            buckets=_TO_MATCH_S,
            registry=registry,
        )
        self._match_rtt = prometheus_client.Histogram(
            "gym_p2p_match_rtt_seconds",
            "The longest round trip that was measured in a match before it, once a player",
            buckets=_RTT_S,
            registry=registry,
        )
        self._relayed: dict[type[Payload], int] = {MatchSignal: 0, ProbeSignal: 0, RelayedMessage: 0}
        """Plain numbers, read at a scrape: nothing else is counted as often."""
        self._made_at = time.time()
        registry.register(self)
        self._refusals = prometheus_client.Counter(
            "gym_p2p_refusals", "What clients were refused, by reason", ["reason"], registry=registry
        )
        self._lag = prometheus_client.Histogram(
            "gym_p2p_event_loop_lag_seconds",
            "How much later than asked for the event loop ran",
            buckets=_LAG_S,
            registry=registry,
        )

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yield what is counted here, for the registry."""
        relayed = CounterMetricFamily(
            "gym_p2p_relayed_signals", "Signals relayed, by event", labels=["event"]
        )
        for kind, count in self._relayed.items():
            relayed.add_metric([kind.event], count, created=self._made_at)
        yield relayed

    def read_from(self, machines: Machines, screens: Iterable[SignalScreen]) -> None:
        """At every scrape read also what these machines are doing, and what these screens have dropped."""
        self._registry.register(_Scrape(machines, screens))

    def exposition(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return prometheus_client.generate_latest(self._registry)

    def probe_ended(self, outcome: ProbeOutcome) -> None:
        """Count a probe."""
        self._probes.labels(str(outcome.reason)).inc()

    def joined(self, socket: str, now: float) -> None:
        """Note that a player waits for a match from now on, unless they do already."""
        self._joined_at.setdefault(socket, now)

    def left(self, socket: str) -> None:
        """Note that a player waits no more, or is gone. Idempotent."""
        self._joined_at.pop(socket, None)

    def sent(self, socket: str, payload: Payload, now: float) -> None:
        """Count what is sent to a client, if it is a signal or a match."""
        kind = type(payload)
        if kind in self._relayed:
            self._relayed[kind] += 1
            return
        match payload:
            case MatchFound(probe=probe):
                self._matched.inc()
                joined_at = self._joined_at.pop(socket, None)
                if joined_at is not None:
                    self._to_match.observe(now - joined_at)
                rtt_ms = None if probe is None else probe.worst_rtt_ms
                if rtt_ms is not None:
                    self._match_rtt.observe(rtt_ms / 1000)
            case MatchFailed():
                self.left(socket)

    def refused(self, reason: str) -> None:
        """Count a refusal or a dropped socket, by its reason."""
        self._refusals.labels(reason).inc()

    async def watch_loop(self) -> None:
        """Measure the event loop's lag until cancelled."""
        while True:
            due = time.monotonic() + _LAG_INTERVAL_S
            await asyncio.sleep(_LAG_INTERVAL_S)
            self._lag.observe(max(0.0, time.monotonic() - due))


class _Scrape(Collector):
    def __init__(self, machines: Machines, screens: Iterable[SignalScreen]) -> None:
        self._machines = machines
        self._screens = tuple(screens)

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        machines = self._machines
        gauges = (
            ("gym_p2p_connections", "Sockets connected", machines.presence.socket_count),
            ("gym_p2p_matches_running", "Matches under way", machines.rooms.match_count),
            ("gym_p2p_probes_in_flight", "Probes under way", machines.probes.active_count),
        )
        for name, text, count in gauges:
            yield GaugeMetricFamily(name, text, value=count)
        tickets = GaugeMetricFamily("gym_p2p_queue_tickets", "Who waits in a queue", labels=["queue"])
        oldest = GaugeMetricFamily(
            "gym_p2p_queue_oldest_ticket_seconds", "The longest wait in a queue", labels=["queue"]
        )
        waits = machines.queues.waits(time.monotonic())
        for queue, (waiting, oldest_s) in itertools.islice(waits.items(), _MAX_QUEUES):
            tickets.add_metric([queue], waiting)
            oldest.add_metric([queue], oldest_s)
        yield from (tickets, oldest)
        dropped = CounterMetricFamily(
            "gym_p2p_dropped_candidates", "Candidates not passed on, by reason", labels=["reason"]
        )
        for reason, count in sum((screen.dropped for screen in self._screens), Counter[str]()).items():
            dropped.add_metric([reason], count)
        yield dropped
