"""What the service may say at all: whatever it says, the library takes it without an exception."""

from __future__ import annotations

import pytest
import socketio.packet
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.net.client.packets import BoundedPacket


def test_an_event_is_read() -> None:
    packet = BoundedPacket(encoded_packet='2["room_status",{"room":"r"}]')
    assert (packet.packet_type, packet.data) == (socketio.packet.EVENT, ["room_status", {"room": "r"}])


@pytest.mark.parametrize(
    "text",
    [
        '2["x",' + "[" * 600 + "]" * 600 + "]",
        '2["x",[' + "[]," * 100_000 + "0]]",
        '2["x","' + "a" * 2**17 + '"]',
        '2["x","\\ud800"]',
        '2["x",NaN]',
        '2["x",1e999]',
        "2[]",
        "2{}",
        "2",
        '2["disconnect"]',
        "2[1]",
        "0[]",
        "3{}",
        '51-["x",{"_placeholder":true,"num":0}]',
        "7",
        "x",
        "2\ud800",
        b"2[]",
    ],
)
def test_a_packet_that_is_refused_is_an_event_that_nobody_hears(text: str | bytes) -> None:
    packet = BoundedPacket(encoded_packet=text)
    assert packet.packet_type == socketio.packet.EVENT
    assert packet.data == ["\x00refused"]


@given(
    st.text(st.characters(codec=None), max_size=60)
    | st.from_regex(r"[0-7](\d-)?(\d{0,3})[\[\]{},:\"a1]{0,20}")
)
def test_whatever_it_is_nothing_is_raised(text: str) -> None:
    packet = BoundedPacket(encoded_packet=text)
    assert packet.packet_type in range(5)
