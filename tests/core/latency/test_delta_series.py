from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.latency.delta_series import DeltaSeries, decode_series, encode_series

numbers = st.one_of(st.integers(-(2**62), 2**62), st.integers(-70, 70))


@given(st.lists(numbers))
def test_what_is_encoded_is_decoded(values: list[int]) -> None:
    assert decode_series(encode_series(values)) == values


@given(st.lists(numbers, max_size=30))
def test_a_series_that_grows_is_at_any_time_what_its_numbers_encode_to(values: list[int]) -> None:
    series = DeltaSeries()
    for count, value in enumerate(values, 1):
        series.append(value)
        assert (series.count, series.newest) == (count, value)
        assert series.encoded() == (encode_series(values[:count]), count)


def test_the_encoding_is_the_one_that_the_schema_describes() -> None:
    data = bytes([0, 32, 1, 0x80 | (300 & 0x7F), 300 >> 7])  # +0, +16, -1, +150
    assert encode_series([0, 16, 15, 165]) == base64.b64encode(data).decode()


def test_a_frames_time_takes_about_a_byte() -> None:
    times = [round(frame * 1000 / 60) for frame in range(216_000)]
    assert len(encode_series(times)) == 4 * 216_000 / 3


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("AAA", "padding"),
        ("not base64!", "base64"),
        ("é", "ASCII"),
        ("gA==", "within a number"),
        (base64.b64encode(b"\xff" * 11).decode(), "64 bits"),
    ],
)
def test_what_is_no_series_is_a_value_error(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        decode_series(text)


@given(st.lists(numbers), st.lists(numbers))
def test_what_a_series_grew_by_makes_another_one_like_it(before: list[int], after: list[int]) -> None:
    ours, theirs = DeltaSeries(), DeltaSeries()
    mark = 0
    for values in (before, after):
        for value in values:
            ours.append(value)
        text, mark = ours.since(mark)
        theirs.grow(text)
    assert ours.encoded() == theirs.encoded() == (encode_series(before + after), len(before + after))
    assert (theirs.count, theirs.newest) == (ours.count, ours.newest)


def test_a_longer_series_than_was_asked_for_is_refused() -> None:
    text = encode_series(range(100))
    assert len(decode_series(text, limit=100)) == 100
    with pytest.raises(ValueError, match="more than 99"):
        decode_series(text, limit=99)


def test_the_lines_of_the_documentation_read_it() -> None:
    page = (Path(__file__).parents[3] / "docs" / "documents.md").read_text()
    (lines,) = (block for block in page.split("```python\n")[1:] if "def decode(" in block)
    found: dict[str, Any] = {}
    exec(lines.partition("```")[0], found)  # noqa: S102 - our own page
    values = [0, 16, 33, 33, 20, -1_000_000, 2**40]
    assert found["decode"](encode_series(values)) == values
