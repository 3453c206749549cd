"""Who offers when both have; the rule itself is held against browsers by ``tests/browser/test_module.py``."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.signaling.offerer import initiates, keeps
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConfigurationError

IDS = st.one_of(st.integers(0, 99), st.text("aAbB01._:@+-ex ", max_size=4))


@given(IDS, IDS)
def test_of_two_who_have_both_offered_exactly_one_keeps_its_offer(one: SeatId, other: SeatId) -> None:
    if (one, isinstance(one, str)) == (other, isinstance(other, str)):
        return
    assert keeps(one, other) is not keeps(other, one)


@given(IDS, IDS)
def test_the_one_who_offers_by_the_rule_is_the_one_who_keeps_its_offer(one: SeatId, other: SeatId) -> None:
    if (rule := initiates(one, other)) is not None:
        assert keeps(one, other) is rule


def test_where_the_rule_is_silent_the_ids_as_text_decide_and_a_number_comes_first() -> None:
    for first, second in itertools.pairwise(["01", "1", "1.0"]):
        assert initiates(first, second) is None
        assert keeps(first, second)
    assert keeps(1, "1")
    assert not keeps("1", 1)


@pytest.mark.parametrize("same", [7, "7", "ann"])
def test_nobody_has_a_match_with_oneself(same: SeatId) -> None:
    with pytest.raises(ConfigurationError, match="another player"):
        keeps(same, same)


def test_an_empty_id_is_the_number_nought_as_in_javascript() -> None:
    assert initiates("", 1) is True
    assert initiates(" ", 0) is None
    assert initiates(-1, "") is True


def test_a_number_beyond_all_floats_is_infinite() -> None:
    assert initiates("0x" + "f" * 300, "Infinity") is None
    assert initiates(1, "0x" + "f" * 300) is True
