"""State that belongs to one copy: left out of the comparison where no outcome hangs on it, and told apart."""

from __future__ import annotations

import itertools
import uuid
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from gym_p2p import simulate
from gym_p2p.simulation.results import Simulation

_made = itertools.count()


class _Local(gymnasium.Env[Any, Any]):
    """Has a generator of its own that nothing depends on but sparks that nobody sees."""

    action_space = spaces.MultiDiscrete([3, 3])
    observation_space = spaces.Box(0, 9, (2,), np.float64)

    def __init__(self) -> None:
        self.number = next(_made)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:  # noqa: ARG002 of the interface
        super().reset(seed=seed)
        self.s, self.t = self.np_random.random(2), 0
        self.sparks: list[dict[str, float]] = []
        self.names = {"match": uuid.uuid4().hex, "game": "local"}
        return self.s.copy(), {}

    def step(self, action: Any) -> Any:
        self.t += 1
        if not hasattr(self, "chance"):
            self.chance = np.random.default_rng()
        self.sparks = [*self.sparks[-3:], {"heat": self.chance.random(), "age": 0.0}]
        self.s = (self.s * 1.7 + action) % 3
        return self.s.copy(), float(self.s[0]), False, False, {}


class _Late(_Local):
    """Differs in its state from a frame on that no proof gets to; in the outcome later still, or never."""

    shows_from = 10_000

    def step(self, action: Any) -> Any:
        result = super().step(action)
        if self.t == 50:
            self.hidden = self.number
        if self.t >= self.shows_from:
            result[0][1] = self.number
        return result


class _Shows(_Late):
    shows_from = 70


def _played(env: type[_Local]) -> Simulation:
    chance = np.random.default_rng(1)
    policies = dict.fromkeys((0, 1), lambda _observation, _frame: int(chance.integers(3)))
    return simulate(env, policies, frames=120, seed=1, one_way_ms=50, loss=0.02, checksum_interval=10)


def _events(simulation: Simulation) -> list[list[dict[str, Any]]]:
    return [player.exports["validation"]["desyncEvents"] for player in simulation.players.values()]


def test_what_no_outcome_depends_on_is_no_desync_and_is_named() -> None:
    simulation = _played(_Local)
    assert simulation.sync == "rollback"
    assert _events(simulation) == [[], []]
    chosen = simulation.players[0].exports["session"]["sync"]["chosen"]
    assert chosen["comparesStates"]
    assert {"unwrapped.number", "unwrapped.chance['state']", "unwrapped.names['match']"} < set(
        chosen["leftOut"]
    )
    assert not any(path in {"unwrapped", "unwrapped.s", "unwrapped.t"} for path in chosen["leftOut"])
    assert "unwrapped.chance" in simulation.why
    assert simulation.players[0].counters.rollbacks > 0


def test_a_state_that_differs_later_is_told_apart_from_outcomes() -> None:
    events = _events(_played(_Late))
    assert [event["differsIn"] for event in events[0]] == ["state"] * len(events[0]) != []
    assert [(event["frame"], event["differsIn"]) for side in events for event in side[:1]] == [
        (49, "state")
    ] * 2
    assert [row["path"] for row in events[0][0]["stateDifferences"]] == ["unwrapped.hidden"]


@pytest.mark.parametrize("side", [0, 1])
def test_outcomes_that_differ_are_called_that(side: int) -> None:
    events = _events(_played(_Shows))[side]
    by_frame = {event["frame"]: event["differsIn"] for event in events}
    assert by_frame == {49: "state", 59: "state", **dict.fromkeys(range(69, 120, 10), "outcomes")}
