"""Which key does what: the caller's table, the environment's own, a default; else an error that helps."""

from __future__ import annotations

import enum
import importlib
import json
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_st

import gym_p2p.envs  # noqa: F401 - registers the bundled game
from gym_p2p.errors import ConfigurationError
from gym_p2p.game.spaces.masks import legal_or_nearest
from gym_p2p.human.keys.codes import KNOWN_CODES, code_of, label_of
from gym_p2p.human.keys.controls import Controls, effects
from gym_p2p.human.keys.legality import illegal_bindings, legal_by
from gym_p2p.human.keys.offered import offers
from gym_p2p.human.keys.tables import controls_for, read_keys


class Silent:
    """An environment that offers nothing."""


def controls(space: spaces.Space[Any], **changes: Any) -> Controls:
    told: dict[str, Any] = {"env": Silent(), "agent": None, "keys": None, "nothing": 0, "fps": 30.0}
    return controls_for(space, **{**told, **changes})


def test_a_callers_table_takes_codes_letters_tuples_and_combinations() -> None:
    keys = {"ArrowLeft": 1, "d": 2, ("ArrowLeft", "Space"): 3, "d+ ": 4, "": 5}
    made = controls(spaces.Discrete(6), keys=keys)
    assert made.act(()) == 5
    assert made.act(("ArrowLeft",)) == 1
    assert made.act(("KeyD",)) == 2
    assert made.act(("Space", "ArrowLeft")) == 3
    assert made.act(("KeyD", "Space")) == 4


