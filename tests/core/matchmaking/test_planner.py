from __future__ import annotations

from typing import Any

import pytest

from gym_p2p.config import MatchmakingConfig
from gym_p2p.core.api.matches import MakeMatch
from gym_p2p.core.api.probes import ProbeReport
from gym_p2p.core.api.queues import MatchFailed, Verdict
from gym_p2p.core.api.replies import Notify
from gym_p2p.core.matchmaking.commands import CancelProbe, PlannerOutput, ProposedMatch, PutOff, RequestProbe
from gym_p2p.core.matchmaking.estimator import LatencyEstimator
from gym_p2p.core.matchmaking.planner import Planner
from gym_p2p.core.matchmaking.strategy import FIFOMatchmaker, GroupReunionMatchmaker
from gym_p2p.core.matchmaking.widening import WideningMatchmaker
from gym_p2p.core.probing.outcome import Mark, Reason
from tests.core.matchmaking.planner_lab import Queue, found, records, wish


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
    queue.estimator.observe("a", "b", 110.0, -300.0)
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


def test_former_partners_meet_again_through_the_planner() -> None:
    queue = Queue(GroupReunionMatchmaker(fallback_to_fifo=False), give_up_after_s=None)
    queue.join("a", "b")
    queue.join("c", previous_partners=("b",))
    assert queue.matches == [("b", "c")]


def test_landmarks_spare_a_pair_that_is_far_apart_the_probe() -> None:
    estimator = LatencyEstimator(landmarks=("east", "north", "west"))
    planner = Planner(WideningMatchmaker(), estimator=estimator)
    planner.enqueue("a", wish(), 0.0, landmarks={"east": 5.0, "north": 90.0, "west": 140.0})
    planner.enqueue("b", wish(), 0.0, landmarks={"east": 140.0, "north": 90.0, "west": 5.0})
    assert not [output for output in iter(planner.poll, None) if isinstance(output, RequestProbe)]
    planner.enqueue("c", wish(), 0.0, landmarks={"east": 7.0, "north": 92.0, "west": 138.0})
    (request,) = [output for output in iter(planner.poll, None) if isinstance(output, RequestProbe)]
    assert request.subjects == ("a", "c")


def test_a_planner_that_keeps_no_log_decides_the_same() -> None:
    planner = Planner(FIFOMatchmaker(100), log_decisions=False, config=MatchmakingConfig(give_up_after_s=5.0))
    for name in ("a", "b", "c"):
        planner.enqueue(name, wish(), 0.0)
    outputs: list[PlannerOutput] = []
    for rtt_ms in (500.0, 20.0):
        outputs += iter(planner.poll, None)
        request = outputs[-1]
        assert isinstance(request, RequestProbe)
        planner.probe_ended(request.probe_no, found(request.subjects, rtt_ms), 1.0)
    planner.handle_timeout(6.0)
    outputs += iter(planner.poll, None)
    assert [type(output) for output in outputs] == [RequestProbe, PutOff, RequestProbe, MakeMatch, Notify]


def test_nobody_is_sent_away_who_does_not_wait() -> None:
    assert not Planner(FIFOMatchmaker()).leave("a", 0.0, dismissed="no_answer")


def test_a_relay_is_not_tried_by_those_who_have_spent_their_probes() -> None:
    queue = Queue(WideningMatchmaker(), relay_after_s=20.0, probe_budget=1)
    queue.join("a", "b")
    queue.answer(None, 10.0, reason=Reason.NOT_CONNECTED)
    queue.run_until(50.0)
    assert len(queue.all(RequestProbe)) == 1


def test_who_gets_too_far_even_after_any_wait_is_put_off() -> None:
    queue = Queue(WideningMatchmaker(last_resort_rtt_ms=None))
    queue.join("a", "b")
    queue.answer(151.0, 1.0)
    assert [put_off.reason for put_off in queue.all(PutOff)] == ["too_far"]


def test_a_group_is_of_those_who_might_all_play_with_each_other() -> None:
    queue = Queue(WideningMatchmaker(), group_size=3)
    queue.estimator.observe("a", "b", 140.0, 0.0)
    queue.join("a", "b", "c")
    assert not queue.all(RequestProbe)
    queue.join("d")
    assert queue.all(RequestProbe)
    assert all({"a", "b"} != set(request.subjects) for request in queue.all(RequestProbe))


def test_a_probe_outlives_its_proposal_and_what_it_measured_is_of_use() -> None:
    queue = Queue(FIFOMatchmaker(100), group_size=4, give_up_after_s=None)
    queue.join("a", "b", "c", "d")
    queue.answer(500.0, 1.0, queue.probe(number=0))
    states = {row.subject_id: row.state for row in queue.planner.table(1.0)}
    assert states == {"a": "waiting", "b": "waiting", "c": "probing", "d": "probing"}
    queue.answer(50.0, 2.0, queue.probe(number=1))
    queue.join("e", now=3.0)
    for number in range(2, 20):
        if not queue.matches:
            queue.answer(50.0, 4.0, queue.probe(number=number))
    assert len(queue.matches) == 1
    assert [request.subjects for request in queue.all(RequestProbe)].count(("c", "d")) == 1
