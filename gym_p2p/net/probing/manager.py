"""ProbeManager: takes part in the probes that the service requests, over a signalling client.

prepare -> ready -> start -> measure -> result, and the channel stays open until the service announces the
end, for the other side may still be measuring. It knows the events of the wire and one active probe; every
probe is an object of its own that can only ever report under its own id. It refuses to know why the service
wants the figure.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import attrs

from gym_p2p.config import LinkConfig
from gym_p2p.core.api.payloads import Payload
from gym_p2p.core.api.probes import (
    ProbeCancel,
    ProbePath,
    ProbePrepare,
    ProbeSignal,
    ProbeStart,
    ProbeVerdict,
)
from gym_p2p.core.api.requests import ProbeReady, ProbeRequest, ProbeWait, ReportProbe, SendProbeSignal
from gym_p2p.core.probing.burst import Burst
from gym_p2p.core.probing.statistics import PingStatistics
from gym_p2p.errors import P2PError
from gym_p2p.net.client.events import EventStream
from gym_p2p.net.probing.probe import ProbeConnection
from gym_p2p.processes.tasks import note_failure

__all__ = ["ProbeLine", "ProbeManager", "ProbeResult"]

_log = logging.getLogger(__name__)

GRACE_S = 2.0
"""From our report to closing the channel when the service announces no end (docs/protocol.md, "Probes")."""
_LONGEST_S = 20.0
"""A probe that the service has forgotten ends by itself; above its 18 s."""
_STATS_GRACE_S = 0.5
"""The stats report takes a round trip, during the pings; it is not worth waiting longer for."""

_ProbeEvent = ProbePrepare | ProbeStart | ProbeSignal | ProbeVerdict
_EVENTS: tuple[type[_ProbeEvent], ...] = (ProbePrepare, ProbeStart, ProbeSignal, ProbeVerdict, ProbeCancel)


class ProbeLine(Protocol):
    """What probes need of a line; a :class:`~gym_p2p.net.client.signaling.SignalingClient` is one."""

    @property
    def events(self) -> EventStream:
        """What the service announces."""

    def send(self, payload: Payload) -> None:
        """Send an event, in order, when the line permits; never raises."""

    async def request(self, payload: Payload) -> Mapping[str, Any]:
        """Send an event and return the accepted answer's fields."""


@attrs.frozen(kw_only=True)
class ProbeResult:
    """What one probe came to, as this side knows it.

    Attributes:
        statistics: our own measurement; ``None`` when it did not come to that.
        ice_rtt_ms: a single reading of the stats report, for comparison.
        failure: why we could not measure, a short fixed text; ``None`` when we could.
        verdict: what the service made of both reports; ``None`` when it did not come.
    """

    probe_session_id: str
    peer_subject_id: str
    statistics: PingStatistics | None = None
    path: ProbePath | None = None
    ice_rtt_ms: float | None = None
    failure: str | None = None
    verdict: ProbeVerdict | None = None

    @property
    def rtt_ms(self) -> float | None:
        """What this side measured: the median round trip; ``None`` without an answered ping."""
        return None if self.statistics is None else self.statistics.median_ms

    def to_report(self) -> ReportProbe:
        """Return what the service is sent of it."""
        statistics = self.statistics
        if statistics is None:
            return ReportProbe(probe_session_id=self.probe_session_id, success=False, failure=self.failure)
        return ReportProbe(
            probe_session_id=self.probe_session_id,
            rtt_ms=self.rtt_ms,
            success=bool(statistics.samples_ms),
            samples_ms=statistics.samples_ms,
            jitter_ms=statistics.mad_ms,
            loss=statistics.loss,
            path=self.path,
            failure=self.failure,
        )


class ProbeManager:
    """Answers the service's probes for one subject, one at a time; a new one closes the one before.

    Args:
        client: the signalling client; this manager listens to its events of probes until :meth:`close`.
        subject_id: who the client has registered as.
        link: how peers are reached: that of the matches to come, so that the measured path is the played one.
        pings: exactly so many pings in every probe; ``None`` is as many as the decision needs.
        on_result: called with every probe that ended, but for those that a newer one replaced.
    """

    def __init__(
        self,
        client: ProbeLine,
        subject_id: str,
        *,
        link: LinkConfig | None = None,
        pings: int | None = None,
        on_result: Callable[[ProbeResult], None] | None = None,
    ) -> None:
        self._client = client
        self._subject_id = subject_id
        self._link = LinkConfig() if link is None else link
        self._pings = pings
        self._on_result = on_result
        self._active: _ProbeRun | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        for kind in _EVENTS:
            client.events.listen(kind, self._receive)

    @property
    def active(self) -> ProbeConnection | None:
        """The connection of the probe that is under way, if any."""
        return None if self._active is None else self._active.connection

    async def request(self, target_subject_id: str) -> str:
        """Request a probe against a subject who waits for that; returns the probe's id.

        Raises:
            ServiceRefused: ``no_such_subject``, ``wrong_state``, ``rate_limited``.
            ServiceUnreachable: no answer.
        """
        answer = await self._client.request(ProbeRequest(target_subject_id))
        return str(answer.get("probe_session_id"))

    async def wait_for_requests(self, *, waiting: bool = True) -> None:
        """Let anybody who knows this subject's name probe it, or nobody; to be repeated on every line.

        Raises:
            ServiceRefused: the service would not.
            ServiceUnreachable: no answer.
        """
        await self._client.request(ProbeWait(waiting))

    async def close(self) -> None:
        """End the probe that is under way and take part in no other. Idempotent."""
        for kind in _EVENTS:
            self._client.events.ignore(kind, self._receive)
        self._replace(None)
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _receive(self, event: _ProbeEvent) -> None:
        if isinstance(event, ProbePrepare):
            self._prepare(event)
            return
        run = self._active
        if run is None or event.probe_session_id != run.prepare.probe_session_id:
            _log.debug("%s of another probe was ignored", event.event)
            return
        match event:
            case ProbeStart():
                run.started.set()
            case ProbeSignal():
                run.connection.receive_signal(event.type, event.payload)
            case ProbeVerdict():
                self._active = None  # a newer one replaces it no more: what it came to is reported
                run.end(event)

    def _prepare(self, prepare: ProbePrepare) -> None:
        active = self._active
        if active is None or active.prepare.probe_session_id != prepare.probe_session_id:
            link = attrs.evolve(self._link, relay_only=self._link.relay_only or prepare.relay_only)
            self._replace(_ProbeRun(prepare, self._client, self._subject_id, link, self._pings))
        self._client.send(ProbeReady(prepare.probe_session_id))

    def _replace(self, run: _ProbeRun | None) -> None:
        before, self._active = self._active, run
        if before is not None and before.task is not None:
            before.task.cancel()
        if run is not None:
            run.task = asyncio.get_running_loop().create_task(self._carry_out(run))
            self._tasks.add(run.task)
            run.task.add_done_callback(self._tasks.discard)
            run.task.add_done_callback(note_failure)

    async def _carry_out(self, run: _ProbeRun) -> None:
        try:
            result = await run.run()
            if self._active is run:
                self._active = None
            self._report_result(result)
        finally:
            await run.connection.close()

    def _report_result(self, result: ProbeResult) -> None:
        if self._on_result is None:
            return
        try:
            self._on_result(result)
        except Exception:  # noqa: BLE001  # the caller's bug must not end probing
            _log.exception("in a callback of a probe")


