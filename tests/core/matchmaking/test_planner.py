from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gym_p2p.config import MatchmakingConfig
from gym_p2p.core.api.matches import GroupHistory, MakeMatch, QueueTicket
from gym_p2p.core.api.probes import ProbeReport
from gym_p2p.core.api.queues import MatchFailed, Verdict
from gym_p2p.core.api.replies import Notify
from gym_p2p.core.matchmaking.commands import (
    CancelProbe,
    LogDecision,
    PlannerOutput,
    ProposedMatch,
    PutOff,
    RequestProbe,
)
from gym_p2p.core.matchmaking.decision_log import replay
from gym_p2p.core.matchmaking.planner import Planner
from gym_p2p.core.matchmaking.strategy import (
    FIFOMatchmaker,
    GroupReunionMatchmaker,
    LatencyFIFOMatchmaker,
    MatchCandidate,
    Matchmaker,
    QueuedCandidate,
)
from gym_p2p.core.matchmaking.widening import WideningMatchmaker
from gym_p2p.core.probing.outcome import ProbeOutcome, Reason
from gym_p2p.core.probing.report import Mark
from gym_p2p.simulation.population import Population
from gym_p2p.simulation.queue import Arrivals, simulate_queue
from tests.core.examples import examples


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
        self.planner = Planner(matchmaker, config=MatchmakingConfig(**config), ask_hook=ask_hook)
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


def test_without_a_threshold_two_are_matched_at_once_and_unprobed() -> None:
    queue = Queue(FIFOMatchmaker())
    queue.join("a", "b")
    assert queue.matches == [("a", "b")]
    assert not queue.all(RequestProbe)
    assert not queue.planner.tickets
    assert queue.planner.next_timeout() is None


def test_with_a_threshold_a_match_is_made_when_the_probe_has_passed() -> None:
    queue = Queue(FIFOMatchmaker(100))
    queue.join("a", "b")
    assert queue.probe().subjects == ("a", "b")
    assert not queue.matches
    queue.answer(99.0, 2.0, reports={"a": ProbeReport(rtt_ms=99.0, success=True), "b": None})
    (match,) = queue.all(MakeMatch)
    (pair,) = match.players[0].probe.pairs
    assert {name: report["rtt_ms"] for name, report in pair.reports.items()} == {"a": 99.0}
    assert [player.probe.waited_s for player in match.players] == [2.0, 2.0]


@pytest.mark.parametrize("rtt_ms", [None, 100.5])
def test_a_failed_or_rejected_pair_is_put_off_and_not_for_ever(rtt_ms: float | None) -> None:
    queue = Queue(FIFOMatchmaker(100), give_up_after_s=None, trust_measured_s=0)
    queue.join("a", "b")
    queue.answer(rtt_ms, 2.0)
    (put_off,) = queue.all(PutOff)
    assert put_off.until == 32.0
    assert len(queue.all(RequestProbe)) == 1
    queue.run_until(31.9)
    assert len(queue.all(RequestProbe)) == 1
    queue.run_until(32.0)
    assert len(queue.all(RequestProbe)) == 2
    queue.answer(50.0, 34.0)
    assert queue.matches == [("b", "a")]


def test_the_next_candidate_is_probed_when_one_has_failed() -> None:
    queue = Queue(FIFOMatchmaker(100))
    queue.join("a", "b", "c")
    queue.answer(500.0, 1.0)
    assert queue.probe().subjects == ("a", "c")
    queue.answer(20.0, 2.0)
    assert queue.matches == [("c", "a")]


def test_one_subject_is_in_one_probe_at_a_time() -> None:
    queue = Queue(FIFOMatchmaker(100))
    queue.join("a", "b", "c", "d", "e")
    assert [request.subjects for request in queue.all(RequestProbe)] == [("a", "b"), ("c", "d")]


