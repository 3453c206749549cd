"""Which keys environments have in mind for people: said by themselves, beside them, or known."""

from __future__ import annotations

import enum
import importlib
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import gym_p2p.envs  # noqa: F401 - registers the bundled game
from gym_p2p.errors import ConfigurationError
from gym_p2p.human.keys.codes import code_of
from gym_p2p.human.keys.controls import effects
from gym_p2p.human.keys.offered import offers
from tests.human.tables import Silent, controls


def test_the_bundled_game_has_arrows_and_a_swing() -> None:
    env = gymnasium.make("gym_p2p/Rally-v0")
    made = controls(env.action_space["left"], env=env.unwrapped)  # type: ignore[index]  # a Dict
    assert [made.act(held) for held in ((), ("ArrowUp",), ("ArrowDown",), ("Space",))] == [0, 1, 2, 3]
    assert made.act(("ArrowDown", "Space")) == 5
    assert {one.label for one in made.bindings} >= {"up", "down", "swing"}


def test_letters_that_an_environment_offers_are_arrows_too() -> None:
    class Atari(Silent):
        def get_keys_to_action(self) -> dict[Any, int]:
            return {("e",): 0, (" ",): 1, ("d",): 2, ("a",): 3, ("d", " "): 4}

    made = controls(spaces.Discrete(5), env=Atari())
    for held in (("KeyD", "Space"), ("ArrowRight", "Space")):
        assert made.act(held) == 4
    assert made.act(("ArrowLeft",)) == 3


def test_a_key_that_an_environment_offers_for_doing_nothing_is_no_key_for_a_page() -> None:
    class Atari(Silent):
        def get_keys_to_action(self) -> dict[Any, int]:
            return {("e",): 1, (" ",): 0, ("d",): 2}

        def get_action_meanings(self) -> list[str]:
            return ["FIRE", "NOOP", "RIGHT"]

    made = controls(spaces.Discrete(3), env=Atari())
    assert [made.act(held) for held in ((), ("KeyE",), ("Space",), ("KeyD",))] == [1, 1, 0, 2]
    assert {code for one in made.bindings for code in one.codes} == {"Space", "KeyD"}


def test_texts_that_an_environment_offers_are_letters_held_together_and_unknown_keys_are_passed_over() -> (
    None
):
    class Driven(Silent):
        def get_keys_to_action(self) -> dict[Any, int]:
            return {"": 0, "w": 1, "wd": 2, ("w", "F13"): 3, (1 << 30) + 58: 4, None: 5, "space": 6}

    made = controls(spaces.Discrete(7), env=Driven())
    assert [made.act(held) for held in ((), ("KeyW",), ("KeyD", "KeyW"), ("Space",))] == [0, 1, 2, 6]
    assert {one.action for one in made.bindings} == {1, 2, 6}


