"""What players have to agree on before they play: each greets all others, and who finds a difference refuses.

Knows descriptions; refuses to know how they travel and what is in them.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from gym_p2p.core.match.events import Connected, Difference, HandshakeMismatch
from gym_p2p.core.match.peer import Peer, PeerState
from gym_p2p.core.wire.codec import JsonObject
from gym_p2p.core.wire.fragments import MAX_CTRL_BYTES
from gym_p2p.core.wire.messages import MAX_DIFFERENCES, PROTOCOL_VERSION, Hello, Refuse, encode
from gym_p2p.errors import ProtocolError

__all__ = [
    "Handshake",
    "Term",
    "handshake_differences",
    "label_of",
    "refusal",
    "term_differences",
]


class Term(enum.StrEnum):
    """A field of what has to be agreed on; compared, and sent, under this name whatever its label."""

    GAME = "game"
    """A mapping of topics to texts."""
    RELEASE = "release"
    CHECKSUM_INTERVAL = "checksum_interval"
    ABSENT_PLAYERS = "absent_players"
    """How the others play on without a player."""


_LABELS: Mapping[str, str] = {
    Term.RELEASE: "gym_p2p",
    Term.CHECKSUM_INTERVAL: "checksum interval",
    Term.ABSENT_PLAYERS: "when a player is gone",
}
"""What people read; nothing is compared by it."""

_NOTHING = "(nothing)"


class Handshake:
    """One player's handshakes with all others.

    Args:
        description: what this side is going to play.
        peers: all others, in the order of their indices.

    Attributes:
        complete: whether all of them agree with us.
    """

    def __init__(self, description: Mapping[str, Any], peers: Mapping[int, Peer]) -> None:
        self._description = description
        self._peers = peers
        self._about: list[Mapping[str, Any] | None] = [None] * (len(peers) + 1)
        self.complete = False

    def hello(self) -> Hello:
        """Return our greeting."""
        return Hello(PROTOCOL_VERSION, JsonObject(self._description))

    def receive(self, peer: Peer, hello: Hello) -> HandshakeMismatch | Connected | None:
        """Take in a peer's greeting; return what it comes to: :class:`Connected` if it was the last one.

        Raises:
            ProtocolError: it is not the first, or no greeting.
        """
        if peer.state is not PeerState.GREETING:
            raise ProtocolError("second handshake")
        differences = handshake_differences(self._description, hello)
        if differences:
            return HandshakeMismatch(peer.index, differences)
        peer.state = PeerState.PLAYING
        about = hello.description.get("about")
        self._about[peer.index] = about if isinstance(about, dict) else {}
        if self.complete or any(other.state is not PeerState.PLAYING for other in self._peers.values()):
            return None
        self.complete = True
        return Connected(tuple(self._about))


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
    return term_differences(ours.get("must", {}), theirs)


def term_differences(
    ours: Mapping[str, Any], theirs: Mapping[str, Any], *, only: Collection[Term] | None = None
) -> tuple[Difference, ...]:
    """Return in what two sides' terms differ, ours first, then what only they have.

    Args:
        ours: by field; a mapping is compared topic by topic.
        theirs: the same, as it was received.
        only: the fields that bind; ``None`` is all of them.
    """
    rows: list[Difference] = []
    for field in [*ours, *(field for field in theirs if field not in ours)]:
        if only is None or field in only:
            rows += _rows(field, ours.get(field, _NOTHING), theirs.get(field, _NOTHING))
    return tuple((_text(what), _text(our), _text(their)) for what, our, their in rows if our != their)


def refusal(differences: Sequence[Difference]) -> Refuse:
    """Return the message that lists the differences: as many of them as it may hold."""
    message = Refuse(tuple(differences[:MAX_DIFFERENCES]))
    while len(encode(message)) > MAX_CTRL_BYTES:
        message = Refuse(message.differences[: len(message.differences) // 2])
    return message


def _text(text: str) -> str:
    """Return a text that can be encoded and printed: JSON may bring half a surrogate pair."""
    return text.encode("utf-8", "backslashreplace").decode()


def label_of(field: str) -> str:
    """Return what people read for a field; its own name where there is nothing better."""
    return _LABELS.get(field, field)


def _rows(field: str, ours: Any, theirs: Any) -> Iterator[Difference]:
    if not (isinstance(ours, Mapping) and isinstance(theirs, Mapping)):
        yield label_of(field), str(ours), str(theirs)
        return
    for topic in [*ours, *(topic for topic in theirs if topic not in ours)]:
        yield str(topic), str(ours.get(topic, _NOTHING)), str(theirs.get(topic, _NOTHING))