def test_of_two_keys_that_exclude_each_other_the_newer_one_counts() -> None:
    made = controls(spaces.Discrete(3), keys={"ArrowLeft": 1, "ArrowRight": 2})
    assert made.act(("ArrowLeft", "ArrowRight")) == 2
    assert made.act(("ArrowRight", "ArrowLeft")) == 1


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"ArrowLeft": 7}, "no action of Discrete"),
        ({"NoSuchKey": 1}, "no key"),
        ({"ArrowLeft+": 1}, "no key"),
        ({None: 1}, "no key"),
        (7, "wanted"),
        ([{"ArrowLeft": 1}], "wants a table"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_with_words(keys: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        controls(spaces.Discrete(3), keys=keys)


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


def test_without_any_table_the_error_has_one_to_fill_in() -> None:
    with pytest.raises(ConfigurationError) as caught:
        controls(spaces.Discrete(4, start=2))
    table = caught.value.problem.split("keys=")[1].split("}")[0] + "}"
    assert sorted(json.loads(table).values()) == [2, 3, 4, 5]


def test_an_axis_moves_by_and_by_and_comes_back_to_rest() -> None:
    made = controls(spaces.Box(-1, 1, (2,)), nothing=np.zeros(2, np.float32))
    levels = [float(made.act(("ArrowRight",))[0]) for _ in range(8)]
    assert levels == sorted(levels)
    assert 0 < levels[0] < levels[1]
    assert levels[-1] == 1
    rest = [float(made.act(())[0]) for _ in range(8)]
    assert rest[0] < 1
    assert rest[-1] == 0


def test_a_pedal_that_only_goes_one_way_has_one_key() -> None:
    space = spaces.Box(np.array([-1, 0, 0], np.float32), np.array([1, 1, 1], np.float32))
    made = controls(space, nothing=np.zeros(3, np.float32))
    for _ in range(10):
        action = made.act(("ArrowLeft", "ArrowUp"))
    assert action.tolist() == [-1, 1, 0]


def test_a_list_gives_every_axis_its_keys() -> None:
    keys = [{"down": "a", "up": ["d", "ArrowRight"], "label": "steer"}, {"up": "w"}]
    made = controls(spaces.Box(-1, 1, (3,)), keys=keys, nothing=np.zeros(3, np.float32))
    for _ in range(10):
        action = made.act(("ArrowRight", "KeyW"))
    assert action.tolist() == [1, 1, 0]


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ({"left": "ArrowLeft"}, "'left'"),
        ({"up": "w", "low": "x"}, "not to 'x'"),
        ({"up": "w", "low": None}, "not to None"),
        ({"up": "w", "low": -100}, "not to -100"),
        ({"up": "w", "high": float("nan")}, "not to nan"),
    ],
)
def test_an_axis_that_cannot_be_is_refused_with_words(pair: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        controls(spaces.Box(-1, 1, (1,)), keys=[pair], nothing=np.zeros(1, np.float32))


@pytest.mark.parametrize("keys", [[], [{}], [{"label": "steer"}]])
def test_a_table_by_which_no_key_does_anything_is_refused(keys: Any) -> None:
    with pytest.raises(ConfigurationError, match="no key does anything"):
        controls(spaces.Box(-1, 1, (1,)), keys=keys, nothing=np.zeros(1, np.float32))
    with pytest.raises(ConfigurationError, match="no key does anything"):
        controls(spaces.Discrete(2), keys={"": 1})


def test_bits_and_several_choices_have_keys_of_their_own() -> None:
    bits = controls(spaces.MultiBinary(3), nothing=np.zeros(3, np.int8))
    assert bits.act(("ArrowUp", "ArrowLeft")).tolist() == [1, 0, 1]
    several = controls(spaces.MultiDiscrete([3, 2]), nothing=np.zeros(2, np.int64))
    assert several.act(("ArrowDown", "KeyW")).tolist() == [2, 1]
    given_keys = controls(
        spaces.MultiDiscrete([3, 2]), keys=[{"x": 2}, {"y": 1}], nothing=np.zeros(2, np.int64)
    )
    assert given_keys.act(("KeyX", "KeyY")).tolist() == [2, 1]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("keys.json", '{"ArrowLeft": 1}'),
        ("keys.json", '{"keys": {"ArrowLeft": {"action": 1, "label": "left"}}}'),
        ("keys.toml", "ArrowLeft = 1\n"),
        ("keys.toml", "[keys]\nArrowLeft = 1\n"),
    ],
)
def test_a_file_holds_a_table(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert controls(spaces.Discrete(2), keys=read_keys(path)).act(("ArrowLeft",)) == 1


@pytest.mark.parametrize("text", ["", "no table", "[" * 100_000, "7", "\xff"])
def test_a_file_that_holds_none_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigurationError, match="keys"):
        read_keys(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read"):
        read_keys(tmp_path / "none.json")


def test_a_key_of_what_is_illegal_does_nothing_and_another_one_that_is_held_counts() -> None:
    space = spaces.Discrete(4)
    made = controls(space, keys={"ArrowUp": 1, "ArrowUp+Space": 2, "x": 3})
    legal = legal_by(made, space, np.array([1, 1, 0, 1]))
    assert made.act(("ArrowUp", "Space"), legal) == 1
    assert made.act(("ArrowUp", "KeyX"), legal) == 3
    assert made.plays(("ArrowUp",), legal)
    assert not made.plays(("Space",), legal)
    assert not made.plays((), legal)
    none = legal_by(made, space, np.array([1, 0, 0, 0]))
    assert made.act(("ArrowUp", "KeyX"), none) == 0
    assert not made.plays(("ArrowUp", "Space", "KeyX"), none)
    assert illegal_bindings(made, space, np.array([1, 0, 0, 0])) == [0, 1, 2]
    assert illegal_bindings(made, space, None) == []


def test_a_mask_of_several_choices_is_minded_in_each() -> None:
    space = spaces.MultiDiscrete([3, 2], start=[0, 5])
    by_part = controls(space, keys=[{"x": 1, "y": 2}, {"z": 6}], nothing=np.array([0, 5]))
    mask = (np.array([1, 0, 1]), np.array([1, 0]))
    legal = legal_by(by_part, space, mask)
    assert by_part.act(("KeyX", "KeyZ"), legal).tolist() == [0, 5]
    assert by_part.act(("KeyX", "KeyY"), legal).tolist() == [2, 5]
    assert illegal_bindings(by_part, space, mask) == [0, 2]
    whole = controls(space, keys={"x": [1, 5], "y": [2, 5]}, nothing=np.array([0, 5]))
    assert illegal_bindings(whole, space, mask) == [0]


@given(st.lists(st.booleans(), min_size=5, max_size=5), st.lists(st.sampled_from("abcd"), unique=True))
def test_whatever_is_held_what_is_legal_is_done_where_anything_is(mask: list[bool], held: list[str]) -> None:
    space = spaces.Discrete(5)
    made = controls(space, keys={key: number for number, key in enumerate("abcd", 1)})
    fits = np.array(mask, np.int8)
    legal = legal_by(made, space, fits)
    codes = [f"Key{key.upper()}" for key in held]
    action = legal_or_nearest(space, fits, made.act(codes, legal), 0)
    assert not any(mask) or mask[action]
    if made.plays(codes, legal):
        assert action == max(
            (number for number in range(1, 5) if mask[number] and "abcd"[number - 1] in held),
            key=lambda number: held.index("abcd"[number - 1]),
        )


def test_keys_that_do_the_same_are_known_as_such() -> None:
    made = controls(spaces.Box(-1, 1, (4,)), nothing=np.zeros(4, np.float32))
    assert effects(made.bindings) == list(range(8))
    twice = controls(spaces.Discrete(3), keys={"w": 1, "ArrowUp": 1, "s": 2, "": 0})
    assert effects(twice.bindings) == [0, 0, 2]


_spaces = st.one_of(
    st.integers(1, 6).map(spaces.MultiBinary),
    st.lists(st.integers(1, 5), min_size=1, max_size=4).map(spaces.MultiDiscrete),
    numpy_st.array_shapes(max_dims=2, max_side=4).map(lambda shape: spaces.Box(-2.0, 3.0, shape)),
)


@given(_spaces, st.lists(st.lists(st.sampled_from(sorted(KNOWN_CODES)), unique=True), max_size=5))
def test_whatever_is_held_is_an_action_of_the_space(
    space: spaces.Space[Any], frames: list[list[str]]
) -> None:
    made = controls(space, nothing=np.zeros(space.shape, space.dtype))
    for held in frames:
        assert space.contains(made.act(held))


@given(st.sampled_from(sorted(KNOWN_CODES)))
def test_every_key_has_a_label_and_is_its_own_code(code: str) -> None:
    assert label_of(code)
    assert code_of(code) == code
