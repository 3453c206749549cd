"""Long rows of whole numbers in their short form, as arrays.

The encoding is :mod:`gym_p2p.core.latency.delta_series`'s, and so is the last word: what is not of numbers as
a match has them (damage, a number of more than 34 bits) is decoded, or refused, there.
"""

from __future__ import annotations

import base64

import numpy as np

from gym_p2p.core.latency.delta_series import MAX_NUMBERS, decode_series

__all__ = ["series_array"]

_MAX_BYTES = 5
"""Of a number that is decoded here: the sum of ``MAX_NUMBERS`` such has less than 63 bits."""


def series_array(text: str) -> np.ndarray:
    """Return the numbers of a text in the short form, as int64.

    Raises:
        ValueError: it is none, or has too many numbers.
        OverflowError: a number has more than 64 bits.
    """
    data = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
    ends = np.flatnonzero(data < 0x80)
    starts = np.concatenate([[0], ends[:-1] + 1])
    sizes = ends - starts + 1 if len(ends) else np.zeros(0, np.int64)
    if len(ends) > MAX_NUMBERS or sizes.sum() != len(data) or (sizes > _MAX_BYTES).any():
        return np.array(decode_series(text), np.int64)
    if not len(data):
        return np.zeros(0, np.int64)
    place = np.arange(len(data)) - np.repeat(starts, sizes)
    zigzagged = np.add.reduceat((data & 0x7F).astype(np.int64) << 7 * place, starts)
    numbers: np.ndarray = np.cumsum(zigzagged >> 1 ^ -(zigzagged & 1))
    return numbers
