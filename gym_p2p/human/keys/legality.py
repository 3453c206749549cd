"""Which keys do something legal, by an action mask."""

from __future__ import annotations

from typing import Any

from gymnasium import Space

from gym_p2p.errors import UsageError
from gym_p2p.game.spaces.masks import Mask, allows, mask_of
from gym_p2p.human.keys.controls import Binding, Controls, Legal, Parts

__all__ = ["illegal_bindings", "legal_by", "require_mask"]


def require_mask(space: Space[Any], mask: Any) -> Mask:
    """Return a caller's mask as Gymnasium has it; what an environment says that fits no space is no mask.

    Raises:
        UsageError: it is none of this space.
    """
    found = mask_of(space, {"action_mask": mask}, {})
    if found is None:
        raise UsageError(f"wanted a mask of {space}, a 0 or 1 for each of its choices, got {mask!r}")
    return found


def legal_by(controls: Controls, space: Space[Any], mask: Mask | None) -> Legal:
    """Return what says whether a binding's action is legal.

    Args:
        controls: of the seat.
        space: of its actions.
        mask: as :func:`~gym_p2p.game.spaces.masks.mask_of` gives it; ``None`` allows all.
    """
    if isinstance(controls, Parts) and isinstance(mask, tuple):
        rows, starts = mask, [int(start) for start in space.start]  # type: ignore[attr-defined]  # MultiDiscrete has it

        def of_a_part(binding: Binding) -> bool:
            return bool(rows[binding.part][int(binding.action) - starts[binding.part]])

        return of_a_part
    return lambda binding: allows(space, mask, binding.action)


def illegal_bindings(controls: Controls, space: Space[Any], mask: Mask | None) -> list[int]:
    """Return which of the bindings are illegal now, by their place."""
    if mask is None:
        return []
    legal = legal_by(controls, space, mask)
    return [place for place, binding in enumerate(controls.bindings) if not legal(binding)]
