from __future__ import annotations

from typing import Any

import pytest

from gym_p2p.core.api.matches import MakeMatch
from gym_p2p.core.api.payloads import encode
from gym_p2p.core.api.replies import Accepted, Code, Refused
from gym_p2p.core.matchmaking.commands import CancelProbe, LogDecision
from gym_p2p.core.matchmaking.memory import PLACE_KEPT_S
from tests.core.matchmaking.queues_lab import Lab


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


def test_an_empty_queue_is_forgotten_once_its_pairs_are() -> None:
    lab = Lab(cooldown_s=30.0)
    lab.join("ann")
    lab.queues.leave("ann", lab.now)
    lab.wait(31.0)
    assert lab.queues.next_timeout() is None
    assert lab.queues.tables(lab.now) == {}