def test_a_probe_that_never_answers_fails_and_frees_both() -> None:
    queue = Queue(FIFOMatchmaker(100), give_up_after_s=None)
    queue.join("a", "b")
    queue.run_until(20.0)
    assert queue.all(CancelProbe)[0].reason == "no_result"
    assert [row.state for row in queue.planner.table(20.0)] == ["waiting", "waiting"]
    assert not queue.answer(5.0, 20.5)
    queue.join("c", now=21.0)
    assert queue.probe().subjects == ("a", "c")


def test_who_leaves_mid_probe_frees_the_other_at_once() -> None:
    queue = Queue(FIFOMatchmaker(100))
    queue.join("a", "b", "c")
    assert queue.leave("a", 1.0)
    assert queue.all(CancelProbe)[0].reason == "left"
    assert queue.probe().subjects == ("b", "c")
    assert not queue.answer(5.0, 1.5, queue.probe(number=0))
    assert not queue.leave("a", 2.0)


def test_what_reports_that_disagreed_twice_amount_to_is_taken_and_logged_as_such() -> None:
    queue = Queue(FIFOMatchmaker(100))
    queue.join("a", "b")
    disagreed = frozenset({Mark.DISAGREED})
    first = found(("a", "b"), 80.0, marks=disagreed)
    queue.answer(90.0, 2.0, marks=disagreed, earlier=first)
    assert len(queue.all(RequestProbe)) == 1
    assert queue.matches == [("a", "b")]
    (probed,) = records(queue, "probed")
    assert (probed["rtt_ms"], probed["disagree"], probed["attempt"]) == (90.0, True, 2)


def test_a_group_is_probed_pair_by_pair_and_made_when_every_pair_has_passed() -> None:
    queue = Queue(FIFOMatchmaker(100), group_size=3)
    queue.join("a", "b", "c")
    for number in range(3):
        assert len(queue.all(RequestProbe)) == number + 1
        assert not queue.matches
        queue.answer(50.0, float(number))
    assert len({request.subjects for request in queue.all(RequestProbe)}) == 3
    assert queue.matches == [("a", "b", "c")]


def test_disjoint_pairs_of_a_group_are_probed_at_the_same_time() -> None:
    queue = Queue(FIFOMatchmaker(100), group_size=4)
    queue.join("a", "b", "c", "d")
    assert [request.subjects for request in queue.all(RequestProbe)] == [("a", "b"), ("c", "d")]


def test_one_bad_pair_dissolves_a_group_and_the_good_pairs_need_no_second_probe() -> None:
    queue = Queue(FIFOMatchmaker(100), group_size=3)
    queue.join("a", "b", "c")
    bad = ("b", "c")
    for _ in range(3):
        queue.answer(500.0 if queue.probe().subjects == bad else 50.0, 1.0)
    assert not queue.matches
    queue.join("d", now=2.0)
    for _ in range(5):
        if not queue.matches:
            queue.answer(50.0, 3.0)
    (match,) = queue.matches
    assert "d" in match
    assert not set(bad) <= set(match)
    pairs = [request.subjects for request in queue.all(RequestProbe)]
    assert len(pairs) == len(set(pairs))


def test_a_widening_pair_that_was_too_far_plays_once_the_threshold_has_reached_it() -> None:
    queue = Queue(WideningMatchmaker())
    queue.join("a", "b")
    queue.answer(90.0, 2.0)
    assert not queue.matches
    queue.run_until(9.9)
    assert not queue.matches
    queue.run_until(10.1)
    assert queue.matches
    assert len(queue.all(RequestProbe)) == 1


def test_far_estimates_are_probed_only_when_waiting_has_made_them_acceptable() -> None:
    queue = Queue(WideningMatchmaker())
    queue.planner.observe("a", "b", 110.0, -300.0)
    queue.join("a", "b")
    assert not queue.all(RequestProbe)
    queue.run_until(20.0)
    assert len(queue.all(RequestProbe)) == 1


def test_the_last_resort_is_a_known_pair_rather_than_nobody() -> None:
    queue = Queue(WideningMatchmaker())
    queue.join("a", "b")
    queue.answer(190.0, 2.0)
    queue.run_until(44.9)
    assert not queue.matches
    queue.run_until(59.0)
    assert queue.matches


