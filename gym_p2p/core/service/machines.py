"""The machines of a service, and what they want of each other.

Each of them knows its own subject matter alone. A queue's probe, a queue's match, a player's spectators, a
subject that came back on another socket: what concerns more than one is passed on here, at once, so that
whoever asks next finds it done. Sockets end here, too: all but
:class:`~gym_p2p.core.presence.presence.Presence` know subjects.

No I/O is done and nothing waits; what remains to be sent, closed, asked and logged comes out of
:meth:`Machines.poll`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import attrs

from gym_p2p.core.api import requests
from gym_p2p.core.api.matches import MakeMatch, QueueTicket
from gym_p2p.core.api.payloads import decode
from gym_p2p.core.api.probes import ProbeReport
from gym_p2p.core.api.queues import Verdict
from gym_p2p.core.api.replies import Accepted, Answer, Close, Code, Departed, Emit, Notify, Refused
from gym_p2p.core.api.rooms import DISCONNECTED
from gym_p2p.core.matchmaking.commands import CancelProbe, LogDecision, ProposedMatch, RequestProbe
from gym_p2p.core.matchmaking.queues import Queues
from gym_p2p.core.presence.presence import Presence
from gym_p2p.core.presence.pseudonyms import Assigned
from gym_p2p.core.probing.registry import ProbeEnded, ProbeRegistry
from gym_p2p.core.service.rooms import Rooms
from gym_p2p.core.service.spectators import Spectators
from gym_p2p.errors import ProtocolError
from gym_p2p.version import __version__

__all__ = ["MachineFailed", "Machines", "ServiceOutput"]

_AFTER_A_BUG_S = 0.1
"""A pause, so that one that comes again and again leaves room for everything else."""


@attrs.frozen
class MachineFailed:
    """Event: a machine, or the host's matchmaker in it, raised; whatever it left undone is tried again."""

    error: Exception


ServiceOutput = Assigned | Emit | Close | ProbeEnded | ProposedMatch | MakeMatch | LogDecision | MachineFailed
"""``MakeMatch`` is an event here: that match has been made. A ``ProbeEnded`` is for the host, and so calls
subjects by their own ids."""


class _Machine(Protocol):
    def poll(self) -> object | None: ...


class _TimedMachine(Protocol):
    def handle_timeout(self, now: float) -> None: ...
    def next_timeout(self) -> float | None: ...


_TO_CLIENTS = (Notify, Emit, LogDecision)
"""Of which no other machine hears."""


