"""Polls a peer connection about once a second; :class:`LatencyTelemetry` keeps what it found.

It knows one asyncio event loop, when the next poll is due, and that the connection may be somebody else's
object that raises, hangs or talks nonsense. Samples and statistics are in :mod:`gym_p2p.core.latency.series`,
the reading of reports in :mod:`gym_p2p.core.latency.webrtc_stats`. It refuses to know what a game is: nothing
here runs on, or waits for, the thread that plays.
"""

from __future__ import annotations

import asyncio
import logging
import math
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

import attrs
import msgspec

from gym_p2p.config.player import DEFAULT_MAX_SAMPLES
from gym_p2p.core.latency.quality import Quality, QualityChange, QualityMonitor
from gym_p2p.core.latency.series import LatencySeries, Poll
from gym_p2p.core.latency.webrtc_stats import (
    ConnectionDetails,
    Freshness,
    PollStatus,
    extract_connection,
    extract_round_trip,
)
from gym_p2p.errors import ConfigurationError, UsageError
from gym_p2p.processes.tasks import note_failure

__all__ = ["LatencyPoller", "LatencyTelemetry", "PeerConnectionLike"]

_log = logging.getLogger(__name__)

_T = TypeVar("_T")

_LEAST_INTERVAL_MS = 1.0
"""Below this an interval is a busy loop."""

_LEAST_TIMEOUT_S = 0.1
"""The least time a report may take; else it may take one poll interval."""


class PeerConnectionLike(Protocol):
    """What can be polled: W3C's ``RTCPeerConnection``, in as far as it is needed here."""

    @property
    def connectionState(self) -> str:  # noqa: N802 - W3C's name
        """Only ``"connected"`` is polled."""

    def getStats(self) -> Awaitable[Any]:  # noqa: N802 - W3C's name
        """Return a report as :func:`~gym_p2p.core.latency.webrtc_stats.extract_round_trip` takes it."""


