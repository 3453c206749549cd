from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gym_p2p.config import MatchmakingConfig
from gym_p2p.core.api.matches import MakeMatch
from gym_p2p.core.api.queues import MatchFailed, Verdict
from gym_p2p.core.api.replies import Notify
from gym_p2p.core.matchmaking.commands import CancelProbe, LogDecision, ProposedMatch, PutOff, RequestProbe
from gym_p2p.core.matchmaking.planner import Planner
from gym_p2p.core.matchmaking.strategy import (
    FIFOMatchmaker,
    GroupReunionMatchmaker,
    LatencyFIFOMatchmaker,
    Matchmaker,
)
from gym_p2p.core.matchmaking.widening import WideningMatchmaker
from gym_p2p.core.probing.outcome import Reason
from tests.core.examples import examples
from tests.core.matchmaking.planner_lab import Queue, found, wish

NAMES = [f"s{number}" for number in range(7)]
MAKERS: Sequence[Matchmaker] = (
    FIFOMatchmaker(100),
    LatencyFIFOMatchmaker(200, 100),
    GroupReunionMatchmaker(100),
    WideningMatchmaker(),
)


class AnyQueue(RuleBasedStateMachine):
    """Joins, leaves, answers, silence and time in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.planner: Planner | None = None
        self.size = 2
        self.waiting: dict[str, float] = {}
        self.probes: dict[int, RequestProbe] = {}
        self.hooks: dict[int, ProposedMatch] = {}

    @precondition(lambda self: self.planner is None)
    @rule(
        maker=st.sampled_from(MAKERS),
        size=st.integers(2, 3),
        ask_hook=st.booleans(),
        relay=st.sampled_from([None, 10.0]),
        budget=st.sampled_from([2, 12]),
    )
    def start(
        self,
        maker: Matchmaker,
        size: int,
        ask_hook: bool,  # noqa: FBT001 - Hypothesis passes it by name
        relay: float | None,
        budget: int,
    ) -> None:
        config = MatchmakingConfig(group_size=size, relay_after_s=relay, probe_budget=budget)
        self.size = size
        self.planner = Planner(maker, config=config, ask_hook=ask_hook)

    @precondition(lambda self: self.planner is not None)
    @rule(name=st.sampled_from(NAMES), rtt_ms=st.none() | st.floats(0, 200), ago_s=st.floats(0, 50))
    def join(self, name: str, rtt_ms: float | None, ago_s: float) -> None:
        assert self.planner is not None
        since = self.now - ago_s
        joined = self.planner.enqueue(name, wish(self.size, rtt_ms=rtt_ms), self.now, enqueued_at=since)
        assert joined is (name not in self.waiting)
        self.waiting.setdefault(name, since)
        self.collect()

    @precondition(lambda self: self.planner is not None)
    @rule(name=st.sampled_from(NAMES))
    def leave(self, name: str) -> None:
        assert self.planner is not None
        assert self.planner.leave(name, self.now) is (name in self.waiting)
        self.waiting.pop(name, None)
        self.collect()

    @precondition(lambda self: self.probes)
    @rule(
        place=st.integers(0, 20),
        rtt_ms=st.none() | st.sampled_from([10.0, 70.0, 120.0, 180.0, 400.0]),
        reason=st.sampled_from([Reason.FAILED, Reason.BUSY]),
    )
    def answer(self, place: int, rtt_ms: float | None, reason: Reason) -> None:
        assert self.planner is not None
        number = sorted(self.probes)[place % len(self.probes)]
        outcome = found(self.probes.pop(number).subjects, rtt_ms, reason)
        assert self.planner.probe_ended(number, outcome, self.now)
        assert not self.planner.probe_ended(number, outcome, self.now)
        self.collect()

    @precondition(lambda self: self.hooks)
    @rule(place=st.integers(0, 20), verdict=st.sampled_from(Verdict))
    def decide(self, place: int, verdict: Verdict) -> None:
        assert self.planner is not None
        number = sorted(self.hooks)[place % len(self.hooks)]
        del self.hooks[number]
        self.planner.hook_decision(number, verdict, self.now)
        assert not self.planner.hook_decision(number, verdict, self.now)
        self.collect()

    @precondition(lambda self: self.planner is not None)
    @rule(pause_s=st.sampled_from([0.01, 1.0, 4.0, 15.0, 40.0]))
    def wait(self, pause_s: float) -> None:
        self.advance(self.now + pause_s)

    def advance(self, until: float) -> None:
        assert self.planner is not None
        for _ in range(2000):
            due = self.planner.next_timeout()
            if due is None or due > until:
                break
            self.now = max(self.now, due)
            self.planner.handle_timeout(self.now)
            self.collect()
        else:
            pytest.fail("the planner wants to be called again and again")
        self.now = until

    def collect(self) -> None:
        assert self.planner is not None
        for output in iter(self.planner.poll, None):
            match output:
                case RequestProbe():
                    busy = {name for request in self.probes.values() for name in request.subjects}
                    assert not busy & set(output.subjects), "in two probes"
                    assert set(output.subjects) <= set(self.waiting), "probed, and not in the queue"
                    self.probes[output.probe_no] = output
                case CancelProbe():
                    del self.probes[output.request.probe_no]
                case ProposedMatch():
                    self.hooks[output.proposal_no] = output
                case MakeMatch():
                    assert [player.seat for player in output.players] == list(range(self.size))
                    for player in output.players:
                        del self.waiting[player.subject_id]  # KeyError: in two matches, or not waiting
                    pairs = output.players[0].probe.pairs
                    assert len({pair.subjects for pair in pairs}) == self.size * (self.size - 1) / 2
                    assert all(pair.rtt_ms is not None for pair in pairs)
                case Notify(subject_id, MatchFailed()):
                    del self.waiting[subject_id]
                case LogDecision():
                    json.dumps(output.record, allow_nan=False)
                case PutOff():
                    assert output.until > self.now

    @invariant()
    def the_queue_holds_who_waits(self) -> None:
        if self.planner is not None:
            assert {row.subject_id for row in self.planner.table(self.now)} == set(self.waiting)

    def teardown(self) -> None:
        """With everybody silent from now on, every ticket ends."""
        if self.planner is not None:
            self.advance(self.now + 60.0 + 3 * (2 * 20.0) + 2 * 5.0)
            assert not self.waiting
            assert not self.planner.tickets
            assert self.planner.next_timeout() is None


AnyQueue.TestCase.settings = settings(max_examples=examples(60), stateful_step_count=40, deadline=None)
TestAnyQueue = AnyQueue.TestCase


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: type(maker).__name__)
@pytest.mark.parametrize("rtt_ms", [0.0, 59.0, 99.0])
def test_two_compatible_tickets_are_matched_in_bounded_time(maker: Matchmaker, rtt_ms: float) -> None:
    queue = Queue(maker)
    queue.join("a", rtt_ms=40.0)
    queue.join("b", now=7.0, rtt_ms=40.0)
    queue.answer(rtt_ms, 8.0)
    queue.run_until(30.0)
    assert len(queue.matches) == 1
