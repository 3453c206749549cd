from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gym_p2p.config import MatchmakingConfig
from gym_p2p.core.api.matches import MakeMatch, QueueTicket
from gym_p2p.core.api.payloads import encode
from gym_p2p.core.api.probes import ProbeReport
from gym_p2p.core.api.queues import MatchFailed, Verdict
from gym_p2p.core.api.replies import Accepted, Answer, Code, Notify, Refused
from gym_p2p.core.matchmaking.commands import (
    CancelProbe,
    LogDecision,
    ProposedMatch,
    QueueOutput,
    RequestProbe,
)
from gym_p2p.core.matchmaking.membership import PLACE_KEPT_S
from gym_p2p.core.matchmaking.queues import Queues
from gym_p2p.core.matchmaking.status import STATUS_ANYWAY_S
from gym_p2p.core.matchmaking.strategy import FIFOMatchmaker
from gym_p2p.core.probing.outcome import ProbeOutcome, Reason
from tests.core.examples import examples


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


def test_two_who_pass_the_probe_are_seated_in_a_match_that_tells_what_was_measured() -> None:
    lab = Lab()
    lab.join("ann")
    lab.now = 2.0
    lab.join("bob")
    lab.measure(40.0)
    assert lab.matches == [{"left": "ann", "right": "bob"}]
    ann, bob = lab.all(MakeMatch)[0].players
    assert (ann.probe.waited_s, bob.probe.waited_s) == (2.0, 0.0)
    assert ann.probe.rtt_ms("bob", "ann") == 40.0
    assert ann.probe.pairs[0].reports["ann"]["rtt_ms"] == 40.0
    assert lab.queues.waiting_count == 0


def test_a_named_seat_is_kept_free_for_the_one_who_asked_for_it() -> None:
    lab = Lab(None)
    lab.join("ann", take="right")
    lab.join("bob")
    assert lab.matches == [{"left": "bob", "right": "ann"}]


def test_two_who_insist_on_the_same_seat_are_not_matched() -> None:
    lab = Lab(None)
    lab.join("ann", take="left")
    lab.join("bob", take="left")
    assert not lab.matches
    lab.join("eve", take="right")
    assert lab.matches == [{"left": "ann", "right": "eve"}]


def test_a_match_has_as_many_players_as_there_are_seats() -> None:
    lab = Lab(None)
    for name in ("ann", "bob", "eve"):
        lab.join(name, seats=(0, 1, 2))
    assert lab.matches == [{0: "ann", 1: "bob", 2: "eve"}]


def test_the_first_in_a_queue_fixes_its_seats_until_it_is_empty() -> None:
    lab = Lab()
    lab.join("ann")
    refused = lab.join("bob", seats=("a", "b"))
    assert isinstance(refused, Refused)
    assert refused.code is Code.QUEUE_MISMATCH
    assert "left" in refused.message
    lab.queues.leave("ann", lab.now)
    assert isinstance(lab.join("bob", seats=("a", "b")), Accepted)


def test_those_who_would_refuse_each_other_in_the_end_are_told_so_at_once() -> None:
    lab = Lab()
    lab.join("page")
    lab.join("ann", plays="rally at 60")
    refused = lab.join("bob", plays="rally at 30")
    assert isinstance(refused, Refused)
    assert refused.code is Code.QUEUE_MISMATCH
    assert "fps" in refused.message
    for name in ("page", "ann"):
        lab.queues.leave(name, lab.now)
    assert isinstance(lab.join("bob", plays="rally at 30"), Accepted)


def test_the_service_remembers_who_has_played_with_whom() -> None:
    lab = Lab(None, ask_hook=True)
    for names in (("ann", "bob"), ("ann", "eve"), ("bob", "ann")):
        for name in names:
            lab.join(name)
        lab.decide(Verdict.ACCEPT)
    assert len(lab.matches) == 3
    last = {c.subject_id: list(c.previous_partners) for c in lab.all(ProposedMatch)[-1].candidates}
    assert last == {"ann": ["bob", "eve"], "bob": ["ann"]}


