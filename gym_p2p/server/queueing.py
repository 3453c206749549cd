"""Queues on the service: the wire's events into the machine, its requests to whoever carries them out.

Knows the clock, tasks, and how long a hook may think. Who is matched with whom is the planner's to say
(:mod:`gym_p2p.core.queues`); how a pair is measured is :mod:`gym_p2p.server.probing`'s.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from gym_p2p.core.lobby import Accepted, Answer, Code, Refused, Send
from gym_p2p.core.plans import PairProbe, RequestProbe, TicketRow, Verdict, as_verdict
from gym_p2p.core.probe_outcome import ProbeOutcome
from gym_p2p.core.queue_requests import (
    EndProbe,
    LogDecision,
    MakeMatch,
    MeasurePair,
    ProposedMatch,
    Tell,
)
from gym_p2p.core.queues import Queues
from gym_p2p.core.rooms import Rooms
from gym_p2p.server import requests
from gym_p2p.server.decision_log import DecisionLog
from gym_p2p.server.probing import Probing

__all__ = ["PreMatchHook", "Queueing"]

_LOG = logging.getLogger(__name__)

PreMatchHook = Callable[[ProposedMatch], object | Awaitable[object]]
"""Says what becomes of a proposed match: a :class:`~gym_p2p.core.plans.Verdict`, or True or False."""


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
        self._hook = hook
        self._hook_timeout_s = hook_timeout_s
        self._log = log
        self._on_work = on_work
        self._probes: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._hooks: set[asyncio.Task[None]] = set()
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
        self._queues.gone(subject_id, time.monotonic())

    def refuse_if_queued(self, sid: str) -> Refused | None:
        """Say that a subject waits in a queue and can be nowhere else; ``None`` if he does not."""
        subject_id = self._rooms.subject_on(sid)
        queue = None if subject_id is None else self._queues.queue_of(subject_id)
        if queue is None:
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

    def poll(self) -> Send | None:
        """Return the next thing to send, or ``None``; everything else is carried out on the way."""
        while (output := self._queues.poll()) is not None:
            match output:
                case Tell(subject_id, event, data):
                    socket = self._rooms.socket_of(subject_id)
                    if socket is not None:
                        return Send(socket, event, data)
                case MeasurePair(queue, request):
                    task = asyncio.create_task(self._measure(queue, request))
                    self._probes[(queue, request.probe_no)] = task
                case EndProbe(queue, probe_no):
                    ended = self._probes.pop((queue, probe_no), None)
                    if ended is not None:
                        ended.cancel()
                case ProposedMatch():
                    asking = asyncio.create_task(self._ask(output))
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
        ticket = requests.decode(requests.JoinQueue, payload).to_ticket()
        subject_id = self._rooms.subject_on(sid)
        if subject_id is None:
            return _REGISTER_FIRST
        engaged = self._rooms.vacate(subject_id)
        return engaged or self._queues.join(subject_id, ticket, time.monotonic())

    def _leave(self, sid: str, _payload: object) -> Answer:
        subject_id = self._rooms.subject_on(sid)
        return _REGISTER_FIRST if subject_id is None else self._queues.leave(subject_id, time.monotonic())

    def _answer(self, sid: str, payload: object) -> Answer:
        request = requests.decode(requests.AnswerMatch, payload)
        subject_id = self._rooms.subject_on(sid)
        if subject_id is None:
            return _REGISTER_FIRST
        return self._queues.answer(subject_id, request.proposal_id, request.verdict, time.monotonic())

    def _latency(self, sid: str, payload: object) -> Answer:
        request = requests.decode(requests.MatchLatency, payload)
        subject_id = self._rooms.subject_on(sid)
        if subject_id is None:
            return _REGISTER_FIRST
        partner = self._rooms.partner_of(subject_id, match_id=request.game_id, player_id=request.player_id)
        if partner is None:
            return Refused(Code.NO_SUCH_MATCH, "no such match")
        self._queues.observe(subject_id, partner, request.rtt_ms, time.monotonic())
        return Accepted()

    # ---- what the machine asks for

    async def _measure(self, queue: str, request: RequestProbe) -> None:
        outcome = await self._probing.probe(
            *request.subjects, threshold_ms=request.threshold_ms, relay_only=request.relay_only
        )
        self._probes.pop((queue, request.probe_no), None)
        self._queues.measured(queue, request.probe_no, _pair_probe(outcome), time.monotonic())
        self._on_work()

    async def _ask(self, proposed: ProposedMatch) -> None:
        """Ask the hook; one that raises, or does not answer in time, has rejected."""
        verdict, reason = Verdict.REJECT, "hook"
        try:
            async with asyncio.timeout(self._hook_timeout_s):
                verdict = as_verdict(await self._call_hook(proposed))
        except TimeoutError:
            _LOG.warning("the pre-match hook did not answer within %g s", self._hook_timeout_s)
            reason = "hook_timeout"
        except Exception:  # noqa: BLE001  # a plug-in's bug must not stop the queue
            _LOG.exception("in the pre-match hook; the match is rejected")
            reason = "hook_raised"
        self._queues.hook_decided(proposed.queue, proposed.proposal_no, verdict, time.monotonic(), reason)
        self._on_work()

    async def _call_hook(self, proposed: ProposedMatch) -> object:
        answer = None if self._hook is None else self._hook(proposed)
        return await answer if inspect.isawaitable(answer) else answer

    def _make(self, match: MakeMatch) -> None:
        gone = self._rooms.make_match(match)
        if gone:
            self._queues.not_made(match, gone, time.monotonic())
        else:
            _LOG.info("queue %s: a match of %d", match.queue, len(match.players))


def _pair_probe(outcome: ProbeOutcome) -> PairProbe:
    """Return what came of a probe; a pair whose reports disagreed has been probed once more already."""
    failed = outcome.rtt_ms is None
    return PairProbe(
        rtt_ms=outcome.rtt_ms,
        reason=str(outcome.reason) if failed else None,
        blameless=failed and not outcome.pair_failed,
        reports={subject: r.to_wire() for subject, r in outcome.reports.items() if r is not None},
    )


_REGISTER_FIRST = Refused(Code.UNAUTHENTICATED, "register_subject comes first")
