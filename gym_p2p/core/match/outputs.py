"""What comes out of a match: messages to peers as bytes on their channel, and events, in one order.

Knows which message goes over which channel, and that what is too long is split; refuses to know when anything
is due.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import msgspec

from gym_p2p.core.match.events import Event
from gym_p2p.core.match.peer import Peer
from gym_p2p.core.wire.fragments import split
from gym_p2p.core.wire.messages import Channel, Continue, Inputs, Message, Ping, Pong, encode

__all__ = ["MatchOutput", "Outputs", "Transmit"]

_ON_GAME_CHANNEL = (Inputs, Ping, Pong)


class Transmit(msgspec.Struct, frozen=True):
    """The one request of a match: send these bytes to a player."""

    player: int
    channel: Channel
    data: bytes


MatchOutput = Transmit | Event


class Outputs:
    """The requests and events of one match that nobody has polled yet."""

    def __init__(self) -> None:
        self._outputs: deque[MatchOutput] = deque()

    def emit(self, *events: Event) -> None:
        """Append events."""
        self._outputs.extend(events)

    def send(self, peer: Peer, message: Message, now: float) -> None:
        """Append what carries a message to a peer."""
        data = encode(message)
        if isinstance(message, _ON_GAME_CHANNEL):
            peer.sent_at = now
            self._outputs.append(Transmit(peer.index, Channel.GAME, data))
            return
        if peer.control.add(data):
            self.send_control(peer, data)

    def send_control(self, peer: Peer, data: bytes) -> None:
        """Append what carries an encoded control message to a peer, which is in its log."""
        peer.fragment_number += 1
        for piece in split(data, peer.fragment_number):
            self._outputs.append(Transmit(peer.index, Channel.CTRL, piece))

    def send_beside(self, peer: Peer, message: Continue) -> None:
        """Append what carries a message of the link itself, which does not count."""
        self._outputs.append(Transmit(peer.index, Channel.CTRL, encode(message)))

    def broadcast(self, peers: Iterable[Peer], message: Message, now: float) -> None:
        """Append what carries a message to everybody who is there."""
        for peer in peers:
            if peer.present:
                self.send(peer, message, now)

    def poll(self) -> MatchOutput | None:
        """Return the next one, ``None`` when there is none."""
        return self._outputs.popleft() if self._outputs else None
