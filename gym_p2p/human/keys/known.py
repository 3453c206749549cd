"""Keys for environments that say nothing themselves and whose actions their documentation numbers.

By the class, wherever it is derived from. A table that does not fit the action space is passed over, as any
other that an environment offers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gym_p2p.human.keys.controls import Binding

__all__ = ["known_keys"]

# For every action but doing nothing, in the order of the documentation: the key, and what it does.
_Table = tuple[Any, Sequence[tuple[int, str, str]]]

_ROWS = ("top", "middle", "bottom")
_COLUMNS = ("left", "centre", "right")
_CELLS = (
    tuple(f"Key{letter}" for letter in "QAZWSXEDC"),
    tuple(f"Numpad{digit}" for digit in (7, 4, 1, 8, 5, 2, 9, 6, 3)),
)

_KNOWN: Mapping[str, _Table] = {
    "gymnasium.envs.box2d.lunar_lander:LunarLander": (
        0,
        ((1, "ArrowLeft", "left engine"), (2, "ArrowUp", "main engine"), (3, "ArrowRight", "right engine")),
    ),
    "gymnasium.envs.classic_control.cartpole:CartPoleEnv": (
        None,
        ((0, "ArrowLeft", "push left"), (1, "ArrowRight", "push right")),
    ),
    "gymnasium.envs.classic_control.acrobot:AcrobotEnv": (
        1,
        ((0, "ArrowLeft", "torque -1"), (2, "ArrowRight", "torque +1")),
    ),
    "gymnasium.envs.toy_text.frozen_lake:FrozenLakeEnv": (
        None,
        (
            (0, "ArrowLeft", "left"),
            (1, "ArrowDown", "down"),
            (2, "ArrowRight", "right"),
            (3, "ArrowUp", "up"),
        ),
    ),
    "gymnasium.envs.toy_text.cliffwalking:CliffWalkingEnv": (
        None,
        (
            (0, "ArrowUp", "up"),
            (1, "ArrowRight", "right"),
            (2, "ArrowDown", "down"),
            (3, "ArrowLeft", "left"),
        ),
    ),
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
    "mpe2._mpe_utils.simple_env:SimpleEnv": (
        0,
        (
            (1, "ArrowLeft", "left"),
            (2, "ArrowRight", "right"),
            (3, "ArrowDown", "down"),
            (4, "ArrowUp", "up"),
        ),
    ),
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


def known_keys(env: Any) -> tuple[tuple[Binding, ...], Any] | None:
    """Return the bindings of an environment that is known, and the action of no key: ``None`` has none."""
    for kind in type(env).__mro__:
        table = _KNOWN.get(f"{kind.__module__}:{kind.__qualname__}")
        if table is not None:
            nothing, keys = table
            return tuple(Binding(frozenset({key}), action, label) for action, key, label in keys), nothing
    return None