@attrs.define(eq=False, kw_only=True)
class Machines:
    """The machines of one service.

    Whoever calls a method of a machine itself calls :meth:`settle` afterwards.

    Attributes:
        presence: who is there.
        rooms: rooms and matches.
        spectators: who watches them.
        probes: the probes.
        queues: the queues.
    """

    presence: Presence
    rooms: Rooms
    spectators: Spectators
    probes: ProbeRegistry
    queues: Queues
    _requested: dict[str, RequestProbe] = attrs.field(init=False, factory=dict)
    """The queues' probes, by id."""
    _called: dict[str, dict[str, str]] = attrs.field(init=False, factory=dict)
    """What the host has called the two of a probe of its own, by its id: perhaps one who has not come yet."""
    _resume_at: float | None = attrs.field(init=False, default=None)
    """When to try again what a bug has cut short."""
    _outputs: deque[ServiceOutput] = attrs.field(init=False, factory=deque)
    _timed: tuple[_TimedMachine, ...] = attrs.field(init=False)
    _talking: tuple[_Machine, ...] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._timed = (self.presence, self.queues, self.probes)
        self._talking = (self.presence, self.queues, self.rooms, self.probes, self.spectators)

    # ---- events that concern more than one machine

    def register(self, socket: str, request: requests.RegisterSubject, now: float) -> Answer:
        """Tie a socket to its subject."""
        registered = self.presence.register(socket, request.subject_id, request.named_client)
        if isinstance(registered, Refused):
            return registered
        if self.queues.queue_of(registered.subject_id) is None:
            token = request.match_token
            self.rooms.returned(registered.subject_id, token if isinstance(token, str) else None)
        if registered.moved:
            self.spectators.gone(registered.subject_id)
            self.probes.rejoined(registered.subject_id, now)
        resume = {} if registered.resume_token is None else {"resume_token": registered.resume_token}
        service = {
            "service": "gym_p2p",
            "version": __version__,
            **({} if self.rooms.takes_documents else {"uploads": False}),
        }
        return Accepted({"subject_id": registered.subject_id, **resume, **service})

    def identify(self, socket: str, subject_id: str, now: float) -> None:
        """Tie a socket to its subject on the host's word, as if it had registered."""
        self.presence.identify(socket, subject_id)
        self.register(socket, requests.RegisterSubject(subject_id), now)
        self.settle(now)

    def connected(
        self, socket: str, now: float, *, subject_id: str | None = None, resume_token: object = None
    ) -> Refused | None:
        """Let a socket in, or say why not; see :meth:`Presence.connected`. Who waits hears of a duplicate."""
        refused = self.presence.connected(socket, now, subject_id=subject_id, resume_token=resume_token)
        if refused is not None and refused.code is Code.DUPLICATE_SESSION and subject_id is not None:
            self.rooms.duplicated(self.presence.known_as(subject_id))
            self.settle(now)
        return refused

    def join_room(self, subject_id: str, request: requests.JoinRoom, now: float) -> Answer:
        """Take seats in a room, which nobody can who waits in a queue."""
        queue = self.queues.queue_of(subject_id)
        if queue is not None:
            if not self.presence.has_inherited(subject_id):
                return Refused(Code.WRONG_STATE, f"waiting in queue {queue!r}; leave it first")
            self.queues.leave(subject_id, now)
        return self.rooms.join(subject_id, request)

    def join_queue(self, subject_id: str, ticket: QueueTicket, now: float) -> Answer:
        """Wait for a match, which nobody can who has a seat; an inherited ticket gives way to another one."""
        engaged = self.rooms.vacate(subject_id)
        if engaged is not None:
            return engaged
        partners = tuple(map(self.presence.addressed, ticket.previous_partners))
        ticket = attrs.evolve(ticket, previous_partners=partners)
        answer = self.queues.join(subject_id, ticket, now)
        waits = self.queues.queue_of(subject_id) is not None
        if isinstance(answer, Refused) and waits and self.presence.has_inherited(subject_id):
            self.queues.leave(subject_id, now)
            answer = self.queues.join(subject_id, ticket, now)
        if isinstance(answer, Accepted):
            self.presence.take_place(subject_id)
        return answer

    def match_latency(self, subject_id: str, request: requests.MatchLatency, now: float) -> Answer:
        """Learn from a running match for the next ones."""
        partner = self.rooms.partner_of(subject_id, match_id=request.game_id, player_id=request.player_id)
        if partner is None:
            return Refused(Code.NO_SUCH_MATCH, "no such match")
        self.queues.observe(subject_id, partner, request.rtt_ms, now)
        return Accepted()

    def signal(self, subject_id: str, request: requests.SendMatchSignal, _now: float) -> Answer:
        """Relay a signal within a match: to a spectator, from one, or else between players."""
        return self.spectators.signal(subject_id, request) or self.rooms.between.signal(subject_id, request)

    def request_probe(self, subject_id: str, request: requests.ProbeRequest, now: float) -> Answer:
        """Begin a probe of a client against one who waits for that."""
        target = self.presence.addressed(request.target_subject_id)
        return self.probes.request(subject_id, requests.ProbeRequest(target), now)

    def probe_result(self, subject_id: str, payload: object, now: float) -> Answer:
        """Take a report; one that cannot be read is refused, and counts as a failed measurement."""
        probe_id = decode(requests.ProbeReady, payload).probe_session_id
        try:
            report = decode(ProbeReport, payload)
        except ProtocolError:
            answer = self.probes.result(subject_id, probe_id, None, now)
            if isinstance(answer, Refused):
                return answer
            raise
        return self.probes.result(subject_id, probe_id, report, now)

    def disconnected(self, socket: str, now: float, *, how: str = DISCONNECTED) -> None:
        """Forget a socket, and its subject if that cannot be reached any more. Idempotent.

        Args:
            socket: the socket.
            now: the time.
            how: it went, as in :attr:`~gym_p2p.core.api.rooms.PeerLeft.reason`.
        """
        self._forget(socket, now, how=how)
        self.settle(now)

    # ---- what the host requests, and answers

    def probe(self, one: str, other: str, now: float, *, threshold_ms: float | None = None) -> str:
        """Begin a probe; see :meth:`~gym_p2p.core.probing.registry.ProbeRegistry.create`.

        Both may be called by their own ids, or by their pseudonyms.
        """
        pair = self.presence.addressed(one), self.presence.addressed(other)
        probe_id = self.probes.create(*pair, now, threshold_ms=threshold_ms)
        self._called[probe_id] = dict(zip(pair, (one, other), strict=True))
        self.settle(now)
        return probe_id

    def cancel_probe(self, probe_id: str, now: float) -> None:
        """End a probe that :meth:`probe` began; does nothing when it has ended."""
        self.probes.cancel(probe_id, now)
        self.settle(now)

    def hook_decided(self, proposed: ProposedMatch, verdict: Verdict, reason: str, now: float) -> None:
        """Take the answer to a :class:`ProposedMatch`, and a short reason."""
        self.queues.hook_decided(proposed, verdict, now, reason)
        self.settle(now)

    def close(self, socket: str, reason: str, now: float) -> None:
        """Drop a socket at once."""
        self._outputs.append(Close(socket, reason, at_once=True))
        self.disconnected(socket, now)

    # ---- time and outputs

    def handle_timeout(self, now: float) -> None:
        """Do what has come due by ``now``."""
        self._resume_at = None
        for machine in self._timed:
            self._unharmed(now, machine.handle_timeout, now)
        self.settle(now)

    def next_timeout(self) -> float | None:
        """Return when :meth:`handle_timeout` wants to be called, or ``None``."""
        if self._resume_at is not None:
            return self._resume_at
        earliest: float | None = None
        for machine in self._timed:
            due = machine.next_timeout()
            if due is not None and (earliest is None or due < earliest):
                earliest = due
        return earliest

    def poll(self) -> ServiceOutput | None:
        """Return the next request to carry out, or ``None``."""
        return self._outputs.popleft() if self._outputs else None

    # ---- what the machines want of each other

    def settle(self, now: float) -> None:
        """Pass on what the machines want, until they want nothing more.

        It ends: what a machine wants of another is caused by an event, a time or an outcome, each of which
        happens once. One that raises has to wait for ``_resume_at``, and the others go on. The queues come
        before the rooms and the spectators last, so that mostly one round will do. What goes to clients alone
        makes no machine want anything: a relayed signal takes one round.
        """
        wanted = True
        while wanted:
            wanted = False
            for machine in self._talking:
                spoke = False
                try:
                    while (output := machine.poll()) is not None:
                        spoke |= not isinstance(output, _TO_CLIENTS)
                        self._route(output, now)
                    wanted |= spoke
                except Exception as error:  # noqa: BLE001  # one that raises must not stop the others
                    self._failed(error, now)

    def _route(self, output: object, now: float) -> None:
        match output:
            case Notify(subject_id, payload):
                socket = self.presence.socket_of(subject_id)
                if socket is not None:
                    self._outputs.append(Emit(socket, payload))
            case Close(socket):
                self._outputs.append(output)
                self._forget(socket, now)
            case Assigned() | Emit() | ProposedMatch() | LogDecision():
                self._outputs.append(output)
            case Departed():
                self.spectators.departed(output)
            case RequestProbe():
                probe_id = self.probes.create(
                    *output.subjects, now, threshold_ms=output.threshold_ms, relay_only=output.relay_only
                )
                self._requested[probe_id] = output
            case CancelProbe(unwanted):
                self._cancel_probe(unwanted, now)
            case ProbeEnded(probe_id, outcome):
                called = self._called.pop(probe_id, {})
                renamed = outcome.renamed(lambda who: called.get(who) or self.presence.own_id(who))
                self._outputs.append(ProbeEnded(probe_id, renamed))
                request = self._requested.pop(probe_id, None)
                if request is not None:
                    self.queues.measured(request, outcome, now)
            case MakeMatch():
                gone = self.rooms.make_match(output)
                if gone:
                    self.queues.not_made(output, gone, now)
                else:
                    self._outputs.append(output)

    def _forget(self, socket: str, now: float, *, how: str = DISCONNECTED) -> None:
        subject_id = self.presence.disconnected(socket)
        if subject_id is not None:
            self._unharmed(now, self.queues.gone, subject_id, now)
            self.rooms.gone(subject_id, how=how)
            self.probes.gone(subject_id, now)
            self.spectators.gone(subject_id)

    def _cancel_probe(self, request: RequestProbe, now: float) -> None:
        """End a queue's probe, whose outcome it does not want any more."""
        probe_id = next((probe_id for probe_id, one in self._requested.items() if one == request), None)
        if probe_id is not None:
            del self._requested[probe_id]
            self.probes.cancel(probe_id, now)

    def _unharmed(self, now: float, work: Callable[..., object], *arguments: Any) -> None:
        """Let a machine work, with a host's matchmaker in it perhaps; one that raises stops no other."""
        try:
            work(*arguments)
        except Exception as error:  # noqa: BLE001  # see above
            self._failed(error, now)

    def _failed(self, error: Exception, now: float) -> None:
        self._outputs.append(MachineFailed(error))
        self._resume_at = now + _AFTER_A_BUG_S
