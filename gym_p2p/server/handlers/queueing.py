"""Queues on the service: the wire's events into the machine, its requests to whoever carries them out.

Knows the clock, tasks, and from which socket somebody has joined. Who is matched with whom is the planner's
to say (:mod:`gym_p2p.core.matchmaking.queues`); how a pair is measured is
:mod:`gym_p2p.server.handlers.probing`'s.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from gym_p2p.core.api import requests
from gym_p2p.core.api.matches import MakeMatch, QueueTicket
from gym_p2p.core.api.payloads import decode
from gym_p2p.core.api.replies import Accepted, Answer, Code, Emit, Notify, Refused
from gym_p2p.core.matchmaking.commands import (
    CancelProbe,
    LogDecision,
    ProposedMatch,
    RequestProbe,
    TicketRow,
)
from gym_p2p.core.matchmaking.queues import Queues
from gym_p2p.core.service.rooms import Rooms
from gym_p2p.server.handlers.decision_log import DecisionLog
from gym_p2p.server.handlers.hooks import HookCaller, PreMatchHook
from gym_p2p.server.handlers.probing import Probing

__all__ = ["Queueing"]

_LOG = logging.getLogger(__name__)


class Queueing:
    """The queues of one service, on its event loop.

    Args:
        queues: the machine.
        rooms: where subjects are registered, and matches are made.
        probing: measures pairs.
        hook: asked before a match is made; ``None`` where the machine was made without one.
        hook_timeout_s: a hook that has not answered by then has rejected.
        log: where decisions go; ``None`` keeps none.
        on_work: called when there is something to :meth:`poll`, or another time to wait for.
    """

    def __init__(
        self,
        queues: Queues,
        rooms: Rooms,
        probing: Probing,
        *,
        hook: PreMatchHook | None,
        hook_timeout_s: float,
        log: DecisionLog | None,
        on_work: Callable[[], None],
    ) -> None:
        self._queues = queues
        self._rooms = rooms
        self._probing = probing
        self._hook = None if hook is None else HookCaller(hook, hook_timeout_s)
        self._log = log
        self._on_work = on_work
        self._probes: dict[int, asyncio.Task[None]] = {}
        self._hooks: set[asyncio.Task[None]] = set()
        self._joined_on: dict[str, str] = {}
        """By subject, the socket that joined; another one has merely inherited the place by replacing it."""
        self.handlers: Mapping[str, Callable[[str, Any], Answer]] = {
            "join_queue": self._join,
            "leave_queue": self._leave,
            "answer_match": self._answer,
            "match_latency": self._latency,
        }

    async def close(self) -> None:
        """End what is under way. Idempotent."""
        tasks = [*self._probes.values(), *self._hooks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._log is not None:
            self._log.close()

    # ---- what the service passes on

    def disconnected(self, subject_id: str) -> None:
        """Note that a subject's socket is gone."""
        self._joined_on.pop(subject_id, None)
        self._queues.gone(subject_id, time.monotonic())

    def refuse_if_queued(self, sid: str) -> Refused | None:
        """Say that a subject waits in a queue and can be nowhere else; ``None`` if he does not.

        A place that he has merely inherited from an older socket of his is given up.
        """
        subject_id = self._rooms.subject_on(sid)
        queue = None if subject_id is None else self._queues.queue_of(subject_id)
        if subject_id is None or queue is None:
            return None
        if self._has_inherited(sid, subject_id):
            self._queues.leave(subject_id, time.monotonic())
            return None
        return Refused(Code.WRONG_STATE, f"waiting in queue {queue!r}; leave it first")

    def tables(self) -> dict[str, list[TicketRow]]:
        """Return who waits in which queue; see :meth:`Queues.tables`."""
        return self._queues.tables(time.monotonic())

    def handle_timeout(self, now: float) -> None:
        """Do what has come due by ``now``."""
        self._queues.handle_timeout(now)

    def next_timeout(self) -> float | None:
        """Return when :meth:`handle_timeout` wants to be called, or ``None``."""
        return self._queues.next_timeout()

    def poll(self) -> Emit | None:
        """Return the next thing to send, or ``None``; everything else is carried out on the way."""
        while (output := self._queues.poll()) is not None:
            match output:
                case Notify(subject_id, payload):
                    socket = self._rooms.socket_of(subject_id)
                    if socket is not None:
                        return Emit(socket, payload)
                case RequestProbe(probe_no=number):
                    self._probes[number] = asyncio.create_task(self._measure(output))
                case CancelProbe(request):
                    ended = self._probes.pop(request.probe_no, None)
                    if ended is not None:
                        ended.cancel()
                case ProposedMatch() if self._hook is not None:
                    asking = asyncio.create_task(self._ask(self._hook, output))
                    self._hooks.add(asking)
                    asking.add_done_callback(self._hooks.discard)
                case MakeMatch():
                    self._make(output)
                case LogDecision(record):
                    if self._log is not None:
                        self._log.append(record)
        return None

    # ---- the events

    def _join(self, sid: str, payload: object) -> Answer:
        ticket = decode(requests.JoinQueue, payload).to_ticket()
        subject_id = self._rooms.subject_on(sid)
        if subject_id is None:
            return _REGISTER_FIRST
        engaged = self._rooms.vacate(subject_id)
        if engaged is not None:
            return engaged
        return self._join_anew(sid, subject_id, ticket)

    def _join_anew(self, sid: str, subject_id: str, ticket: QueueTicket) -> Answer:
        """Join; a place that was merely inherited from an older socket is given up for another one."""
        now = time.monotonic()
        answer = self._queues.join(subject_id, ticket, now)
        if isinstance(answer, Refused) and self._has_inherited(sid, subject_id):
            self._queues.leave(subject_id, now)
            answer = self._queues.join(subject_id, ticket, now)
        if isinstance(answer, Accepted):
            self._joined_on[subject_id] = sid
        return answer

    def _has_inherited(self, sid: str, subject_id: str) -> bool:
        return self._queues.queue_of(subject_id) is not None and self._joined_on.get(subject_id) != sid

    def _leave(self, sid: str, _payload: object) -> Answer:
        subject_id = self._rooms.subject_on(sid)
        return _REGISTER_FIRST if subject_id is None else self._queues.leave(subject_id, time.monotonic())

    def _answer(self, sid: str, payload: object) -> Answer:
        request = decode(requests.AnswerMatch, payload)
        subject_id = self._rooms.subject_on(sid)
        if subject_id is None:
            return _REGISTER_FIRST
        return self._queues.answer(subject_id, request.proposal_id, request.verdict, time.monotonic())

    def _latency(self, sid: str, payload: object) -> Answer:
        request = decode(requests.MatchLatency, payload)
        subject_id = self._rooms.subject_on(sid)
        if subject_id is None:
            return _REGISTER_FIRST
        partner = self._rooms.partner_of(subject_id, match_id=request.game_id, player_id=request.player_id)
        if partner is None:
            return Refused(Code.NO_SUCH_MATCH, "no such match")
        self._queues.observe(subject_id, partner, request.rtt_ms, time.monotonic())
        return Accepted()

    # ---- what the machine asks for

    async def _measure(self, request: RequestProbe) -> None:
        outcome = await self._probing.probe(
            *request.subjects, threshold_ms=request.threshold_ms, relay_only=request.relay_only
        )
        self._probes.pop(request.probe_no, None)
        self._queues.measured(request, outcome, time.monotonic())
        self._on_work()

    async def _ask(self, hook: HookCaller, proposed: ProposedMatch) -> None:
        verdict, reason = await hook.ask(proposed)
        self._queues.hook_decided(proposed, verdict, time.monotonic(), reason)
        self._on_work()

    def _make(self, match: MakeMatch) -> None:
        gone = self._rooms.make_match(match)
        if gone:
            self._queues.not_made(match, gone, time.monotonic())
        else:
            _LOG.info("queue %s: a match of %d", match.queue, len(match.players))


_REGISTER_FIRST = Refused(Code.UNAUTHENTICATED, "register_subject comes first")
