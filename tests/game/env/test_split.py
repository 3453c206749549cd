from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from gym_p2p.errors import ConfigurationError
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.env.split import split_actions
from tests.game.environments import Echo

_BUTTONS = spaces.MultiBinary(12)
_PARTS = spaces.Dict(
    {"throttle": spaces.Box(0, 1, (1,)), "wheel": spaces.Discrete(3), "horn": spaces.Discrete(2)}
)


def test_more_controls_than_a_match_has_players_are_one_players() -> None:
    assert make_game(Echo(_BUTTONS)).seats == ("player",)
    assert make_game(Echo(_BUTTONS), watchers=1).seats == ("player", "watcher_1")
    assert make_game(Echo(spaces.MultiDiscrete([3] * 9))).action_space("player") == spaces.MultiDiscrete(
        [3] * 9
    )


@pytest.mark.parametrize(
    "space",
    [_BUTTONS, spaces.MultiDiscrete([5, 3, 2]), spaces.Box(-1, 1, (3,)), _PARTS, spaces.Discrete(4)],
    ids=str,
)
def test_one_seat_has_all_of_an_action(space: Any) -> None:
    env = Echo(space)
    game = make_game(env, seats=1, watchers=1)
    assert game.seats == ("player", "watcher_1")
    assert game.action_space("player") is space
    space.seed(3)
    game.step([action := space.sample(), 0])
    assert env.stepped[0] is action


@pytest.mark.parametrize(
    ("space", "seats", "own", "actions", "joint"),
    [
        (
            spaces.MultiBinary(4),
            {"left": [0, 3], "right": [1, 2]},
            spaces.MultiBinary(2),
            [[1, 0], [0, 1]],
            [1, 0, 1, 0],
        ),
        (
            spaces.MultiDiscrete([3, 4, 5], start=[0, 10, 20]),
            {"pilot": [2, 0], "gunner": 1},
            spaces.MultiDiscrete([5, 3], start=[20, 0]),
            [[24, 2], 13],
            [2, 13, 24],
        ),
        (
            spaces.Box(np.array([-1, -2, 0], np.float32), np.array([1, 2, 9], np.float32)),
            {"arm": range(2), "hand": 2},
            spaces.Box(np.array([-1, -2], np.float32), np.array([1, 2], np.float32)),
            [[0.5, -1.5], [7]],
            [0.5, -1.5, 7.0],
        ),
        (spaces.Box(-1, 1, (2, 3)), {"up": [0], "down": [1]}, spaces.Box(-1, 1, (1, 3)), None, None),
        (
            spaces.MultiDiscrete(np.array([[2, 2], [3, 3]])),
            {"a": 0, "b": 1},
            spaces.MultiDiscrete([2, 2]),
            None,
            None,
        ),
        (spaces.MultiBinary([2, 3]), {"a": 1, "b": [0]}, spaces.MultiBinary([3]), None, None),
    ],
)
def test_entries_of_an_array_go_to_the_seats_that_are_named(
    space: Any, seats: Any, own: Any, actions: Any, joint: Any
) -> None:
    env = Echo(space)
    game = make_game(env, seats=seats)
    assert game.seats == tuple(seats)
    assert game.action_space(game.seats[0]) == own
    chosen = actions or [game.action_space(seat).sample() for seat in game.seats]
    game.step([game.codec(seat).check(one) for seat, one in zip(game.seats, chosen, strict=True)])
    assert env.stepped[0] in space
    if joint is not None:
        assert env.stepped[0].tolist() == joint


def test_every_entry_arrives_where_it_belongs_for_any_split() -> None:
    space = spaces.MultiDiscrete([9] * 8)
    rng = np.random.default_rng(1)
    for _ in range(50):
        order = rng.permutation(8)
        cut = int(rng.integers(1, 8))
        split = split_actions(space, {"a": order[:cut], "b": order[cut:]})
        wanted = rng.integers(0, 9, 8)
        assert (split.join([wanted[order[:cut]], wanted[order[cut:]]]) == wanted).all()


def test_keys_of_a_dict_and_items_of_a_tuple_go_to_the_seats_that_are_named() -> None:
    env = Echo(_PARTS)
    game = make_game(env, seats={"driver": ["wheel", "throttle"], "passenger": "horn"})
    assert set(game.action_space("driver").spaces) == {"wheel", "throttle"}  # type: ignore[attr-defined]  # a Dict
    game.step([game.default_action("driver"), 1])
    assert env.stepped[0] in _PARTS
    assert env.stepped[0]["horn"] == 1
    env = Echo(spaces.Tuple([spaces.Discrete(2), spaces.Discrete(3), spaces.Discrete(4)]))
    make_game(env, seats={"a": [2, 0], "b": 1}).step([(3, 1), 2])
    assert env.stepped == [(1, 2, 3)]


def test_a_number_of_seats_have_equal_shares_in_order() -> None:
    env = Echo(spaces.Box(-1, 1, (6,)))
    game = make_game(env, seats=2)
    assert game.seats == (0, 1)
    game.step([np.full(3, 0.25, np.float32), np.full(3, -0.5, np.float32)])
    assert env.stepped[0].tolist() == [0.25] * 3 + [-0.5] * 3
    assert make_game(Echo(_BUTTONS), seats=12).action_space(11) == spaces.Discrete(2)
    assert make_game(Echo(_BUTTONS), seats=4).action_space(3) == spaces.MultiBinary(3)


@pytest.mark.parametrize(
    ("seats", "problem"),
    [
        (5, "12 parts: no equal shares for 5"),
        (0, "at least 1"),
        (True, "whole number"),
        ("left", "whole number"),
        ({"left": range(6), "right": range(5, 12)}, "5 belongs to 'left' and to 'right'"),
        ({"left": range(6), "right": range(7, 12)}, r"6 of MultiBinary\(12\) belongs to no seat"),
        ({"left": range(12), "right": []}, "'right' has no part"),
        ({"left": range(6), "right": range(6, 13)}, "no part 12, wanted 0 to 11"),
        ({"left": [-1, 0]}, "no part -1"),
        ({"left": [0.5]}, "no part 0.5"),
        ({1: range(12)}, "texts as names"),
        ({"left": None}, "or a list of them, got None"),
        ({}, "0 of"),
    ],
)
def test_a_split_that_does_not_fit_is_refused_with_where(seats: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        make_game(Echo(_BUTTONS), seats=seats)


def test_what_cannot_be_split_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="in one piece"):
        make_game(Echo(spaces.Discrete(4)), seats={"a": 0})
    with pytest.raises(ConfigurationError, match="no equal shares"):
        make_game(Echo(spaces.Discrete(4)), seats=2)


def test_players_who_split_it_differently_are_told_before_they_play() -> None:
    one = make_game(Echo(_BUTTONS), seats={"left": range(6), "right": range(6, 12)}).describe()
    other = make_game(Echo(_BUTTONS), seats={"left": range(6, 12), "right": range(6)}).describe()
    assert {topic for topic in one if one[topic] != other[topic]} == {"shares of the action"}
    assert "shares of the action" not in make_game(Echo(spaces.MultiBinary(3))).describe()
