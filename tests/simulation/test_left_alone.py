"""Whoever stays when everybody else is gone: the whole match becomes final, and is in the documents."""

from __future__ import annotations

from typing import Any

import pytest

from gym_p2p import simulate
from gym_p2p.envs.rally import RallyEnv

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
