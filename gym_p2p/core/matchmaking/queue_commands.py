"""What the queues ask of the service, and what they tell it.

Requests must be carried out, in their order; events may be ignored. It knows no state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from gym_p2p.core.api.matches import MakeMatch
from gym_p2p.core.api.queues import PairMeasured, worst_rtt_ms
from gym_p2p.core.api.replies import Notify
from gym_p2p.core.matchmaking.commands import RequestProbe
from gym_p2p.core.matchmaking.strategy import QueuedCandidate

__all__ = ["EndProbe", "LogDecision", "MeasurePair", "ProposedMatch", "QueueOutput"]


@attrs.frozen
class MeasurePair:
    """Request: probe a pair, and answer with ``Queues.measured(queue, request.probe_no, …)``."""

    queue: str
    request: RequestProbe


@attrs.frozen
class EndProbe:
    """Request: end a probe, whose result is no longer waited for."""

    queue: str
    probe_no: int


@attrs.frozen
class ProposedMatch:
    """Request: ask the service's hook, and answer with ``Queues.hook_decided(queue, proposal_no, …)``.

    Attributes:
        queue: which one.
        proposal_no: what the answer names.
        candidates: who is to play, with waits and former partners.
        pairs: what was measured between them; empty where nothing was probed.
    """

    queue: str
    proposal_no: int
    candidates: tuple[QueuedCandidate, ...]
    pairs: tuple[PairMeasured, ...]

    @property
    def worst_rtt_ms(self) -> float | None:
        """The largest round trip of any pair in ms; ``None`` if nothing was measured."""
        return worst_rtt_ms(self.pairs)


@attrs.frozen
class LogDecision:
    """Event: a decision was taken; a JSON-ready record for the decision log."""

    record: Mapping[str, Any]


QueueOutput = Notify | MeasurePair | EndProbe | ProposedMatch | MakeMatch | LogDecision
