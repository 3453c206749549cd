"""The sockets of an asynchronous server: what is sent to them, and how they are closed.

The library's own way to send is a task and some queues for every event. On a server of our own a text goes to
the websocket at once, as long as nothing that the library has to send stands before it; on a host's server
into the library's queue, behind whatever the host has said. Only sockets of this process come here: they have
connected to it, whatever other processes the host's server knows of.

It knows the insides of engine.io's sockets, and of the queue in them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import attrs
import engineio
import msgspec

from gym_p2p.server.guard.frames import ConnectionGuard
from gym_p2p.server.switchboard import MAX_QUEUED_PACKETS

__all__ = ["AsyncSockets"]


@attrs.frozen(eq=False)
class _Line:
    transport: Any
    """engine.io's socket."""
    guard: ConnectionGuard | None
    """There is none where a host's application has no ``FrameGuard`` around it."""


class AsyncSockets:
    """The sockets of one namespace of a server.

    Args:
        sio: the server.
        namespace: ours.
    """

    def __init__(self, sio: Any, namespace: str) -> None:
        self._sio = sio
        self._namespace = namespace
        self._lines: dict[str, _Line] = {}
        """By socket."""

    def add(self, sid: str, guard: ConnectionGuard | None) -> None:
        """Take a socket in that is connected."""
        transport = self._sio.eio.sockets.get(self._connection(sid))
        if transport is not None:
            self._lines[sid] = _Line(transport, guard)

    def take_events(self, sid: str, take: Callable[[str], None]) -> None:
        """Have a socket's events handed over, their whole texts, before the library reads them, if we can."""
        guard = self.guard_of(sid)
        if guard is not None:
            guard.take_events(take)

    def forget(self, sid: str) -> bool:
        """Forget a socket that is gone; return whether it was closed for what it sent. Idempotent."""
        line = self._lines.pop(sid, None)
        if line is None or line.guard is None:
            return False
        line.guard.take_events(None)
        return line.guard.violated

    def put(self, sid: str, kind: int, data: list[Any], ack_id: int | None = None) -> bool:
        """Send a packet to a socket, or queue it; return whether it reads what it is sent."""
        line = self._lines.get(sid)
        if line is None or line.transport.closed:
            return True
        queue, guard = line.transport.queue, line.guard
        if guard is not None and _is_done_with(queue) and guard.write(_text(kind, data, ack_id)):
            return True
        if queue.qsize() > MAX_QUEUED_PACKETS:
            return False
        packet = self._sio.packet_class(kind, data, self._namespace, ack_id, binary=False).encode()
        for piece in packet if isinstance(packet, list) else [packet]:
            queue.put_nowait(engineio.packet.Packet(engineio.packet.MESSAGE, piece))
        return True

    async def close(self, sid: str | None, guard: ConnectionGuard | None, grace_s: float) -> None:
        """Close a socket, under the library's feet if need be.

        Args:
            sid: which one; ``None`` where the library has refused it, and said so.
            guard: of its websocket; the socket may be forgotten already.
            grace_s: the time that it has to read its goodbye.
        """
        if sid is not None:
            connection = self._connection(sid)
            await self._sio.disconnect(sid, namespace=self._namespace)
            transport = self._sio.eio.sockets.get(connection)
            if guard is None and not grace_s and transport is not None:  # else one that floods could go on
                await transport.close(wait=False, abort=True)
                transport.queue.put_nowait(None)  # ends the library's writer, which closes the websocket
        if guard is not None:
            await asyncio.sleep(grace_s)
            await guard.close()

    def guard_of(self, sid: str) -> ConnectionGuard | None:
        """Return the guard of a socket's websocket, if there is one."""
        line = self._lines.get(sid)
        return None if line is None else line.guard

    def _connection(self, sid: str) -> str | None:
        return self._sio.manager.eio_sid_from_sid(sid, self._namespace)  # type: ignore[no-any-return]  # the library publishes no types


def _is_done_with(queue: asyncio.Queue[Any]) -> bool:
    """Return whether the library has taken all that was put into a queue, and handed it on.

    An empty queue is not enough: what the writer has been woken for is in none. Once it has noted that, it
    sends without a pause, which the guard sees.
    """
    return not queue._unfinished_tasks  # type: ignore[attr-defined]  # noqa: SLF001  # join() would wait


def _text(kind: int, data: list[Any], ack_id: int | None) -> bytes:
    """Return a Socket.IO packet of the first namespace in an Engine.IO message."""
    head = f"4{kind}" if ack_id is None else f"4{kind}{ack_id}"
    return head.encode() + msgspec.json.encode(data)
