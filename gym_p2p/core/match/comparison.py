"""What players compare: digests of the frames that are final, and, once where they differ, their states.

Knows digests and bytes; refuses to know what they are of and how they travel.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gym_p2p.core.match.checksums import ChecksumHistory
from gym_p2p.core.match.events import ChecksumsAgreed, Desynced, StateArrived
from gym_p2p.core.match.state_transfer import StateTransfers
from gym_p2p.core.wire.messages import Checksum, StatePart

__all__ = ["Comparison"]


class Comparison:
    """One player's comparisons with all others."""

    def __init__(self, *, local: int, players: int) -> None:
        self._checksums = ChecksumHistory(local=local, players=players)
        self._transfers = StateTransfers()

    def add(self, player: int, checksum: Checksum) -> Iterator[ChecksumsAgreed | Desynced]:
        """Take a player's digest, or our own; yield what that shows. Who differs may send their state."""
        for event in self._checksums.add(player, checksum):
            if isinstance(event, Desynced):
                self._transfers.expect(event.player, event.episode, event.frame)
            yield event

    def add_state(self, player: int, part: StatePart) -> Iterator[StateArrived]:
        """Take a part of a player's state; yield it once it is whole.

        Raises:
            ProtocolError: nobody asked for it.
        """
        data = self._transfers.add(player, part)
        if data is not None:
            yield StateArrived(player, part.episode, part.frame, data)

    def leave(self, player: int) -> Iterable[ChecksumsAgreed]:
        """Wait no longer for a player who is gone; return what those who are left agree on. Idempotent."""
        return self._checksums.leave(player)

    def awaits(self, players: Iterable[int]) -> bool:
        """Whether a digest of one of these players is missing of a frame of which ours is here."""
        return self._checksums.awaits(players)
