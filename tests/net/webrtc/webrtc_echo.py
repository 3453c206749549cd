"""A process with one peer that echoes: an offer in as a line of JSON, its answer out; ends with its input."""

from __future__ import annotations

import asyncio
import json
import sys

import aioice.ice

from gym_p2p.config import LinkConfig, LinkEmulation, from_mapping
from gym_p2p.core.wire.messages import Channel
from gym_p2p.net.webrtc import PeerConnection


async def main() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    request = json.loads(await reader.readline())
    emulation = from_mapping(LinkEmulation, request["emulation"])

    def echo(channel: Channel, data: bytes | str) -> None:
        connection.send(channel, data)

    connection = PeerConnection(
        link=LinkConfig(emulation=emulation), on_message=echo, on_state=lambda _state: None
    )
    answer = await connection.accept_offer(request["sdp"], negotiated_game=True)
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
    await asyncio.wait_for(reader.read(), 60)
    await connection.close()


if __name__ == "__main__":
    aioice.ice.get_host_addresses = lambda **_: ["127.0.0.1"]
    asyncio.run(main())
