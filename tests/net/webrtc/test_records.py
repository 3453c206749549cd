from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiortc.rtcdtlstransport import State
from OpenSSL import SSL

from gym_p2p.core.wire.messages import Channel
from gym_p2p.net.webrtc.records import APPLICATION_DATA, Records
from gym_p2p.net.webrtc.sealing import MAX_RECORD_BYTES
from tests.net.peers import connected_pair, loopback_only, run
from tests.waiting import eventually

HANDSHAKE = b"\x16\xfe\xfd" + bytes(10)
"""An empty record of a handshake that is long over."""


def shut_down() -> SSL.Connection:
    """Return OpenSSL's end of a connection whose ``close_notify`` has gone out."""
    connection = SSL.Connection(SSL.Context(SSL.DTLS_METHOD))
    connection.set_connect_state()
    connection.set_shutdown(SSL.SENT_SHUTDOWN)
    return connection


def layers(ssl: Any) -> Any:
    dtls = SimpleNamespace(_state=State.CONNECTED, _ssl=ssl, _data_receiver=None, _send_data=None)
    return SimpleNamespace(dtls=dtls, connection=None, ice=SimpleNamespace(_send=None))


@pytest.mark.parametrize("ssl", [shut_down(), None])
def test_what_is_sent_after_the_shutdown_fails_as_on_any_closed_connection(ssl: Any) -> None:
    sent: list[bytes] = []
    stack = layers(ssl)
    Records(stack, sent.append)
    with pytest.raises(ConnectionError):
        asyncio.run(stack.dtls._send_data(b"x"))
    assert not sent


@pytest.mark.parametrize("first", [b"", HANDSHAKE, HANDSHAKE * 2])
@pytest.mark.parametrize("parts", [[b"x"] * 3, [bytes(2_000)]])
def test_nothing_of_a_datagram_is_left_for_later(first: bytes, parts: list[bytes]) -> None:
    if first and len(parts) == 1:
        parts = [b"x", *parts]

    async def work() -> None:
        async with connected_pair() as (one, other):
            ssl: Any = one.connection._layers.dtls._ssl
            for _ in range(50):  # what else is sent would make up for a few
                datagram = first
                for part in parts:
                    ssl.send(part)
                    datagram += ssl.bio_read(10_000)
                one.connection._sockets.send_record(datagram)
            assert one.connection.send(Channel.GAME, b"well")
            await eventually(lambda: other.messages == [(Channel.GAME, b"well")])

    with loopback_only():
        run(work())


def test_a_handshake_passes_however_its_records_are_packed_and_so_does_what_nobody_can_read() -> None:
    taken: list[bytes] = []
    stack = layers(None)
    stack.connection = SimpleNamespace(data_received=lambda data, _component: taken.append(data))
    records = Records(stack, taken.append)
    change = b"\x14\xfe\xfd" + bytes(9) + b"\x01\x01"
    longest = bytes((APPLICATION_DATA,)) + bytes(10) + (MAX_RECORD_BYTES - 13).to_bytes(2) + bytes(1_487)
    stack.dtls._state = State.CONNECTING
    wanted = [HANDSHAKE, HANDSHAKE + change + HANDSHAKE, b"\x15", b"\x2c" * 40, longest]
    for datagram in [*wanted, longest + b"x", longest[:-1], change + longest, HANDSHAKE + longest * 2]:
        records.receive(datagram)
    assert taken == wanted
