"""A planner in a test: what goes into it, and what came out."""

from __future__ import annotations

from typing import Any

import pytest

from gym_p2p.config import MatchmakingConfig
from gym_p2p.core.api.matches import MakeMatch, QueueTicket
from gym_p2p.core.api.queues import Verdict
from gym_p2p.core.matchmaking.commands import LogDecision, PlannerOutput, ProposedMatch, RequestProbe
from gym_p2p.core.matchmaking.estimator import LatencyEstimator
from gym_p2p.core.matchmaking.planner import Planner
from gym_p2p.core.matchmaking.strategy import Matchmaker
from gym_p2p.core.probing.outcome import ProbeOutcome, Reason


def wish(size: int = 2, **more: Any) -> QueueTicket:
    return QueueTicket(queue="lab", seats=tuple(range(size)), **more)


def found(
    subjects: tuple[str, str], rtt_ms: float | None, reason: Reason = Reason.FAILED, **more: Any
) -> ProbeOutcome:
    """Return the outcome of a probe; the ``reason`` is of one that has found nothing."""
    reason = reason if rtt_ms is None else Reason.MEASURED
    return ProbeOutcome(subjects=subjects, reason=reason, rtt_ms=rtt_ms, **more)


class Queue:
    """A planner, and what came out of it, by kind."""

    def __init__(self, matchmaker: Matchmaker, *, ask_hook: bool = False, **config: Any) -> None:
        self.estimator = LatencyEstimator()
        self.planner = Planner(
            matchmaker, config=MatchmakingConfig(**config), estimator=self.estimator, ask_hook=ask_hook
        )
        self.outputs: list[PlannerOutput] = []
        self.size = config.get("group_size", 2)

    def join(self, *names: str, now: float = 0.0, **options: Any) -> None:
        for name in names:
            assert self.planner.enqueue(name, wish(self.size, **options), now)
        self.collect()

    def collect(self) -> None:
        self.outputs += iter(self.planner.poll, None)

    def all(self, kind: type) -> list[Any]:
        return [output for output in self.outputs if isinstance(output, kind)]

    def probe(self, *, number: int = -1) -> RequestProbe:
        request: RequestProbe = self.all(RequestProbe)[number]
        return request

    def answer(
        self, rtt_ms: float | None, now: float, request: RequestProbe | None = None, **more: Any
    ) -> bool:
        request = request or self.probe()
        taken = self.planner.probe_ended(request.probe_no, found(request.subjects, rtt_ms, **more), now)
        self.collect()
        return taken

    def leave(self, name: str, now: float) -> bool:
        left = self.planner.leave(name, now)
        self.collect()
        return left

    def decide(self, verdict: Verdict, now: float) -> bool:
        taken = self.planner.hook_decision(self.all(ProposedMatch)[-1].proposal_no, verdict, now)
        self.collect()
        return taken

    def run_until(self, now: float) -> None:
        for _ in range(1000):
            due = self.planner.next_timeout()
            if due is None or due > now:
                return
            self.planner.handle_timeout(due)
            self.collect()
        pytest.fail("the planner wants to be called again and again")

    @property
    def matches(self) -> list[tuple[str, ...]]:
        """Whoever joined first sits first: nobody asks for a seat here."""
        return [tuple(player.subject_id for player in match.players) for match in self.all(MakeMatch)]


def records(queue: Queue, kind: str) -> list[dict[str, Any]]:
    return [dict(decided.record) for decided in queue.all(LogDecision) if decided.record["kind"] == kind]
