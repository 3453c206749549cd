"""Since when inputs are here that were not reported to a peer.

Every message to a peer reports all that is here. So there are peers who know everything, and for the others
the time of the first arrival after the message that they got last. An arrival moves only those who knew
everything, and a message only its recipient: each message is followed by one move at most.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["Unreported"]


class Unreported:
    """What is owed to the peers of one episode: a report of what has arrived.

    Args:
        peers: their indices. At first there is nothing to report.
    """

    def __init__(self, peers: Iterable[int]) -> None:
        self._informed = list(peers)
        self._since: dict[int, float | None] = dict.fromkeys(self._informed)

    def arrived(self, now: float) -> None:
        """Note that something new is here, of whomever."""
        for peer in self._informed:
            self._since[peer] = now
        self._informed.clear()

    def told(self, peer: int) -> None:
        """Note that a peer is told all that is here."""
        if self._since[peer] is not None:
            self._since[peer] = None
            self._informed.append(peer)

    def since(self, peer: int) -> float | None:
        """Return since when something was not reported to a peer; ``None`` where everything was."""
        return self._since[peer]
