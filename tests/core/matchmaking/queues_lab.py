"""Queues in a test, and what came out of them."""

from __future__ import annotations

from typing import Any

import pytest

from gym_p2p.config import MatchmakingConfig
from gym_p2p.core.api.matches import MakeMatch, QueueTicket
from gym_p2p.core.api.probes import ProbeReport
from gym_p2p.core.api.queues import Verdict
from gym_p2p.core.api.replies import Answer, Notify
from gym_p2p.core.matchmaking.commands import ProposedMatch, QueueOutput, RequestProbe
from gym_p2p.core.matchmaking.queues import Queues
from gym_p2p.core.matchmaking.strategy import FIFOMatchmaker
from gym_p2p.core.probing.outcome import ProbeOutcome, Reason


class Lab:
    """Queues, and what came out of them."""

    def __init__(self, limit_ms: float | None = 100.0, *, ask_hook: bool = False, **config: Any) -> None:
        self.queues = Queues(FIFOMatchmaker(limit_ms), config=MatchmakingConfig(**config), ask_hook=ask_hook)
        self.outputs: list[QueueOutput] = []
        self.now = 0.0

    def join(self, name: str, **options: Any) -> Answer:
        fields = {"queue": "lab", "seats": ("left", "right"), **options}
        answer = self.queues.join(name, QueueTicket(**fields), self.now)
        self.collect()
        return answer

    def collect(self) -> None:
        self.outputs += iter(self.queues.poll, None)

    def all(self, kind: type) -> list[Any]:
        return [output for output in self.outputs if isinstance(output, kind)]

    def told(self, name: str, event: str) -> list[Any]:
        sent = self.all(Notify)
        return [n.payload for n in sent if (n.subject_id, n.payload.event) == (name, event)]

    def measure(self, rtt_ms: float | None, reason: Reason = Reason.FAILED) -> None:
        """Answer the newest probe; for the ``reason`` where it has found nothing."""
        request = self.all(RequestProbe)[-1]
        outcome = ProbeOutcome(
            subjects=request.subjects,
            reason=reason if rtt_ms is None else Reason.MEASURED,
            rtt_ms=rtt_ms,
            reports={n: ProbeReport(rtt_ms=rtt_ms, success=rtt_ms is not None) for n in request.subjects},
        )
        self.queues.measured(request, outcome, self.now)
        self.collect()

    def say(self, name: str, verdict: Verdict) -> Answer:
        """Answer the newest question to a player."""
        proposed = self.told(name, "match_proposed")[-1]
        answer = self.queues.answer(name, proposed.proposal_id, verdict, self.now)
        self.collect()
        return answer

    def decide(self, verdict: Verdict) -> None:
        """Answer the newest question to the service's hook."""
        proposed = self.all(ProposedMatch)[-1]
        self.queues.hook_decided(proposed, verdict, self.now)
        self.collect()

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        for _ in range(10_000):
            due = self.queues.next_timeout()
            if due is None or due > until:
                break
            self.now = max(self.now, due)
            self.queues.handle_timeout(self.now)
            self.collect()
        else:
            pytest.fail("the queues want to be called again and again")
        self.now = until

    @property
    def matches(self) -> list[dict[Any, str]]:
        return [{p.seat: p.subject_id for p in match.players} for match in self.all(MakeMatch)]
