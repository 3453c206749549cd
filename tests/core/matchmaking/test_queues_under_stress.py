from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gym_p2p.core.api.matches import MakeMatch
from gym_p2p.core.api.queues import Verdict
from gym_p2p.core.api.replies import Accepted, Notify
from gym_p2p.core.matchmaking.commands import ProposedMatch, RequestProbe
from tests.core.examples import examples
from tests.core.matchmaking.queues_lab import Lab


class QueuesUnderStress(RuleBasedStateMachine):
    """Whatever happens in whatever order: nobody is lost, and nobody is in two matches."""

    names = st.sampled_from([f"p{i}" for i in range(6)])

    def __init__(self) -> None:
        super().__init__()
        self.lab = Lab(80.0, give_up_after_s=40.0, hook_timeout_s=3.0, ask_hook=True)
        self.waiting: set[str] = set()
        self.seen = 0

    @rule(name=names, asks=st.booleans(), take=st.sampled_from([None, "left", "right"]))
    def join(self, name: str, asks: bool, take: str | None) -> None:  # noqa: FBT001 - drawn by Hypothesis
        answer = self.lab.join(name, asks=asks, take=take)
        if name not in self.waiting:
            assert isinstance(answer, Accepted)
            self.waiting.add(name)

    @rule(name=names, politely=st.booleans())
    def leave(self, name: str, politely: bool) -> None:  # noqa: FBT001 - drawn by Hypothesis
        if politely:
            self.lab.queues.leave(name, self.lab.now)
        else:
            self.lab.queues.gone(name, self.lab.now)
        self.waiting.discard(name)
        self.lab.collect()

    @precondition(lambda self: self.lab.all(RequestProbe))
    @rule(rtt_ms=st.sampled_from([20.0, 90.0, None]))
    def measure(self, rtt_ms: float | None) -> None:
        self.lab.measure(rtt_ms)

    @precondition(lambda self: self.lab.all(ProposedMatch))
    @rule(verdict=st.sampled_from(Verdict))
    def decide(self, verdict: Verdict) -> None:
        self.lab.decide(verdict)

    @rule(name=names, verdict=st.sampled_from(Verdict))
    def say(self, name: str, verdict: Verdict) -> None:
        if self.lab.told(name, "match_proposed"):
            self.lab.say(name, verdict)

    @rule(seconds=st.sampled_from([0.5, 2.0, 6.0]))
    def wait(self, seconds: float) -> None:
        self.lab.wait(seconds)

    @invariant()
    def everybody_waits_or_was_told(self) -> None:
        for output in self.lab.outputs[self.seen :]:
            if isinstance(output, MakeMatch):
                players = {player.subject_id for player in output.players}
                assert len(players) == 2
                assert players <= self.waiting
                self.waiting -= players
            elif isinstance(output, Notify) and output.payload.event == "match_failed":
                assert output.subject_id in self.waiting
                self.waiting.discard(output.subject_id)
        self.seen = len(self.lab.outputs)
        assert {n for n in (f"p{i}" for i in range(6)) if self.lab.queues.queue_of(n)} == self.waiting

    def teardown(self) -> None:
        self.lab.wait(120.0)
        self.everybody_waits_or_was_told()
        assert not self.waiting


QueuesUnderStress.TestCase.settings = settings(
    max_examples=examples(30), stateful_step_count=30, deadline=None
)
TestQueuesUnderStress = QueuesUnderStress.TestCase
