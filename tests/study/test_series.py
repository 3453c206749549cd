"""Series as arrays: the same numbers, and the same refusals, as the core's own decoder."""

from __future__ import annotations

import base64
import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.latency.delta_series import decode_series, encode_series
from gym_p2p.study.reading.series import series_array


@given(st.lists(st.integers(-(2**62), 2**62) | st.integers(-200, 200), max_size=60))
def test_an_array_has_the_numbers_that_were_encoded(numbers: list[int]) -> None:
    found = series_array(encode_series(numbers))
    assert found.dtype == np.int64
    assert found.tolist() == numbers


@given(st.binary(max_size=40))
def test_any_bytes_are_decoded_or_refused_as_the_core_does(data: bytes) -> None:
    text = base64.b64encode(data).decode()
    wanted: list[int] | None = None
    with contextlib.suppress(ValueError, OverflowError):
        wanted = np.array(decode_series(text), np.int64).tolist()
    if wanted is None:
        with pytest.raises((ValueError, OverflowError)):
            series_array(text)
    else:
        assert series_array(text).tolist() == wanted
