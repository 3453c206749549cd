"""Controls of a seat, where all but what is tried is as usual."""

from __future__ import annotations

from typing import Any

from gymnasium import spaces

from gym_p2p.human.keys.controls import Controls
from gym_p2p.human.keys.tables import controls_for

__all__ = ["Silent", "controls"]


class Silent:
    """An environment that offers nothing."""


def controls(space: spaces.Space[Any], **changes: Any) -> Controls:
    told: dict[str, Any] = {"env": Silent(), "agent": None, "keys": None, "nothing": 0, "fps": 30.0}
    return controls_for(space, **{**told, **changes})
