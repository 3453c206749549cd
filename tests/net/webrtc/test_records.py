from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiortc.rtcdtlstransport import State
from OpenSSL import SSL

from gym_p2p.net.webrtc.records import Records


class ShutDown:
    """OpenSSL's end of a connection whose ``close_notify`` has gone out."""

    def send(self, _data: bytes) -> None:
        raise SSL.Error([("SSL routines", "", "protocol is shutdown")])

    def bio_read(self, _size: int) -> bytes:
        raise AssertionError("nothing was written")


def layers(ssl: Any) -> Any:
    dtls = SimpleNamespace(_state=State.CONNECTED, _ssl=ssl, _data_receiver=None, _send_data=None)
    return SimpleNamespace(dtls=dtls, connection=None, ice=SimpleNamespace(_send=None))


@pytest.mark.parametrize("ssl", [ShutDown(), None])
def test_what_is_sent_after_the_shutdown_fails_as_on_any_closed_connection(ssl: Any) -> None:
    sent: list[bytes] = []
    stack = layers(ssl)
    Records(stack, sent.append, sent.append)
    with pytest.raises(ConnectionError):
        asyncio.run(stack.dtls._send_data(b"x"))
    assert not sent
