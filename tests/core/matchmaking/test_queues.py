from __future__ import annotations

import pytest

from gym_p2p.core.api.matches import MakeMatch
from gym_p2p.core.api.queues import MatchFailed, Verdict
from gym_p2p.core.api.replies import Notify, Refused
from gym_p2p.core.api.rooms import TurnedAway
from gym_p2p.core.matchmaking.commands import ProposedMatch, RequestProbe
from gym_p2p.core.probing.outcome import Reason
from tests.core.matchmaking.queues_lab import Lab


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
    ("reason", "told"),
    [
        ("hook", "refused"),
        ("hook_raised", "rule_failed"),
        ("hook_timeout", "rule_failed"),
        ("hook_busy", "rule_failed"),
    ],
)
def test_who_was_refused_by_the_services_rule_is_not_told_that_others_were_too_far_away(
    reason: str, told: str
) -> None:
    lab = Lab(None, ask_hook=True, give_up_after_s=20.0)
    for name in ("ann", "bob"):
        lab.join(name)
    lab.queues.hook_decided(lab.all(ProposedMatch)[-1], Verdict.REJECT, lab.now, reason)
    lab.wait(25.0)
    for name in ("ann", "bob"):
        (failed,) = lab.told(name, "match_failed")
        assert isinstance(failed, MatchFailed)
        assert failed.reason == told


def test_whom_a_player_declined_is_told_that() -> None:
    lab = Lab(None, give_up_after_s=20.0)
    lab.join("ann", asks=True)
    lab.join("bob")
    lab.say("ann", Verdict.REJECT)
    lab.wait(25.0)
    assert lab.told("bob", "match_failed") == [MatchFailed(queue="lab", reason="declined", waited_s=20.0)]


def test_who_waits_hears_that_somebody_came_for_something_else_but_not_hundreds_do() -> None:
    lab = Lab(None)
    lab.join("n0", plays="this", take="left")
    for number in range(1, 50):
        lab.join(f"n{number}", plays="this", take="left")
    assert isinstance(lab.join("eve", plays="that"), Refused)
    told = [notify.subject_id for notify in lab.all(Notify) if isinstance(notify.payload, TurnedAway)]
    assert told == [f"n{number}" for number in range(8)]
    (one,) = lab.told("n0", "turned_away")
    assert (one.place, one.code) == ("queue lab", "queue_mismatch")


def test_who_has_waited_too_long_is_told_why() -> None:
    lab = Lab(give_up_after_s=20.0)
    lab.join("ann")
    lab.wait(21.0)
    assert lab.told("ann", "match_failed") == [MatchFailed(queue="lab", reason="nobody_else", waited_s=20.0)]
    assert lab.queues.queue_of("ann") is None


def test_a_probe_that_failed_through_nobodys_fault_is_tried_again_soon() -> None:
    lab = Lab(pass_over_s=5.0, cooldown_s=30.0)
    lab.join("ann")
    lab.join("bob")
    lab.measure(None, Reason.BUSY)
    lab.wait(6.0)
    lab.measure(30.0)
    assert len(lab.matches) == 1
