"""The other side's addresses, as they come: so many at most, and hidden ones looked up without waiting."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter

from aiortc.rtcicetransport import RTCIceCandidate, RTCIceTransport

from gym_p2p.core.signaling.ice_candidates import RESERVED_CANDIDATES
from gym_p2p.processes.tasks import note_failure

__all__ = ["MAX_REMOTE_CANDIDATES", "RemoteCandidates", "in_numbers"]

_log = logging.getLogger(__name__)

MAX_REMOTE_CANDIDATES = 100
"""Each costs a connectivity check: the limit on those (RFC 8445, section 6.1.2.5)."""


class RemoteCandidates:
    """Hands the candidates of the other side to ICE.

    Attributes:
        seen: how many of each type were handed over.
    """

    def __init__(self, ice: RTCIceTransport) -> None:
        self._ice = ice
        self._lookups: set[asyncio.Task[None]] = set()
        self.seen: Counter[str] = Counter()

    async def add(self, candidate: RTCIceCandidate) -> None:
        """Hand over a candidate, unless there are too many."""
        if self.seen.total() >= MAX_REMOTE_CANDIDATES and self.seen[candidate.type] >= RESERVED_CANDIDATES:
            return
        self.seen[candidate.type] += 1
        if not candidate.ip.endswith(".local"):
            await self._ice.addRemoteCandidate(candidate)
            return
        # A browser's hidden address: looking it up takes a second when it fails, so nothing waits for it.
        task = asyncio.get_running_loop().create_task(self._look_up(candidate))
        self._lookups.add(task)
        task.add_done_callback(self._lookups.discard)
        task.add_done_callback(note_failure)

    def close(self) -> None:
        """Look up nothing more. Idempotent."""
        for task in tuple(self._lookups):
            task.cancel()

    async def _look_up(self, candidate: RTCIceCandidate) -> None:
        try:
            await self._ice.addRemoteCandidate(candidate)
        except OSError as error:
            # The port of mDNS may be another program's; the other candidates remain.
            _log.info("a hidden address of the other side cannot be looked up: %s", error.strerror or error)


def in_numbers(types: Counter[str]) -> str:
    """Return how many there are of each type, in words."""
    return ", ".join(f"{number} {kind}" for kind, number in sorted(types.items())) or "none"