class LatencyPoller:
    """Polls one peer connection and passes every poll on; it keeps none.

    The methods belong to the event loop's thread, except :meth:`stop`, which any thread may call.

    Args:
        peer_connection: anything with an async ``getStats()`` and a ``connectionState``; ``None`` until
            :meth:`replace`. aiortc's own is measured by :class:`~gym_p2p.net.webrtc.plain.AiortcStats`.
        poll_interval_ms: the time between two polls.
        on_poll: called with every poll, on the loop's thread.
        wall_clock: Unix time in seconds, for the samples' timestamps. The schedule is on the loop's clock.

    Raises:
        ConfigurationError: an interval that cannot be, or an object that is no peer connection.
    """

    def __init__(
        self,
        peer_connection: PeerConnectionLike | None,
        poll_interval_ms: float = 1000,
        *,
        on_poll: Callable[[Poll], None] | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        if not (math.isfinite(poll_interval_ms) and poll_interval_ms >= _LEAST_INTERVAL_MS):
            raise ConfigurationError(
                "poll_interval_ms", f"wanted at least {_LEAST_INTERVAL_MS:g}, got {poll_interval_ms!r}"
            )
        self._peer_connection = _pollable(peer_connection)
        self._interval_s = poll_interval_ms / 1000
        self._freshness = Freshness()
        self._on_poll = on_poll
        self._wall_clock = wall_clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._hung: asyncio.Future[Any] | None = None
        self._wanted = asyncio.Event()
        self._was_connected = False
        self._pair_missed = False
        self._errors = 0

    @property
    def running(self) -> bool:
        """Whether it polls: after :meth:`start` and before :meth:`stop`."""
        return self._task is not None

    @property
    def errors(self) -> int:
        """How often a poll or a callback failed; each is logged, none is raised."""
        return self._errors

    def start(self) -> None:
        """Begin to poll, the first time one interval from now. Does nothing while it runs.

        Raises:
            UsageError: there is no running event loop.
        """
        loop = _running_loop()
        if loop is None:
            raise UsageError(
                f"{type(self).__name__}.start() needs a running asyncio event loop: call it from a coroutine"
            )
        if self._task is not None and self._loop is loop:
            return
        self.stop()
        self._loop, self._wanted = loop, asyncio.Event()
        self._task = loop.create_task(self._run(), name="gym_p2p latency telemetry")
        self._task.add_done_callback(note_failure)

    def stop(self) -> None:
        """Stop polling. Twice is fine, from any thread, also when the loop is closed."""
        task, self._task = self._task, None
        if task is None or self._loop is None or self._loop.is_closed():
            return
        if _running_loop() is self._loop:
            task.cancel()
        else:
            self._loop.call_soon_threadsafe(task.cancel)

    def poll_soon(self) -> None:
        """Poll once between two polls, at once: something of the connection has changed."""
        self._wanted.set()

    def replace(self, peer_connection: PeerConnectionLike) -> None:
        """Go on with another connection to the same peer; what was collected stays.

        Raises:
            ConfigurationError: it is no peer connection.
        """
        self._peer_connection = _pollable(peer_connection)
        self._freshness.reset()
        self._pair_missed = False

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        started, slot = loop.time(), 0
        while True:
            # Every slot is reckoned from the start, so that the schedule cannot drift. Of the slots that
            # went by while a poll took its time, or the loop stood still, one is made up for.
            slot += 1
            while await self._is_wanted_before(started + slot * self._interval_s):
                await self._poll()
            slot = max(slot, math.floor((loop.time() - started) / self._interval_s))
            await self._poll()

    async def _is_wanted_before(self, due: float) -> bool:
        """Wait until a poll is asked for, or until it is time for one; return which."""
        try:
            async with asyncio.timeout_at(due):
                await self._wanted.wait()
        except TimeoutError:
            return False
        self._wanted.clear()
        return True

    async def _poll(self) -> None:
        asked_ms = self._now_ms()
        try:
            poll = await self._take()
        except Exception as error:  # noqa: BLE001 - a foreign connection may raise anything
            self._note_error("poll", error)
            poll = self._found(PollStatus.FAILED)
        if poll is None:
            return
        if poll.rtt_ms is None:  # the outage is as old as the question, not as the giving up
            poll = attrs.evolve(poll, timestamp_ms=asked_ms)
        self._deliver(poll)

    def _deliver(self, poll: Poll) -> None:
        self._call(self._on_poll, poll)

    async def _take(self) -> Poll | None:
        """Poll once; ``None`` before the connection was connected for the first time."""
        connection = self._peer_connection
        if connection is None or connection.connectionState != "connected":
            return self._found(PollStatus.DISCONNECTED) if self._was_connected else None
        self._was_connected = True
        report = await self._report(connection)
        if connection is not self._peer_connection:
            return self._found(PollStatus.STALE)
        if connection.connectionState != "connected":  # closed meanwhile: its report holds nothing any more
            return self._found(PollStatus.DISCONNECTED)
        details = extract_connection(report)
        if details is None:
            self._note_missing_pair(connection)
            return self._found(PollStatus.NO_PAIR)
        reading = extract_round_trip(report)
        if reading is None:
            return self._found(PollStatus.STALE, details)
        status = self._freshness.classify(reading)
        return self._found(status, details, reading.rtt_ms if status is PollStatus.FRESH else None)

    async def _report(self, connection: PeerConnectionLike) -> Any:
        """Return the connection's report within a bounded time, whatever ``getStats`` does.

        A call that hangs is cancelled. One that does not even react to that is left behind, and no second
        one is begun before it ends.
        """
        if self._hung is not None and not self._hung.done():
            self._hung.cancel()
            raise TimeoutError("the getStats before still hangs")
        call = asyncio.ensure_future(connection.getStats())
        try:
            await asyncio.wait({call}, timeout=max(self._interval_s, _LEAST_TIMEOUT_S))
            if not call.done():
                raise TimeoutError("getStats did not return in time")
            if call.cancelled():  # its result() would look as if we were the ones to stop
                raise ConnectionAbortedError("getStats was cancelled")
            return call.result()
        finally:
            if not call.done():
                call.add_done_callback(_ignore_outcome)
                call.cancel()
                self._hung = call

    def _found(
        self, status: PollStatus, details: ConnectionDetails | None = None, rtt_ms: float | None = None
    ) -> Poll:
        return Poll(self._now_ms(), rtt_ms, status, details)

    def _now_ms(self) -> int:
        return round(self._wall_clock() * 1000)

    def _call(self, callback: Callable[[_T], None] | None, value: _T) -> None:
        if callback is None:
            return
        try:
            callback(value)
        except Exception as error:  # noqa: BLE001 - a callback of the user's may raise anything
            self._note_error("callback", error)

    def _note_missing_pair(self, connection: PeerConnectionLike) -> None:
        if not self._pair_missed:
            self._pair_missed = True
            _log.warning(
                "latency telemetry: the stats report of this %s holds no selected candidate pair, so no "
                "round trip can be read from it; its transport has to name one by selectedCandidatePairId",
                type(connection).__name__,
            )

    def _note_error(self, what: str, error: Exception) -> None:
        self._errors += 1
        # A path that carries nothing for a while is no fault; the outage is in the statistics.
        first = self._errors == 1 and not isinstance(error, TimeoutError)
        level = logging.WARNING if first else logging.DEBUG
        _log.log(level, "latency telemetry: a %s failed (%d so far): %r", what, self._errors, error)


class LatencyTelemetry(LatencyPoller):
    """Collects the round trips of one peer connection, about one a second for about ten minutes.

    The methods belong to the event loop's thread, except :meth:`get_samples` and :meth:`get_stats`, which
    any thread may call, and :meth:`stop`.

    Args:
        peer_connection: anything with an async ``getStats()`` and a ``connectionState``; ``None`` until
            :meth:`replace`. aiortc's own is measured by :class:`~gym_p2p.net.webrtc.plain.AiortcStats`.
        poll_interval_ms: the time between two polls.
        max_samples: how many samples are kept; older ones are dropped.
        on_poll: called with every poll, on the loop's thread.
        on_quality_change: called with every change of the quality, on the loop's thread.
        warning_ms: a round trip strictly above this is ``warning``.
        critical_ms: a round trip strictly above this is ``critical``.
        wall_clock: Unix time in seconds, for the samples' timestamps. The schedule is on the loop's clock.

    Raises:
        ConfigurationError: an interval, size or threshold that cannot be, or an object that is no peer
            connection.
    """

    def __init__(
        self,
        peer_connection: PeerConnectionLike | None,
        poll_interval_ms: float = 1000,
        max_samples: int = DEFAULT_MAX_SAMPLES,
        *,
        on_poll: Callable[[Poll], None] | None = None,
        on_quality_change: Callable[[QualityChange], None] | None = None,
        warning_ms: float = 150.0,
        critical_ms: float = 300.0,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(peer_connection, poll_interval_ms, on_poll=on_poll, wall_clock=wall_clock)
        self._series = LatencySeries(max_samples)
        self._monitor = QualityMonitor(warning_ms, critical_ms)
        self._on_quality_change = on_quality_change

    @property
    def quality(self) -> Quality | None:
        """The grade of the newest sample; ``None`` before the first."""
        return self._monitor.status

    def get_samples(self) -> list[dict[str, Any]]:
        """Return a copy of the samples: ``{"timestamp": Unix ms, "rttMs": float}``, oldest first."""
        samples: list[dict[str, Any]] = msgspec.to_builtins(self._series.samples())
        return samples

    def get_stats(self) -> dict[str, Any] | None:
        """Return statistics as plain data, or ``None`` without a sample.

        See :class:`gym_p2p.core.latency.statistics.LatencyStatistics` for the keys. Where there is no sample
        because the connection's reports hold no candidate pair, ``withoutPair`` says how many, and every
        figure is ``None``.
        """
        stats: dict[str, Any] | None = msgspec.to_builtins(
            self._series.statistics() or self._series.unmeasured()
        )
        return stats

    def _deliver(self, poll: Poll) -> None:
        self._series.add(poll)
        super()._deliver(poll)
        change = None if poll.rtt_ms is None else self._monitor.observe(poll.rtt_ms)
        if change is not None:
            self._call(self._on_quality_change, change)


def _pollable(connection: PeerConnectionLike | None) -> PeerConnectionLike | None:
    """Return what is polled for a connection: of aiortc's own the report that it does not make itself.

    Raises:
        ConfigurationError: it is no peer connection.
    """
    if connection is None:
        return None
    if isinstance(connection, type) or not _looks_like_one(connection):
        raise ConfigurationError(
            "peer_connection",
            "wanted a peer connection, which has a connectionState and an async getStats(), "
            f"got {connection!r:.80}",
        )
    if "aiortc" not in sys.modules:  # then it is none of aiortc's, and that need not be loaded
        return connection
    from gym_p2p.net.webrtc.plain import AiortcStats, reports_no_pair  # noqa: PLC0415 - see above

    return AiortcStats(connection) if reports_no_pair(connection) else connection


def _looks_like_one(connection: object) -> bool:
    try:
        return hasattr(connection, "connectionState") and callable(getattr(connection, "getStats", None))
    except Exception:  # noqa: BLE001 - a foreign connection may raise anything; its polls will tell
        return True


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _ignore_outcome(call: asyncio.Future[Any]) -> None:
    """Take note of a late failure, so that asyncio does not report it as never retrieved."""
    if not call.cancelled():
        call.exception()
