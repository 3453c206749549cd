"""A simulated day of a queue: a population arrives, is matched by the real planner, plays; on virtual time.

It knows the planner, a population and a seed; an hour of arrivals takes a second. It refuses to know the real
clock and the network: a probe is a delay and a number.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from gym_p2p.config import MatchmakingConfig
from gym_p2p.core.api.matches import MakeMatch, QueueTicket
from gym_p2p.core.api.queues import MatchFailed
from gym_p2p.core.api.replies import Notify
from gym_p2p.core.latency.statistics import nearest_rank
from gym_p2p.core.matchmaking.commands import LogDecision, RequestProbe
from gym_p2p.core.matchmaking.estimator import LatencyEstimator
from gym_p2p.core.matchmaking.planner import Planner
from gym_p2p.core.matchmaking.strategy import Matchmaker
from gym_p2p.core.probing.outcome import ProbeOutcome, Reason
from gym_p2p.simulation.population import LANDMARKS, Player, Population

__all__ = ["Arrivals", "QueueResults", "simulate_queue"]

_ERROR_SPREAD = 0.02
"""Of a measured median, relative to the truth."""
_MEMORY = 4
"""Partners that a player remembers."""


@attrs.frozen(kw_only=True)
class Arrivals:
    """What happens to a queue.

    Attributes:
        count: how often somebody joins.
        per_s: joins a second, at random times (Poisson).
        probe_s: how long a probe takes.
        hang_share: share of probes that find no way.
        hang_s: how long such a probe takes to fail.
        seed: of times, of who comes, of probes.
    """

    count: int
    per_s: float = 1.0
    probe_s: float = 2.5
    hang_share: float = 0.03
    hang_s: float = 10.0
    seed: int = 0


@attrs.define
class QueueResults:
    """How it went.

    Attributes:
        rtts_ms: the true round trips of every pair that plays.
        waits_s: of everybody who was matched.
        matches: how many.
        probes: how many were requested.
        unmatched: how many subjects gave up.
        arrivals: how often somebody joined.
        virtual_s: when the last ticket had ended.
    """

    rtts_ms: list[float] = attrs.field(factory=list)
    waits_s: list[float] = attrs.field(factory=list)
    matches: int = 0
    probes: int = 0
    unmatched: int = 0
    arrivals: int = 0
    virtual_s: float = 0.0

    def figures(self) -> dict[str, float | int | None]:
        """Return the summary, JSON-ready; ``None`` where nobody was matched."""
        return {
            "arrivals": self.arrivals,
            "matches": self.matches,
            "rtt_p50_ms": _percentile(self.rtts_ms, 50),
            "rtt_p95_ms": _percentile(self.rtts_ms, 95),
            "over_150_ms": _share(sum(rtt_ms > 150 for rtt_ms in self.rtts_ms), len(self.rtts_ms)),
            "wait_p50_s": _percentile(self.waits_s, 50),
            "wait_p95_s": _percentile(self.waits_s, 95),
            "probes_per_match": _share(self.probes, self.matches),
            "unmatched": _share(self.unmatched, self.arrivals),
            "virtual_s": self.virtual_s,
        }


def _percentile(values: Sequence[float], percent: float) -> float | None:
    """Return the nearest-rank percentile, ``None`` of nothing."""
    return nearest_rank(values, percent / 100) if values else None


def simulate_queue(
    population: Population,
    matchmaker: Matchmaker,
    arrivals: Arrivals,
    *,
    config: MatchmakingConfig | None = None,
    landmarks: bool = True,
    on_decision: Callable[[Mapping[str, Any]], None] | None = None,
) -> QueueResults:
    """Let a population arrive at a queue and return what became of everybody.

    Args:
        population: who may come; nobody joins who waits already.
        matchmaker: the policy.
        arrivals: what happens.
        config: how the queue is run.
        landmarks: whether players have measured their round trips to the landmarks.
        on_decision: gets every record of the decision log.
    """
    config = config or MatchmakingConfig()
    planner = Planner(
        matchmaker,
        config=config,
        estimator=population.estimator() if landmarks else LatencyEstimator(),
        log_decisions=on_decision is not None,
    )
    return _Day(population, planner, config.group_size, arrivals, landmarks, on_decision).run()


@attrs.define(eq=False)
class _Day:
    _population: Population
    _planner: Planner
    _group_size: int
    _arrivals: Arrivals
    _landmarks: bool
    _on_decision: Callable[[Mapping[str, Any]], None] | None
    _random: random.Random = attrs.field(init=False)
    _probes: list[tuple[float, int, ProbeOutcome]] = attrs.field(init=False, factory=list)
    _partners: dict[str, list[str]] = attrs.field(init=False, factory=dict)
    _players: dict[str, Player] = attrs.field(init=False)
    _results: QueueResults = attrs.field(init=False, factory=QueueResults)

    def __attrs_post_init__(self) -> None:
        self._random = random.Random(f"arrivals:{self._arrivals.seed}")
        self._players = {player.subject_id: player for player in self._population.players}

    def run(self) -> QueueResults:
        """Play until everybody's ticket has ended."""
        joins = self._joins()
        join = next(joins, None)
        while True:
            times = (
                math.inf if join is None else join,
                self._probes[0][0] if self._probes else math.inf,
                _or_never(self._planner.next_timeout()),
            )
            now = min(times)
            if math.isinf(now):
                return self._results
            self._results.virtual_s = now
            if now == times[0]:
                self._join(now)
                join = next(joins, None)
            elif now == times[1]:
                _when, number, outcome = heapq.heappop(self._probes)
                self._planner.probe_ended(number, outcome, now)
            else:
                self._planner.handle_timeout(now)
            self._carry_out(now)

    def _joins(self) -> Iterator[float]:
        now = 0.0
        for _ in range(self._arrivals.count):
            now += self._random.expovariate(self._arrivals.per_s)
            yield now

    def _join(self, now: float) -> None:
        player = self._random.choice(self._population.players)
        while player.subject_id in self._planner.tickets:
            player = self._random.choice(self._population.players)
        reach = self._population.landmark_rtts_ms(player)
        self._results.arrivals += 1
        wish = QueueTicket(
            queue="",
            seats=tuple(range(self._group_size)),
            rtt_ms=reach[LANDMARKS[0]],
            previous_partners=tuple(self._partners.get(player.subject_id, ())),
        )
        self._planner.enqueue(player.subject_id, wish, now, landmarks=reach if self._landmarks else None)

    def _carry_out(self, now: float) -> None:
        while (output := self._planner.poll()) is not None:
            match output:
                case RequestProbe():
                    self._start_probe(output, now)
                case MakeMatch():
                    self._matched(output)
                case Notify(payload=MatchFailed()):
                    self._results.unmatched += 1
                case LogDecision() if self._on_decision is not None:
                    self._on_decision(output.record)
                case _:
                    pass

    def _start_probe(self, request: RequestProbe, now: float) -> None:
        self._results.probes += 1
        if self._random.random() < self._arrivals.hang_share:
            outcome = ProbeOutcome(subjects=request.subjects, reason=Reason.NOT_CONNECTED)
            heapq.heappush(self._probes, (now + self._arrivals.hang_s, request.probe_no, outcome))
            return
        error = math.exp(self._random.gauss(0, _ERROR_SPREAD))
        rtt_ms = self._population.rtt_ms(*self._pair(request.subjects)) * error
        outcome = ProbeOutcome(subjects=request.subjects, reason=Reason.MEASURED, rtt_ms=rtt_ms)
        heapq.heappush(self._probes, (now + self._arrivals.probe_s, request.probe_no, outcome))

    def _matched(self, match: MakeMatch) -> None:
        self._results.matches += 1
        self._results.waits_s += [player.probe.waited_s for player in match.players]
        subjects = [player.subject_id for player in match.players]
        for place, one in enumerate(subjects):
            for other in subjects[place + 1 :]:
                self._results.rtts_ms.append(self._population.rtt_ms(*self._pair((one, other))))
            others = [other for other in subjects if other != one]
            self._partners[one] = [*self._partners.get(one, ()), *others][-_MEMORY:]

    def _pair(self, subjects: tuple[str, str]) -> tuple[Player, Player]:
        return self._players[subjects[0]], self._players[subjects[1]]


def _or_never(when: float | None) -> float:
    return math.inf if when is None else when


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
