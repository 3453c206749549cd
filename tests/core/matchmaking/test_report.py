from __future__ import annotations

import json
from typing import Any

import pytest

from gym_p2p.core.api.matches import QueueTicket
from gym_p2p.core.api.payloads import decode, encode
from gym_p2p.core.matchmaking.commands import TicketRow
from gym_p2p.core.matchmaking.queues import Queues
from gym_p2p.core.matchmaking.report import QueueReport
from gym_p2p.core.matchmaking.strategy import FIFOMatchmaker
from gym_p2p.errors import ProtocolError


def row(subject_id: str, **more: Any) -> TicketRow:
    known: dict[str, Any] = {"state": "waiting", "wait_s": 3.5, "threshold_ms": 70.5, "probes": 2}
    known |= {"best_estimate_ms": None, "rejections": 1}
    return TicketRow(subject_id=subject_id, **{**known, **more})


REPORT = QueueReport.of(
    {
        "lab": (
            row("ann", wait_s=9.0, threshold_ms=None),
            row("bob", state="probing", best_estimate_ms=40.0),
        ),
        "pub": (row("cleo"),),
    },
    matches=4,
    connections=11,
)


def test_a_report_survives_the_wire() -> None:
    assert decode(QueueReport, json.loads(json.dumps(encode(REPORT)))) == REPORT


def test_totals_are_over_all_queues() -> None:
    assert encode(REPORT)["totals"] == {
        "queues": 2,
        "tickets": 3,
        "states": {"waiting": 2, "probing": 1},
        "longest_wait_s": 9.0,
        "matches": 4,
        "connections": 11,
    }
    assert QueueReport.of({}, matches=0, connections=0).totals.longest_wait_s == 0.0


@pytest.mark.parametrize(
    "broken",
    [
        None,
        [],
        {},
        {"queues": {}, "totals": {}},
        {"queues": [], "totals": {"matches": 0, "connections": 0}},
        {"queues": {"lab": [{"subject_id": "ann"}]}, "totals": {"matches": 0, "connections": 0}},
        {"queues": {"lab": "ann"}, "totals": {"matches": 0, "connections": 0}},
    ],
)
def test_what_is_no_report_is_a_protocol_error(broken: object) -> None:
    with pytest.raises(ProtocolError):
        decode(QueueReport, broken)


@pytest.mark.parametrize(("crowd", "estimated"), [(3, True), (65, False)])
def test_only_a_queue_that_is_not_crowded_is_told_of_with_estimates(crowd: int, *, estimated: bool) -> None:
    queues = Queues(FIFOMatchmaker())
    for reporter, partner in (("s0", "s1"), ("s1", "s0")):
        queues.observe(reporter, partner, 33.0, 0.0)
    for number in range(crowd):  # who all want the same seat stay where they are
        queues.join(f"s{number}", QueueTicket(queue="lab", seats=("a", "b"), take="a"), 0.0)
    rows = queues.tables(1.0)["lab"]
    assert len(rows) == crowd
    assert (rows[0].best_estimate_ms is not None) is estimated
