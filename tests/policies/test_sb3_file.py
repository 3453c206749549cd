"""Models of Stable-Baselines3: which algorithm a file is of, and what a model is asked.

The library itself takes gigabytes (torch), so a stand-in with its calls is read here; ``tests/sweep`` plays
a model that the real one trained and saved.
"""

from __future__ import annotations

import json
import sys
import types
import zipfile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from gymnasium import spaces

from gym_p2p.errors import InvalidAction, UsageError
from gym_p2p.game.env.seats import make_game
from gym_p2p.policies.load import load_policy
from gym_p2p.policies.sb3_file import algorithm_of
from gym_p2p.policies.seat_policy import SeatPolicy
from tests.game.environments import Echo

FACTS = json.loads(Path(__file__).with_name("sb3_facts.json").read_text())
"""Of a file that each algorithm saved, in version 2.9: the module of its policy, and what else it holds."""

BOX = spaces.Box(-1, 1, (3,), np.float32)
THREE = spaces.Discrete(3)


@pytest.mark.parametrize("algorithm", sorted(FACTS))
def test_a_file_says_by_which_algorithm_it_was_trained(algorithm: str) -> None:
    told = FACTS[algorithm]
    found = algorithm_of(
        {**dict.fromkeys(told["keys"].split()), "policy_class": {"__module__": told["policy"]}}
    )
    assert found == ("TD3" if algorithm == "DDPG" else algorithm)  # which is TD3 with other figures


@pytest.mark.parametrize(
    ("keys", "algorithm"),
    [
        ({"clip_range", "gae_lambda"}, "PPO"),
        ({"gae_lambda"}, "A2C"),
        ({"target_entropy"}, "SAC"),
        (set(), None),
    ],
)
def test_a_policy_of_somebodys_own_is_known_by_what_else_is_set(
    keys: set[str], algorithm: str | None
) -> None:
    facts = {**dict.fromkeys(keys), "policy_class": {"__module__": "my_lab.nets"}}
    assert algorithm_of(facts) == algorithm
    assert algorithm_of({**facts, "policy_class": 7}) == algorithm