def test_the_relay_is_tried_for_a_pair_without_a_direct_way() -> None:
    queue = Queue(WideningMatchmaker(), relay_after_s=20.0)
    queue.join("a", "b")
    queue.answer(None, 10.0, reason=Reason.NOT_CONNECTED)
    queue.run_until(20.0)
    assert queue.probe().relay_only
    queue.answer(100.0, 22.0)
    (match,) = queue.all(MakeMatch)
    assert match.relay_only


def test_who_finds_nobody_is_told_so_in_time() -> None:
    queue = Queue(WideningMatchmaker())
    queue.join("a")
    queue.run_until(60.0)
    assert queue.all(Notify) == [Notify("a", MatchFailed(queue="", reason="nobody_else", waited_s=60.0))]
    assert not queue.planner.tickets


def test_who_is_engaged_when_time_is_up_gives_up_as_soon_as_they_are_free() -> None:
    queue = Queue(FIFOMatchmaker(100), give_up_after_s=5.0)
    queue.join("a", "b")
    queue.run_until(6.0)
    assert not queue.all(Notify)
    queue.answer(500.0, 6.0)
    assert {gave_up.subject_id for gave_up in queue.all(Notify)} == {"a", "b"}


def test_a_match_that_is_found_late_is_still_made() -> None:
    queue = Queue(FIFOMatchmaker(100), give_up_after_s=5.0)
    queue.join("a", "b")
    queue.run_until(6.0)
    queue.answer(50.0, 6.0)
    assert queue.matches


def test_joining_twice_changes_nothing() -> None:
    queue = Queue(FIFOMatchmaker())
    queue.join("a")
    assert not queue.planner.enqueue("a", wish(), 1.0)
    assert len(queue.planner.tickets) == 1


def test_who_comes_back_keeps_their_place() -> None:
    queue = Queue(FIFOMatchmaker(100))
    queue.join("late", now=10.0)
    queue.planner.leave("late", 10.0)
    queue.join("a", now=11.0)
    queue.planner.enqueue("late", wish(), 12.0, enqueued_at=10.0)
    assert [row.subject_id for row in queue.planner.table(12.0)] == ["late", "a"]


def test_a_subject_is_not_probed_beyond_its_budget() -> None:
    queue = Queue(FIFOMatchmaker(100), probe_budget=2, give_up_after_s=None, probe_budget_window_s=100.0)
    queue.join("a", "b", "c", "d")
    for number in range(4):  # each subject is in two of these
        queue.answer(500.0, 1.0, queue.probe(number=number))
    spent = [request for request in queue.all(RequestProbe) if "a" in request.subjects]
    assert len(spent) == 2
    queue.run_until(99.9)
    assert len([request for request in queue.all(RequestProbe) if "a" in request.subjects]) == 2


# ---- the hook


def asked(**config: Any) -> Queue:
    queue = Queue(FIFOMatchmaker(100), ask_hook=True, **config)
    queue.join("a", "b")
    queue.answer(40.0, 1.0, reports={"a": ProbeReport(rtt_ms=40.0, success=True, jitter_ms=1.0)})
    return queue


def test_the_hook_is_shown_the_candidates_and_what_was_measured() -> None:
    queue = asked()
    (proposed,) = queue.all(ProposedMatch)
    assert [candidate.subject_id for candidate in proposed.candidates] == ["a", "b"]
    (pair,) = proposed.pairs
    assert (pair.subjects, pair.reports["a"]["jitter_ms"]) == (("a", "b"), 1.0)
    assert not queue.matches


def test_the_hook_accepts() -> None:
    queue = asked()
    assert queue.decide(Verdict.ACCEPT, 2.0)
    assert queue.matches == [("a", "b")]
    assert not queue.decide(Verdict.REJECT, 2.1)


