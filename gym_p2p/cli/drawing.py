"""Environments that draw: made for a way to draw that they have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gym_p2p.errors import UsageError

__all__ = ["load_drawn", "render_modes"]


def render_modes(env: Any) -> list[str]:
    """Return the ways to draw that an environment offers, and close it."""
    offered = [str(mode) for mode in getattr(env, "metadata", {}).get("render_modes", [])]
    env.close()
    return offered


def load_drawn(name: str, kwargs: Mapping[str, Any], *, mode: str | None, option: str) -> Any:
    """Return the environment, made for a way to draw.

    Args:
        name: of the environment.
        kwargs: its constructor's arguments.
        mode: the way to draw: ``ansi`` or ``rgb_array``; ``None`` is none.
        option: of the command, that wants it.

    Raises:
        UsageError: it cannot be made, or does not draw so.
    """
    from gym_p2p.game.env.load import load_environment  # noqa: PLC0415 - Gymnasium, which --help does not need

    if mode is None:
        return load_environment(name, kwargs)
    offered = render_modes(load_environment(name, kwargs))
    if mode not in offered:
        others = ", ".join(offered) or "none at all"
        raise UsageError(f"{option}: {name} {_LACKS[mode].format(others)}")
    return load_environment(name, {**kwargs, "render_mode": mode})


_LACKS = {
    "ansi": "draws no text (render mode ansi); it offers {}. "
    "To see it, play its recording again: gym-p2p replay FILE --video match.gif",
    "rgb_array": "draws no pictures that a person could play by (render mode rgb_array); it offers {}",
}
