"""Action masks, as PettingZoo's games give them: which actions are legal now.

A mask stands in the observation or in the info, under ``action_mask``: a row for a ``Discrete`` space; for a
``MultiDiscrete`` one row for each part, or all of them in one. What fits no space is no mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import Space, spaces

__all__ = ["Mask", "allows", "legal_or_nearest", "mask_of"]

Mask = np.ndarray[Any, Any] | tuple[np.ndarray[Any, Any], ...]
"""As Gymnasium samples by it: int8 of the shape ``(n,)``, one for each part of a ``MultiDiscrete``."""

_KEY = "action_mask"


def mask_of(space: Space[Any], observation: Any, info: Mapping[Any, Any]) -> Mask | None:
    """Return the mask of an action space; ``None`` without one. That of the observation counts first."""
    if isinstance(observation, Mapping) and _KEY in observation:
        return _fitted(space, observation[_KEY])
    return _fitted(space, info.get(_KEY))


def _fitted(space: Space[Any], mask: Any) -> Mask | None:
    if mask is None or not isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
        return None
    try:
        if isinstance(space, spaces.Discrete):
            fits = np.asarray(mask).astype(bool).astype(np.int8)
            return fits if fits.shape == (space.n,) else None
        if space.nvec.ndim != 1:
            return None
        row = np.concatenate([np.ravel(part) for part in mask]).astype(bool).astype(np.int8)
    except (TypeError, ValueError):
        return None
    return tuple(np.split(row, np.cumsum(space.nvec)[:-1])) if row.size == space.nvec.sum() else None


def allows(space: Space[Any], mask: Mask | None, action: Any) -> bool:
    """Whether a mask allows an action of its space; ``None`` allows all."""
    if mask is None:
        return True
    return all(
        bool(row[int(value) - start])
        for row, value, start in zip(_rows(mask), np.ravel(action), _starts(space), strict=True)
    )


def legal_or_nearest(space: Space[Any], mask: Mask | None, action: Any, default: Any) -> Any:
    """Return the action where it is legal; else the default one where that is; else the first that is.

    Where nothing is legal, nobody is to act, and the action stays what it is.
    """
    if allows(space, mask, action) or mask is None or not all(row.any() for row in _rows(mask)):
        return action
    if allows(space, mask, default):
        return default
    first = [int(row.argmax()) + start for row, start in zip(_rows(mask), _starts(space), strict=True)]
    return first[0] if isinstance(space, spaces.Discrete) else np.array(first, space.dtype)


def _rows(mask: Mask) -> tuple[np.ndarray[Any, Any], ...]:
    return mask if isinstance(mask, tuple) else (mask,)


def _starts(space: Any) -> list[int]:
    return [int(start) for start in np.ravel(space.start)]
