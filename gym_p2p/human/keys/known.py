"""Keys for environments that say nothing themselves and whose actions their documentation numbers.

By the class, wherever it is derived from. A table that does not fit the action space is passed over, as any
other that an environment offers.

Pursuit says something itself, by which an agent whose player holds no key goes left; it has an action for
staying.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from gym_p2p.human.keys.controls import Binding
from gym_p2p.human.keys.mpe import mpe_axes, mpe_keys

__all__ = ["known_axes", "known_keys"]

# For every action but doing nothing, in the order of the documentation: the key, and what it does.
_Table = tuple[Any, Sequence[tuple[int, str, str]]]

_ROWS = ("top", "middle", "bottom")
_COLUMNS = ("left", "centre", "right")
_CELLS = (
    tuple(f"Key{letter}" for letter in "QAZWSXEDC"),
    tuple(f"Numpad{digit}" for digit in (7, 4, 1, 8, 5, 2, 9, 6, 3)),
)


def _arrows(*ways: str) -> Sequence[tuple[int, str, str]]:
    return [(action, f"Arrow{way.title()}", way) for action, way in enumerate(ways)]


_KNOWN: Mapping[str, _Table] = {
    "gymnasium.envs.box2d.lunar_lander:LunarLander": (
        0,
        ((1, "ArrowLeft", "left engine"), (2, "ArrowUp", "main engine"), (3, "ArrowRight", "right engine")),
    ),
    "gymnasium.envs.box2d.car_racing:CarRacing": (
        0,
        (
            (1, "ArrowRight", "right"),
            (2, "ArrowLeft", "left"),
            (3, "ArrowUp", "gas"),
            (4, "ArrowDown", "brake"),
        ),
    ),
    "pettingzoo.butterfly.pistonball.pistonball:raw_env": (
        1,
        ((0, "ArrowDown", "down"), (2, "ArrowUp", "up")),
    ),
    "pettingzoo.sisl.pursuit.pursuit:raw_env": (4, _arrows("left", "right", "down", "up")),
    "pettingzoo.classic.rps.rps:raw_env": (
        None,
        ((0, "KeyR", "rock"), (1, "KeyP", "paper"), (2, "KeyS", "scissors")),
    ),
    "gymnasium.envs.classic_control.cartpole:CartPoleEnv": (
        None,
        ((0, "ArrowLeft", "push left"), (1, "ArrowRight", "push right")),
    ),
    "gymnasium.envs.classic_control.acrobot:AcrobotEnv": (
        1,
        ((0, "ArrowLeft", "torque -1"), (2, "ArrowRight", "torque +1")),
    ),
    "gymnasium.envs.toy_text.frozen_lake:FrozenLakeEnv": (None, _arrows("left", "down", "right", "up")),
    "gymnasium.envs.toy_text.cliffwalking:CliffWalkingEnv": (None, _arrows("up", "right", "down", "left")),
    "gymnasium.envs.toy_text.taxi:TaxiEnv": (
        None,
        (
            (0, "ArrowDown", "south"),
            (1, "ArrowUp", "north"),
            (2, "ArrowRight", "east"),
            (3, "ArrowLeft", "west"),
            (4, "Space", "pick up"),
            (5, "KeyX", "drop off"),
        ),
    ),
    "gymnasium.envs.toy_text.blackjack:BlackjackEnv": (None, ((0, "KeyS", "stick"), (1, "KeyH", "hit"))),
    # The cells are numbered downwards: keys that lie as they do, letters and on the number pad.
    "pettingzoo.classic.tictactoe.tictactoe:raw_env": (
        None,
        tuple(
            (cell, key, f"{_ROWS[cell % 3]} {_COLUMNS[cell // 3]}")
            for keys in _CELLS
            for cell, key in enumerate(keys)
        ),
    ),
    "pettingzoo.classic.connect_four.connect_four:raw_env": (
        None,
        tuple((column, f"Digit{column + 1}", f"column {column + 1}") for column in range(7)),
    ),
    "lbforaging.foraging.environment:ForagingEnv": (
        0,
        (
            (1, "ArrowUp", "north"),
            (2, "ArrowDown", "south"),
            (3, "ArrowLeft", "west"),
            (4, "ArrowRight", "east"),
            (5, "Space", "load"),
        ),
    ),
}


_Axes = Sequence[Mapping[str, str]]
"""For every number of a ``Box``, in the documentation's order: its keys, as a caller's table has them."""

_KNOWN_AXES: Mapping[str, _Axes] = {
    "gymnasium.envs.box2d.lunar_lander:LunarLander": (
        {"up": "ArrowUp", "label": "main engine"},
        {"down": "ArrowLeft", "up": "ArrowRight", "label": "side engines"},
    ),
    "gymnasium.envs.box2d.car_racing:CarRacing": (
        {"down": "ArrowLeft", "up": "ArrowRight", "label": "steer"},
        {"up": "ArrowUp", "label": "gas"},
        {"up": "ArrowDown", "label": "brake"},
    ),
    "gymnasium.envs.box2d.bipedal_walker:BipedalWalker": (
        {"down": "ArrowLeft", "up": "ArrowRight", "label": "hip 1"},
        {"down": "ArrowDown", "up": "ArrowUp", "label": "knee 1"},
        {"down": "KeyA", "up": "KeyD", "label": "hip 2"},
        {"down": "KeyS", "up": "KeyW", "label": "knee 2"},
    ),
    "gymnasium.envs.classic_control.continuous_mountain_car:Continuous_MountainCarEnv": (
        {"down": "ArrowLeft", "up": "ArrowRight", "label": "push"},
    ),
    "gymnasium.envs.classic_control.pendulum:PendulumEnv": (
        {"down": "ArrowLeft", "up": "ArrowRight", "label": "torque"},
    ),
}

_OF_AGENTS = {"mpe2._mpe_utils.simple_env:SimpleEnv": (mpe_keys, mpe_axes)}
"""Whose tables differ by agent."""

_T = TypeVar("_T")


def known_keys(env: Any, agent: object) -> tuple[tuple[Binding, ...], Any] | None:
    """Return the bindings of an environment that is known, and the action of no key: ``None`` has none."""
    made = _of_class(_OF_AGENTS, env)
    if made is not None:
        return made[0](env, agent)
    table = _of_class(_KNOWN, env)
    if table is None:
        return None
    nothing, keys = table
    return tuple(Binding(frozenset({key}), action, label) for action, key, label in keys), nothing


def known_axes(env: Any, agent: object) -> _Axes | None:
    """Return the table of the numbers of an environment's actions; ``None`` where none is known."""
    made = _of_class(_OF_AGENTS, env)
    if made is not None:
        return made[1](env, agent)
    return _of_class(_KNOWN_AXES, env)


def _of_class(tables: Mapping[str, _T], env: Any) -> _T | None:
    names = (f"{kind.__module__}:{kind.__qualname__}" for kind in type(env).__mro__)
    return next((tables[name] for name in names if name in tables), None)