def test_the_report_of_one_player_about_a_running_match_does_not_count() -> None:
    lab = Lab(500.0)
    lab.queues.observe("ann", "bob", 20.0, lab.now)
    for name in ("ann", "bob"):
        lab.join(name)
    assert lab.queues.tables(lab.now)["lab"][0].best_estimate_ms is None
    lab.queues.observe("bob", "ann", 35.0, lab.now)
    assert lab.queues.tables(lab.now)["lab"][0].best_estimate_ms == 35.0


def test_the_budget_of_probes_is_one_for_all_queues() -> None:
    lab = Lab(50.0, probe_budget=2, give_up_after_s=None)
    for queue in ("one", "two", "three"):
        lab.join("ann", queue=queue)
        lab.join(f"peer-{queue}", queue=queue)
        lab.queues.leave("ann", lab.now)
        lab.collect()
    assert len(lab.all(RequestProbe)) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"queue": "../x"},
        {"seats": ("left",)},
        {"seats": tuple(range(9))},
        {"seats": ("left", "left")},
        {"take": "top"},
        {"rtt_ms": -1.0},
        {"rtt_ms": 1e9},
    ],
)
def test_a_ticket_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    lab = Lab()
    refused = lab.join("ann", **wrong)
    assert isinstance(refused, Refused)
    assert refused.code is Code.BAD_REQUEST
    assert lab.queues.waiting_count == 0


def test_joining_twice_changes_nothing_and_two_queues_at_once_are_refused() -> None:
    lab = Lab()
    lab.join("ann")
    again = lab.join("ann")
    assert isinstance(again, Accepted)
    assert encode(again.value)["waiting"] == 1
    elsewhere = lab.join("ann", queue="other")
    assert isinstance(elsewhere, Refused)
    assert elsewhere.code is Code.WRONG_STATE


def test_the_hook_is_shown_the_candidates_and_both_sides_reports() -> None:
    lab = Lab(ask_hook=True)
    lab.join("ann", rtt_ms=7.0)
    lab.join("bob")
    lab.measure(40.0)
    (proposed,) = lab.all(ProposedMatch)
    assert [(c.subject_id, c.rtt_ms) for c in proposed.candidates] == [("ann", 7.0), ("bob", None)]
    assert proposed.worst_rtt_ms == 40.0
    assert set(proposed.pairs[0].reports) == {"ann", "bob"}
    assert not lab.matches
    lab.decide(Verdict.ACCEPT)
    assert len(lab.matches) == 1


def test_a_pair_that_the_hook_rejects_waits_for_others() -> None:
    lab = Lab(ask_hook=True)
    lab.join("ann")
    lab.join("bob")
    lab.measure(40.0)
    lab.decide(Verdict.REJECT)
    lab.join("eve")
    lab.measure(50.0)
    lab.decide(Verdict.ACCEPT)
    assert lab.matches == [{"left": "ann", "right": "eve"}]
    assert lab.queues.queue_of("bob") == "lab"


def test_players_who_want_a_say_are_asked_after_the_hook() -> None:
    lab = Lab(ask_hook=True)
    lab.join("ann", asks=True)
    lab.join("bob")
    lab.measure(40.0)
    assert not lab.told("ann", "match_proposed")
    lab.decide(Verdict.ACCEPT)
    (proposed,) = lab.told("ann", "match_proposed")
    assert set(proposed.subjects) == {"ann", "bob"}
    assert proposed.probe.worst_rtt_ms == 40.0
    assert not lab.told("bob", "match_proposed")
    assert not lab.matches
    assert isinstance(lab.say("ann", Verdict.ACCEPT), Accepted)
    assert len(lab.matches) == 1


def test_everybody_who_is_asked_has_to_accept() -> None:
    lab = Lab()
    lab.join("ann", asks=True)
    lab.join("bob", asks=True)
    lab.measure(40.0)
    lab.say("ann", Verdict.ACCEPT)
    assert not lab.matches
    lab.say("bob", Verdict.REJECT)
    assert not lab.matches
    assert lab.queues.waiting_count == 2
    reasons = [d.record["reason"] for d in lab.all(LogDecision) if d.record["kind"] == "rejected"]
    assert reasons == ["player:bob:reject"]


