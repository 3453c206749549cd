"""ProbeManager: takes part in the probes that the service asks for, over a signalling client.

prepare -> ready -> start -> measure -> result, and the channel stays open until the service says that both
have reported, for the other side may still be measuring. It knows the events of the wire and one active
probe; every probe is an object of its own that can only ever report under its own id. It refuses to know
why the service wants the figure.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import attrs

from gym_p2p.config import LinkConfig
from gym_p2p.core.api.payloads import decode, encode
from gym_p2p.core.api.probes import ProbePath, ProbePrepare, ProbeReport, ProbeVerdict
from gym_p2p.core.probing.burst import Burst
from gym_p2p.core.probing.report import report_of
from gym_p2p.core.probing.statistics import PingStatistics
from gym_p2p.errors import P2PError, ProtocolError
from gym_p2p.net.client.signaling import OnProbeEvent
from gym_p2p.net.probing.probe import ProbeConnection

__all__ = ["ProbeLine", "ProbeManager", "ProbeResult"]

_log = logging.getLogger(__name__)

GRACE_S = 2.0
"""From our report to closing the channel without a word of the service (signalling §2)."""
_LONGEST_S = 20.0
"""A probe that the service has forgotten ends by itself; above its 18 s."""
_STATS_GRACE_S = 0.5
"""The stats report takes a round trip, during the pings; it is not worth waiting longer for."""


class ProbeLine(Protocol):
    """What probes need of a line; a :class:`~gym_p2p.net.client.signaling.SignalingClient` is one."""

    on_probe: OnProbeEvent | None

    def send(self, event: str, payload: Mapping[str, Any]) -> None:
        """Send an event, in order, when the line permits; never raises."""

    async def request(self, event: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send an event and return the accepted answer's fields."""


@attrs.frozen(kw_only=True)
class ProbeResult:
    """What one probe came to, as this side knows it.

    Attributes:
        statistics: our own measurement; ``None`` when it did not come to that.
        ice_rtt_ms: a single reading of the stats report, for comparison.
        failure: why we could not measure, one word; ``None`` when we could.
        verdict: what the service made of both reports; ``None`` when it did not say.
    """

    probe_session_id: str
    peer_subject_id: str
    statistics: PingStatistics | None = None
    path: ProbePath | None = None
    ice_rtt_ms: float | None = None
    failure: str | None = None
    verdict: ProbeVerdict | None = None


