"""Policies that play for players who are away: what all compare of them, and what they see."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from gym_p2p.config import config_from_options
from gym_p2p.config.names import name_of
from gym_p2p.errors import UsageError
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.outcome import Outcome
from gym_p2p.game.stand_ins import stand_in_action
from gym_p2p.play.session import Session
from gym_p2p.policies.stand_in import PolicyStandIn
from tests.game.environments import Echo


def test_a_file_is_compared_by_its_contents_wherever_it_is(tmp_path: Path) -> None:
    here, there = tmp_path / "here.onnx", tmp_path / "folder" / "there.onnx"
    there.parent.mkdir()
    here.write_bytes(b"one model")
    shutil.copy(here, there)
    one, same = (name_of(PolicyStandIn(f"onnx:{path}")) for path in (here, there))
    assert one == same
    here.write_bytes(b"another model")
    assert name_of(PolicyStandIn(f"onnx:{here}")) != one


def test_what_trained_a_file_is_compared_too(tmp_path: Path) -> None:
    file = tmp_path / "model.zip"
    file.write_bytes(b"one model")
    names = {repr(PolicyStandIn(f"sb3:{trained}{file}")) for trained in ("", "PPO:", "A2C:")}
    assert len(names) == 3


def test_a_policy_without_a_file_is_compared_by_its_name() -> None:
    assert repr(PolicyStandIn("random")) == "random"
    assert repr(PolicyStandIn("my_lab.agents:greedy")) == "my_lab.agents:greedy"


def test_a_file_that_cannot_be_read_is_said_before_anybody_is_met(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        PolicyStandIn(f"onnx:{tmp_path / 'none.onnx'}")


def test_a_mask_that_is_in_the_info_alone_is_seen_as_in_a_seat() -> None:
    game = make_game(Echo(spaces.Tuple([spaces.Discrete(3), spaces.Discrete(3)])))
    seat = game.seats[0]
    choices: Any = game.action_space(seat)
    mask = np.zeros(int(choices.n), np.int8)
    mask[-1] = 1
    stand_in = PolicyStandIn("random").in_game(game)
    seen = game.reset(1, None)
    masked = Outcome(
        seen.observations,
        seen.rewards,
        seen.terminations,
        seen.truncations,
        tuple([{"action_mask": mask}] * len(game.seats)),
        ended=False,
    )
    acted = {int(stand_in_action(stand_in, game, seat, masked, frame)) for frame in range(20)}
    assert acted == {int(choices.n) - 1}
    assert len({int(stand_in_action(stand_in, game, seat, seen, frame)) for frame in range(20, 60)}) > 1


def test_one_that_plays_in_one_game_plays_in_another_as_if_it_were_the_first() -> None:
    configured = PolicyStandIn("random")
    small, large = (
        make_game(Echo(spaces.Tuple([spaces.Discrete(count), spaces.Discrete(count)]))) for count in (2, 50)
    )
    first, second = (configured.in_game(game) for game in (small, large))
    seen = small.reset(1, None)
    assert {stand_in_action(first, small, small.seats[0], seen, frame) for frame in range(20)} == {0, 1}
    assert second is not first
    with pytest.raises(UsageError, match="no stand-in for seat"):
        configured(small.seats[0], None, 0)


def test_whoever_configures_one_is_told_at_once_that_it_has_no_policy_for_a_seat() -> None:
    game = make_game(Echo(spaces.Tuple([spaces.Discrete(3), spaces.Discrete(3)])))
    config = config_from_options({"on_peer_loss": "stand_in", "stand_in": PolicyStandIn("scripted")})
    with pytest.raises(UsageError, match="scripted"):
        Session(game, seats=None, config=config)
