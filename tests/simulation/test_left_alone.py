"""Whoever stays when others are gone: the whole match becomes final, the same for all, and is documented."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import gymnasium
import numpy as np
import pytest

from gym_p2p import simulate
from gym_p2p.envs.rally import RallyEnv
from gym_p2p.simulation.player import EPOCH_MS
from tests.game.environments import LastOneStanding
from tests.toys import BLEND, Blend

FRAMES = 90


def policy(_observation: Any, frame: int) -> int:
    return 1 + frame % 2


def stand_in(_seat: Any, _observation: Any, frame: int) -> int:
    return frame % 3


@pytest.mark.parametrize("leave", [{"left": 30}, {"right": 0}, {"left": 1}, {"right": FRAMES - 1}])
@pytest.mark.parametrize("sync", ["rollback", "lockstep"])
@pytest.mark.parametrize("instead", ["default_action", "stand_in"])
def test_every_frame_is_final_for_the_one_who_stays(leave: dict[str, int], sync: Any, instead: Any) -> None:
    match = simulate(
        RallyEnv,
        {"left": policy, "right": policy},
        frames=FRAMES,
        seed=5,
        one_way_ms=40,
        sync=sync,
        leave=leave,
        on_peer_loss=instead,
        stand_in=stand_in if instead == "stand_in" else None,
    )
    (stays,) = match.players.keys() - leave.keys()
    player = match.players[stays]
    assert (player.ending, len(player.confirmed)) == ("frames", FRAMES)
    (episode,) = player.exports["multiplayer"]["validation"]["episodes"]
    assert episode["confirmedFrame"] == FRAMES - 1
    actions = player.exports["multiplayer"]["validation"]["allActions"]
    assert len(actions) == 2 * FRAMES


class _Masked(Blend):
    """In every frame one action of each seat is forbidden, in every third one that is the default one."""

    def __init__(self) -> None:
        super().__init__("three", 60)
        self.observation_space = gymnasium.spaces.Dict(
            {"observation": self.observation_space, "action_mask": gymnasium.spaces.MultiBinary(5)}
        )

    def _shown(self, seen: Any) -> Any:
        mask = np.ones(5, np.int8)
        mask[self._frame % 3] = 0
        return {"observation": seen, "action_mask": mask}

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        seen, info = super().reset(**kwargs)
        return self._shown(seen), info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        seen, *rest = super().step(action)
        return (self._shown(seen), *rest)


@pytest.mark.parametrize("sync", ["rollback", "lockstep"])
def test_the_default_actions_of_who_is_gone_mind_their_action_masks(sync: Any) -> None:
    match = simulate(
        _Masked,
        dict.fromkeys(range(3), lambda _observation, frame: 3 + frame % 2),
        frames=60,
        seed=3,
        one_way_ms=40,
        sync=sync,
        leave={1: 20},
        on_peer_loss="default_action",
    )
    first, second = (match.players[seat] for seat in (0, 2))
    assert (first.ending, len(first.confirmed)) == ("ended", 60)
    assert str(first.confirmed) == str(second.confirmed)
    acted = [(before.observation, frame.actions[1]) for before, frame in pairwise(first.confirmed[30:])]
    assert all(seen["action_mask"][action] for seen, action in acted)
    assert {action for _, action in acted} == {0, 1}, "the default one, and the first where that is forbidden"


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("sync", ["rollback", "lockstep"])
@pytest.mark.parametrize("instead", ["truncate", "default_action"])
def test_those_whom_another_leaves_in_the_first_frame_play_the_same(
    sync: Any, instead: Any, seed: int
) -> None:
    match = simulate(
        partial(gymnasium.make, BLEND, kind="three"),
        dict.fromkeys(range(3), lambda _observation, frame: frame % 5),
        frames=20,
        seed=seed,
        one_way_ms=30,
        jitter_ms=10,
        loss=0.2,
        sync=sync,
        leave={seed % 3: 0},
        on_peer_loss=instead,
    )
    first, second = (player for seat, player in match.players.items() if seat != seed % 3)
    assert first.ending == second.ending
    assert str(first.confirmed) == str(second.confirmed)
    begun = instead == "default_action" and bool(first.confirmed)
    assert (first.ending, len(first.confirmed)) == (("frames", 20) if begun else ("peer_lost", 0))


@pytest.mark.parametrize("seats", [("a", "b"), ("a", "b", "c"), ("a", "b", "c", "d")])
@pytest.mark.parametrize("sync", ["rollback", "lockstep"])
@pytest.mark.parametrize("gone_at", [20, 35])
def test_only_who_vanishes_while_they_live_ends_the_episode_of_the_others(
    gone_at: int, sync: Any, seats: tuple[str, ...]
) -> None:
    def dies(_observation: Any, frame: int) -> int:
        return 1 if frame >= 25 else 2

    match = simulate(
        partial(LastOneStanding, seats, limit=60),
        {"a": dies, **dict.fromkeys(seats[1:], lambda _observation, _frame: 2)},
        frames=80,
        seed=4,
        one_way_ms=40,
        jitter_ms=5,
        loss=0.05,
        sync=sync,
        leave={"a": gone_at},
    )
    first, *others = (match.players[seat] for seat in seats[1:])
    assert all(str(other.confirmed) == str(first.confirmed) for other in others)
    if gone_at < 25:
        assert first.ending == "peer_lost"
        return
    assert (first.ending, len(first.confirmed)) == ("ended", 60)
    assert {frame.actions["a"] for frame in first.confirmed[50:]} == {0}
    (gone,) = first.exports["multiplayer"]["departures"]
    assert gone["reason"] == "peer_lost"


@pytest.mark.parametrize("reconnect_timeout_s", [0, 8])
def test_who_is_silent_is_lost_after_the_time_for_that_and_not_for_want_of_their_inputs(
    reconnect_timeout_s: float,
) -> None:
    match = simulate(
        RallyEnv,
        {"left": policy, "right": policy},
        frames=FRAMES,
        seed=5,
        sync="lockstep",
        leave={"right": 30},
        on_peer_loss="default_action",
        reconnect_timeout_s=reconnect_timeout_s,
        input_timeout_s=1,
    )
    (gone,) = match.players["left"].exports["multiplayer"]["departures"]
    assert gone["reason"] == "peer_lost"
    silent_s = (gone["timestamp"] - EPOCH_MS) / 1e3 - 30 / 60
    assert silent_s == pytest.approx(reconnect_timeout_s or 2, abs=0.1)
