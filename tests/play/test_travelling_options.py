from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gym_p2p.core.wire.bounded_json import MAX_JSON_DEPTH
from gym_p2p.core.wire.messages import MAX_OPTIONS_BYTES
from gym_p2p.errors import ConfigurationError
from gym_p2p.play.handshake import seed_of, travelled

OVERHEAD = len('{"x":""}')


@pytest.mark.parametrize(
    ("options", "arrive"),
    [(None, None), ({}, {}), ({"a": (1, 2)}, {"a": [1, 2]}), ({"wide": 2**200}, {"wide": 2**200})],
)
def test_options_arrive_as_json_has_them(
    options: dict[str, Any] | None, arrive: dict[str, Any] | None
) -> None:
    assert travelled(options) == arrive


@pytest.mark.parametrize("options", [{"x": float("nan")}, {"x": object()}, {"x": b"bytes"}])
def test_options_that_json_does_not_have_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="travel to the peers as JSON"):
        travelled(options)


@pytest.mark.parametrize("options", [[3], "x", 3])
def test_options_are_a_mapping(options: Any) -> None:
    with pytest.raises(ConfigurationError, match="options: wanted None or a mapping"):
        travelled(options)


@pytest.mark.parametrize("seed", [7, np.int64(7), np.uint8(7)])
def test_a_seed_is_a_whole_number_of_any_library(seed: Any) -> None:
    assert seed_of(seed) == 7
    assert type(seed_of(seed)) is int


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, np.float64(7), "7", True, np.array([7])])
def test_anything_else_is_no_seed(seed: Any) -> None:
    with pytest.raises(ConfigurationError, match="seed: wanted None or a whole number"):
        seed_of(seed)


def test_options_longer_than_a_message_are_refused_with_both_numbers() -> None:
    longest = {"x": "y" * (MAX_OPTIONS_BYTES - OVERHEAD)}
    assert travelled(longest) == longest
    with pytest.raises(
        ConfigurationError, match=f"{MAX_OPTIONS_BYTES + 1} bytes as JSON, and {MAX_OPTIONS_BYTES}"
    ):
        travelled({"x": longest["x"] + "y"})


def test_options_as_deep_as_they_may_be_travel_and_deeper_ones_are_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(MAX_JSON_DEPTH - 1):
        deep = {"x": deep}
    assert travelled(deep) == deep
    for levels in (1, 2_000):
        deeper = deep
        for _ in range(levels):
            deeper = {"x": deeper}
        with pytest.raises(ConfigurationError, match="options"):
            travelled(deeper)