def test_a_player_who_does_not_answer_has_refused_and_nobody_stays_locked() -> None:
    lab = Lab(hook_timeout_s=5.0)
    lab.join("ann", asks=True)
    lab.join("bob")
    lab.measure(40.0)
    lab.wait(5.0)
    assert not lab.matches
    late = lab.say("ann", Verdict.ACCEPT)
    assert isinstance(late, Refused)
    assert late.code is Code.STALE
    lab.join("eve")
    lab.measure(30.0)
    assert len(lab.told("ann", "match_proposed")) == 2


def test_who_leaves_two_proposals_unanswered_is_sent_away_and_told_why() -> None:
    lab = Lab(hook_timeout_s=5.0)
    lab.join("ann", asks=True)
    lab.join("bob")
    lab.measure(40.0)
    lab.wait(5.0)
    assert not lab.told("ann", "match_failed")
    lab.join("eve")
    lab.measure(30.0)
    lab.wait(5.0)
    assert [failed.reason for failed in lab.told("ann", "match_failed")] == ["no_answer"]
    assert lab.queues.queue_of("ann") is None
    assert lab.queues.queue_of("eve") == "lab"


def test_somebody_elses_proposal_cannot_be_answered() -> None:
    lab = Lab()
    lab.join("ann", asks=True)
    lab.join("bob")
    lab.measure(40.0)
    proposed = lab.told("ann", "match_proposed")[-1]
    refused = lab.queues.answer("bob", proposed.proposal_id, Verdict.REJECT, lab.now)
    assert isinstance(refused, Refused)
    lab.say("ann", Verdict.ACCEPT)
    assert len(lab.matches) == 1


def test_one_who_leaves_while_the_others_are_asked_frees_them_at_once() -> None:
    lab = Lab()
    lab.join("ann", asks=True)
    lab.join("bob")
    lab.measure(40.0)
    lab.queues.leave("bob", lab.now)
    lab.collect()
    lab.join("eve")
    lab.measure(20.0)
    lab.say("ann", Verdict.ACCEPT)
    assert lab.matches == [{"left": "ann", "right": "eve"}]


def test_a_broken_line_ends_the_probe_and_keeps_the_place_for_a_while() -> None:
    lab = Lab()
    lab.join("ann")
    lab.now = 10.0
    lab.join("bob")
    lab.queues.gone("ann", lab.now)
    lab.collect()
    assert len(lab.all(CancelProbe)) == 1
    lab.wait(PLACE_KEPT_S - 1.0)
    lab.join("ann")
    rows = lab.queues.tables(lab.now)["lab"]
    assert [(row.subject_id, row.wait_s) for row in rows] == [("ann", lab.now), ("bob", lab.now - 10.0)]


def test_a_place_is_not_kept_for_ever() -> None:
    lab = Lab(give_up_after_s=None)
    lab.join("ann")
    lab.queues.gone("ann", lab.now)
    lab.wait(PLACE_KEPT_S + 1.0)
    lab.join("ann")
    assert lab.queues.waits(lab.now) == {"lab": (1, 0.0)}


def test_who_has_waited_too_long_is_told_why() -> None:
    lab = Lab(give_up_after_s=20.0)
    lab.join("ann")
    lab.wait(21.0)
    assert lab.told("ann", "match_failed") == [MatchFailed(queue="lab", reason="nobody_else", waited_s=20.0)]
    assert lab.queues.queue_of("ann") is None


def test_everybody_is_told_where_they_stand_when_that_changes_and_now_and_then() -> None:
    lab = Lab()
    lab.join("ann")
    lab.wait(0.5)
    assert [(s.state, s.waiting) for s in lab.told("ann", "queue_status")] == [("waiting", 1)]
    lab.join("bob")
    lab.wait(1.0)
    assert [(s.state, s.waiting) for s in lab.told("ann", "queue_status")][1:] == [("probing", 2)]
    lab.wait(STATUS_ANYWAY_S)
    assert len(lab.told("ann", "queue_status")) == 3