@pytest.mark.parametrize(
    "text", ["action_mapping[pygame.K_UP] = 1\naction_mapping[pygame.K_KP0] = 2", "if:", "\0"]
)
def test_a_manual_policy_is_read_as_far_as_it_can_be(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "made_game"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "game.py").write_text("class Game: pass")
    (package / "manual_policy.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    env = importlib.import_module("made_game.game").Game()
    try:
        found = [one.action for offer in offers(env, None) for one in offer.bindings]
    finally:
        for name in ("made_game.game", "made_game"):
            del sys.modules[name]
    assert found == ([1] if "UP" in text else [])


class Turtle(enum.IntEnum):
    left = 0
    right = 1
    forward = 2
    pickup = 3
    toggle = 5
    done = 6


@pytest.mark.parametrize(
    ("named", "keys"),
    [
        ({"actions": Turtle}, {"ArrowLeft": 0, "ArrowRight": 1, "ArrowUp": 2, "Space": 3, "KeyX": 5}),
        (
            {
                "action_set": (
                    "move_forward",
                    "pick_up_or_drop",
                    "toggle",
                    "no-op",
                    "rotate_left",
                    "rotate_right",
                )
            },
            {"ArrowUp": 0, "Space": 1, "KeyX": 2, "ArrowLeft": 4, "ArrowRight": 5},
        ),
        ({"action_set": "fast", "actions": 7}, None),
    ],
)
def test_names_of_actions_are_read_wherever_they_are_kept(
    named: dict[str, Any], keys: dict[str, int] | None
) -> None:
    env = Silent()
    vars(env).update(named)
    if keys is None:
        with pytest.raises(ConfigurationError, match="nobody says"):
            controls(spaces.Discrete(7), env=env)
    else:
        made = controls(spaces.Discrete(7), env=env)
        assert {next(iter(one.codes)): one.action for one in made.bindings} == keys


def test_numbers_of_pygame_are_keys() -> None:
    env = gymnasium.make("MountainCar-v0")
    made = controls(env.action_space, env=env.unwrapped)
    assert [made.act(held) for held in ((), ("ArrowLeft",), ("ArrowRight",))] == [1, 0, 2]
    assert code_of((1 << 30) + 80) == "ArrowLeft"


@pytest.mark.parametrize(
    ("module", "agent", "held", "action"),
    [
        ("cooperative_pong", "paddle_0", "ArrowUp", 1),
        ("cooperative_pong", "paddle_1", "ArrowDown", 2),
        ("knights_archers_zombies", "archer_0", "Space", 4),
        ("pistonball", "piston_0", "KeyW", 1.0),
    ],
)
def test_the_manual_policies_of_pettingzoo_are_read(module: str, agent: str, held: str, action: Any) -> None:
    butterfly = {
        "cooperative_pong": "cooperative_pong_v6",
        "knights_archers_zombies": "knights_archers_zombies_v11",
        "pistonball": "pistonball_v6",
    }
    made = pytest.importorskip(f"pettingzoo.butterfly.{butterfly[module]}").parallel_env()
    try:
        space = made.action_space(agent)
        nothing = 0 if isinstance(space, spaces.Discrete) else np.zeros(space.shape, space.dtype)
        found = controls(space, env=made.unwrapped, agent=agent, nothing=nothing)
        assert found.act((held,)) == action
    finally:
        made.close()


def test_the_joints_of_a_walker_are_called_what_they_are() -> None:
    pytest.importorskip("Box2D")
    env = gymnasium.make("BipedalWalker-v3")
    made = controls(env.action_space, env=env.unwrapped, nothing=np.zeros(4, np.float32))
    assert {one.label for one in made.bindings if one.part == 1} == {"knee 1 +", "knee 1 -"}


@pytest.mark.parametrize(
    ("env_id", "key", "action"),
    [
        ("LunarLander-v3", "ArrowUp", 2),
        ("CartPole-v1", "ArrowRight", 1),
        ("FrozenLake-v1", "ArrowUp", 3),
        ("Taxi-v4", "Space", 4),
        ("CliffWalking-v1", "ArrowRight", 1),
        ("Acrobot-v1", "ArrowLeft", 0),
        ("Blackjack-v1", "KeyH", 1),
    ],
)
def test_environments_that_say_nothing_and_are_known_have_keys(env_id: str, key: str, action: int) -> None:
    try:
        env = gymnasium.make(env_id)
    except gymnasium.error.DependencyNotInstalled:
        pytest.skip("what it draws with is not installed")
    assert controls(env.action_space, env=env.unwrapped).act((key,)) == action


def test_actions_that_are_mapped_to_those_of_ale_mean_what_these_do() -> None:
    class Atari(Silent):
        ale = object()
        action_mapping = np.array([0, 1, 3, 4, 11, 12])

    made = controls(spaces.Discrete(6), env=Atari())
    assert [made.act(held) for held in ((), ("Space",), ("ArrowRight",), ("ArrowLeft",))] == [0, 1, 2, 3]
    assert made.act(("ArrowLeft", "Space")) == 5


@pytest.mark.parametrize(
    ("module", "keys"),
    [
        ("tictactoe_v3", {"KeyQ": 0, "KeyS": 4, "KeyX": 5, "KeyE": 6, "Numpad7": 0, "Numpad3": 8}),
        ("connect_four_v3", {"Digit1": 0, "Digit7": 6}),
    ],
)
def test_boards_are_played_by_keys_that_lie_like_them(module: str, keys: dict[str, int]) -> None:
    env = importlib.import_module(f"pettingzoo.classic.{module}").env()
    made = controls(env.action_space("player_1" if "tic" in module else "player_0"), env=env.unwrapped)
    assert {key: made.act((key,)) for key in keys} == keys
    assert len(set(effects(made.bindings))) == env.action_space(env.possible_agents[0]).n


def test_agents_of_mpe_move_by_arrows() -> None:
    env = pytest.importorskip("mpe2.simple_spread_v3").parallel_env()
    made = controls(env.action_space("agent_0"), env=env.unwrapped, agent="agent_0")
    assert [made.act(held) for held in ((), ("ArrowLeft",), ("ArrowUp",))] == [0, 1, 4]


def test_what_an_environment_offers_and_does_not_fit_is_passed_over() -> None:
    class Odd(Silent):
        def get_keys_to_action(self) -> dict[Any, int]:
            return {("a",): 99}

        def get_action_meanings(self) -> list[str]:
            return ["NOOP", "LEFT", "RIGHT"]

    assert controls(spaces.Discrete(3), env=Odd()).act(("ArrowRight",)) == 2


def test_an_environment_that_raises_when_asked_offers_nothing() -> None:
    class Broken(Silent):
        def get_keys_to_action(self) -> dict[Any, int]:
            raise RuntimeError("no window")

    with pytest.raises(ConfigurationError, match="ArrowLeft"):
        controls(spaces.Discrete(3), env=Broken())