@pytest.mark.parametrize(("verdict", "again_s"), [(Verdict.REJECT, 30.0), (Verdict.NEXT, 5.0)])
def test_a_pair_that_the_hook_refused_is_asked_about_again_later(verdict: Verdict, again_s: float) -> None:
    queue = asked()
    queue.decide(verdict, 2.0)
    queue.run_until(2.0 + again_s - 0.1)
    assert len(queue.all(ProposedMatch)) == 1
    queue.run_until(2.0 + again_s)
    assert len(queue.all(ProposedMatch)) == 2
    assert len(queue.all(RequestProbe)) == 1


@pytest.mark.parametrize("verdict", [Verdict.REJECT, Verdict.NEXT])
def test_after_a_refusal_the_next_candidate_is_tried(verdict: Verdict) -> None:
    queue = asked()
    queue.join("c", now=1.5)
    queue.decide(verdict, 2.0)
    assert queue.probe().subjects == ("a", "c")


def test_a_hook_that_never_answers_has_rejected() -> None:
    queue = asked()
    queue.run_until(6.0)
    assert queue.all(PutOff)[-1].reason == "hook_timeout:reject"
    assert not queue.decide(Verdict.ACCEPT, 6.5)
    assert not queue.matches


def test_who_leaves_while_the_hook_is_asked_ends_the_proposal() -> None:
    queue = asked()
    queue.leave("a", 2.0)
    assert not queue.decide(Verdict.ACCEPT, 2.5)
    assert not queue.matches


# ---- plug-ins


class Faulty(Matchmaker):
    def __init__(self, answer: object) -> None:
        super().__init__()
        self._answer = answer

    def find_match(
        self,
        arriving: MatchCandidate,
        waiting: list[MatchCandidate],
        group_size: int,  # noqa: ARG002 - part of the interface
    ) -> list[MatchCandidate] | None:
        waiting.clear()  # forbidden, and harmless
        if isinstance(self._answer, Exception):
            raise self._answer
        return [MatchCandidate(name) if name != "me" else arriving for name in self._answer]  # type: ignore[attr-defined]  # a list, for every other answer


@pytest.mark.parametrize("answer", [ValueError("no"), ["me"], ["me", "a"], ["x", "me"], ["me", "me"]])
def test_a_faulty_matchmaker_is_reported_and_locks_nobody(answer: object) -> None:
    queue = Queue(Faulty(answer))
    queue.join("a", "b")
    assert not queue.matches
    assert records(queue, "considered")[-1]["fault"]
    queue.run_until(60.0)
    assert len(queue.all(Notify)) == 2


class Vague(FIFOMatchmaker):
    """Answers what is no number."""

    def __init__(self, answer: object) -> None:
        super().__init__(100.0)
        self._answer = answer

    def threshold_ms(self, wait_a_s: float, wait_b_s: float) -> float | None:  # noqa: ARG002 - the interface
        return self._answer  # type: ignore[return-value]  # what this test is about

    def next_chance_s(self, arriving: QueuedCandidate, waiting: Sequence[QueuedCandidate]) -> float | None:  # noqa: ARG002  # the interface
        return self._answer  # type: ignore[return-value]  # what this test is about


@pytest.mark.parametrize("answer", ["soon", math.nan, math.inf, -1.0, []])
def test_a_matchmaker_whose_numbers_are_none_stops_nobody(answer: object) -> None:
    queue = Queue(Vague(answer))
    queue.join("a")
    queue.run_until(5.0)
    assert [row.threshold_ms for row in queue.planner.table(5.0)] == [None]
    queue.join("b", now=5.0)
    queue.answer(20.0, 5.5)
    assert queue.matches == [("a", "b")]


def test_a_matchmaker_of_the_wrong_type_is_a_type_error_at_once() -> None:
    with pytest.raises(TypeError):
        Planner(FIFOMatchmaker)  # type: ignore[arg-type]  # what this test is about