def test_the_others_get_their_places_back_when_somebody_is_gone_at_the_last_moment() -> None:
    lab = Lab()
    lab.join("ann")
    lab.now = 5.0
    lab.join("bob")
    lab.measure(40.0)
    lab.queues.not_made(lab.all(MakeMatch)[0], ["bob"], lab.now)
    lab.collect()
    assert [(row.subject_id, row.wait_s) for row in lab.queues.tables(lab.now)["lab"]] == [("ann", 5.0)]
    assert lab.queues.queue_of("bob") is None
    rejected = [d.record for d in lab.all(LogDecision) if d.record["kind"] == "rejected"]
    assert [record["reason"] for record in rejected] == ["gone:bob"]


def test_a_proposal_falls_with_the_one_who_leaves_and_nobody_is_silent_about_it() -> None:
    lab = Lab(hook_timeout_s=5.0)
    lab.join("ann", asks=True)
    for passer_by in ("bob", "cat", "dan"):
        lab.join(passer_by)
        lab.measure(40.0)
        assert len(lab.told("ann", "match_proposed")[-1].subjects) == 2
        lab.queues.leave(passer_by, lab.now)
        late = lab.say("ann", Verdict.ACCEPT)
        assert isinstance(late, Refused)
        assert late.code is Code.STALE
        lab.wait(6.0)
    assert not lab.told("ann", "match_failed")
    assert lab.queues.queue_of("ann") == "lab"


def test_a_hook_that_accepts_after_somebody_left_has_nobody_asked() -> None:
    lab = Lab(ask_hook=True)
    lab.join("ann", asks=True)
    lab.join("bob")
    lab.measure(40.0)
    lab.queues.leave("bob", lab.now)
    lab.decide(Verdict.ACCEPT)
    assert not lab.told("ann", "match_proposed")


def test_a_late_answer_of_the_hook_says_nothing_about_a_later_queue_of_the_same_name() -> None:
    lab = Lab(ask_hook=True)
    lab.join("ann")
    lab.join("bob")
    lab.measure(40.0)
    late = lab.all(ProposedMatch)[-1]
    lab.queues.leave("ann", lab.now)
    lab.queues.leave("bob", lab.now)
    lab.join("cat", seats=("north", "south"))
    lab.join("dan", seats=("north", "south"))
    lab.measure(40.0)
    assert len(lab.all(ProposedMatch)) == 2
    lab.queues.hook_decided(late, Verdict.ACCEPT, lab.now)
    lab.collect()
    assert not lab.matches


def test_nobody_is_put_back_into_a_queue_that_has_other_seats_by_now() -> None:
    lab = Lab()
    lab.join("ann")
    lab.join("bob")
    lab.measure(40.0)
    lab.join("cat", seats=("north", "south"))
    lab.queues.not_made(lab.all(MakeMatch)[0], ["bob"], lab.now)
    lab.collect()
    assert len(lab.told("ann", "match_failed")) == 1
    assert lab.queues.queue_of("ann") is None


def test_who_waits_elsewhere_by_now_is_not_put_back() -> None:
    lab = Lab()
    lab.join("ann")
    lab.join("bob")
    lab.measure(40.0)
    lab.join("ann", queue="other")
    lab.queues.not_made(lab.all(MakeMatch)[0], ["bob"], lab.now)
    lab.collect()
    assert lab.queues.queue_of("ann") == "other"
    assert "lab" not in lab.queues.tables(lab.now)


def test_a_probe_that_failed_through_nobodys_fault_is_tried_again_soon() -> None:
    lab = Lab(pass_over_s=5.0, cooldown_s=30.0)
    lab.join("ann")
    lab.join("bob")
    lab.measure(None, Reason.BUSY)
    lab.wait(6.0)
    lab.measure(30.0)
    assert len(lab.matches) == 1


def test_an_empty_queue_is_forgotten_once_its_pairs_are() -> None:
    lab = Lab(cooldown_s=30.0)
    lab.join("ann")
    lab.queues.leave("ann", lab.now)
    lab.wait(31.0)
    assert lab.queues.next_timeout() is None
    assert lab.queues.tables(lab.now) == {}


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
