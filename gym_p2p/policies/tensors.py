"""Between a seat's values and the tensors of a model: observations to inputs, outputs to actions.

The convention, for models from any framework:

* an observation is shown in the model's own type and shape, with an axis for one example before it where
  the model has one; flattened where the model takes rows, and with its channels first where only that fits.
  Nothing is scaled. A number of a ``Discrete`` space is that number, or one-hot where the model takes so
  many.
* an output is an action of ``Discrete`` or ``MultiDiscrete`` as integers, or a number for each choice, of
  which the largest of the legal ones counts; of ``MultiBinary``, a bit is set where a number is above zero;
  of ``Box``, the numbers themselves, clipped to its bounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import Space, spaces

from gym_p2p.game.spaces.masks import Mask

__all__ = ["Misfit", "Shape", "as_action", "as_tensor", "mask_row"]

Array = np.ndarray[Any, Any]
Shape = Sequence[int | None]
"""Of a tensor; ``None`` is an axis of any length."""


class Misfit(ValueError):
    """A value and a tensor that do not go together; its text says both."""


def as_tensor(value: Any, space: Space[Any], shape: Shape, dtype: np.dtype[Any]) -> Array:
    """Return an observation as an input of a model.

    Args:
        value: the observation.
        space: what it is of.
        shape: of the input.
        dtype: of the input.

    Raises:
        Misfit: the input takes no such thing.
    """
    array = _one_hot(space, value, shape) if isinstance(space, spaces.Discrete) else np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise Misfit(f"{space} is no numbers")
    candidates = [array[np.newaxis], array]
    if array.ndim == 3:
        turned = np.moveaxis(array, -1, 0)
        candidates += [turned[np.newaxis], turned]
    candidates += [array.reshape(1, -1), array.reshape(-1)]
    for candidate in candidates:
        if _fits(candidate.shape, shape):
            return np.asarray(candidate, dtype, order="C")
    raise Misfit(f"an observation of shape {array.shape} does not go into {_written(shape)}")


def _one_hot(space: Any, value: Any, shape: Shape) -> Array:
    number, count = int(value) - int(space.start), int(space.n)
    if count > 1 and shape and shape[-1] == count:
        hot = np.zeros(count, np.float32)
        hot[number] = 1
        return hot
    return np.asarray(int(value))


def _fits(found: tuple[int, ...], wanted: Shape) -> bool:
    return len(found) == len(wanted) and all(
        want is None or one == want for one, want in zip(found, wanted, strict=True)
    )


def _written(shape: Shape) -> str:
    return f"({', '.join('any' if one is None else str(one) for one in shape)})"


def as_action(output: Array, space: Space[Any], mask: Mask | None) -> Any:
    """Return a model's output as an action.

    Args:
        output: with or without an axis for one example.
        space: what it is to be an action of.
        mask: which choices are legal; ``None`` are all.

    Raises:
        Misfit: it is none.
    """
    flat = np.ravel(output)
    if flat.dtype.kind == "f" and (np.isnan(flat) | np.isposinf(flat)).any():
        raise Misfit("the model gave what is no number")
    match space:
        case spaces.Discrete():
            return _choices(flat, [space.n], [space.start], mask)[0]
        case spaces.MultiDiscrete() if space.nvec.ndim == 1:
            return np.array(_choices(flat, space.nvec, np.asarray(space.start), mask), space.dtype)
        case spaces.MultiBinary() if flat.size == np.prod(space.shape):
            return (flat > 0).astype(space.dtype).reshape(space.shape)
        case spaces.Box() if flat.size == np.prod(space.shape):
            whole = np.rint(flat) if space.dtype.kind in "iu" else flat
            return np.clip(whole.reshape(space.shape), space.low, space.high).astype(space.dtype)
    raise Misfit(f"an output of shape {output.shape} is no action of {space}")


def _choices(flat: Array, counts: Any, starts: Any, mask: Mask | None) -> list[int]:
    """Return a choice of each part: the numbers themselves, or where the largest of its numbers is."""
    total = int(np.sum(counts))
    if flat.size == len(counts) and flat.dtype.kind in "iub":
        return [int(number) for number in flat]
    if flat.size != total:
        raise Misfit(f"wanted {total} numbers, or {len(counts)} whole ones, got {flat.size} of {flat.dtype}")
    scores = flat.astype(np.float64)
    if mask is not None:
        row = mask_row(mask)
        scores = np.where(row.astype(bool), scores, -np.inf)
    parts = np.split(scores, np.cumsum(counts)[:-1])
    return [int(part.argmax()) + int(start) for part, start in zip(parts, starts, strict=True)]


def mask_row(mask: Mask) -> Array:
    """Return a mask as one row, whatever it is of."""
    return np.concatenate(mask) if isinstance(mask, tuple) else mask
