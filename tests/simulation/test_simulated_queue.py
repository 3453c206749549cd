from __future__ import annotations

import json
from typing import Any

import pytest

from gym_p2p.config import MatchmakingConfig
from gym_p2p.core.matchmaking.decision_log import replay
from gym_p2p.core.matchmaking.strategy import FIFOMatchmaker, LatencyFIFOMatchmaker
from gym_p2p.core.matchmaking.widening import WideningMatchmaker
from gym_p2p.simulation.population import Population
from gym_p2p.simulation.queue import Arrivals, simulate_queue


def test_a_log_replayed_under_its_own_policy_differs_in_nothing() -> None:
    log: list[Any] = []
    simulate_queue(Population(1, 200), WideningMatchmaker(), Arrivals(count=200), on_decision=log.append)
    outcome = replay(json.loads(json.dumps(log)), WideningMatchmaker())
    assert outcome.situations == outcome.same > 100
    assert set(outcome.verdicts) == {"passed->passed", "rejected->rejected"}


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


def test_without_landmarks_widening_still_beats_the_sum_of_server_round_trips() -> None:
    population, arrivals = Population(0, 1000), Arrivals(count=1500)
    ours = simulate_queue(population, WideningMatchmaker(), arrivals, landmarks=False).figures()
    theirs = simulate_queue(population, LatencyFIFOMatchmaker(200, 150), arrivals).figures()
    assert (ours["rtt_p50_ms"] or 999) < (theirs["rtt_p50_ms"] or 0)
    assert (ours["unmatched"] or 0) < (theirs["unmatched"] or 0)


@pytest.mark.parametrize("group_size", [3, 4])
def test_groups_of_a_population_are_made_and_everybody_ends(group_size: int) -> None:
    config = MatchmakingConfig(group_size=group_size, give_up_after_s=120.0)
    outcome = simulate_queue(Population(2, 1000), WideningMatchmaker(), Arrivals(count=600), config=config)
    assert outcome.matches * group_size + outcome.unmatched == 600
    assert outcome.matches * group_size > 400
