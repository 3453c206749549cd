"""What comes out of a match: messages to peers as bytes on their channel, and events, in one order.

Knows which message goes over which channel and which way, and that what is too long is split; refuses to know
when anything is due.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

import msgspec

from gym_p2p.core.match.events import Event, Left
from gym_p2p.core.match.forwards import Forwards
from gym_p2p.core.match.peer import Peer
from gym_p2p.core.match.ways import DIRECT, SERVICE, Way
from gym_p2p.core.wire.forwarded import ForwardedControl, ForwardedGame
from gym_p2p.core.wire.fragments import split
from gym_p2p.core.wire.messages import (
    Channel,
    Continue,
    Inputs,
    Message,
    Ping,
    Pong,
    Resume,
    encode,
    encode_plain,
)

__all__ = ["MatchOutput", "Outputs", "Transmit"]

_GAME = Channel.GAME
_ON_GAME_CHANNEL = (Inputs, Ping, Pong, ForwardedGame)


class Transmit(msgspec.Struct, frozen=True):
    """The one request of a match: send these bytes to a player.

    Attributes:
        by_service: whether the service passes them on; else they go directly.
    """

    player: int
    channel: Channel
    data: bytes
    by_service: bool = False


MatchOutput = Transmit | Event


class Outputs:
    """The requests and events of one match that nobody has polled yet.

    Args:
        peers: all others, by index.
        forwards: wraps what others pass on.
    """

    def __init__(self, peers: Mapping[int, Peer], forwards: Forwards) -> None:
        self._peers = peers
        self._forwards = forwards
        self._outputs: deque[MatchOutput] = deque()

    def emit(self, *events: Event) -> None:
        """Append events."""
        self._outputs.extend(events)

    def send(self, peer: Peer, message: Message, now: float) -> None:
        """Append what carries a message to a peer."""
        if isinstance(message, _ON_GAME_CHANNEL):
            data = encode_plain(message)
            peer.sent_at = now
            if peer.ways.now is DIRECT:
                self._outputs.append(Transmit(peer.index, _GAME, data))
            else:
                self._send_game_around(peer, message, data, now)
            return
        data = encode(message)
        if peer.control.add(data):
            self.send_control(peer, data)

    def acknowledge_control(self, peer: Peer, now: float) -> None:
        """Append what tells a peer how many of its control messages are here."""
        self.send(peer, peer.pings.next(peer.control.received, now), now)

    def end(self, now: float) -> None:
        """Append what comes last: that we have left, and before it what others may wait to be told."""
        for peer in self._peers.values():
            if peer.greeted:
                self.acknowledge_control(peer, now)
        self.emit(Left())

    def send_beside(self, peer: Peer, message: Ping | Pong) -> None:
        """Append what carries a message directly, whichever way the others take."""
        self._outputs.append(Transmit(peer.index, _GAME, encode(message)))

    def send_over(self, peer: Peer, way: Way, message: Ping, now: float) -> None:
        """Append what carries a ping to a peer over a way that need not be the one that messages take."""
        if way == peer.ways.now:
            self.send(peer, message, now)
        else:
            self._have_game_passed_on(peer, way, encode(message), now)

    def send_control(self, peer: Peer, data: bytes) -> None:
        """Append what carries an encoded control message to a peer, which is in its log."""
        peer.fragment_number += 1
        for piece in split(data, peer.fragment_number):
            if peer.ways.now is DIRECT:
                self._outputs.append(Transmit(peer.index, Channel.CTRL, piece))
            else:
                peer.ways.numbered += 1
                self._send_control_around(peer, piece)

    def send_introduction(self, peer: Peer, way: Way, message: Resume) -> None:
        """Append what carries a proof of who we are to a peer, by a way round; it does not count."""
        self._have_passed_on(peer, way, self._forwards.introduction(peer.index, encode(message)))

    def send_continue(self, peer: Peer, message: Continue) -> None:
        """Append what carries the first message of a way, which does not count."""
        peer.ways.numbered = 0
        if peer.ways.now is DIRECT:
            self._outputs.append(Transmit(peer.index, Channel.CTRL, encode(message)))
        else:
            self._send_control_around(peer, encode(message))

    def broadcast(self, peers: Iterable[Peer], message: Message, now: float) -> None:
        """Append what carries a message to everybody who takes part; who looks on asks for what they want."""
        for peer in peers:
            if peer.takes_part:
                self.send(peer, message, now)

    def tell_all(self, peers: Iterable[Peer], message: Message, now: float) -> None:
        """Append what carries a message to everybody who is there, also to who looks on."""
        for peer in peers:
            if peer.present:
                self.send(peer, message, now)

    def poll(self) -> MatchOutput | None:
        """Return the next one, ``None`` when there is none."""
        return self._outputs.popleft() if self._outputs else None

    def _send_game_around(self, peer: Peer, message: Message, data: bytes, now: float) -> None:
        """Have a message passed on; inputs go directly as well where there is a link, however bad."""
        if isinstance(message, Inputs) and peer.ways.link_open:
            self._outputs.append(Transmit(peer.index, _GAME, data))
        self._have_game_passed_on(peer, peer.ways.now, data, now)

    def _have_game_passed_on(self, peer: Peer, way: Way, data: bytes, now: float) -> None:
        wrapped = self._forwards.game(peer.index, data)
        if way == SERVICE:
            self._outputs.append(Transmit(peer.index, _GAME, encode(wrapped), by_service=True))
        elif (carrier := self._carrier(way)) is not None:
            self.send(carrier, wrapped, now)

    def _send_control_around(self, peer: Peer, data: bytes) -> None:
        ways = peer.ways
        wrapped = self._forwards.control(peer.index, data, change=ways.change, number=ways.numbered)
        self._have_passed_on(peer, ways.now, wrapped)

    def _have_passed_on(self, peer: Peer, way: Way, wrapped: ForwardedControl) -> None:
        whole = encode(wrapped)
        if way == SERVICE:
            self._outputs.append(Transmit(peer.index, Channel.CTRL, whole, by_service=True))
        elif (carrier := self._carrier(way)) is not None and carrier.control.add(whole):
            self.send_control(carrier, whole)

    def _carrier(self, way: Way) -> Peer | None:
        """Return the third player on a way; ``None`` where nothing reaches them directly."""
        carrier = None if way.via is None else self._peers.get(way.via)
        return carrier if carrier is not None and carrier.plays_directly else None
