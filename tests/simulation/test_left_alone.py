"""Whoever stays when others are gone: the whole match becomes final, the same for all, and is documented."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium
import pytest

from gym_p2p import simulate
from gym_p2p.envs.rally import RallyEnv
from gym_p2p.simulation.player import EPOCH_MS
from tests.toys import BLEND

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
