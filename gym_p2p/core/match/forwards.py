"""What others pass on for two players of a match: the service, or a third player who reaches both.

What goes that way is wrapped (:class:`~gym_p2p.core.wire.forwarded.ForwardedGame`,
:class:`~gym_p2p.core.wire.forwarded.ForwardedControl`) and sealed under the key that its origin gave its
recipient with the greeting: whoever passes it on can read it, keep it back or repeat it, and neither make
nor change it. Both kinds are numbered: a repeated game message changes nothing, and is no sign of life, and a
repeated control message is not taken.

Knows seals, and how much a player may have passed on. Refuses to know which way is taken, and when.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import TypeVar

import msgspec

from gym_p2p.core.link.bucket import Bucket
from gym_p2p.core.match.peer import Peer
from gym_p2p.core.match.seals import Seals
from gym_p2p.core.match.ways import DIRECT, SERVICE, Forwarding, Way
from gym_p2p.core.wire.forwarded import ForwardedControl, ForwardedGame
from gym_p2p.core.wire.messages import Resume, decode, encode
from gym_p2p.errors import ProtocolError

__all__ = ["FORWARD_BURST_BYTES", "FORWARD_BYTES_PER_S", "Forwarded", "Forwards"]

FORWARD_BYTES_PER_S = 250_000
FORWARD_BURST_BYTES = 1_048_576
"""Of each of two players for the other: many times what a match at 60 Hz needs, and a state after a desync
at once. What is beyond is not passed on; the two send it again."""

_LEAST_BYTES = 64
"""What a message counts for that holds less: each is a datagram, however empty."""

_NEW_AFTER_S = 10.0
"""After so long without anything passed on for two players, it is worth telling again."""

Forwarded = ForwardedGame | ForwardedControl
_F = TypeVar("_F", ForwardedGame, ForwardedControl)


class Forwards:
    """What one player wraps, unwraps and passes on.

    Args:
        local: the local player's index.
        peers: all others, by index.
        seals: under whose keys.
    """

    def __init__(self, *, local: int, peers: Mapping[int, Peer], seals: Seals) -> None:
        self._local = local
        self._peers = peers
        self._seals = seals
        self._budgets: dict[tuple[int, int], Bucket] = {}
        self._latest_at: dict[tuple[int, int], float] = {}
        self._numbers: dict[int, int] = {}
        """Of the newest game message to each."""

    def game(self, recipient: int, data: bytes) -> ForwardedGame:
        """Wrap a message of the game channel."""
        number = self._numbers[recipient] = self._numbers.get(recipient, 0) + 1
        return self._sealed(ForwardedGame(self._local, recipient, number, b"", data))

    def control(self, recipient: int, data: bytes, *, change: int, number: int) -> ForwardedControl:
        """Wrap a message of the control channel, or a fragment of one."""
        return self._sealed(ForwardedControl(self._local, recipient, change, number, b"", data))

    def introduction(self, recipient: int, data: bytes) -> ForwardedControl:
        """Wrap a :class:`~gym_p2p.core.wire.messages.Resume`, which is its own proof, ahead of any way."""
        return ForwardedControl(self._local, recipient, 0, 0, b"", data)

    @property
    def carried_at(self) -> float:
        """When something was passed on last for two who are still there; -inf where nothing was."""
        pairs = self._latest_at.items()
        return max([at for pair, at in pairs if all(self._peers[one].present for one in pair)], default=-inf)

    @staticmethod
    def introduced(message: Forwarded) -> Resume | None:
        """Return the introduction that is passed on; ``None`` where it is something else."""
        if isinstance(message, ForwardedGame) or message.change or message.number:
            return None
        try:
            resume = decode(message.message)
        except ProtocolError:
            return None
        return resume if isinstance(resume, Resume) else None

    def origin_of(self, message: Forwarded) -> Peer:
        """Return who sent us something that was passed on.

        Raises:
            ProtocolError: it is not for us, or from nobody who could have sent it.
        """
        origin = self._peers.get(message.origin)
        if message.recipient != self._local or origin is None:
            raise ProtocolError("passed on to the wrong player")
        return origin

    def is_true(self, message: Forwarded, way: Way) -> bool:
        """Whether it is from who it is said to be.

        Who has not greeted us yet is taken on the service's word, as over a first link.
        """
        if way == SERVICE and not self._seals.knows(message.origin):
            return True
        unsealed = encode(msgspec.structs.replace(message, seal=b""))
        incarnation = self._peers[message.origin].incarnation
        return self._seals.is_forwarded(unsealed, message.origin, incarnation, message.seal)

    def by_service(self, data: bytes, sender: Peer) -> Forwarded | None:
        """Return what the service passed on of a sender; ``None`` for what nobody can have sent.

        That is nobody's fault who plays: the service would have players counted as gone by it.
        """
        try:
            message = decode(data)
            if not isinstance(message, Forwarded) or self.origin_of(message) is not sender:
                return None
        except ProtocolError:
            return None
        return message

    def pass_on(self, sender: Peer, message: Forwarded, now: float) -> tuple[Peer, Forwarding | None] | None:
        """Return to whom a message of a sender is to be passed on, and what is worth telling.

        Returns:
            ``None`` where it is not: nobody is there, or it is too much.

        Raises:
            ProtocolError: it is not the sender's own, or for nobody else.
        """
        recipient = self._peers.get(message.recipient)
        if message.origin != sender.index or recipient is None or recipient is sender:
            raise ProtocolError("passed on for somebody else")
        pair = (message.origin, message.recipient)
        budget = self._budgets.setdefault(pair, Bucket(FORWARD_BYTES_PER_S, FORWARD_BURST_BYTES))
        # One hop, and over paths that are there: what goes through others itself would be passed on for ever.
        if not recipient.greeted or recipient.ways.now is not DIRECT or not sender.greeted:
            return None
        if not budget.takes(max(_LEAST_BYTES, len(message.message)), now):
            return None
        latest_at = self._latest_at.get(pair)
        self._latest_at[pair] = now
        is_new = latest_at is None or latest_at + _NEW_AFTER_S < now
        return recipient, Forwarding(*pair) if is_new else None

    def _sealed(self, message: _F) -> _F:
        incarnation = self._peers[message.recipient].incarnation
        seal = self._seals.forward_seal(encode(message), message.recipient, incarnation)
        return msgspec.structs.replace(message, seal=seal)
