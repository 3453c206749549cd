"""The keys that a person gets in real environments, without a table of their own: a line each."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from gym_p2p.errors import ConfigurationError
from gym_p2p.game.env.load import load_environment
from gym_p2p.game.env.seats import make_game
from gym_p2p.human.keys.controls import Controls
from gym_p2p.human.keys.tables import controls_for
from tests.requirements import require

LEFT, RIGHT, UP, DOWN = "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"

_Row = tuple[str, dict[str, Any], Any, Mapping[str, Any]]
"""Name, arguments, what is done while no key is held, and what held keys do (axes: in the end)."""

NEEDS = {
    "ale_py": "ale_py",
    "pettingzoo.atari": "multi_agent_ale_py",
    "pettingzoo.butterfly": "pygame",
    "pettingzoo.sisl.multiwalker": "Box2D",
    "LunarLander": "Box2D",
    "BipedalWalker": "Box2D",
    "CarRacing": "Box2D",
    "mpe2": "mpe2",
    "lbforaging": "lbforaging",
    "cogrid": "cogrid",
}
"""The modules that environments need, by how their names begin."""

ROWS: tuple[_Row, ...] = (
    ("gym_p2p/Rally-v0", {}, 0, {UP: 1, DOWN: 2, "Space": 3, "ArrowDown+Space": 5}),
    ("ale_py:ALE/Pong-v5", {}, 0, {"Space": 1, RIGHT: 2, LEFT: 3, "ArrowLeft+Space": 5}),
    ("ale_py:ALE/Breakout-v5", {}, 0, {"Space": 1, RIGHT: 2, "KeyA": 3, "KeyE": 0}),
    ("ale_py:ALE/Boxing-v5", {}, 0, {UP: 2, "ArrowUp+ArrowRight": 6, "ArrowDown+ArrowLeft+Space": 17}),
    ("pettingzoo.atari.pong_v3", {}, 0, {"Space": 1, RIGHT: 2, LEFT: 3, "ArrowLeft+Space": 5}),
    ("pettingzoo.atari.joust_v3", {}, 0, {UP: 2, "ArrowUp+ArrowRight": 6, "ArrowUp+ArrowRight+Space": 14}),
    ("MountainCar-v0", {}, 1, {LEFT: 0, RIGHT: 2}),
    ("MountainCarContinuous-v0", {}, [0], {LEFT: [-1], RIGHT: [1]}),
    ("Pendulum-v1", {}, [0], {LEFT: [-2], RIGHT: [2]}),
    ("CartPole-v1", {}, 0, {LEFT: 0, RIGHT: 1}),
    ("LunarLander-v3", {}, 0, {LEFT: 1, UP: 2, RIGHT: 3}),
    (
        "LunarLander-v3",
        {"continuous": True},
        [0, 0],
        {UP: [1, 0], LEFT: [0, -1], "ArrowUp+ArrowRight": [1, 1]},
    ),
    ("BipedalWalker-v3", {}, [0] * 4, {RIGHT: [1, 0, 0, 0], UP: [0, 1, 0, 0], "KeyA": [0, 0, -1, 0]}),
    ("CarRacing-v3", {}, [0] * 3, {LEFT: [-1, 0, 0], UP: [0, 1, 0], "ArrowRight+ArrowDown": [1, 0, 1]}),
    ("CarRacing-v3", {"continuous": False}, 0, {RIGHT: 1, LEFT: 2, UP: 3, DOWN: 4}),
    ("Acrobot-v1", {}, 1, {LEFT: 0, RIGHT: 2}),
    ("CliffWalking-v1", {}, 0, {UP: 0, RIGHT: 1, DOWN: 2, LEFT: 3}),
    ("FrozenLake-v1", {}, 0, {LEFT: 0, DOWN: 1, RIGHT: 2, UP: 3}),
    ("Taxi-v4", {}, 0, {DOWN: 0, UP: 1, RIGHT: 2, LEFT: 3, "Space": 4, "KeyX": 5}),
    ("pettingzoo.butterfly.cooperative_pong_v6", {}, 0, {UP: 1, "KeyS": 2}),
    ("pettingzoo.butterfly.knights_archers_zombies_v11", {}, 5, {UP: 0, DOWN: 1, LEFT: 2, "Space": 4}),
    ("pettingzoo.butterfly.pistonball_v6", {}, [0], {UP: [1], "KeyS": [-1]}),
    ("pettingzoo.butterfly.pistonball_v6", {"continuous": False}, 1, {UP: 2, DOWN: 0}),
    ("pettingzoo.sisl.pursuit_v5", {}, 4, {LEFT: 0, RIGHT: 1, DOWN: 2, UP: 3}),
    ("pettingzoo.sisl.multiwalker_v9", {}, [0] * 4, {RIGHT: [1, 0, 0, 0], "KeyW": [0, 0, 0, 1]}),
    ("mpe2.simple_spread_v3", {}, 0, {LEFT: 1, RIGHT: 2, DOWN: 3, UP: 4}),
    (
        "mpe2.simple_spread_v3",
        {"continuous_actions": True},
        [0] * 5,
        {LEFT: [0, 1, 0, 0, 0], "ArrowUp+ArrowRight": [0, 0, 1, 0, 1]},
    ),
    ("mpe2.simple_adversary_v3", {}, 0, {LEFT: 1, UP: 4}),
    ("mpe2.simple_reference_v3", {}, 0, {LEFT: 1, "Digit3": 10, "ArrowUp+Digit0": 49, "Digit1+ArrowUp": 4}),
    (
        "mpe2.simple_reference_v3",
        {"continuous_actions": True},
        [0] * 15,
        {RIGHT: [0, 0, 1] + [0] * 12, "Digit0": [0] * 14 + [1]},
    ),
    ("mpe2.simple_speaker_listener_v4", {}, 0, {"Digit1": 0, "Digit3": 2}),
    ("lbforaging:Foraging-8x8-2p-2f-v3", {}, 0, {UP: 1, LEFT: 3, "Space": 5}),
    ("cogrid:Overcooked-CrampedRoom-V0", {}, 6, {UP: 0, RIGHT: 3, "Space": 4, "KeyX": 5}),
    ("pettingzoo.classic.tictactoe_v3", {}, 0, {"KeyS": 4, "KeyC": 8}),
    ("pettingzoo.classic.connect_four_v3", {}, 0, {"Digit7": 6}),
    ("pettingzoo.classic.rps_v2", {}, 0, {"KeyR": 0, "KeyP": 1, "KeyS": 2}),
)


def keys_of(name: str, arguments: dict[str, Any]) -> Controls:
    for begin, module in NEEDS.items():
        if name.startswith(begin):
            require(module, "pip install -e '.[test]'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        game = make_game(load_environment(name, arguments))
    seat = game.seats[0]
    try:
        return controls_for(
            game.users_spaces(seat)[0],
            env=game.env.unwrapped,
            agent=seat,
            keys=None,
            nothing=game.default_action(seat),
            fps=30,
        )
    finally:
        game.close()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]} {row[1] or ''}".strip())
def test_a_person_can_play_it_with_the_keys_that_one_expects(
    row: _Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    name, arguments, nothing, keys = row
    made = keys_of(name, arguments)
    for held, action in {"": nothing, **keys}.items():
        codes = tuple(code for code in held.split("+") if code)
        for _ in range(30):  # an axis takes a while
            done = made.act(codes)
        assert np.array_equal(done, action), held
        for _ in range(30):
            made.act(())


def test_what_nobody_can_guess_is_asked_for_with_a_table_to_fill_in() -> None:
    with pytest.raises(ConfigurationError, match=r'give keys=\{"": 0, "ArrowLeft": 1'):
        keys_of("pettingzoo.classic.go_v5", {"board_size": 9})
