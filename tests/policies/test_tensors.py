"""Observations to inputs of a model, and its outputs to actions, without any model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.policies.tensors import Misfit, as_action, as_tensor

F32 = np.dtype(np.float32)


@pytest.mark.parametrize(
    ("value", "space", "shape", "dtype", "shown"),
    [
        ([1, 2], spaces.Box(0, 9, (2,)), (None, 2), F32, [[1, 2]]),
        ([1, 2], spaces.Box(0, 9, (2,)), (2,), F32, [1, 2]),
        ([[1, 2], [3, 4]], spaces.Box(0, 9, (2, 2)), (1, 4), F32, [[1, 2, 3, 4]]),
        ([[1, 2], [3, 4]], spaces.Box(0, 9, (2, 2)), (1, 2, 2), F32, [[[1, 2], [3, 4]]]),
        ([7], spaces.Box(0, 9, (1,), np.int64), (1, 1), np.dtype(np.int64), [[7]]),
        (2, spaces.Discrete(3), (1, 3), F32, [[0, 0, 1]]),
        (3, spaces.Discrete(3, start=1), (3,), F32, [0, 0, 1]),
        (2, spaces.Discrete(3), (1,), np.dtype(np.int64), [2]),
        (2, spaces.Discrete(3), (None, 1), F32, [[2]]),
        (2, spaces.Discrete(3), (), np.dtype(np.int64), 2),
        ([1, 0], spaces.MultiBinary(2), (1, 2), np.dtype(np.bool_), [[True, False]]),
    ],
)
def test_an_observation_is_shown_in_the_models_own_shape_and_type(
    value: Any, space: spaces.Space[Any], shape: Any, dtype: np.dtype[Any], shown: Any
) -> None:
    tensor = as_tensor(value, space, shape, dtype)
    assert tensor.dtype == dtype
    assert tensor.tolist() == shown


@pytest.mark.parametrize(
    ("value", "space", "shape"),
    [
        ([1, 2], spaces.Box(0, 9, (2,)), (1, 3)),
        ([1, 2], spaces.Box(0, 9, (2,)), (2, 2)),
        ([1, 2], spaces.Box(0, 9, (2,)), ()),
        ("abc", spaces.Text(3), (1, 3)),
    ],
)
def test_what_does_not_go_into_an_input_is_said(value: Any, space: spaces.Space[Any], shape: Any) -> None:
    with pytest.raises(Misfit):
        as_tensor(value, space, shape, F32)


MANY = spaces.MultiDiscrete([3, 2], start=[0, 5])


@pytest.mark.parametrize(
    ("output", "space", "mask", "action"),
    [
        ([[0.1, 0.9, 0.3]], spaces.Discrete(3, start=4), None, 5),
        ([[0.1, 0.9, 0.3]], spaces.Discrete(3), [1, 0, 1], 2),
        ([2], spaces.Discrete(3), [1, 1, 0], 2),  # what is chosen already is chosen
        (np.int64(2), spaces.Discrete(3), None, 2),
        ([-np.inf, -5.0], spaces.Discrete(2), None, 1),
        ([[0, 0, 9, 1, 0]], MANY, None, [2, 5]),
        ([[0.0, 0, 9, 1, 0]], MANY, ([1, 1, 0], [0, 1]), [0, 6]),
        ([[1, 6]], MANY, None, [1, 6]),
        ([[0.5, -0.5, 0.0]], spaces.MultiBinary(3), None, [1, 0, 0]),
        ([[True, False, True]], spaces.MultiBinary(3), None, [1, 0, 1]),
        ([[0.5, 7.0]], spaces.Box(-1, 1, (2,), np.float32), None, [0.5, 1.0]),
        ([[0.6, 7.0]], spaces.Box(0, 5, (2,), np.int64), None, [1, 5]),
        ([1.0, 2.0, 3.0, 4.0], spaces.Box(0, 5, (2, 2), np.float32), None, [[1, 2], [3, 4]]),
    ],
)
def test_an_output_is_an_action_of_its_space(
    output: Any, space: spaces.Space[Any], mask: Any, action: Any
) -> None:
    fits = tuple(np.array(part) for part in mask) if isinstance(mask, tuple) else mask and np.array(mask)
    done = as_action(np.array(output), space, fits)
    assert np.array_equal(done, action)
    assert space.contains(done)


@pytest.mark.parametrize(
    ("output", "space"),
    [
        ([0.5], spaces.Discrete(3)),
        ([0.1, 0.2], spaces.Discrete(3)),
        ([np.nan, 1.0, 2.0], spaces.Discrete(3)),
        ([np.inf, 1.0, 2.0], spaces.Discrete(3)),
        ([0.5, 0.5], MANY),
        ([0.5], spaces.MultiBinary(2)),
        ([0.5], spaces.Box(0, 1, (2,))),
        ([np.nan, 0.5], spaces.Box(0, 1, (2,))),
        ([0.5], spaces.Text(3)),
    ],
)
def test_what_is_no_action_is_said(output: Any, space: spaces.Space[Any]) -> None:
    with pytest.raises(Misfit):
        as_action(np.array(output), space, None)


_spaces = st.one_of(
    st.builds(lambda n, start: spaces.Discrete(n, start=start), st.integers(2, 6), st.integers(-3, 3)),
    st.lists(st.integers(2, 5), min_size=1, max_size=4).map(spaces.MultiDiscrete),
    st.integers(1, 5).map(spaces.MultiBinary),
    st.integers(1, 5).map(lambda size: spaces.Box(-2.0, 3.0, (size,))),
)


@given(_spaces, st.data())
def test_whatever_numbers_a_model_gives_are_an_action_where_there_are_enough(
    space: spaces.Space[Any], data: st.DataObject
) -> None:
    match space:
        case spaces.Discrete():
            size = int(space.n)
        case spaces.MultiDiscrete():
            size = int(space.nvec.sum())
        case _:
            size = int(np.prod(space.shape or ()))
    numbers = st.floats(-1e9, 1e9, width=32)
    output = np.array(data.draw(st.lists(numbers, min_size=size, max_size=size)), np.float32)
    assert space.contains(as_action(output, space, None))