class Model:
    """What ``load`` gives: remembers what it was asked."""

    observation_space: ClassVar[spaces.Space[Any]] = BOX
    action_space: ClassVar[spaces.Space[Any]] = spaces.Discrete(3)
    asked: ClassVar[list[dict[str, Any]]] = []
    gives: ClassVar[Any] = np.array(2)

    @classmethod
    def load(cls, path: Path, device: str) -> Model:
        if not zipfile.is_zipfile(path):
            raise ValueError("The file isn't a zip-file")
        assert device == "cpu"
        return cls()

    def predict(self, observation: Any, **how: Any) -> tuple[Any, Any]:
        type(self).asked.append({"observation": observation, **how})
        state = how["state"]
        return self.gives, 1 if state is None else state + 1


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file, and a library whose PPO reads it."""
    for name in ("stable_baselines3", "sb3_contrib"):
        library = types.ModuleType(name)
        library.PPO = library.MaskablePPO = Model  # type: ignore[attr-defined]  # it is made here
        monkeypatch.setitem(sys.modules, name, library)
    monkeypatch.setattr(Model, "asked", [])
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data", json.dumps({"clip_range": 0.2}))
    return path


def loaded(name: str, acted: spaces.Space[Any] = THREE, observed: spaces.Space[Any] = BOX) -> SeatPolicy:
    return load_policy(name, make_game(Echo(spaces.Tuple([acted, acted]), observed)), 0)


def test_a_model_is_asked_without_chance_and_keeps_its_state_for_an_episode(model: Path) -> None:
    policy = loaded(f"sb3:{model}")
    assert (policy.record.facts.policy, policy.record.facts.algorithm) == ("sb3:model.zip", "PPO")
    assert [policy(np.zeros(3, np.float32), frame) for frame in (0, 1, 0)] == [2, 2, 2]
    assert [asked["state"] for asked in Model.asked] == [None, 1, None]
    assert [asked["episode_start"].tolist() for asked in Model.asked] == [[True], [False], [True]]
    assert all(asked["deterministic"] for asked in Model.asked)
    assert not any("action_masks" in asked for asked in Model.asked)


def test_a_model_that_takes_masks_is_given_them(model: Path) -> None:
    policy = loaded(f"sb3:MaskablePPO:{model}")
    policy.act(np.zeros(3), {"action_mask": [1, 0, 1]}, 0)
    assert Model.asked[0]["action_masks"].tolist() == [1, 0, 1]


def test_of_a_masked_observation_a_model_that_sees_none_is_shown_the_rest(model: Path) -> None:
    observed = spaces.Dict({"observation": BOX, "action_mask": spaces.MultiBinary(3)})
    policy = loaded(f"sb3:{model}", observed=observed)
    seen = {"observation": np.ones(3, np.float32), "action_mask": np.array([1, 1, 0], np.int8)}
    assert policy(seen, 0) == 0  # 2 is illegal
    assert Model.asked[0]["observation"].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("acted", "observed"),
    [
        (spaces.Discrete(4), BOX),
        (spaces.Discrete(3, start=1), BOX),
        (spaces.Discrete(3), spaces.Box(-1, 1, (4,), np.float32)),
        (spaces.Discrete(3), spaces.Discrete(3)),
        (spaces.Discrete(3), spaces.Dict({"a": BOX})),
    ],
)
def test_a_model_for_another_seat_is_refused_with_what_both_want(
    model: Path, acted: spaces.Space[Any], observed: spaces.Space[Any]
) -> None:
    with pytest.raises(UsageError) as error:
        loaded(f"sb3:{model}", acted, observed)
    assert f"it sees {BOX} and does Discrete(3); the seat sees {observed} and does {acted}" in str(
        error.value
    )


def test_pictures_that_a_model_sees_with_their_channels_first_fit(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Model, "observation_space", spaces.Box(0, 255, (3, 8, 9), np.uint8))
    assert loaded(f"sb3:{model}", observed=spaces.Box(0, 255, (8, 9, 3), np.uint8))
    with pytest.raises(UsageError, match="another seat"):
        loaded(f"sb3:{model}", observed=spaces.Box(0, 255, (9, 8, 3), np.uint8))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"no zip", "is no model that Stable-Baselines3 saved"),
        (b"PK\x03\x04", "is no model that Stable-Baselines3 saved"),
    ],
)
def test_a_file_that_is_no_zip_is_refused(model: Path, data: bytes, words: str) -> None:
    model.write_bytes(data)
    with pytest.raises(UsageError, match=words):
        loaded(f"sb3:{model}")
    with pytest.raises(UsageError, match="is no model of PPO: ValueError: The file isn't a zip-file"):
        loaded(f"sb3:PPO:{model}")


@pytest.mark.parametrize("data", ["{", "[]", "7", json.dumps({"policy_class": None}), "[" * 100_000])
def test_a_zip_that_does_not_say_what_it_is_is_refused(model: Path, data: str) -> None:
    with zipfile.ZipFile(model, "w") as archive:
        archive.writestr("data", data)
    with pytest.raises(UsageError, match=r"no model that Stable-Baselines3 saved|write sb3:ALGORITHM:FILE"):
        loaded(f"sb3:{model}")
    with zipfile.ZipFile(model, "w") as archive:
        archive.writestr("other", data)
    with pytest.raises(UsageError, match="no model that Stable-Baselines3 saved"):
        loaded(f"sb3:{model}")


def test_an_algorithm_that_there_is_not_is_refused_with_what_comes_close(model: Path) -> None:
    with pytest.raises(UsageError, match=r"no algorithm 'PPP'; did you mean 'PPO'\?"):
        loaded(f"sb3:PPP:{model}")


def test_what_a_model_gives_and_the_seat_cannot_do_is_told_with_its_name(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Model, "gives", np.array(7))
    policy = loaded(f"sb3:{model}")
    with pytest.raises(InvalidAction, match=r"policy sb3:model.zip gave no action of it, at frame 3"):
        policy(np.zeros(3, np.float32), 3)
