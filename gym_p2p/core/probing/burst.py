"""The ping burst: one peer's latency, measured over an open channel.

Knows the pings and pongs of the wire (text JSON; docs/protocol.md, "Probes"), when the next one is due, when
enough has been seen, and the statistics of what came back. It refuses to know what carries the texts and
what the result is used for.

How many pings
--------------
Two warm-ups are thrown away: the first packets of a path pay for what nobody pays again (a relay's
permission, a radio that slept, code that never ran). As what is sent the moment a channel opens may be lost
(browsers do lose it now and then, on any path), another follows every 100 ms while none is answered: a page
that knows only the plain wire has measured after half a second, and closes the channel. The first pong says
that the other side is there; then
ten pings go out, 50 ms apart, without waiting for the pong before. The order of the answers alone says
between which two of them the path's median lies (:func:`~gym_p2p.core.probing.statistics.median_interval`).
So after 5, and after 9, it can be said whether more pings would change the answer: not when that whole
interval lies on one side of the threshold, or, where there is none, when it is narrower than what is asked
of the measurement. When it still straddles the threshold after 10, the burst goes on to 15.

What is counted
---------------
The path, and not the programs at its ends: a round trip begins when the ping has reached the socket and ends
when the pong's datagram has come out of it, as far as the caller can tell. A pong says, beyond the wire's own
fields, for how long the ping was kept (``held_us``); that is taken off, up to :data:`MOST_HELD_S`, so that a
player who overstates it appears nearer by no more than what does not matter. Encryption and the interpreter
take 0.1 to 0.2 ms at each of these four places.

Pages measure by the same rule (``static/burst.js``), and a table of scripted paths that both run holds them
to it: whatever changes here changes there.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections import deque
from collections.abc import Sequence

import attrs

from gym_p2p.core.api.probes import MAX_PINGS
from gym_p2p.core.probing.statistics import PingStatistics, median_interval
from gym_p2p.errors import ConfigurationError, ProtocolError

__all__ = ["Burst", "PingBurst", "SendText"]

WARM_UPS = 2
WARM_UP_INTERVAL_S = 0.1
PING_INTERVAL_S = 0.05
PING_TIMEOUT_S = 1.0
LEAST_SAMPLES = 3
"""Of a burst that was cut short: fewer say too little of a median."""

CHECKPOINTS = (5, 9)
"""Pings after which the burst may end early: the interval of the median is the whole range of 5 samples
(94 %), and of 9 all but the two outermost (96 %)."""
PINGS = 10
MORE_PINGS = 15
MOST_HELD_S = 0.002
"""What is believed of the time for which the other side kept a ping."""
_TOLERANCE_MS = 1.0
_TOLERANCE = 0.02
"""The median is to be right to 1 ms and 2 %: half the width of the interval."""
_MAX_TEXT_CHARS = 256
"""A ping has 40; nothing else on the channel is of interest here."""


@attrs.frozen
class SendText:
    """Request: send this text to the peer on the game channel, now.

    Attributes:
        seq: of a ping, for :meth:`PingBurst.sent`; ``None`` of a pong.
    """

    text: str
    seq: int | None = None


BurstOutput = SendText | PingStatistics
"""The statistics are the last output of a burst."""


@attrs.define(eq=False)
class _Ping:
    sent: float
    rtt_ms: float | None = None
    lost: bool = False

    @property
    def settled(self) -> bool:
        return self.lost or self.rtt_ms is not None


@attrs.frozen(kw_only=True)
class Burst:
    """How much is measured.

    Attributes:
        threshold_ms: what the median will be compared with; ``None`` measures to a fixed precision.
        pings: exactly so many pings, whatever they show; ``None`` stops early or goes on as it helps.
    """

    threshold_ms: float | None = None
    pings: int | None = attrs.field(default=None)

    @pings.validator
    def _countable(self, _attribute: attrs.Attribute[int | None], value: int | None) -> None:
        if value is not None and not 1 <= value <= MAX_PINGS:
            raise ConfigurationError("pings", f"wanted 1 to {MAX_PINGS}, got {value!r}")

    @property
    def first_goal(self) -> int:
        """How many pings are sent unless something is decided earlier."""
        return PINGS if self.pings is None else self.pings

    def enough(self, samples_ms: Sequence[float], count: int) -> bool:
        """Tell whether a burst may end after ``count`` pings, of which these were answered."""
        if self.pings is not None:
            return count >= self.pings
        if count >= MORE_PINGS:
            return True
        if count >= PINGS:
            return self.threshold_ms is None or not self.straddles(samples_ms)
        return count in CHECKPOINTS and self._decided(samples_ms)

    def straddles(self, samples_ms: Sequence[float]) -> bool:
        """Tell whether the samples leave open on which side of the threshold the median lies."""
        interval = median_interval(samples_ms)
        if self.threshold_ms is None or interval is None:
            return False
        return interval[0] <= self.threshold_ms < interval[1]

    def _decided(self, samples_ms: Sequence[float]) -> bool:
        interval = median_interval(samples_ms)
        if interval is None:
            return False
        if self.threshold_ms is not None:
            return not self.straddles(samples_ms)
        return interval[1] - interval[0] <= 2 * (_TOLERANCE_MS + _TOLERANCE * statistics.median(samples_ms))


class PingBurst:
    """Measures one peer, and answers its pings.

    Feed every text of the channel to :meth:`receive` as soon as it is there, call :meth:`handle_timeout` at
    :meth:`next_timeout`, and carry out what :meth:`poll` returns at once: the round trip of a ping ends when
    its pong is received here. Pings of the other side are answered at any time, before :meth:`start` and
    after the end too.
    """

    def __init__(self, burst: Burst | None = None) -> None:
        self._burst = Burst() if burst is None else burst
        self._outputs: deque[BurstOutput] = deque()
        self._number = 0
        self._warm_ups: set[int] = set()
        self._pings: dict[int, _Ping] = {}
        self._goal = 0
        self._next_ping: float | None = None
        self._cold_until: float | None = None

    @property
    def running(self) -> bool:
        """Whether a measurement is under way."""
        return self._goal > 0

    def start(self, now: float) -> None:
        """Begin a measurement; does nothing while one is under way."""
        if self.running:
            return
        self._goal = self._burst.first_goal
        self._pings = {}
        self._warm_ups = {self._send_ping(now) for _ in range(WARM_UPS)}
        self._next_ping = now + WARM_UP_INTERVAL_S
        self._cold_until = now + PING_TIMEOUT_S

    def stop(self) -> None:
        """End a measurement that cannot go on: a browser closes the channel once it has its own result.

        What was answered until then counts if it is at least :data:`LEAST_SAMPLES`; pings that were still
        under way are neither answered nor lost.
        """
        samples = [ping.rtt_ms for ping in self._pings.values() if ping.rtt_ms is not None]
        if self.running and len(samples) >= LEAST_SAMPLES:
            lost = sum(ping.lost for ping in self._pings.values())
            self._finish(samples, len(samples) + lost)
        self._goal = 0

    def receive(self, text: str, now: float, *, arrived: float | None = None) -> None:
        """Take in a text of the channel; what is neither ping nor pong is ignored.

        Args:
            text: the text.
            now: monotonic seconds.
            arrived: when its datagram came out of the socket; ``None``: just now.
        """
        try:
            message = _parse(text)
        except ProtocolError:
            return
        arrived = now if arrived is None else min(arrived, now)
        if message.kind == "ping":
            held_us = round((now - arrived) * 1e6)
            self._outputs.append(SendText(_encode("pong", message.number, message.stamp, held_us)))
        elif self.running:
            self._receive_pong(message, now, arrived)

    def sent(self, number: int, now: float) -> None:
        """Note that a ping has reached the socket only now, some time after it was polled."""
        ping = self._pings.get(number)
        if ping is not None and not ping.settled:
            ping.sent = max(ping.sent, now)

    def handle_timeout(self, now: float) -> None:
        """Send the ping that is due, and give up those that were not answered in time."""
        if not self.running:
            return
        if self._cold_until is not None and self._cold_until <= now:
            self._begin_measuring(now)
        if self._next_ping is not None and self._next_ping <= now:
            self._send_due(self._next_ping, now)
        for ping in self._pings.values():
            ping.lost = ping.lost or (ping.rtt_ms is None and ping.sent + PING_TIMEOUT_S <= now)
        self._judge(now)

    def next_timeout(self) -> float | None:
        """Return when :meth:`handle_timeout` is due, or ``None``."""
        if not self.running:
            return None
        open_pings = (p.sent + PING_TIMEOUT_S for p in self._pings.values() if not p.settled)
        times = (self._cold_until, self._next_ping, min(open_pings, default=None))
        return min((time for time in times if time is not None), default=None)

    def poll(self) -> BurstOutput | None:
        """Return the next thing to carry out, or ``None``."""
        return self._outputs.popleft() if self._outputs else None

    def _receive_pong(self, pong: _Message, now: float, arrived: float) -> None:
        if self._cold_until is not None:
            if pong.number in self._warm_ups:
                self._begin_measuring(now)
            return
        ping = self._pings.get(pong.number)
        if ping is None or ping.settled:
            return
        if ping.sent + PING_TIMEOUT_S <= arrived:
            ping.lost = True
        else:
            ping.rtt_ms = max(0.0, (arrived - ping.sent - pong.held_s) * 1000)
        self._judge(now)

    def _begin_measuring(self, now: float) -> None:
        self._cold_until = None
        self._next_ping = now

    def _send_due(self, due: float, now: float) -> None:
        number = self._send_ping(now)
        if self._cold_until is not None:
            self._warm_ups.add(number)
            self._next_ping = now + WARM_UP_INTERVAL_S
            return
        self._pings[number] = _Ping(now)
        later = max(due + PING_INTERVAL_S, now + PING_INTERVAL_S / 2)
        self._next_ping = later if len(self._pings) < self._goal else None

    def _send_ping(self, now: float) -> int:
        number, self._number = self._number, self._number + 1
        self._outputs.append(SendText(_encode("ping", number, int(now * 1000)), seq=number))
        return number

    # Every count at which the burst may end is looked at in order, and each time from the first one on: a
    # late pong can settle the fifth ping after the ninth, and the verdict of the first five comes before that
    # of the first nine. A count is judged only once all of its pings are settled, answered or lost, so that
    # the verdict does not depend on the order in which pongs arrive; later pings, although under way or even
    # answered, are not part of it.
    #
    # Why it ends: every ping settles within PING_TIMEOUT_S of being sent, and the loop leaves undecided only
    # a goal of PINGS, which is then raised to MORE_PINGS, where `enough` is always true.
    def _judge(self, now: float) -> None:
        """End the burst, or make it longer, at the points where that can be decided."""
        pings = list(self._pings.values())
        for count in sorted({*CHECKPOINTS, self._goal}):
            first = pings[:count]
            if count > self._goal or len(first) < count or not all(ping.settled for ping in first):
                return
            samples = [ping.rtt_ms for ping in first if ping.rtt_ms is not None]
            if self._burst.enough(samples, count):
                self._finish(samples, count)
                return
        self._goal = MORE_PINGS
        self._next_ping = max(now, pings[-1].sent + PING_INTERVAL_S)

    def _finish(self, samples_ms: Sequence[float], count: int) -> None:
        borderline = self._burst.straddles(samples_ms)
        self._goal = 0
        self._outputs.append(PingStatistics(tuple(samples_ms), count, borderline))


@attrs.frozen
class _Message:
    kind: str
    number: int
    stamp: float | None
    held_s: float


def _encode(kind: str, number: int, stamp: float | None, held_us: int = 0) -> str:
    message: dict[str, object] = {"type": kind, "seq": number}
    message |= {} if stamp is None else {"ts": stamp}
    message |= {"held_us": held_us} if held_us else {}
    return json.dumps(message, separators=(",", ":"))


def _parse(text: str) -> _Message:
    """Read a ping or a pong; raises :class:`ProtocolError`."""
    if len(text) > _MAX_TEXT_CHARS:
        raise ProtocolError("probe message too long")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError("malformed probe message") from None
    if not isinstance(message, dict) or message.get("type") not in ("ping", "pong"):
        raise ProtocolError("no probe message")
    number = message.get("seq")
    if isinstance(number, bool) or not isinstance(number, int):
        raise ProtocolError("malformed seq")
    held_us = _finite(message.get("held_us")) or 0.0
    held_s = min(max(0.0, held_us / 1e6), MOST_HELD_S)
    return _Message(message["type"], number, _finite(message.get("ts")), held_s)


def _finite(value: object) -> float | None:
    """Return a number as it is; ``None`` for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) <= sys.float_info.max else None  # nor is a whole number beyond every float
