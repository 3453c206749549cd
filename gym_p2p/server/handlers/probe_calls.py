"""Those who wait for the outcomes of probes: callers of ``service.probe``, and listeners.

Knows futures. What a probe is, is for :mod:`gym_p2p.core.probing.registry` to decide.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from gym_p2p.core.probing.outcome import ProbeOutcome
from gym_p2p.core.probing.registry import ProbeEnded

__all__ = ["OnOutcome", "ProbeCalls"]

_LOG = logging.getLogger(__name__)

OnOutcome = Callable[[ProbeOutcome], None]


class ProbeCalls:
    """The calls of one service that wait for a probe, on its event loop.

    Attributes:
        listeners: called with the outcome of every probe, whoever requested it.
    """

    def __init__(self) -> None:
        self.listeners: list[OnOutcome] = []
        self._calls: dict[str, asyncio.Future[ProbeOutcome]] = {}

    @property
    def waiting(self) -> tuple[str, ...]:
        """The ids of the probes that somebody waits for."""
        return tuple(self._calls)

    async def outcome(self, probe_id: str) -> ProbeOutcome:
        """Wait for the outcome of a probe."""
        ended: asyncio.Future[ProbeOutcome] = asyncio.get_running_loop().create_future()
        self._calls[probe_id] = ended
        try:
            return await ended
        finally:
            self._calls.pop(probe_id, None)

    def announce(self, ended: ProbeEnded) -> None:
        """Hand an outcome to those who wait for it."""
        _LOG.info("probe %s ended: %s", ended.probe_id, ended.outcome.reason)
        call = self._calls.get(ended.probe_id)
        if call is not None and not call.done():
            call.set_result(ended.outcome)
        for listener in tuple(self.listeners):
            try:
                listener(ended.outcome)
            except Exception:  # noqa: BLE001  # the host's bug must not stop the others' probes
                _LOG.exception("in a listener of probe outcomes")
