"""What an environment returned for a seat, read as what it means: rewards and flags.

Knows the forms that real environments use for one number or one flag.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gym_p2p.core.wire.foreign_text import printable
from gym_p2p.errors import UnsupportedEnvironment

__all__ = ["ALL", "after_reset", "after_step", "flag", "reward"]

ALL = "__all__"
"""The key under which RLlib's environments say that the episode is over for everybody."""


def after_reset(returned: Any) -> tuple[Any, Any]:
    """Return the observation and the info that ``reset`` returned; no info is an empty one.

    Raises:
        UnsupportedEnvironment: it returned something else.
    """
    observation, info = _parts(returned, "reset", ("observation", "info"))
    return observation, {} if info is None else info


def after_step(returned: Any) -> tuple[Any, Any, Any, Any, Any]:
    """Return the five things that ``step`` returned; no info is an empty one.

    Raises:
        UnsupportedEnvironment: it returned something else.
    """
    if type(returned) is tuple and len(returned) == 5 and returned[4] is not None:  # nearly always
        return returned
    names = ("observation", "reward", "terminated", "truncated", "info")
    observation, value, terminated, truncated, info = _parts(returned, "step", names)
    return observation, value, terminated, truncated, {} if info is None else info


def _parts(returned: Any, call: str, names: tuple[str, ...]) -> tuple[Any, ...]:
    several = isinstance(returned, tuple | list)
    if several and len(returned) == len(names):
        return tuple(returned)
    what = f"{len(returned)} things" if several else f"one {type(returned).__name__}"
    raise UnsupportedEnvironment(
        f"the environment's {call} returned {what}, and wanted is ({', '.join(names)}). Where it is of an "
        "older API, convert it (by shimmy's GymV21CompatibilityV0, for one)"
    )


def reward(value: Any, seat: Any) -> float:
    """Return a seat's reward: a number, or an array or list of one; ``None`` is none, 0.0.

    >>> reward(np.array([0.5]), "left"), reward(None, "left")
    (0.5, 0.0)

    Raises:
        UnsupportedEnvironment: it is no single number.
    """
    if type(value) is float:
        return value
    if value is None:
        return 0.0
    try:
        return float(value) if np.ndim(value) == 0 else float(_only(value))
    except (TypeError, ValueError):
        text = printable(" ".join(repr(value).split()), 80)
        raise UnsupportedEnvironment(
            f"the environment gave {seat!r} the reward {text}, and wanted is one number. Where it is a "
            "vector of several objectives, put a wrapper inside that weighs them"
        ) from None


def flag(value: Any, seat: Any) -> bool:
    """Return whether a flag is set: a truth value, or an array or list of one; ``None`` is not.

    Raises:
        UnsupportedEnvironment: it is no single flag.
    """
    if value is False or value is True:
        return value
    try:
        return bool(value) if np.ndim(value) == 0 else bool(_only(value))
    except (TypeError, ValueError):
        text = printable(" ".join(repr(value).split()), 80)
        raise UnsupportedEnvironment(
            f"the environment told {seat!r} by {text} whether the episode is over, and wanted is one flag"
        ) from None


def _only(value: Any) -> Any:
    array = np.asarray(value)
    if array.size != 1:
        raise ValueError(array.size)
    return array.reshape(())[()]
