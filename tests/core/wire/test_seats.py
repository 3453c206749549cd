from __future__ import annotations

import pytest

from gym_p2p.core.wire.seats import MAX_ID_CHARS, is_seat_id


@pytest.mark.parametrize(
    "value", [0, -1, 1, 2**53 - 1, 1 - 2**53, "a", "player 1", "\u00e4", "x" * MAX_ID_CHARS]
)
def test_safe_numbers_and_short_printable_texts_are_seats(value: object) -> None:
    assert is_seat_id(value)


@pytest.mark.parametrize(
    "value", [None, True, 1.0, 2**53, -(2**53), "", "a\n", "\x00", "x" * (MAX_ID_CHARS + 1), b"a", ("a",)]
)
def test_nothing_else_is(value: object) -> None:
    assert not is_seat_id(value)
