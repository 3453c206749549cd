"""Keys of MPE's agents (``mpe2``), who move, speak, or do both at once: arrows, and a digit for every word.

An agent's ``Discrete`` numbers are moves times words, the move counting fastest; its ``Box`` has a number for
every move and then one for every word (``SimpleEnv._execute_world_step``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gym_p2p.human.keys.controls import Binding

__all__ = ["mpe_axes", "mpe_keys"]

_MOVES = (("ArrowLeft", "left"), ("ArrowRight", "right"), ("ArrowDown", "down"), ("ArrowUp", "up"))
"""In the order of their numbers, which are 1 to 4: 0 is to stay."""
_WORDS = tuple(
    (f"Digit{digit}", f"say {letter}") for digit, letter in zip("1234567890", "ABCDEFGHIJ", strict=True)
)
"""The words of a world, as its pictures name them."""


def mpe_keys(env: Any, agent: object) -> tuple[tuple[Binding, ...], Any] | None:
    """Return the bindings of an agent whose actions are numbers, and that of no key; ``None`` has none."""
    moves, words = _abilities(env, agent)
    if words > len(_WORDS):
        return None
    steps = [(frozenset({key}), move, label) for move, (key, label) in enumerate(_MOVES, 1) if moves]
    numbers = len(_MOVES) + 1 if moves else 1
    said = [(frozenset({key}), numbers * word, label) for word, (key, label) in enumerate(_WORDS[:words])]
    both = [
        (step | key, move + word, f"{label} + {saying}")
        for step, move, label in steps
        for key, word, saying in said
    ]
    return tuple(Binding(*one) for one in (*steps, *said, *both)), 0 if moves else None


def mpe_axes(env: Any, agent: object) -> Sequence[Mapping[str, str]]:
    """Return the table of the numbers of an agent's actions."""
    moves, words = _abilities(env, agent)
    steps: list[Mapping[str, str]] = (
        [{}, *({"up": key, "label": label} for key, label in _MOVES)] if moves else []
    )
    return [*steps, *({"up": key, "label": label} for key, label in _WORDS[:words])]


def _abilities(env: Any, agent: object) -> tuple[bool, int]:
    """Return whether an agent moves, and how many words it has."""
    who = next((one for one in env.world.agents if one.name == agent), env.world.agents[0])
    return bool(who.movable), 0 if who.silent else int(env.world.dim_c)
