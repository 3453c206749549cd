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
from gym_p2p.net.webrtc.server_failures import is_timeout

__all__ = ["keep_channels", "obtain_relay"]

_log = logging.getLogger(__name__)

RENEW_EVERY_S = 20.0
"""Two renewals may get lost where a server keeps a minute, the shortest that is in use."""

NEXT_ADDRESS_S = 0.25
"""Until the next address is tried beside the one before (RFC 8305, section 5)."""

_Relay = tuple[aioice.Candidate, aioice.ice.StunProtocol]


async def obtain_relay(
    connection: aioice.ice.Connection,
    server: IceServer,
    parsed: dict[str, Any],
    *,
    hide_us: bool,
    timeout_s: float,
) -> _Relay:
    """Return a relay of a server as a candidate, and its socket.

    Args:
        connection: whose candidate it is.
        server: with the credentials.
        parsed: its URL, as aiortc reads it.
        hide_us: leave our own address out of the candidate.
        timeout_s: for all of it.

    Raises:
        Exception: whatever aioice and the resolver raise, by the first address that has more to tell than a
            time-out; there is no relay then.
    """
    ends_at = asyncio.get_running_loop().time() + timeout_s
    async with asyncio.timeout_at(ends_at):
        hosts = await _addresses(parsed)
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
        for host in hosts
    ]
    return await _first_to_answer(attempts, ends_at)


async def _addresses(parsed: dict[str, Any]) -> list[str]:
    if parsed["scheme"] == "turns" or parsed["transport"] != "udp":
        return [parsed["host"]]  # asyncio tries all addresses of a stream, whose certificate has the name
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(parsed["host"], parsed["port"], type=socket.SOCK_DGRAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


async def _first_to_answer(
    attempts: Sequence[Callable[[], Coroutine[Any, Any, _Relay]]], ends_at: float
) -> _Relay:
    """Begin one attempt after the other; return what the first successful one gives, and undo the others."""
    loop = asyncio.get_running_loop()
    begun: list[asyncio.Task[_Relay]] = []
    chosen: asyncio.Task[_Relay] | None = None
    try:
        for number, attempt in enumerate(attempts, 1):
            begun.append(loop.create_task(attempt()))
            until = min(loop.time() + NEXT_ADDRESS_S, ends_at) if number < len(attempts) else ends_at
            while (open_ := {task for task in begun if not task.done()}) and loop.time() < until:
                left_s = until - loop.time()
                await asyncio.wait(open_, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
                chosen = next((task for task in begun if _succeeded(task)), None)
                if chosen is not None:
                    return chosen.result()
        raise _why_none(begun)
    finally:
        for task in begun:
            task.cancel()
        await asyncio.gather(*begun, return_exceptions=True)
        for task in begun:
            if task is not chosen and _succeeded(task):
                await task.result()[1].close()


def _why_none(attempts: Sequence[asyncio.Task[_Relay]]) -> BaseException:
    """Return what the first of these raised that has more to tell than a time-out."""
    raised = [task.exception() for task in attempts if task.done() and not task.cancelled()]
    exact = [error for error in raised if error is not None and not is_timeout(error)]
    return exact[0] if exact else TimeoutError()


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
