"""Probing on the service: the wire's events into the registry, its outcomes out to whoever waits for them.

Knows the clock, futures and listeners. What a probe is and who may do what in it is the registry's to say
(:mod:`gym_p2p.core.probing.registry`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from gym_p2p.core.api import requests
from gym_p2p.core.api.payloads import decode
from gym_p2p.core.api.probes import ProbeReport
from gym_p2p.core.api.replies import Answer, Code, Emit, Refused
from gym_p2p.core.probing.outcome import ProbeOutcome
from gym_p2p.core.probing.registry import ProbeEnded, ProbeRegistry
from gym_p2p.errors import ProtocolError

__all__ = ["OnOutcome", "Probing"]

_LOG = logging.getLogger(__name__)

OnOutcome = Callable[[ProbeOutcome], None]


class Probing:
    """The probes of one service, on its event loop.

    Args:
        registry: the machine.
        on_work: called when there is something to :meth:`poll`, or another time to wait for.
    """

    def __init__(self, registry: ProbeRegistry, on_work: Callable[[], None]) -> None:
        self._registry = registry
        self._on_work = on_work
        self._waiting: dict[str, asyncio.Future[ProbeOutcome]] = {}
        self._listeners: list[OnOutcome] = []
        self.handlers: Mapping[str, Callable[[str, Any], Answer]] = {
            "probe_ready": self._ready,
            "probe_signal": self._signal,
            "probe_result": self._result,
            "probe_wait": self._wait,
            "probe_request": self._request,
        }

    async def probe(
        self, one: str, other: str, *, threshold_ms: float | None = None, relay_only: bool = False
    ) -> ProbeOutcome:
        """Measure the latency between two subjects; takes 18 s at most.

        Being cancelled ends the probe and frees both.

        Args:
            one: a registered subject.
            other: another one.
            threshold_ms: what the result will be compared with: tells the two how exact it has to be.
            relay_only: over a relay.

        Raises:
            UsageError: both are the same subject.
        """
        probe_id = self._registry.create(
            one, other, time.monotonic(), threshold_ms=threshold_ms, relay_only=relay_only
        )
        ended: asyncio.Future[ProbeOutcome] = asyncio.get_running_loop().create_future()
        self._waiting[probe_id] = ended
        self._on_work()
        try:
            return await ended
        finally:
            self._waiting.pop(probe_id, None)
            self._registry.cancel(probe_id, time.monotonic())
            self._on_work()

    def listen(self, listener: OnOutcome) -> None:
        """Call a listener with the outcome of every probe, whoever asked for it."""
        self._listeners.append(listener)

    def close(self) -> None:
        """End every probe that somebody waits for; he is told ``cancelled``."""
        for probe_id in tuple(self._waiting):
            self._registry.cancel(probe_id, time.monotonic())
        while self.poll() is not None:
            pass

    # ---- what the service passes on

    def registered(self, sid: str, subject_id: str, client: str | None) -> None:
        """Note who a socket is."""
        self._registry.registered(sid, subject_id, time.monotonic(), client=client)

    def disconnected(self, sid: str) -> None:
        """Note that a socket is gone."""
        self._registry.disconnected(sid, time.monotonic())

    def handle_timeout(self, now: float) -> None:
        """Do what has come due by ``now``."""
        self._registry.handle_timeout(now)

    def next_timeout(self) -> float | None:
        """Return when :meth:`handle_timeout` wants to be called, or ``None``."""
        return self._registry.next_timeout()

    def poll(self) -> Emit | None:
        """Return the next thing to send, or ``None``; outcomes go to those who wait for them."""
        while isinstance(output := self._registry.poll(), ProbeEnded):
            self._announce(output)
        return output

    # ---- the events

    def _ready(self, sid: str, payload: object) -> Answer:
        member = decode(requests.ProbeMember, payload)
        return self._registry.ready(sid, member.probe_session_id, time.monotonic())

    def _signal(self, sid: str, payload: object) -> Answer:
        request = decode(requests.SendProbeSignal, payload)
        return self._registry.signal(
            sid,
            request.probe_session_id,
            time.monotonic(),
            target_subject_id=request.target_subject_id,
            type=request.type,
            payload=request.parsed_payload(),
        )

    def _result(self, sid: str, payload: object) -> Answer:
        member = decode(requests.ProbeMember, payload)
        try:
            report = decode(ProbeReport, payload)
        except ProtocolError as error:
            answer = self._registry.result(sid, member.probe_session_id, None, time.monotonic())
            return answer if isinstance(answer, Refused) else Refused(Code.BAD_REQUEST, error.problem)
        return self._registry.result(sid, member.probe_session_id, report, time.monotonic())

    def _wait(self, sid: str, payload: object) -> Answer:
        return self._registry.wait(sid, waiting=decode(requests.ProbeWait, payload).waiting)

    def _request(self, sid: str, payload: object) -> Answer:
        request = decode(requests.ProbeRequest, payload)
        return self._registry.request(sid, request.target_subject_id, time.monotonic())

    # ---- outcomes

    def _announce(self, ended: ProbeEnded) -> None:
        outcome = ended.outcome
        _LOG.info("probe %s ended: %s", ended.probe_id, outcome.reason)
        future = self._waiting.pop(ended.probe_id, None)
        if future is not None and not future.done():
            future.set_result(outcome)
        for listener in tuple(self._listeners):
            try:
                listener(outcome)
            except Exception:  # noqa: BLE001  # the host's bug must not stop the others' probes
                _LOG.exception("in a listener of probe outcomes")
