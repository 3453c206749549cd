"""A TURN server for the tests: as much of RFC 8656 as a relayed connection needs, over UDP, for one user."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

from aioice.stun import Class, Message, Method, parse_message
from aioice.turn import make_integrity_key

__all__ = ["TurnServer"]

Address = tuple[str, int]


class TurnServer(asyncio.DatagramProtocol):
    """Relays between its clients and their peers, all on 127.0.0.1.

    Attributes:
        relayed: datagrams that went from a client to a peer.
    """

    def __init__(self, username: str, password: str) -> None:
        self._username = username
        self._key = make_integrity_key(username, "test", password)
        self._relays: dict[Address, _Relay] = {}
        self.relayed = 0

    @property
    def url(self) -> str:
        return f"turn:127.0.0.1:{self._transport.get_extra_info('sockname')[1]}"

    @classmethod
    async def start(cls, username: str, password: str) -> TurnServer:
        loop = asyncio.get_running_loop()
        _, server = await loop.create_datagram_endpoint(
            lambda: cls(username, password), local_addr=("127.0.0.1", 0)
        )
        return server

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def close(self) -> None:
        for relay in self._relays.values():
            relay.transport.close()
        self._transport.close()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        relay = self._relays.get(addr)
        if data[0] & 0xC0 == 0x40 and relay is not None:
            number, length = struct.unpack_from("!HH", data)
            self.relayed += 1
            relay.transport.sendto(data[4 : 4 + length], relay.peers[number])
            return
        request = parse_message(data)
        if not request.check_message_integrity(self._key):
            self._refuse(request, addr)
        elif request.message_method is Method.ALLOCATE:
            asyncio.get_running_loop().create_task(self._allocate(request, addr))  # ends at once
        elif relay is not None:
            if request.message_method is Method.CHANNEL_BIND:
                relay.bind(request.attributes["CHANNEL-NUMBER"], request.attributes["XOR-PEER-ADDRESS"])
            self._answer(request, addr, {"LIFETIME": request.attributes.get("LIFETIME", 600)})

    def _refuse(self, request: Message, addr: Address) -> None:
        response = Message(request.message_method, Class.ERROR, transaction_id=request.transaction_id)
        response.attributes.update({"ERROR-CODE": (401, "Unauthorized"), "NONCE": b"nonce", "REALM": "test"})
        self._transport.sendto(bytes(response), addr)

    async def _allocate(self, request: Message, addr: Address) -> None:
        if addr not in self._relays:
            loop = asyncio.get_running_loop()
            _, relay = await loop.create_datagram_endpoint(
                lambda: _Relay(self._transport, addr), local_addr=("127.0.0.1", 0)
            )
            self._relays[addr] = relay
        relayed = self._relays[addr].transport.get_extra_info("sockname")
        self._answer(
            request, addr, {"LIFETIME": 600, "XOR-RELAYED-ADDRESS": relayed, "XOR-MAPPED-ADDRESS": addr}
        )

    def _answer(self, request: Message, addr: Address, attributes: dict[str, Any]) -> None:
        response = Message(request.message_method, Class.RESPONSE, transaction_id=request.transaction_id)
        response.attributes.update(attributes)
        response.add_message_integrity(self._key)
        self._transport.sendto(bytes(response), addr)


class _Relay(asyncio.DatagramProtocol):
    """The relayed address of one client."""

    def __init__(self, server: Any, client: Address) -> None:
        self._server = server
        self._client = client
        self.peers: dict[int, Address] = {}

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def bind(self, number: int, peer: Address) -> None:
        self.peers[number] = peer

    def datagram_received(self, data: bytes, addr: Address) -> None:
        for number, peer in self.peers.items():
            if peer == addr:
                self._server.sendto(struct.pack("!HH", number, len(data)) + data, self._client)
