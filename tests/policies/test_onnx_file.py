"""Real models in ONNX, run by ONNX Runtime: what they are shown, what their outputs do, what is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from gym_p2p.errors import UsageError
from gym_p2p.game.env.load import load_environment
from gym_p2p.game.env.seats import make_game
from gym_p2p.policies.load import load_policy
from gym_p2p.policies.seat_policy import SeatPolicy
from tests.game.environments import Echo
from tests.policies.onnx_bytes import linear, write_model
from tests.requirements import require

require("onnxruntime", "pip install 'gym_p2p[onnx]'")

BOX = spaces.Box(-1, 1, (3,), np.float32)


def loaded(path: Path, acted: spaces.Space[Any], observed: spaces.Space[Any] = BOX) -> SeatPolicy:
    """Load a model for the first of two equal seats."""
    game = make_game(Echo(spaces.Tuple([acted, acted]), observed))
    return load_policy(f"onnx:{path}", game, 0)


def test_of_numbers_for_each_action_the_largest_legal_one_counts(tmp_path: Path) -> None:
    policy = loaded(linear(tmp_path / "m.onnx", np.eye(3)), spaces.Discrete(3, start=5))
    seen = np.array([0.1, 0.9, 0.5], np.float32)
    assert policy(seen, 0) == 6
    assert policy.act(seen, {"action_mask": [1, 0, 1]}, 1) == 7
    assert policy.record.illegal == 0  # it minds the mask itself
    facts = policy.record.facts
    digest = hashlib.sha256((tmp_path / "m.onnx").read_bytes()).hexdigest()
    assert (facts.policy, facts.kind, facts.sha256) == ("onnx:m.onnx", "onnx", digest)


def test_numbers_of_a_box_are_the_action_within_its_bounds(tmp_path: Path) -> None:
    path = linear(tmp_path / "m.onnx", 2 * np.eye(3), given="action")
    policy = loaded(path, spaces.Box(-1, 1, (3,), np.float32))
    assert policy(np.array([0.25, 0.75, -0.75], np.float32), 0).tolist() == [0.5, 1, -1]


def test_whole_numbers_are_the_action_itself(tmp_path: Path) -> None:
    path = write_model(
        tmp_path / "m.onnx",
        inputs={"obs": ("float32", (1, 3))},
        outputs={"value": ("float32", (1, 3)), "action": ("int64", (1,))},
        nodes=[("Identity", ("obs",), ("value",)), ("Identity", ("two",), ("action",))],
        constants={"two": np.array([2])},
    )
    assert loaded(path, spaces.Discrete(4))(np.zeros(3, np.float32), 0) == 2


def test_parts_of_an_observation_go_by_their_names_and_types(tmp_path: Path) -> None:
    observed = spaces.Dict({"place": spaces.Box(0, 255, (2,), np.uint8), "door": spaces.Discrete(3)})
    path = write_model(
        tmp_path / "m.onnx",
        inputs={"door": ("float32", ("n", 3)), "place": ("float32", ("n", 2))},
        outputs={"logits": ("float32", ("n", 5))},
        nodes=[
            ("MatMul", ("door", "a"), ("x",)),
            ("MatMul", ("place", "b"), ("y",)),
            ("Add", ("x", "y"), ("logits",)),
        ],
        constants={
            "a": np.eye(3, 5, dtype=np.float32),
            "b": np.array([[0, 0, 0, 2, 0], [0, 0, 0, 0, 2]], np.float32),
        },
    )
    policy = loaded(path, spaces.Discrete(5), observed)
    assert policy({"place": np.array([0, 0], np.uint8), "door": 2}, 0) == 2
    assert policy({"place": np.array([0, 3], np.uint8), "door": 2}, 1) == 4


def test_of_a_masked_observation_a_model_sees_what_it_names_or_the_rest(tmp_path: Path) -> None:
    observed = spaces.Dict({"observation": BOX, "action_mask": spaces.MultiBinary(3)})
    seen = {"observation": np.array([9, 5, 1], np.float32), "action_mask": np.array([0, 1, 1], np.int8)}
    assert loaded(linear(tmp_path / "m.onnx", np.eye(3)), spaces.Discrete(3), observed)(seen, 0) == 1
    path = write_model(
        tmp_path / "masked.onnx",
        inputs={"observation": ("float32", (1, 3)), "action_mask": ("float32", (1, 3))},
        outputs={"out": ("float32", (1, 3))},
        nodes=[("Mul", ("observation", "action_mask"), ("out",))],
    )
    assert loaded(path, spaces.Discrete(3), observed)(seen, 0) == 1


def test_a_mask_of_the_info_is_shown_to_a_model_that_asks_for_one(tmp_path: Path) -> None:
    path = write_model(
        tmp_path / "m.onnx",
        inputs={"obs": ("float32", (1, 3)), "action_mask": ("bool", (1, 3))},
        outputs={"out": ("float32", (1, 3))},
        nodes=[("Where", ("action_mask", "obs", "low"), ("out",))],
        constants={"low": np.full((1, 3), -9, np.float32)},
    )
    policy = loaded(path, spaces.Discrete(3))
    seen = np.array([1, 0.5, 0], np.float32)
    assert policy(seen, 0) == 0
    assert policy.act(seen, {"action_mask": [0, 1, 1]}, 1) == 1


def test_what_a_model_remembers_is_forgotten_with_the_episode(tmp_path: Path) -> None:
    path = write_model(
        tmp_path / "m.onnx",
        inputs={"obs": ("float32", (1, 3)), "sum_in": ("float32", ("n", 3))},
        outputs={"sum_out": ("float32", ("n", 3)), "action": ("float32", ("n", 3))},
        nodes=[("Add", ("obs", "sum_in"), ("sum_out",)), ("Identity", ("sum_out",), ("action",))],
    )
    policy = loaded(path, spaces.Box(-9, 9, (3,), np.float32))
    ones = np.ones(3, np.float32)
    assert [policy(ones, frame)[0] for frame in range(3)] == [1, 2, 3]
    assert [policy(ones, frame)[0] for frame in range(2)] == [1, 2]


def test_pictures_are_turned_where_a_model_takes_their_channels_first(tmp_path: Path) -> None:
    path = write_model(
        tmp_path / "m.onnx",
        inputs={"image": ("uint8", ("n", 3, 2, 4))},
        outputs={"out": ("uint8", ("n", 3, 2, 4))},
        nodes=[("Identity", ("image",), ("out",))],
    )
    picture = spaces.Box(0, 255, (2, 4, 3), np.uint8)
    policy = loaded(path, spaces.Box(0, 255, (24,), np.uint8), picture)
    seen = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert policy(seen, 0).tolist() == np.moveaxis(seen, -1, 0).ravel().tolist()


@pytest.mark.parametrize("start", [0, 1])
def test_rally_is_played_by_a_model(tmp_path: Path, start: int) -> None:
    game = make_game(load_environment("gym_p2p/Rally-v0"))
    weights = np.zeros((15, 6))
    weights[1, 2], weights[5, 1] = 1, 1  # follow the ball: down where it is below the paddle
    policy = load_policy(f"onnx:{linear(tmp_path / 'm.onnx', weights)}", game, game.seats[start])
    outcome = game.reset(seed=3)
    for frame in range(50):
        action = policy(outcome.observations[start], frame)
        actions = [0, 0]
        actions[start] = action
        outcome = game.step(actions)
    assert policy.record.changes > 0


@pytest.mark.parametrize(
    ("acted", "observed", "words"),
    [
        (spaces.Discrete(4), BOX, "wanted 4 numbers"),
        (spaces.Discrete(3), spaces.Box(0, 1, (4,)), "does not go into"),
        (spaces.MultiBinary(2), BOX, "is no action of MultiBinary"),
        (spaces.Dict({"a": spaces.Discrete(3)}), BOX, "is no action of Dict"),
        (spaces.Discrete(3), spaces.Dict({"a": BOX, "b": BOX}), "no part of the observation is called 'obs'"),
        (spaces.Discrete(3), spaces.Text(3), "is no numbers"),
    ],
)
def test_a_model_for_another_seat_is_refused_with_what_both_want(
    tmp_path: Path, acted: spaces.Space[Any], observed: spaces.Space[Any], words: str
) -> None:
    path = linear(tmp_path / "m.onnx", np.eye(3))
    with pytest.raises(UsageError) as error:
        loaded(path, acted, observed)
    said = str(error.value)
    assert words in said
    assert "obs (any, 3) tensor(float)" in said
    assert f"the seat sees {observed} and does {acted}" in said


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    for data in (b"\x00\x01 no model", b"PK\x03\x04", b"\x08\x08"):
        path.write_bytes(data)
        with pytest.raises(UsageError, match="is no ONNX model"):
            loaded(path, spaces.Discrete(3))
    path.write_bytes(b"")
    with pytest.raises(UsageError, match="is empty"):
        loaded(path, spaces.Discrete(3))
    with pytest.raises(UsageError, match=r"cannot read .*none.onnx: No such file"):
        loaded(tmp_path / "none.onnx", spaces.Discrete(3))
