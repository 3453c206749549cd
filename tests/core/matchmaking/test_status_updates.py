from __future__ import annotations

from typing import Any

from gym_p2p.core.matchmaking.commands import TicketRow
from gym_p2p.core.matchmaking.membership import STATUS_ANYWAY_S, STATUS_EVERY_S, StatusUpdates
from tests.core.matchmaking.queues_lab import Lab


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


def row(subject_id: str, state: str = "waiting") -> TicketRow:
    figures: dict[str, Any] = {"wait_s": 1.0, "threshold_ms": None, "best_estimate_ms": None}
    return TicketRow(subject_id=subject_id, state=state, probes=0, rejections=0, **figures)


def test_only_those_for_whom_something_has_changed_are_sent_an_update() -> None:
    updates = StatusUpdates("lab")
    assert [n.subject_id for n in updates.updates([row("ann"), row("bob")], 2, 0.0)] == ["ann", "bob"]
    assert [n.subject_id for n in updates.updates([row("ann", "probing"), row("bob")], 2, 1.0)] == ["ann"]
    assert [n.subject_id for n in updates.updates([row("ann", "probing"), row("bob")], 3, 2.0)] == [
        "ann",
        "bob",
    ]
    assert updates.due == 2.0 + STATUS_EVERY_S


def test_who_comes_back_is_sent_an_update_as_if_new() -> None:
    updates = StatusUpdates("lab")
    assert len(list(updates.updates([row("ann")], 1, 0.0))) == 1
    assert not list(updates.updates([row("ann")], 1, 1.0))
    updates.forget("ann")
    updates.forget("ann")
    assert len(list(updates.updates([row("ann")], 1, 2.0))) == 1
