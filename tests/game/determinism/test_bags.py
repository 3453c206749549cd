"""The same things in another order: what a digest that minds no order takes for the same."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import numpy as np
import pytest

from gym_p2p.game.determinism.trial import bag_digest

MANY = np.arange(30_000) % 251
DTYPES = ("u1", "i8", ">i4", "f2", "f4", "f8", "?", "U3")


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_array_is_its_items_in_any_order_and_no_others(dtype: str) -> None:
    items = np.array([0, 1, 1, 0, 1]).astype("i8").astype(dtype)
    other = items.copy()
    other[0] = other[1]
    assert bag_digest(items) == bag_digest(items[::-1]) == bag_digest(items.reshape(1, 5))
    assert bag_digest(items) != bag_digest(other)
    assert bag_digest(items) != bag_digest(items[:-1])


def test_arrays_of_other_kinds_of_items_are_not_the_same() -> None:
    zeros = [np.zeros(8, dtype) for dtype in ("u1", "i1", "?", "f4", "i4", "<i8", ">i8")]
    assert len({bag_digest(one) for one in zeros}) == len(zeros)


def test_zero_of_either_sign_is_an_item_of_its_own_wherever_it_stands() -> None:
    signed = np.array([-0.0, 0.0, 0.0])
    assert bag_digest(signed) == bag_digest(signed[::-1]) != bag_digest(np.zeros(3))


def test_a_picture_takes_no_call_for_every_number() -> None:
    calls = 0

    def count(_frame: FrameType, _event: str, _argument: Any) -> None:
        nonlocal calls
        calls += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        bag_digest({"seen": MANY.astype("u1").reshape(100, 300)})
    finally:
        sys.setprofile(before)
    assert calls < 500
