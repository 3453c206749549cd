"""Environments that draw: made for a way to draw that they have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gym_p2p.errors import UsageError
from gym_p2p.game.env.load import load_environment

__all__ = ["load_drawn_as_text", "render_modes"]


def render_modes(env: Any) -> list[str]:
    """Return the ways to draw that an environment offers, and close it."""
    offered = [str(mode) for mode in getattr(env, "metadata", {}).get("render_modes", [])]
    env.close()
    return offered


def load_drawn_as_text(name: str, kwargs: Mapping[str, Any], *, picture: bool) -> Any:
    """Return the environment; where a picture is wanted, one that draws text (``ansi``).

    Raises:
        UsageError: it cannot be made, or draws no text.
    """
    if not picture:
        return load_environment(name, kwargs)
    offered = render_modes(load_environment(name, kwargs))
    if "ansi" not in offered:
        others = ", ".join(offered) or "none at all"
        raise UsageError(
            f"--picture: {name} draws no text (render mode ansi); it offers {others}. "
            "To see it, play its recording again: gym-p2p replay FILE --video match.gif"
        )
    return load_environment(name, {**kwargs, "render_mode": "ansi"})
