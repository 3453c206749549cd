"""What a service does between a Socket.IO server and the machines, whatever kind of server that is.

A :class:`Switchboard` takes what the library calls (a socket comes, sends, goes) and says what to answer;
whatever else the machines want done it hands, in order, to a :class:`Shell`. It does no I/O and never waits;
the time is passed in.

Two kinds of calls. Those that change something (all but :meth:`Switchboard.carry_out`) must come one at a
time: on an event loop they do, between threads the shell has a lock. :meth:`Switchboard.carry_out` calls the
shell, and functions of the host's: it comes outside that lock, and from one place alone, so that the order is
kept. A shell's loop is therefore ::

    while True:
        with lock:
            output = switchboard.poll()
            due = switchboard.next_timeout() if output is None else None
            if due is not None and due <= now:
                switchboard.handle_timeout(now)
                continue
        if output is not None:
            switchboard.carry_out(output, shell, now)
        else:
            ...  # wait until something has happened, or until ``due``
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Protocol

from gym_p2p.config.public_ids import public_id_problem
from gym_p2p.core.api.matches import MakeMatch
from gym_p2p.core.api.payloads import encode
from gym_p2p.core.api.queues import Verdict
from gym_p2p.core.api.replies import Answer, Close, Emit, Refused
from gym_p2p.core.api.rooms import CUT_OFF, DISCONNECTED, TIMED_OUT
from gym_p2p.core.matchmaking.commands import LogDecision, ProposedMatch
from gym_p2p.core.presence.pseudonyms import Assigned
from gym_p2p.core.probing.outcome import ProbeOutcome
from gym_p2p.core.probing.registry import ProbeEnded
from gym_p2p.core.service.machines import MachineFailed, Machines, ServiceOutput
from gym_p2p.server.guard.client_log import client_log
from gym_p2p.server.guard.metrics import ServiceMetrics
from gym_p2p.server.handlers.decision_log import DecisionLog
from gym_p2p.server.handlers.dispatcher import Dispatcher
from gym_p2p.server.subjects import SubjectsFile

__all__ = ["MAX_QUEUED_PACKETS", "OnOutcome", "Shell", "Switchboard", "error_of"]

_LOG = client_log(__name__)

MAX_QUEUED_PACKETS = 64
"""A reader this far behind is dropped (Nakama's outgoing_queue_size)."""

_HOW = {"ping timeout": TIMED_OUT, "transport close": CUT_OFF, "transport error": CUT_OFF}
"""How a socket went, by Socket.IO's reason for it."""

OnOutcome = Callable[[ProbeOutcome], None]


class Shell(Protocol):
    """What one kind of host does for a switchboard; nothing of it waits."""

    def emit(self, socket: str, event: str, payload: dict[str, Any]) -> None:
        """Send an event to a socket; drop one that does not read."""

    def close(self, socket: str, reason: str, *, at_once: bool) -> None:
        """Have the switchboard forget a socket, and close it once it has had time to read its goodbye."""

    def consult(self, proposed: ProposedMatch) -> None:
        """Ask the host's pre-match hook, and hand its verdict to :meth:`Switchboard.hook_decided`."""


class Switchboard:
    """Everything of one service that a Socket.IO server does not do.

    Args:
        machines: what wants something done; to be looked at by the host, too.
        dispatcher: what is done with every event.
        metrics: what is sent is counted there.
        decision_log: where the queues' decisions go.
        subjects: where it is kept who is behind which pseudonym.
    """

    def __init__(
        self,
        machines: Machines,
        dispatcher: Dispatcher,
        *,
        metrics: ServiceMetrics,
        decision_log: DecisionLog,
        subjects: SubjectsFile,
    ) -> None:
        self.machines = machines
        self._dispatcher = dispatcher
        self.metrics = metrics
        self._decision_log = decision_log
        self._subjects = subjects
        self._proposed: dict[int, ProposedMatch] = {}
        """What the host's hook was asked about, as the queues know it: the hook has seen own ids."""
        self._sockets: set[str] = set()
        self._calls: dict[str, OnOutcome] = {}
        """Those who wait for the outcome of a probe, by its id."""
        self._listeners: list[OnOutcome] = [metrics.probe_ended]

    @property
    def events(self) -> Collection[str]:
        """The names of all events that clients may send."""
        return self._dispatcher.events

    @property
    def connection_count(self) -> int:
        """Sockets connected at present."""
        return len(self._sockets)

    def __contains__(self, socket: object) -> bool:
        return socket in self._sockets

    # ---- what the Socket.IO library calls

    def let_in(self, socket: str, auth: object, now: float) -> Refused | None:
        """Let a socket in, or say why not; a refused one leaves no trace."""
        refused = self._dispatcher.connected(socket, auth, now)
        if refused is not None:
            _LOG.debug("socket %s refused: %s", socket, refused.code)
            return refused
        self._sockets.add(socket)
        _LOG.debug("socket %s connected", socket)
        return None

    def is_identified(self, socket: str) -> bool:
        """Return whether it is known for good whose a socket is."""
        return self.machines.presence.admitted_on(socket) is not None

    def identify(self, socket: str, subject_id: str, now: float) -> None:
        """Take the host's word for whose a socket is: what it says about itself does not count then.

        Raises:
            ValueError: there can be no such subject.
        """
        problem = public_id_problem(subject_id)
        if problem is not None:
            raise ValueError(f"subject_id: {problem}")
        if socket in self._sockets:
            self.machines.identify(socket, subject_id, now)

    def receive(self, event: str, arguments: tuple[Any, ...], socket: str, now: float) -> dict[str, Any]:
        """Handle an event of a client's; return its acknowledgement.

        Args:
            event: its name, without the host's prefix.
            arguments: what came with it.
            socket: who sent it.
            now: monotonic seconds.
        """
        answer = self._dispatcher.receive(event, arguments[0] if arguments else None, socket, now)
        if isinstance(answer, Refused):
            _LOG.debug("socket %s: %s refused: %s", socket, event, answer.code)
        return _acknowledge(answer)

    def forget(self, socket: str, reason: str, now: float, *, misbehaved: bool = False) -> None:
        """Forget a socket that is gone. Idempotent.

        Args:
            socket: which one.
            reason: Socket.IO's, or in words.
            now: monotonic seconds.
            misbehaved: it was dropped for what it sent.
        """
        self._sockets.discard(socket)
        self._dispatcher.disconnected(socket, now, how=_HOW.get(reason, DISCONNECTED), misbehaved=misbehaved)
        _LOG.debug("socket %s disconnected: %s", socket, reason)

    # ---- what the host asks for

    def probe(
        self, one: str, other: str, now: float, on_done: OnOutcome, *, threshold_ms: float | None = None
    ) -> str:
        """Begin a probe of two subjects; return its id.

        Args:
            one: a registered subject.
            other: another one.
            now: monotonic seconds.
            on_done: called once with what became of it, within 18 s, by :meth:`carry_out` or :meth:`end`.
            threshold_ms: what the result will be compared with: so the two know how exact it has to be.

        Raises:
            UsageError: both are the same subject.
        """
        probe_id = self.machines.probe(one, other, now, threshold_ms=threshold_ms)
        self._calls[probe_id] = on_done
        return probe_id

    def cancel_probe(self, probe_id: str, now: float) -> None:
        """End a probe that nobody waits for any more, and free both. Idempotent."""
        self._calls.pop(probe_id, None)
        self.machines.cancel_probe(probe_id, now)

    def on_probe_outcome(self, listener: OnOutcome) -> None:
        """Call a listener with the outcome of every probe, whoever requested it."""
        self._listeners.append(listener)

    def hook_decided(self, proposed: ProposedMatch, verdict: Verdict, reason: str, now: float) -> None:
        """Take the host's verdict on a proposed match, and a short reason."""
        asked = self._proposed.pop(proposed.proposal_no, proposed)
        self.machines.hook_decided(asked, verdict, reason, now)

    # ---- time and outputs

    def handle_timeout(self, now: float) -> None:
        """Do what has come due by ``now``."""
        self.machines.handle_timeout(now)

    def next_timeout(self) -> float | None:
        """Return when :meth:`handle_timeout` wants to be called, or ``None``."""
        return self.machines.next_timeout()

    def poll(self) -> ServiceOutput | None:
        """Return the next output to carry out, or ``None``."""
        return self.machines.poll()

    def carry_out(self, output: ServiceOutput, shell: Shell, now: float) -> None:
        """Have an output carried out. Never raises: one socket's trouble must not stop the others."""
        try:
            self._carry_out(output, shell, now)
        except Exception:  # noqa: BLE001  # see above
            _LOG.exception("sending")

    def end(self, now: float) -> None:
        """Conclude: end the probes that the host asked for, tell who waits, write down what is decided."""
        for probe_id in tuple(self._calls):
            self.machines.cancel_probe(probe_id, now)
        while (output := self.machines.poll()) is not None:
            self._note(output)
        self._decision_log.close()

    # ---- inside

    def _carry_out(self, output: ServiceOutput, shell: Shell, now: float) -> None:
        match output:
            case Emit(socket, payload):
                self.metrics.sent(socket, payload, now)
                if socket in self._sockets:
                    shell.emit(socket, payload.event, encode(payload))
            case Close(socket, reason, at_once):
                if socket in self._sockets:
                    shell.close(socket, reason, at_once=at_once)
            case ProposedMatch():
                self._proposed[output.proposal_no] = output
                shell.consult(output.renamed(self.machines.presence.own_id))
            case _:
                self._note(output)

    def _note(self, output: ServiceOutput) -> None:
        """Do what an output wants of the service itself, also when no shell carries out anything any more."""
        match output:
            case ProbeEnded():
                self._announce(output)
            case Assigned():
                self._subjects.keep(output)
            case LogDecision(record):
                self._decision_log.append(record)
            case MakeMatch(queue, _, players):
                _LOG.info("queue %s: a match of %d", queue, len(players))
            case MachineFailed(error):
                _LOG.error("in the service", exc_info=error)

    def _announce(self, ended: ProbeEnded) -> None:
        """Hand an outcome to those who wait for it."""
        _LOG.info("probe %s ended: %s", ended.probe_id, ended.outcome.reason)
        call = self._calls.pop(ended.probe_id, None)
        for listener in (*(() if call is None else (call,)), *self._listeners):
            try:
                listener(ended.outcome)
            except Exception:  # noqa: BLE001  # the host's bug must not stop the others' probes
                _LOG.exception("in a listener of probe outcomes")


def error_of(refused: Refused) -> dict[str, Any]:
    """Return what a client is told of a refusal."""
    error: dict[str, Any] = {"code": str(refused.code), "message": refused.message}
    if refused.retry_after_ms is not None:
        error["retry_after_ms"] = refused.retry_after_ms
    return error


def _acknowledge(answer: Answer) -> dict[str, Any]:
    if isinstance(answer, Refused):
        return {"ok": False, "error": error_of(answer)}
    return {"ok": True, **encode(answer.value)}
