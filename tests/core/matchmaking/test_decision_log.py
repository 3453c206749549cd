from __future__ import annotations

import json

from gym_p2p.core.matchmaking.commands import LogDecision
from gym_p2p.core.matchmaking.decision_log import VERSION, replay
from gym_p2p.core.matchmaking.strategy import FIFOMatchmaker, GroupReunionMatchmaker
from gym_p2p.core.matchmaking.widening import WideningMatchmaker
from tests.core.matchmaking.planner_lab import Queue


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


def test_a_log_replayed_under_another_policy_shows_what_would_differ() -> None:
    queue = Queue(FIFOMatchmaker(100))
    queue.join("a", "b")
    queue.answer(90.0, 1.0)
    log = [decided.record for decided in queue.all(LogDecision)]
    outcome = replay([*log, None, {"v": 99}, "text", {"v": VERSION, "kind": "x"}], WideningMatchmaker())
    assert outcome.verdicts == {"passed->rejected": 1}
    assert (outcome.records, outcome.skipped) == (len(log), 4)
    alone = replay(log, GroupReunionMatchmaker(fallback_to_fifo=False))
    assert alone.differences == [{"t": 0.0, "seed": "b", "chosen": ["a", "b"], "would_choose": None}]
