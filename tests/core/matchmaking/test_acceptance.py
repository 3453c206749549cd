from __future__ import annotations

from gym_p2p.core.api.queues import Verdict
from gym_p2p.core.api.replies import Accepted, Code, Refused
from gym_p2p.core.matchmaking.commands import LogDecision, ProposedMatch
from tests.core.matchmaking.queues_lab import Lab


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


def test_hook_and_players_see_how_far_peoples_pages_are_from_those_who_play_for_them() -> None:
    lab = Lab(ask_hook=True)
    lab.join("ann", asks=True, page_rtt_ms=35.5)
    lab.join("bob")
    lab.measure(40.0)
    (proposed,) = lab.all(ProposedMatch)
    assert {one.subject_id: one.page_rtt_ms for one in proposed.candidates} == {"ann": 35.5, "bob": None}
    lab.decide(Verdict.ACCEPT)
    (told,) = lab.told("ann", "match_proposed")
    assert told.page_rtts_ms == {"ann": 35.5}


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