def test_former_partners_meet_again_through_the_planner() -> None:
    queue = Queue(GroupReunionMatchmaker(fallback_to_fifo=False), give_up_after_s=None)
    queue.join("a", "b")
    queue.join("c", group_history=GroupHistory(["b"]))
    assert queue.matches == [("b", "c")]


# ---- the decision log


def test_every_decision_leaves_a_json_record_made_and_rejected() -> None:
    queue = Queue(FIFOMatchmaker(100))
    queue.join("a", "b", "c")
    queue.answer(500.0, 1.0)
    queue.answer(20.0, 2.0)
    queue.run_until(61.0)
    log = [json.loads(json.dumps(decided.record, allow_nan=False)) for decided in queue.all(LogDecision)]
    kinds = [record["kind"] for record in log]
    assert {"considered", "probed", "rejected", "made", "gave_up"} <= set(kinds)
    verdicts = [(r["rtt_ms"], r["threshold_ms"], r["verdict"]) for r in log if r["kind"] == "probed"]
    assert verdicts == [(500.0, 100, "rejected"), (20.0, 100, "passed")]


@pytest.mark.slow
def test_a_log_replayed_under_its_own_policy_differs_in_nothing() -> None:
    log: list[Any] = []
    simulate_queue(Population(1, 200), WideningMatchmaker(), Arrivals(count=200), on_decision=log.append)
    outcome = replay(json.loads(json.dumps(log)), WideningMatchmaker())
    assert outcome.situations == outcome.same > 100
    assert set(outcome.verdicts) == {"passed->passed", "rejected->rejected"}


def test_a_log_replayed_under_another_policy_shows_what_would_differ() -> None:
    queue = Queue(FIFOMatchmaker(100))
    queue.join("a", "b")
    queue.answer(90.0, 1.0)
    log = [decided.record for decided in queue.all(LogDecision)]
    outcome = replay([*log, None, {"v": 99}, "text"], WideningMatchmaker())
    assert outcome.verdicts == {"passed->rejected": 1}
    assert outcome.skipped == 3
    alone = replay(log, GroupReunionMatchmaker(fallback_to_fifo=False))
    assert alone.differences == [{"t": 0.0, "seed": "b", "chosen": ["a", "b"], "would_choose": None}]


# ---- a population


@pytest.mark.slow
def test_widening_is_near_and_probes_little() -> None:
    population = Population(0, 1000)
    ours = simulate_queue(population, WideningMatchmaker(), Arrivals(count=2000)).figures()
    fifo = simulate_queue(population, FIFOMatchmaker(), Arrivals(count=2000)).figures()
    assert ours["rtt_p50_ms"] is not None
    assert fifo["rtt_p50_ms"] is not None
    assert ours["rtt_p50_ms"] <= 45
    assert fifo["rtt_p50_ms"] > 2 * ours["rtt_p50_ms"]
    assert 0 < (ours["probes_per_match"] or 0) <= 1.5
    assert (ours["unmatched"] or 0) < 0.03


@pytest.mark.slow
def test_without_landmarks_widening_still_beats_the_sum_of_server_round_trips() -> None:
    population, arrivals = Population(0, 1000), Arrivals(count=1500)
    ours = simulate_queue(population, WideningMatchmaker(), arrivals, landmarks=False).figures()
    theirs = simulate_queue(population, LatencyFIFOMatchmaker(200, 150), arrivals).figures()
    assert (ours["rtt_p50_ms"] or 999) < (theirs["rtt_p50_ms"] or 0)
    assert (ours["unmatched"] or 0) < (theirs["unmatched"] or 0)


@pytest.mark.slow
@pytest.mark.parametrize("group_size", [3, 4])
def test_groups_of_a_population_are_made_and_everybody_ends(group_size: int) -> None:
    config = MatchmakingConfig(group_size=group_size, give_up_after_s=120.0)
    outcome = simulate_queue(Population(2, 1000), WideningMatchmaker(), Arrivals(count=600), config=config)
    assert outcome.matches * group_size + outcome.unmatched == 600
    assert outcome.matches * group_size > 400


# ---- invariants

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
