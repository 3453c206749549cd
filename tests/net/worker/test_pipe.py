from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.match.commands import GiveInput, Leave
from gym_p2p.core.match.events import EpisodeBegan, InputsArrived
from gym_p2p.errors import HandshakeRefused, P2PError, ServiceRefused
from gym_p2p.net.worker.messages import WorkerFailed
from gym_p2p.net.worker.pipe import FrameReader, pack

values = st.one_of(
    st.builds(GiveInput, st.integers(0, 2**32 - 1), st.binary(max_size=600)),
    st.tuples(
        st.integers(0, 2**60),
        st.builds(
            InputsArrived,
            st.integers(0, 63),
            st.integers(0, 2**31),
            st.lists(st.binary(max_size=512), max_size=5).map(tuple),
            st.integers(0, 2**31),
        ),
    ),
    st.builds(Leave, st.text(max_size=10)),
    st.tuples(st.integers(0, 2**60), st.builds(EpisodeBegan, st.just(1), st.integers(0, 9), st.just({}))),
)


@given(st.lists(values, max_size=6), st.integers(1, 50))
def test_values_survive_a_stream_cut_anywhere(sent: list[Any], size: int) -> None:
    stream = b"".join(pack(value) for value in sent)
    reader = FrameReader()
    received = [value for at in range(0, len(stream), size) for value in reader.feed(stream[at : at + size])]
    assert received == sent


@pytest.mark.parametrize(
    "error", [HandshakeRefused("b", [("game", "x", "y")]), ServiceRefused("room_full", "the room is full")]
)
def test_errors_arrive_with_their_fields_and_their_text(error: P2PError) -> None:
    (received,) = FrameReader().feed(pack((1, WorkerFailed(error))))
    arrived = received[1].error
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert vars(arrived) == vars(error)
