"""A STUN server for the network laboratory: ``python -m tests.net.stun_server ADDRESS:PORT``."""

from __future__ import annotations

import asyncio
import sys
from typing import cast

from aioice import stun


class _Binding(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        request = stun.parse_message(data)
        answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, request.transaction_id)
        answer.attributes["XOR-MAPPED-ADDRESS"] = addr
        self._transport.sendto(bytes(answer), addr)


async def _serve(host: str, port: int) -> None:
    await asyncio.get_running_loop().create_datagram_endpoint(_Binding, local_addr=(host, port))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    chosen_host, _, chosen_port = sys.argv[1].partition(":")
    asyncio.run(_serve(chosen_host, int(chosen_port)))
