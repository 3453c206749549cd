"""What documents say that players earned: confirmed values alone, the same for all, and in a re-execution."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from gym_p2p import simulate
from gym_p2p.core.latency.delta_series import decode_series
from gym_p2p.simulation.results import SimulatedPlayer, Simulation

FRAMES = 80
SEED = 11


class _Earns(gymnasium.Env[Any, Any]):
    """Two accumulate what depends on every action so far; rewards that no sum of has few digits."""

    action_space = spaces.MultiDiscrete([5, 5])
    observation_space = spaces.Box(-1e9, 1e9, (2,), np.float64)

    def __init__(self, lasts: int = 10_000, *, by_limit: bool = False) -> None:
        self.lasts = lasts
        self.by_limit = by_limit

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:  # noqa: ARG002 of the interface
        super().reset(seed=seed)
        self.s, self.t = self.np_random.random(2), 0
        return self.s.copy(), {}

    def step(self, action: Any) -> Any:
        self.t += 1
        self.s = (self.s * 1.7 + action / 3) % 5
        over = self.t >= self.lasts
        info = {"rewards": {0: float(self.s[0]), 1: -float(self.s.sum())}, "t": self.t, "episode": {"x": 0.5}}
        return self.s.copy(), 0.0, over and not self.by_limit, over and self.by_limit, info


def _policy(seat: int) -> Any:
    chance = np.random.default_rng(seat)
    return lambda _observation, _frame: int(chance.integers(5))


def _played(frames: int = FRAMES, env: Any = _Earns, **options: Any) -> Simulation:
    policies = {seat: _policy(seat) for seat in (0, 1)}
    return simulate(env, policies, frames=frames, seed=SEED, one_way_ms=60, jitter_ms=20, **options)


def _episode(player: SimulatedPlayer) -> dict[str, Any]:
    (episode,) = player.exports["session"]["episodes"]
    assert (
        episode == player.exports["multiplayer"]["episodes"][0] == player.exports["validation"]["episodes"][0]
    )
    found: dict[str, Any] = episode
    return found


def _played_again(player: SimulatedPlayer, env: gymnasium.Env[Any, Any]) -> dict[str, Any]:
    """Return what a re-execution of the exported actions comes to, with nothing but the environment."""
    document = player.exports["multiplayer"]
    actions = [entry["action"] for entry in document["validation"]["allActions"]]
    env.reset(seed=document["episodes"][0]["seed"])
    returns = [0.0, 0.0]
    for joint in zip(actions[::2], actions[1::2], strict=True):
        *_, info = env.step(np.array(joint))
        returns = [total + info["rewards"][seat] for seat, total in enumerate(returns)]
    return {"returns": {"0": returns[0], "1": returns[1]}, "frames": len(actions) // 2}


@pytest.mark.parametrize("sync", ["rollback", "lockstep"])
@pytest.mark.parametrize("frames", [1, 7, FRAMES])
def test_returns_are_those_of_a_re_execution_to_the_last_bit(sync: Any, frames: int) -> None:
    match = _played(frames, sync=sync, loss=0.1)
    if sync == "rollback" and frames == FRAMES:
        assert all(player.counters.rollbacks > 5 for player in match.players.values())
    for player in match.players.values():
        episode = _episode(player)
        again = _played_again(player, _Earns())
        assert {key: episode[key] for key in again} == again
        assert (episode["seed"], episode["endedBy"]) == (SEED, "closed")
        assert episode["lengths"] == {"0": frames, "1": frames}
        assert episode["finalInfo"]["0"]["t"] == frames
        assert episode["finalInfo"]["1"]["episode.x"] == 0.5


@pytest.mark.parametrize(("by_limit", "ended_by"), [(False, "terminated"), (True, "truncated")])
def test_an_end_of_the_environment_counts_once_it_is_final(by_limit: bool, ended_by: str) -> None:  # noqa: FBT001 of a parameter
    match = _played(env=lambda: _Earns(40, by_limit=by_limit), sync="rollback")
    assert any(player.counters.rollbacks for player in match.players.values())
    first, second = (_episode(player) for player in match.players.values())
    for episode in (first, second):
        assert (episode["frames"], episode["endedBy"]) == (40, ended_by)
        assert episode["lengths"] == {"0": 40, "1": 40}
    assert first["returns"] == second["returns"]
    assert first["finalInfo"] == second["finalInfo"]


@pytest.mark.parametrize("sync", ["rollback", "lockstep"])
def test_every_frame_has_a_time_and_becomes_final_after_it_was_played(sync: Any) -> None:
    match = _played(sync=sync)
    for player in match.players.values():
        timing = _episode(player)["timing"]
        played, final = decode_series(timing["t"]), decode_series(timing["confirmed"])
        assert len(played) == timing["frames"] >= len(final) == FRAMES
        assert played == sorted(played)
        assert final == sorted(final)
        waits = [after - before for before, after in zip(played, final, strict=False)]
        assert min(waits) >= 0
        late = sync == "rollback"  # nothing is final before the other's word of it has come
        assert (max(waits) >= 60) is late
        assert played[-1] - played[0] >= 0.95 * (FRAMES - 1) * 1000 / 60  # in lockstep much more


@pytest.mark.parametrize("instead", ["default_action", "stand_in"])
@pytest.mark.parametrize("sync", ["rollback", "lockstep"])
def test_who_acts_for_a_player_who_is_gone_is_said_frame_by_frame(sync: Any, instead: Any) -> None:
    match = _played(
        sync=sync,
        leave={1: 30},
        on_peer_loss=instead,
        stand_in=(lambda _seat, _observation, frame: frame % 5) if instead == "stand_in" else None,
    )
    episode = _episode(match.players[0])
    ((first, count, actor),) = episode["actors"]["1"]
    assert episode["actors"].keys() == {"1"}
    assert actor == instead.removesuffix("_action")
    assert first + count == FRAMES
    assert 1 < first <= 30
    actions = match.players[0].exports["multiplayer"]["validation"]["allActions"]
    theirs = [entry["action"] for entry in actions if entry["playerId"] == 1]
    expected = [frame % 5 if instead == "stand_in" else 0 for frame in range(FRAMES)]
    assert theirs[first:] == expected[first:]
    assert episode["returns"] == _played_again(match.players[0], _Earns())["returns"]


def test_who_played_where_and_by_whose_clock_is_in_simulated_documents_too() -> None:
    document = _played().players[1].exports["session"]
    assert [(player["playerId"], player["subjectId"], player["local"]) for player in document["players"]] == [
        ("0", "simulated-0", False),
        ("1", "simulated-1", True),
    ]
    assert document["environment"]["sourceHash"]
    (offset, *_) = document["clockOffsets"]["0"]
    assert abs(offset["offsetMs"]) <= offset["boundMs"]
    assert document["latency"]["series"]["samples"] == document["latency"]["overall"]["sampleCount"] > 0
