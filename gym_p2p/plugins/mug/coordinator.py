"""Probes between two subjects of a framework's server, behind the framework's own handlers.

:class:`ProbeCoordinator` has the constructor and the methods of the framework's own, and our
:class:`~gym_p2p.core.probing.registry.ProbeRegistry` behind them. It knows the server's clock and tasks; it
refuses to know why somebody wants a probe.

One lock guards the machine, and nothing waits while it is held: what is to be sent is collected under it and
sent outside, in order, by whoever comes first (``_send``). No event loop runs. What only time brings,
deadlines and members that have left, is looked for on a tick, as long as a probe is under way.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from gym_p2p.core.api.payloads import decode, encode
from gym_p2p.core.api.probes import ProbePrepare, ProbeReport
from gym_p2p.core.api.replies import Answer, Notify, Refused
from gym_p2p.core.api.requests import ProbeReady, SendProbeSignal
from gym_p2p.core.probing.outcome import ProbeDeadlines, ProbeOutcome, Reason
from gym_p2p.core.probing.registry import ProbeEnded, ProbeRegistry
from gym_p2p.core.signaling.ice_candidates import CandidatePolicy
from gym_p2p.core.signaling.sdp_filter import SignalScreen
from gym_p2p.errors import ProtocolError, UsageError
from gym_p2p.plugins.mug.attendance import Change, LookedUp
from gym_p2p.plugins.mug.context import Requests
from gym_p2p.server.guard.client_log import client_log

__all__ = ["OnComplete", "OnOutcome", "ProbeCoordinator"]

_LOG = client_log(__name__)

OnComplete = Callable[[str, str, "float | None"], object]
OnOutcome = Callable[[ProbeOutcome], object]

TICK_S = 0.1
"""How late a deadline or a leaving may be noticed: little beside the shortest deadline, 2 s."""
SETTLED_S = 0.05
"""What ends as it is created is announced so much later: the framework notes down a probe when it has its id,
and an answer that comes before then locks both subjects for good."""
LINGER_S = 1.0
"""Ticks go on for so long after they were asked for: whoever arrives is in the room only afterwards."""


@attrs.frozen
class _Call:
    """A probe that somebody waits for."""

    subjects: tuple[str, str]
    done: OnOutcome


@attrs.frozen
class _Ended:
    call: _Call
    outcome: ProbeOutcome
    not_before: float


class ProbeCoordinator:
    """Measures the round trip between two pages, before they play.

    Args:
        socketio: the ``flask_socketio.SocketIO`` of the framework.
        get_socket_for_subject: the socket of a subject, ``None`` for one who is not there; asked often.
        turn_username: of the TURN server that the framework's pages know; ``None``: they use none.
        turn_credential: the same.
        deadlines: of every part of a probe.
        requests: the server's requests; made of ``socketio`` by default.
        now: monotonic seconds.
    """

    def __init__(
        self,
        socketio: Any,
        get_socket_for_subject: Callable[[str], str | None],
        turn_username: str | None = None,
        turn_credential: str | None = None,
        *,
        deadlines: ProbeDeadlines | None = None,
        requests: Requests | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.socketio = socketio
        self.get_socket_for_subject = get_socket_for_subject
        self.turn_username = turn_username
        self.turn_credential = turn_credential
        self._requests = Requests(socketio) if requests is None else requests
        self._now = now
        self._lock = threading.Lock()
        self._there = LookedUp(get_socket_for_subject)
        self._registry = ProbeRegistry(
            self._there,
            probe_ids=lambda: f"probe_{uuid.uuid4()}",
            # The framework relays the signals of its games as they are: what a probe may use, they may.
            screen=lambda relay_only: SignalScreen(CandidatePolicy(private=True, relay_only=relay_only)),
            deadlines=deadlines,
        )
        self._calls: dict[str, _Call] = {}
        self._ended: deque[_Ended] = deque()
        self._outbox: deque[tuple[str, str, Mapping[str, Any]]] = deque()
        self._sending = self._ticking = False
        self._tick_until = 0.0
        self._tickers: list[Callable[[], bool]] = []
        self._answers: list[Callable[[str, str], ProbeOutcome | None]] = []

    # ---- what the framework calls

    def create_probe(self, subject_a: str, subject_b: str, on_complete: OnComplete) -> str:
        """Begin a probe of two subjects.

        Args:
            subject_a: one.
            subject_b: the other one.
            on_complete: called once with both and the round trip in ms, ``None`` if there is none; never
                before this returns, and in a request context.

        Returns:
            The probe's id.

        Raises:
            UsageError: both are the same subject.
        """

        def done(outcome: ProbeOutcome) -> None:
            with self._requests.of(map(self.get_socket_for_subject, (subject_a, subject_b))):
                on_complete(subject_a, subject_b, outcome.rtt_ms)

        call = _Call((subject_a, subject_b), done)
        for answer in self._answers:
            known = answer(subject_a, subject_b)
            if known is not None:
                return self._answer_later(call, known)
        return self._begin(call, threshold_ms=None)

    def handle_ready(self, probe_session_id: str, subject_id: str | None) -> None:
        """Note that the page that sends this event has prepared for a probe."""
        self._take(
            "probe_ready",
            lambda subject, now: self._registry.ready(
                subject, decode(ProbeReady, {"probe_session_id": probe_session_id}), now
            ),
            self._requests.sender() or self.get_socket_for_subject(subject_id or ""),
        )

    def handle_signal(
        self,
        probe_session_id: str,
        target_subject_id: str,
        signal_type: str,
        payload: Any,
        sender_socket_id: str,
    ) -> None:
        """Pass a connection signal on to the other member of a probe."""
        signal = {
            "probe_session_id": probe_session_id,
            "target_subject_id": target_subject_id,
            "type": signal_type,
            "payload": payload,
        }
        self._take(
            "probe_signal",
            lambda subject, now: self._registry.signal(subject, decode(SendProbeSignal, signal), now),
            sender_socket_id,
        )

    def handle_result(self, probe_session_id: str, rtt_ms: float | None, success: bool) -> None:  # noqa: FBT001  # the framework's interface
        """Take what the page that sends this event has measured."""

        def take(subject: str, now: float) -> Answer:
            probe_id = decode(ProbeReady, {"probe_session_id": probe_session_id}).probe_session_id
            try:
                report = decode(ProbeReport, {"rtt_ms": rtt_ms, "success": success})
            except ProtocolError:
                report = None
            return self._registry.result(subject, probe_id, report, now)

        self._take("probe_result", take, self._requests.sender())

    # ---- what a matchmaker of ours calls

    def measure(self, one: str, other: str, done: OnOutcome, *, threshold_ms: float | None = None) -> str:
        """Begin a probe whose whole outcome is wanted: ``done`` is called once, after this has returned."""
        return self._begin(_Call((one, other), done), threshold_ms=threshold_ms)

    def cancel(self, probe_id: str) -> None:
        """End a probe; does nothing when it has ended."""
        with self._lock:
            self._registry.cancel(probe_id, self._now())
            self._collect(0.0)
        self._send()

    def call_on_ticks(self, tick: Callable[[], bool]) -> None:
        """Call this on every tick from now on; ticks go on as long as it returns that there is more to do."""
        with self._lock:
            self._tick_until = self._now() + LINGER_S
            if tick not in self._tickers:
                self._tickers.append(tick)
        self._tick_on()

    def answer_by(self, answer: Callable[[str, str], ProbeOutcome | None]) -> None:
        """Ask this first whether the framework's probe of two subjects is superfluous."""
        if answer not in self._answers:
            self._answers.append(answer)

    # ---- inside

    def _begin(self, call: _Call, *, threshold_ms: float | None) -> str:
        if call.subjects[0] == call.subjects[1]:
            raise UsageError(f"a probe is between two subjects, not {call.subjects[0]!r} and itself")
        if not all(subject.isprintable() for subject in call.subjects):  # whom no page can be told of
            return self._answer_later(call, ProbeOutcome(subjects=call.subjects, reason=Reason.ABSENT))
        now = self._now()
        with self._lock:
            self._there.follow(call.subjects)
            probe_id = self._registry.create(*call.subjects, now, threshold_ms=threshold_ms)
            self._calls[probe_id] = call
            self._collect(now + SETTLED_S)
        self._send()
        self._tick_on()
        return probe_id

    def _answer_later(self, call: _Call, outcome: ProbeOutcome) -> str:
        probe_id = f"probe_{uuid.uuid4()}"
        with self._lock:
            self._ended.append(_Ended(call, outcome, self._now() + SETTLED_S))
        self._tick_on()
        return probe_id

    def _take(self, event: str, act: Callable[[str, float], Answer], socket: str | None) -> None:
        """Let the subject on a socket act; what does not concern a probe of its own is logged, no more."""
        with self._lock:
            now = self._now()
            subject = None if socket is None else self._there.subject_on(socket)
            if subject is None and socket is not None:  # perhaps a socket newer than the last tick
                self._look(now)
                subject = self._there.subject_on(socket)
            problem: object = "not from a member of a probe"
            if subject is not None:
                try:
                    answer = act(subject, now)
                    problem = answer.message if isinstance(answer, Refused) else None
                except ProtocolError as error:
                    problem = error
            self._collect(0.0)
        if problem is not None:
            _LOG.info("%s of socket %s refused: %s", event, socket, problem)
        self._send()
        self._announce()

    def _look(self, now: float) -> None:
        """Take note of who is gone, or has come back on another socket."""
        for subject_id, change in self._there.look():
            if change is Change.GONE:
                self._registry.gone(subject_id, now)
            else:
                self._registry.rejoined(subject_id, now)

    def _collect(self, not_before: float) -> None:
        """Put what the registry wants sent and announced where it is taken from outside the lock."""
        while (output := self._registry.poll()) is not None:
            match output:
                case Notify(subject_id, payload):
                    socket = self._there.socket_of(subject_id)
                    if socket is not None:
                        fields = encode(payload)
                        if isinstance(payload, ProbePrepare):  # the page has the servers' addresses itself
                            turn = {"turn_username": self.turn_username}
                            fields |= turn | {"turn_credential": self.turn_credential}
                        self._outbox.append((payload.event, socket, fields))
                case ProbeEnded(probe_id, outcome):
                    call = self._calls.pop(probe_id)
                    self._there.let_go(call.subjects)
                    self._ended.append(_Ended(call, outcome, not_before))
                    _LOG.info("probe %s ended: %s", probe_id, outcome.reason)

    def _send(self) -> None:
        """Send what is collected, in order: one task sends, and takes along what others add meanwhile."""
        while True:
            with self._lock:
                if self._sending or not self._outbox:
                    return
                self._sending = True
                batch = list(self._outbox)
                self._outbox.clear()
            for event, socket, fields in batch:
                try:
                    self.socketio.emit(event, fields, room=socket)
                except Exception:  # noqa: BLE001  # one socket's trouble must not stop the others
                    _LOG.exception("sending %s", event)
            with self._lock:
                self._sending = False

    def _announce(self) -> None:
        """Call those whose probes have ended, each on a task of its own: they take the framework's locks."""
        now = self._now()
        with self._lock:
            due = [ended for ended in self._ended if ended.not_before <= now]
            self._ended = deque(ended for ended in self._ended if now < ended.not_before)
        for ended in due:
            self.socketio.start_background_task(_call_back, ended)

    def _tick_on(self) -> None:
        """Begin to tick, unless that is under way."""
        with self._lock:
            if self._ticking:
                return
            self._ticking = True
        self.socketio.start_background_task(self._tick_until_idle)

    def _tick_until_idle(self) -> None:
        more = True
        while more:
            try:
                more = self.tick()
            except Exception:  # noqa: BLE001  # the host's look-up raised; deadlines must go on
                _LOG.exception("in a tick")
            self.socketio.sleep(TICK_S if more else 0)

    def tick(self) -> bool:
        """Do what has come due, and return whether to go on; called by itself, every tenth of a second."""
        with self._lock:
            now = self._now()
            self._look(now)
            self._registry.handle_timeout(now)
            self._collect(0.0)
        more = False
        for ticker in tuple(self._tickers):
            try:
                more |= ticker()
            except Exception:  # noqa: BLE001  # a bug in a matchmaker must not stop the probes
                _LOG.exception("in a matchmaker")
                more = True
        self._send()
        self._announce()
        with self._lock:
            more = more or bool(self._calls or self._ended) or self._now() < self._tick_until
            self._ticking = more
            return more


def _call_back(ended: _Ended) -> None:
    """Call whoever waits for an outcome; by now nothing of ours hangs on what they do."""
    try:
        ended.call.done(ended.outcome)
    except Exception:  # noqa: BLE001  # the host's bug; its log says where
        one, other = ended.call.subjects
        _LOG.exception("in what was to be called with the probe of %s and %s", one, other)