# A run ends at the latest _LONGEST_S + GRACE_S after its preparation. First it waits for its own measurement
# or for the service's end of the probe, whichever comes first: an end while we measure makes the measurement
# worthless. With a measurement it reports and waits for the end once more, for GRACE_S, with the channel
# still open: the other side's last pings are answered by it, and the service ends the probe only when both
# have reported.


class _ProbeRun:
    """One probe from its preparation to its end."""

    def __init__(
        self, prepare: ProbePrepare, client: ProbeLine, subject_id: str, link: LinkConfig, pings: int | None
    ) -> None:
        self.prepare = prepare
        self.connection = ProbeConnection(
            local_id=subject_id,
            peer_id=prepare.peer_subject_id,
            send_signal=self._send_signal,
            link=link,
            ice_servers=prepare.ice_servers,
            peer_is_ours=(prepare.peer_client or "").startswith("gym_p2p/"),
            burst=Burst(threshold_ms=prepare.threshold_ms, pings=pings),
        )
        self.started = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self._client = client
        self._ended: asyncio.Future[ProbeVerdict] = asyncio.get_running_loop().create_future()

    def end(self, verdict: ProbeVerdict) -> None:
        """Take in the service's verdict, which is the end."""
        if not self._ended.done():
            self._ended.set_result(verdict)

    async def run(self) -> ProbeResult:
        """Measure, report, and wait until the other side is done too."""
        measuring = asyncio.ensure_future(self._measure())
        measuring.add_done_callback(note_failure)
        either: set[asyncio.Future[Any]] = {measuring, self._ended}
        try:
            await asyncio.wait(either, timeout=_LONGEST_S, return_when=asyncio.FIRST_COMPLETED)
            if measuring.done():
                result = measuring.result()
                self._client.send(result.to_report())
                await asyncio.wait({self._ended}, timeout=GRACE_S)
            else:
                failure = self._ended.result().reason if self._ended.done() else "deadline"
                result = self._failed(failure)
        finally:
            measuring.cancel()
            await asyncio.wait({measuring})
        return attrs.evolve(result, verdict=self._ended.result() if self._ended.done() else None)

    async def _measure(self) -> ProbeResult:
        connection = self.connection
        try:
            await connection.prepare()
            await self.started.wait()
            await connection.connect()
        except P2PError as error:
            _log.debug("the probe of %r failed: %s", self.prepare.peer_subject_id, error)
            return self._failed(connection.failure or "not_connected")
        reading = asyncio.gather(connection.get_path(), connection.get_rtt())
        reading.add_done_callback(note_failure)
        try:
            statistics = await connection.measure_rtt()
            await asyncio.wait({reading}, timeout=_STATS_GRACE_S)
            path, ice_rtt_ms = reading.result() if reading.done() else (None, None)
        finally:
            reading.cancel()
            await asyncio.wait({reading})
        if statistics is None:
            return self._failed("channel_closed")
        return ProbeResult(
            probe_session_id=self.prepare.probe_session_id,
            peer_subject_id=self.prepare.peer_subject_id,
            statistics=statistics,
            path=path,
            ice_rtt_ms=ice_rtt_ms,
            failure=None if statistics.samples_ms else "no_answers",
        )

    def _failed(self, failure: str) -> ProbeResult:
        return ProbeResult(
            probe_session_id=self.prepare.probe_session_id,
            peer_subject_id=self.prepare.peer_subject_id,
            failure=failure,
        )

    def _send_signal(self, kind: Any, payload: Mapping[str, Any]) -> None:
        prepare = self.prepare
        signal = SendProbeSignal(prepare.probe_session_id, prepare.peer_subject_id, kind, dict(payload))
        self._client.send(signal)
