"""A TURN server's relay: obtained from whichever of its addresses answers, and kept while it is needed.

A name may have addresses of both families, of which one leads nowhere; over UDP nothing says so.

The server forgets the channels and permissions that nobody renews. aioice renews a channel 500 s after it was
bound, and then as something is sent over it, which waits for the server's answer. A permission is forgotten
after 300 s (RFC 8656, section 9), by some servers sooner, and with it everything that the other side sends is
dropped, in the middle of a match. So here all of them are renewed beside the match, and what is sent never
waits. The allocation itself aioice renews by itself.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import math
import socket
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import aioice.ice
import aioice.stun
import aioice.turn

from gym_p2p.config import IceServer
from gym_p2p.net.webrtc.repetition import repeat_soon

__all__ = ["keep_channels", "obtain_relay"]

_log = logging.getLogger(__name__)

RENEW_EVERY_S = 20.0
"""Two renewals may get lost where a server keeps a minute, the shortest that is in use."""

NEXT_ADDRESS_S = 0.25
"""Until the next address is tried beside the one before (RFC 8305, section 5)."""

_Relay = tuple[aioice.Candidate, aioice.ice.StunProtocol]


async def obtain_relay(
    connection: aioice.ice.Connection, server: IceServer, parsed: dict[str, Any], *, hide_us: bool
) -> _Relay:
    """Return a relay of a server as a candidate, and its socket.

    Args:
        connection: whose candidate it is.
        server: with the credentials.
        parsed: its URL, as aiortc reads it.
        hide_us: leave our own address out of the candidate.

    Raises:
        Exception: whatever aioice and the resolver raise; there is no relay then.
    """
    attempts = [
        functools.partial(
            aioice.ice.relayed_candidate,
            component=1,
            hide_related_address=hide_us,
            protocol_factory=lambda: aioice.ice.StunProtocol(connection),
            turn_server=(host, parsed["port"]),
            turn_username=server.username,
            turn_password=None if server.credential is None else server.credential.reveal(),
            turn_ssl=parsed["scheme"] == "turns",
            turn_transport=parsed["transport"],
        )
        for host in await _addresses(parsed)
    ]
    return await _first_to_answer(attempts)


async def _addresses(parsed: dict[str, Any]) -> list[str]:
    if parsed["scheme"] == "turns" or parsed["transport"] != "udp":
        return [parsed["host"]]  # asyncio tries all addresses of a stream, whose certificate has the name
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(parsed["host"], parsed["port"], type=socket.SOCK_DGRAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


async def _first_to_answer(attempts: Sequence[Callable[[], Coroutine[Any, Any, _Relay]]]) -> _Relay:
    """Begin one attempt after the other; return what the first successful one gives, and undo the others."""
    loop = asyncio.get_running_loop()
    begun: list[asyncio.Task[_Relay]] = []
    chosen: asyncio.Task[_Relay] | None = None
    try:
        for number, attempt in enumerate(attempts, 1):
            begun.append(loop.create_task(attempt()))
            until = loop.time() + NEXT_ADDRESS_S if number < len(attempts) else math.inf
            while (open_ := {task for task in begun if not task.done()}) and loop.time() < until:
                left_s = None if until == math.inf else until - loop.time()
                await asyncio.wait(open_, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
                chosen = next((task for task in begun if _succeeded(task)), None)
                if chosen is not None:
                    return chosen.result()
        return begun[-1].result()  # raises what it has raised
    finally:
        for task in begun:
            task.cancel()
        await asyncio.gather(*begun, return_exceptions=True)
        for task in begun:
            if task is not chosen and _succeeded(task):
                await task.result()[1].close()


def _succeeded(task: asyncio.Task[_Relay]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


async def keep_channels(relay: Any) -> None:
    """Renew the channels of a relay, and their permissions with them, until cancelled or the relay is closed.

    Args:
        relay: aioice's ``TurnTransport``.
    """
    client = relay._TurnTransport__inner_protocol
    if isinstance(client, aioice.turn.TurnClientUdpProtocol):
        repeat_soon(client)
    client.channel_refresh_time = math.inf
    while not client.transport.is_closing():
        await asyncio.sleep(RENEW_EVERY_S)
        bound = tuple(client.channel_to_peer.items())
        await asyncio.gather(*(_renew(client, number, peer) for number, peer in bound))


async def _renew(client: Any, number: int, peer: tuple[str, int]) -> None:
    try:
        async with asyncio.timeout(RENEW_EVERY_S):
            await client.channel_bind(number, peer)  # with a new nonce where the old one has expired
    except (OSError, aioice.stun.TransactionError) as error:
        _log.debug("a channel of the relay was not renewed: %s; again soon", type(error).__name__)
