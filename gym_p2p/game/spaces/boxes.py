"""Actions of a ``Box``: numbers of one dtype between two bounds, and what rounding does to them there.

The rules of :mod:`gym_p2p.game.spaces.leaves` hold.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from gymnasium import spaces

from gym_p2p.game.spaces.leaves import (
    ArrayEncoding,
    Malformed,
    UnsupportedSpace,
    as_array,
    refuse_outside,
    take,
)

__all__ = ["BoxEncoding", "finite_json"]

_ROUNDINGS = 4
"""A policy's last layer, its scaling and a cast or two: each may be off by half a unit in the last place."""


class BoxEncoding(ArrayEncoding):
    """The items' own bytes, little-endian."""

    def __init__(self, space: spaces.Box[Any]) -> None:
        super().__init__(space, space.low, space.high)
        if self._dtype.char == "g":
            raise UnsupportedSpace("a Box of longdouble (its size differs between machines; use float64)")
        self._wire = self._dtype.newbyteorder("<")
        self.max_bytes = self._count * self._dtype.itemsize
        if self._dtype.kind == "f":
            self._magnitude = _magnitude(self._low, self._high)

    def check(self, action: Any) -> Any:
        """Return an action of the box, one that rounding has put beyond a bound as that bound."""
        return self._check_floats(action) if self._dtype.kind == "f" else super().check(action)

    # A policy that computes in another precision than the space's, or scales and shifts what it computed,
    # means the bound when it is a few roundings beyond it. Such a number becomes the bound, before anybody
    # steps with it or it is sent: every player's environment gets an action of its space.
    def _check_floats(self, action: Any) -> Any:
        array = as_array(action, self._shape, self._wanted, self._kinds)
        if array.dtype == self._dtype and ((self._low <= array) & (array <= self._high)).all():
            return array.copy()
        eps = np.finfo(self._dtype).eps
        if array.dtype.kind == "f":
            eps = max(eps, np.finfo(array.dtype).eps)
        exact = array.astype(np.promote_types(array.dtype, np.float64))
        margin = _ROUNDINGS * float(eps) * self._magnitude
        below, above = exact < self._low - margin, exact > self._high + margin
        refuse_outside(array, ~(below | above | np.isnan(exact)), self._wanted, _advice(below | above))
        with np.errstate(over="ignore"):
            cast = array.astype(self._dtype)
        refuse_outside(array, ~(np.isinf(cast) & np.isfinite(array)), self._wanted)
        return np.asarray(np.clip(cast, self._low, self._high), self._dtype)

    def write(self, action: Any, out: bytearray) -> None:
        """Append the numbers."""
        out += action.astype(self._wire).tobytes()

    def read(self, data: bytes, at: int) -> tuple[Any, int]:
        """Return the numbers at an offset; a peer sends none beyond a bound."""
        size = self._count * self._dtype.itemsize
        body = take(data, at, size)
        if self._dtype.kind == "b" and any(byte > 1 for byte in body):
            raise Malformed
        array = np.frombuffer(body, self._wire).reshape(self._shape).astype(self._dtype)
        if not ((self._low <= array) & (array <= self._high)).all():
            raise Malformed
        return array, at + size

    def to_json(self, action: Any) -> Any:
        """Return nested lists; infinities as texts."""
        return finite_json(action.tolist())

    def from_json(self, data: Any) -> Any:
        """Return the action of nested lists."""
        return self.check(_infinities_from_text(data))


def _magnitude(low: np.ndarray[Any, Any], high: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return how large each number of a box gets, by which its rounding goes: its larger finite bound.

    Where a side is open, bounds do not say it, and a 0 least of all; there it is 1 at least.
    """
    low, high = np.abs(low.astype(np.float64)), np.abs(high.astype(np.float64))
    is_open = np.isinf(low) | np.isinf(high)
    finite = np.maximum(np.where(np.isinf(low), 0.0, low), np.where(np.isinf(high), 0.0, high))
    return np.where(is_open, np.maximum(finite, 1.0), finite)


def _advice(beyond_a_bound: np.ndarray[Any, Any]) -> str:
    if not beyond_a_bound.any():
        return ""
    return "; where a policy leaves its space on purpose, gymnasium.wrappers.ClipAction around this one clips"


def finite_json(data: Any) -> Any:
    """Replace the floats that JSON has no numbers for by the texts ``"inf"``, ``"-inf"`` and ``"nan"``."""
    if isinstance(data, float):
        return data if math.isfinite(data) else str(data)
    if isinstance(data, dict):
        return {key: finite_json(item) for key, item in data.items()}
    return [finite_json(item) for item in data] if isinstance(data, list) else data


def _infinities_from_text(data: Any) -> Any:
    if isinstance(data, list):
        return [_infinities_from_text(item) for item in data]
    return float(data) if data in ("inf", "-inf") else data
