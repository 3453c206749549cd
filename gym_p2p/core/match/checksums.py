"""Compares the players' checksums of the same frames.

Knows digests by episode, frame and player, and that one may go on where another ends (a state that one player
cannot read is not compared); refuses to know what they are digests of.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gym_p2p.core.match.events import OUTCOME_BYTES, ChecksumsAgreed, Desynced
from gym_p2p.core.wire.messages import Checksum

__all__ = ["ChecksumHistory"]

_KEPT = 4096


class ChecksumHistory:
    """The digests of frames of which not every player's is here yet."""

    def __init__(self, *, local: int, players: int) -> None:
        self._local = local
        self._awaited = set(range(players))
        self._open: dict[tuple[int, int], dict[int, bytes]] = {}

    def add(self, player: int, message: Checksum) -> Sequence[ChecksumsAgreed | Desynced]:
        """Take a player's digest, or our own; return what that shows. A second one of a frame is ignored."""
        key = (message.episode, message.frame)
        digests = self._open.setdefault(key, {})
        if player in digests:
            return ()
        digests[player] = message.digest
        found: list[ChecksumsAgreed | Desynced] = []
        ours = digests.get(self._local)
        if ours is not None:
            others = digests if player == self._local else {player: message.digest}
            for other, theirs in others.items():
                if other != self._local and not _agree(ours, theirs):
                    found.append(Desynced(*key, other, ours, theirs))
        found += self._complete(key)
        if len(self._open) > _KEPT:
            self._open.pop(next(iter(self._open)))
        return found

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
        return any(
            self._local in digests and any(player not in digests for player in wanted)
            for digests in self._open.values()
        )


def _agree(one: bytes, other: bytes) -> bool:
    """Whether two digests are equal as far as both are over the same things."""
    return one == other or (len(one) != len(other) and one[:OUTCOME_BYTES] == other[:OUTCOME_BYTES])
