from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.match.state_transfer import MAX_STATE_BYTES, StateTransfers, state_parts
from gym_p2p.core.wire.fragments import MAX_CTRL_BYTES
from gym_p2p.core.wire.messages import StatePart, encode
from gym_p2p.errors import ProtocolError


def expecting() -> StateTransfers:
    transfers = StateTransfers()
    transfers.expect(1, 2, 29)
    return transfers


@pytest.mark.parametrize("size", [1, 100, 32_768, 32_769, MAX_STATE_BYTES])
def test_a_state_is_whole_again_after_its_parts(size: int) -> None:
    data = bytes([size % 251]) * size
    parts = state_parts(2, 29, data)
    assert all(len(encode(part)) <= MAX_CTRL_BYTES for part in parts)
    transfers = expecting()
    found = [transfers.add(1, part) for part in parts]
    assert found == [None] * (len(parts) - 1) + [data]


@pytest.mark.parametrize("size", [0, MAX_STATE_BYTES + 1])
def test_a_state_that_is_empty_or_too_large_does_not_travel(size: int) -> None:
    assert state_parts(2, 29, bytes(size)) == ()


@pytest.mark.parametrize(
    ("player", "part"),
    [
        (2, StatePart(2, 29, 0, 1, b"x")),
        (1, StatePart(1, 29, 0, 1, b"x")),
        (1, StatePart(2, 28, 0, 1, b"x")),
        (1, StatePart(2, 29, 1, 2, b"x")),
        (1, StatePart(2, 29, 0, 0, b"x")),
        (1, StatePart(2, 29, 0, 33, b"x")),
        (1, StatePart(2, 29, 0, 2**63 - 1, b"x")),
    ],
)
def test_a_state_that_was_not_expected_is_a_protocol_error(player: int, part: StatePart) -> None:
    with pytest.raises(ProtocolError, match="unexpected state"):
        expecting().add(player, part)


def test_only_the_first_desync_of_a_player_is_worth_a_state_and_only_once() -> None:
    transfers = expecting()
    transfers.expect(1, 2, 59)
    with pytest.raises(ProtocolError):
        transfers.add(1, StatePart(2, 59, 0, 1, b"x"))
    assert transfers.add(1, StatePart(2, 29, 0, 1, b"x")) == b"x"
    with pytest.raises(ProtocolError):
        transfers.add(1, StatePart(2, 29, 0, 1, b"x"))


@given(
    st.lists(
        st.builds(StatePart, st.just(2), st.just(29), st.integers(0, 3), st.integers(0, 40), st.binary())
    )
)
def test_no_player_can_make_us_keep_more_than_a_state(parts: list[StatePart]) -> None:
    transfers = expecting()
    for part in parts:
        try:
            transfers.add(1, part)
        except ProtocolError:
            continue
    assert len(transfers._parts.get(1, [])) <= 32


@pytest.mark.parametrize("size_bytes", [0, 2**20])
def test_a_part_that_nobody_would_send_is_refused(size_bytes: int) -> None:
    transfers = StateTransfers()
    transfers.expect(1, 1, 4)
    with pytest.raises(ProtocolError, match="unexpected state"):
        transfers.add(1, StatePart(1, 4, 0, 2, bytes(size_bytes)))
    assert transfers.add(1, StatePart(1, 4, 0, 1, b"x")) is not None
