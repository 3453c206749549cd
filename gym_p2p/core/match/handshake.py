"""What players have to agree on before they play: each greets all others, and who finds a difference refuses.

Knows descriptions; refuses to know how they travel and what is in them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gym_p2p.core.match.events import Connected, Difference, HandshakeMismatch
from gym_p2p.core.match.peer import Peer, PeerState
from gym_p2p.core.match.seals import Seals
from gym_p2p.core.match.terms import file_names, term_differences
from gym_p2p.core.wire.codec import JsonObject
from gym_p2p.core.wire.fragments import MAX_CTRL_BYTES
from gym_p2p.core.wire.messages import MAX_DIFFERENCES, PROTOCOL_VERSION, Hello, Refuse, encode
from gym_p2p.errors import ProtocolError

__all__ = ["Handshake", "handshake_differences", "refusal"]


class Handshake:
    """One player's handshakes with all others.

    Args:
        description: what this side is going to play.
        peers: all others, in the order of their indices.
        seals: whose keys go with the greetings.
        reconnect_ms: for how long this side would wait for a player whose path is broken.
        rejoin_ms: the same for one whose process has ended.

    Attributes:
        complete: whether all of them agree with us.
    """

    def __init__(
        self,
        description: Mapping[str, Any],
        peers: Mapping[int, Peer],
        seals: Seals,
        *,
        reconnect_ms: int,
        rejoin_ms: int,
    ) -> None:
        self._description = description
        self._reconnect_ms, self._rejoin_ms = reconnect_ms, rejoin_ms
        self._least_ms, self._least_rejoin_ms = reconnect_ms, rejoin_ms
        self._peers = peers
        self._seals = seals
        self._about: list[Mapping[str, Any] | None] = [None] * (len(peers) + 1)
        self.complete = False

    def hello(self, peer: Peer) -> Hello:
        """Return our greeting to a peer."""
        key = self._seals.key_for(peer.index) if self.gives_key(peer) else b""
        return Hello(
            PROTOCOL_VERSION, JsonObject(self._description), key, self._reconnect_ms, self._rejoin_ms
        )

    def gives_key(self, peer: Peer) -> bool:
        """Whether our greeting holds the key of our seals: a peer that has one from before gets none again.

        One of us has come back then, perhaps by ways on which somebody else would read it.
        """
        return not (self._seals.incarnation or peer.incarnation)

    @property
    def was_before(self) -> bool:
        """Whether all had agreed with a process of ours before this one: we have come back."""
        return self._seals.incarnation > 0

    @property
    def rejoin_s(self) -> float:
        """For how long all who have greeted us would wait for a player whose process has ended."""
        return self._least_rejoin_ms / 1e3

    @property
    def keys(self) -> dict[int, bytes]:
        """What the others who have greeted us are known by."""
        return self._seals.theirs

    def close(self) -> Connected:
        """Be complete without those who are gone: we have come back, and they had before."""
        self.complete = True
        return Connected(tuple(self._about), self._least_ms / 1e3)

    def receive(self, peer: Peer, hello: Hello) -> HandshakeMismatch | Connected | None:
        """Take in a peer's greeting; return what it comes to: :class:`Connected` if it was the last one.

        Raises:
            ProtocolError: it is not the first, or no greeting.
        """
        if peer.state is not PeerState.GREETING:
            raise ProtocolError("second handshake")
        differences = handshake_differences(self._description, hello)
        if differences:
            if peer.mismatch_told:
                raise ProtocolError("second handshake")
            peer.mismatch_told = True
            return HandshakeMismatch(peer.index, differences)
        peer.state, peer.has_greeted = PeerState.PLAYING, True
        if hello.key or not self._seals.knows(peer.index):
            self._seals.keep(peer.index, hello.key)
        self._agree_to_wait(hello)
        about = hello.description.get("about")
        self._about[peer.index] = about if isinstance(about, dict) else {}
        if self.complete or any(other.state is not PeerState.PLAYING for other in self._peers.values()):
            return None
        self.complete = True
        return Connected(tuple(self._about), self._least_ms / 1e3)

    def _agree_to_wait(self, hello: Hello) -> None:
        """Let a broken path, and a player, be waited for as long as the least patient player would."""
        self._least_ms = min(self._least_ms, hello.reconnect_ms)
        self._least_rejoin_ms = min(self._least_rejoin_ms, hello.rejoin_ms)
        for peer in self._peers.values():
            peer.reconnect_s = self._least_ms / 1e3
            peer.rejoin_s = self.rejoin_s
            if not self._least_ms:
                peer.control.most_bytes = 0


def handshake_differences(ours: Mapping[str, Any], hello: Hello) -> tuple[Difference, ...]:
    """Return what the peer is going to play otherwise than we are.

    Raises:
        ProtocolError: the peer does not state what it is going to play.
    """
    if hello.version != PROTOCOL_VERSION:
        return (("protocol version", str(PROTOCOL_VERSION), str(hello.version)),)
    theirs = hello.description.get("must")
    if not isinstance(theirs, dict):
        raise ProtocolError("handshake without a description")
    return term_differences(
        ours.get("must", {}), theirs, files=(file_names(ours), file_names(hello.description))
    )


def refusal(differences: Sequence[Difference]) -> Refuse:
    """Return the message that lists the differences: as many of them as it may hold."""
    message = Refuse(tuple(differences[:MAX_DIFFERENCES]))
    while len(encode(message)) > MAX_CTRL_BYTES:
        message = Refuse(message.differences[: len(message.differences) // 2])
    return message
