"""What the service does with an event: one table of all events, and the way that every one of them goes.

No I/O is done here and nothing waits, so that any kind of server can stand in front of it. It hands every
event to :meth:`Dispatcher.receive`, which returns the answer to the client; what else is to be done comes out
of the machines (:meth:`~gym_p2p.core.service.machines.Machines.poll`).

The way: is the socket connected, does it flood, has it registered, does its subject join too often, is the
payload well formed; then a machine decides, and the answer is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, get_args

import attrs

from gym_p2p.core.api import requests
from gym_p2p.core.api.matches import QueueTicket
from gym_p2p.core.api.payloads import decode
from gym_p2p.core.api.replies import Answer, Code, Refused
from gym_p2p.core.api.rooms import DISCONNECTED
from gym_p2p.core.presence.rate_limits import too_often
from gym_p2p.core.service.machines import Machines
from gym_p2p.errors import ProtocolError
from gym_p2p.server.guard.client_log import client_log
from gym_p2p.server.guard.guards import Guards

__all__ = ["PARTS", "Dispatcher", "Handler", "Part"]

_LOG = client_log(__name__)

_UNREGISTERED = Refused(Code.UNAUTHENTICATED, "register_subject comes first")
_UNKNOWN_TO_HOST = Refused(Code.UNAUTHENTICATED, "the server does not know whose this socket is")

Part = Literal["probes", "queues", "rooms", "spectators"]
"""What a host may take of a service, one by one."""
PARTS: frozenset[Part] = frozenset(get_args(Part))

_PROBES: frozenset[Part] = frozenset({"probes"})
_QUEUES: frozenset[Part] = frozenset({"queues"})
_ROOMS: frozenset[Part] = frozenset({"rooms"})
_MATCHES: frozenset[Part] = frozenset({"queues", "rooms"})
"""A match is made in a room or by a queue; what is said within it belongs to both."""
_SPECTATORS: frozenset[Part] = frozenset({"spectators"})


@attrs.frozen
class Handler:
    """How one event is handled.

    Attributes:
        payload: the class of its payload; ``None`` hands it over as it came.
        method: takes who it is, the payload and the time; returns the answer.
        parts: with which of them it comes; none: always.
        needs_subject: the socket has to have registered, and *who* is its subject; otherwise the socket.
        has_own_budget: it does not count among the events of its socket.
    """

    payload: type | None
    method: Callable[[str, Any, float], Answer]
    parts: frozenset[Part] = frozenset()
    needs_subject: bool = True
    has_own_budget: bool = False


class Dispatcher:
    """The door to the machines of one service.

    Args:
        machines: what decides.
        guards: who comes in, how much one may do, and what is counted.
        parts: events of others there are none.
        host_identifies: whose a socket is the host says, or nobody.
    """

    def __init__(
        self,
        machines: Machines,
        guards: Guards,
        *,
        parts: Collection[Part] = PARTS,
        host_identifies: bool = False,
    ) -> None:
        self._machines = machines
        self._presence = machines.presence
        self._guards = guards
        self._host_identifies = host_identifies
        self._handlers: Mapping[str, Handler] = {
            event: handler
            for event, handler in _handlers(machines).items()
            if not handler.parts or not handler.parts.isdisjoint(parts)
        }

    @property
    def events(self) -> Collection[str]:
        """The names of all events that clients may send."""
        return self._handlers.keys()

    # ---- what clients do

    def connected(self, socket: str, auth: object, now: float) -> Refused | None:
        """Let a socket in, or say why not; a refused one leaves no trace.

        Args:
            socket: the new one.
            auth: what it showed when connecting.
            now: monotonic seconds.
        """
        shown = self._guards.admission.identify(auth)
        if isinstance(shown, Refused):
            refused: Refused | None = shown
        else:
            known_as = None if shown.subject_id is None else self._presence.known_as(shown.subject_id)
            refused = self._guards.refuse_again(known_as, now) or self._machines.connected(
                socket, now, subject_id=shown.subject_id, resume_token=shown.resume_token
            )
        if refused is not None:
            self._guards.metrics.refused(refused.code)
        return refused

    def receive(self, event: str, payload: object, socket: str, now: float) -> Answer:
        """Handle an event; return the answer to its sender."""
        handler = self._handlers.get(event)
        if handler is None:
            if socket in self._presence and self._guards.violated(socket, now):
                self._close(socket, now)
            return Refused(Code.BAD_REQUEST, "no such event")
        try:
            answer = self._handle(event, handler, payload, socket, now)
        except ProtocolError as error:
            answer = Refused(Code.BAD_REQUEST, error.problem)
        except Exception:  # noqa: BLE001  # a bug of ours must not reach the client, nor end its connection
            _LOG.exception("handling %s", event)
            answer = Refused(Code.UNAVAILABLE, "the service failed; its log says why")
        self._machines.settle(now)
        self._guards.answered(socket, event, answer, now)
        return answer

    def disconnected(
        self, socket: str, now: float, *, how: str = DISCONNECTED, misbehaved: bool = False
    ) -> None:
        """Forget a socket that is gone. Idempotent.

        Args:
            socket: which one.
            now: monotonic seconds.
            how: it went, as in :attr:`~gym_p2p.core.api.rooms.PeerLeft.reason`.
            misbehaved: it was dropped for what it sent.
        """
        if misbehaved:
            self._hold_back(socket, now)
        self._guards.metrics.left(socket)
        self._machines.disconnected(socket, now, how=how)

    # ---- the way of an event

    def _handle(self, event: str, handler: Handler, payload: object, socket: str, now: float) -> Answer:
        if socket not in self._presence:
            return Refused(Code.UNAUTHENTICATED, "not connected")
        refused = None if handler.has_own_budget else self._refuse_flood(socket, now)
        if refused is not None:
            return refused
        if self._host_identifies and self._presence.admitted_on(socket) is None:
            return _UNKNOWN_TO_HOST
        subject_id = self._presence.subject_on(socket)
        if subject_id is None and handler.needs_subject:
            return _UNREGISTERED
        refused = self._guards.refuse_join(event, subject_id, now)
        if refused is not None:
            return refused
        request = payload if handler.payload is None else decode(handler.payload, payload)
        who = subject_id if subject_id is not None and handler.needs_subject else socket
        return handler.method(who, request, now)

    def _refuse_flood(self, socket: str, now: float) -> Refused | None:
        wait_s = self._guards.events.take(socket, now)
        if wait_s is None:
            return None
        if self._guards.struck_out(socket, now):
            self._close(socket, now)
        return too_often(wait_s, f"at most {self._guards.events.per_s:g} events a second")

    def _close(self, socket: str, now: float) -> None:
        """Drop a socket that sends too much, or what no honest client sends."""
        _LOG.warning("socket %s dropped: too many events, or malformed ones", socket)
        self._hold_back(socket, now)
        self._machines.close(socket, "limits exceeded", now)

    def _hold_back(self, socket: str, now: float) -> None:
        subject_id = self._presence.admitted_on(socket)
        if subject_id is not None:
            self._guards.misbehaved(subject_id, now)


def _handlers(machines: Machines) -> dict[str, Handler]:
    """Return the table of all events."""
    rooms, spectators, probes = machines.rooms, machines.spectators, machines.probes
    queues = machines.queues
    return {
        "register_subject": Handler(requests.RegisterSubject, machines.register, needs_subject=False),
        "join_room": Handler(requests.JoinRoom, machines.join_room, _ROOMS),
        "leave_room": Handler(
            requests.LeaveRoom, lambda who, request, _now: rooms.leave(who, request), _MATCHES
        ),
        "webrtc_signal": Handler(requests.SendMatchSignal, machines.signal, _MATCHES),
        "relay_message": Handler(requests.RelayMessage, rooms.between.relay, _MATCHES, has_own_budget=True),
        "renew_ice_servers": Handler(requests.RenewIceServers, rooms.renew_ice_servers, _MATCHES),
        "match_latency": Handler(requests.MatchLatency, machines.match_latency, _MATCHES),
        "watch": Handler(
            requests.Watch, lambda who, request, _now: spectators.watch(who, request), _SPECTATORS
        ),
        "stop_watching": Handler(None, lambda who, _payload, _now: spectators.stop(who), _SPECTATORS),
        "drop_spectator": Handler(
            requests.DropSpectator, lambda who, request, _now: spectators.drop(who, request), _SPECTATORS
        ),
        "probe_wait": Handler(
            requests.ProbeWait, lambda who, request, _now: probes.wait(who, request), _PROBES
        ),
        "probe_request": Handler(requests.ProbeRequest, machines.request_probe, _PROBES),
        "probe_ready": Handler(requests.ProbeReady, probes.ready, _PROBES),
        "probe_signal": Handler(requests.SendProbeSignal, probes.signal, _PROBES),
        "probe_result": Handler(None, machines.probe_result, _PROBES),
        "join_queue": Handler(QueueTicket, machines.join_queue, _QUEUES),
        "leave_queue": Handler(None, lambda who, _payload, now: queues.leave(who, now), _QUEUES),
        "answer_match": Handler(
            requests.AnswerMatch,
            lambda who, request, now: queues.answer(who, request.proposal_id, request.verdict, now),
            _QUEUES,
        ),
    }
