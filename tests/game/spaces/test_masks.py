"""Action masks: where they stand, what they allow, and what is done where an action is illegal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.game.spaces.masks import allows, legal_or_nearest, mask_of

THREE = spaces.Discrete(3, start=2)
PAIR = spaces.MultiDiscrete([2, 3])


@pytest.mark.parametrize("form", [list, tuple, np.array, lambda row: np.array(row, bool)])
def test_a_mask_stands_in_the_observation_or_else_in_the_info(form: Any) -> None:
    first, second = form([1, 0, 1]), form([0, 1, 0])
    info = {"action_mask": second}
    for seen, wanted in (({"action_mask": first}, [1, 0, 1]), ({"x": 1}, [0, 1, 0]), (7, [0, 1, 0])):
        found = mask_of(THREE, seen, info)
        assert isinstance(found, np.ndarray)
        assert found.tolist() == wanted
    assert mask_of(THREE, 7, {}) is None


@pytest.mark.parametrize("mask", [[1, 0], "abc", None, 7, [[1, 0, 1]], {"a": 1}])
def test_what_fits_no_space_is_no_mask(mask: Any) -> None:
    assert mask_of(THREE, None, {"action_mask": mask}) is None
    assert mask_of(spaces.Box(0, 1, (3,)), None, {"action_mask": [1, 0, 1]}) is None


def test_a_mask_of_several_choices_has_a_row_for_each() -> None:
    for given_mask in ([[1, 0], [0, 1, 1]], [1, 0, 0, 1, 1], np.array([1, 0, 0, 1, 1])):
        mask = mask_of(PAIR, None, {"action_mask": given_mask})
        assert allows(PAIR, mask, np.array([0, 1]))
        assert not allows(PAIR, mask, np.array([1, 1]))
        assert not allows(PAIR, mask, np.array([0, 0]))
        assert legal_or_nearest(PAIR, mask, np.array([1, 0]), np.array([0, 0])).tolist() == [0, 1]


@given(st.lists(st.booleans(), min_size=3, max_size=3), st.integers(2, 4), st.integers(2, 4))
def test_what_is_done_is_legal_where_anything_is(mask: list[bool], action: int, default: int) -> None:
    fits = mask_of(THREE, None, {"action_mask": mask})
    done = legal_or_nearest(THREE, fits, action, default)
    assert THREE.contains(done)
    if not any(mask) or mask[action - 2]:
        assert done == action
    elif mask[default - 2]:
        assert done == default
    else:
        assert done == 2 + mask.index(True)
    assert not any(mask) or allows(THREE, fits, done)


def test_without_a_mask_all_is_legal() -> None:
    assert legal_or_nearest(THREE, None, 4, 2) == 4
    assert allows(THREE, None, 4)