class ProbeManager:
    """Answers the service's probes for one subject, one at a time; a new one closes the one before.

    Args:
        client: the signalling client; its ``on_probe`` belongs to this manager until :meth:`close`.
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
        self._active: _Run | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        client.on_probe = self._receive

    @property
    def active(self) -> ProbeConnection | None:
        """The connection of the probe that is under way, if any."""
        return None if self._active is None else self._active.connection

    async def request(self, target_subject_id: str) -> str:
        """Ask the service for a probe against a subject who waits for that; returns the probe's id.

        Raises:
            ServiceRefused: ``no_such_subject``, ``wrong_state``, ``rate_limited``.
            ServiceUnreachable: no answer.
        """
        answer = await self._client.request("probe_request", {"target_subject_id": target_subject_id})
        return str(answer.get("probe_session_id"))

    async def wait_for_requests(self, *, waiting: bool = True) -> None:
        """Say whether anybody who knows this subject's name may probe it; to be said again on every line.

        Raises:
            ServiceRefused: the service would not.
            ServiceUnreachable: no answer.
        """
        await self._client.request("probe_wait", {"waiting": waiting})

    async def close(self) -> None:
        """End the probe that is under way and hear of no other. Idempotent."""
        if self._client.on_probe == self._receive:
            self._client.on_probe = None
        self._replace(None)
        if self._tasks:
            await asyncio.wait(self._tasks)

    # ---- what the service says

    def _receive(self, event: str, payload: object) -> None:
        try:
            if event == "probe_prepare":
                self._prepare(decode(ProbePrepare, payload, event))
            elif isinstance(payload, Mapping) and self._active is not None:
                self._pass_on(self._active, event, payload)
        except ProtocolError as error:
            _log.warning("the service: %s: %s", event, error)

    def _pass_on(self, run: _Run, event: str, payload: Mapping[str, Any]) -> None:
        if payload.get("probe_session_id") != run.prepare.probe_session_id:
            _log.debug("%s of another probe was ignored", event)
        elif event == "probe_start":
            run.started.set()
        elif event == "probe_signal":
            run.connection.receive_signal(payload.get("type"), payload.get("payload"))
        else:
            run.end(decode(ProbeVerdict, payload, event))

    def _prepare(self, prepare: ProbePrepare) -> None:
        active = self._active
        if active is None or active.prepare.probe_session_id != prepare.probe_session_id:
            self._replace(self._new_run(prepare))
        self._client.send("probe_ready", {"probe_session_id": prepare.probe_session_id})

    # ---- runs

    def _new_run(self, prepare: ProbePrepare) -> _Run:
        link = attrs.evolve(self._link, relay_only=self._link.relay_only or prepare.relay_only)
        connection = ProbeConnection(
            local_id=self._subject_id,
            peer_id=prepare.peer_subject_id,
            send_signal=_Signals(self._client, prepare).send,
            link=link,
            ice_servers=prepare.ice_servers,
            peer_is_ours=(prepare.peer_client or "").startswith("gym_p2p/"),
            burst=Burst(threshold_ms=prepare.threshold_ms, pings=self._pings),
        )
        return _Run(prepare, connection, self._client)

    def _replace(self, run: _Run | None) -> None:
        before, self._active = self._active, run
        if before is not None and before.task is not None:
            before.task.cancel()
        if run is not None:
            run.task = asyncio.get_running_loop().create_task(self._carry_out(run))
            self._tasks.add(run.task)
            run.task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, run: _Run) -> None:
        try:
            result = await run.run()
            if self._active is run:
                self._active = None
                self._tell(result)
        finally:
            await run.connection.close()

    def _tell(self, result: ProbeResult) -> None:
        if self._on_result is None:
            return
        try:
            self._on_result(result)
        except Exception:  # noqa: BLE001  # the caller's bug must not end probing
            _log.exception("in a callback of a probe")


@attrs.frozen
class _Signals:
    """Translates the connector's signals of one probe."""

    client: ProbeLine
    prepare: ProbePrepare

    def send(self, kind: str, payload: Mapping[str, Any]) -> None:
        signal = {
            "probe_session_id": self.prepare.probe_session_id,
            "target_subject_id": self.prepare.peer_subject_id,
            "type": kind,
            "payload": payload,
        }
        self.client.send("probe_signal", signal)


class _Run:
    """One probe from its preparation to its end."""

    def __init__(self, prepare: ProbePrepare, connection: ProbeConnection, client: ProbeLine) -> None:
        self.prepare = prepare
        self.connection = connection
        self.started = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self._client = client
        self._ended: asyncio.Future[ProbeVerdict] = asyncio.get_running_loop().create_future()

    def end(self, verdict: ProbeVerdict) -> None:
        """Take note of what the service says about the end."""
        if not self._ended.done():
            self._ended.set_result(verdict)

    async def run(self) -> ProbeResult:
        """Measure, report, and wait until the other side is done too."""
        measuring = asyncio.ensure_future(self._measure())
        either: set[asyncio.Future[Any]] = {measuring, self._ended}
        try:
            await asyncio.wait(either, timeout=_LONGEST_S, return_when=asyncio.FIRST_COMPLETED)
            if measuring.done():
                result = measuring.result()
                self._report(result)
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
        reading = asyncio.ensure_future(self._read_stats())
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

    async def _read_stats(self) -> tuple[ProbePath | None, float | None]:
        path, rtt_ms = await asyncio.gather(self.connection.get_path(), self.connection.get_rtt())
        return path, rtt_ms

    def _failed(self, failure: str) -> ProbeResult:
        return ProbeResult(
            probe_session_id=self.prepare.probe_session_id,
            peer_subject_id=self.prepare.peer_subject_id,
            failure=failure,
        )

    def _report(self, result: ProbeResult) -> None:
        if result.statistics is None:
            report = ProbeReport(success=False, failure=result.failure)
        else:
            report = report_of(result.statistics, result.path)
        payload = {"probe_session_id": result.probe_session_id, **encode(report)}
        self._client.send("probe_result", payload)
