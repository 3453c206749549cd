"""Compares the players' checksums of the same frames.

Knows digests by episode, frame and player, and that one may go on where another ends (a state that one player
cannot read is not compared); refuses to know what they are digests of.

A player checks frames in their order, over a channel that keeps it. So of everybody only later frames are
taken than those that are here, and what others sent of frames that we have passed without checking them is
dropped: whatever a player makes up, it cannot push out what the others really said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gym_p2p.core.match.events import OUTCOME_BYTES, ChecksumsAgreed, Desynced
from gym_p2p.core.wire.messages import Checksum

__all__ = ["ChecksumHistory"]

_KEPT = 4096
"""Beyond it the oldest is given up: of so many frames somebody has sent nothing."""


class ChecksumHistory:
    """The digests of frames of which not every player's is here yet.

    They are few: of our frames those of which somebody's is missing, and of later ones what can be final
    (:meth:`~gym_p2p.core.match.input_exchange.InputExchange.can_be_final`).
    """

    def __init__(self, *, local: int, players: int) -> None:
        self._local = local
        self._awaited = set(range(players))
        self._open: dict[tuple[int, int], dict[int, bytes]] = {}
        """Of frames that we have checked, oldest first."""
        self._ahead: dict[tuple[int, int], dict[int, bytes]] = {}
        """Of frames that we may check yet."""
        self._newest: dict[int, tuple[int, int]] = {}

    def add(self, player: int, message: Checksum) -> Sequence[ChecksumsAgreed | Desynced]:
        """Take a player's digest, or our own; return what that shows. One of an earlier frame is ignored."""
        key = (message.episode, message.frame)
        if key <= self._newest.get(player, (0, -1)):
            return ()
        self._newest[player] = key
        if player == self._local:
            return self._check(key, message.digest)
        digests = self._open.get(key)
        if digests is None:
            if key > self._newest.get(self._local, (0, -1)):
                self._ahead.setdefault(key, {})[player] = message.digest
            return ()
        digests[player] = message.digest
        ours = digests[self._local]
        return [*_differs(key, ours, {player: message.digest}), *self._complete(key)]

    def _check(self, key: tuple[int, int], ours: bytes) -> Sequence[ChecksumsAgreed | Desynced]:
        """Compare our digest of a frame with what the others sent of it before."""
        theirs = self._ahead.pop(key, {})
        self._ahead = {later: digests for later, digests in self._ahead.items() if later > key}
        self._open[key] = {self._local: ours, **theirs}
        if len(self._open) > _KEPT:
            del self._open[next(iter(self._open))]
        return [*_differs(key, ours, theirs), *self._complete(key)]

    def leave(self, player: int) -> Sequence[ChecksumsAgreed]:
        """Wait no longer for a player who is gone; return what those who are left agree on. Idempotent."""
        if player not in self._awaited:
            return []
        self._awaited.remove(player)
        return [event for key in list(self._open) for event in self._complete(key)]

    def _complete(self, key: tuple[int, int]) -> Sequence[ChecksumsAgreed]:
        """Close a frame of which the digest of everybody who is left is here."""
        digests = self._open[key]
        if not self._awaited <= digests.keys():
            return []
        del self._open[key]
        fullest = max(digests.values(), key=len)  # it is what two of the others may have to differ in
        agreed = len(digests) > 1 and all(_agree(fullest, other) for other in digests.values())
        return [ChecksumsAgreed(*key)] if agreed else []

    def awaits(self, players: Iterable[int]) -> bool:
        """Whether a digest of one of these players is missing of a frame of which ours is here."""
        wanted = list(players)
        return any(any(player not in digests for player in wanted) for digests in self._open.values())


def _differs(key: tuple[int, int], ours: bytes, theirs: Mapping[int, bytes]) -> list[Desynced]:
    return [
        Desynced(*key, player, ours, digest) for player, digest in theirs.items() if not _agree(ours, digest)
    ]


def _agree(one: bytes, other: bytes) -> bool:
    """Whether two digests are equal as far as both are over the same things."""
    return one == other or (len(one) != len(other) and one[:OUTCOME_BYTES] == other[:OUTCOME_BYTES])
