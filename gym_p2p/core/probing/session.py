"""One probe between two subjects, as the service sees it.

::

    PREPARING -- both ready --> CONNECTING -- offer and answer went over --> MEASURING
        3 s                         12 s since the start                         5 s more
    CONNECTING, MEASURING -- both reported, or one did and 2 s have passed --> ENDED
    every state -- its deadline; 18 s in all; a member leaves; cancelled   --> ENDED

Every state has a deadline, so a probe always ends, and it ends once, with a reason. The service sees no
channel open: that both descriptions went over is the last that it can know of a connection.

It knows the two members and what they may do when. It refuses to know sockets, and who wants the outcome
(:mod:`gym_p2p.core.probing.registry`).
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import Any

import attrs

from gym_p2p.core.api.payloads import Payload
from gym_p2p.core.api.probes import (
    ProbeCancel,
    ProbePrepare,
    ProbeReport,
    ProbeSignal,
    ProbeStart,
    ProbeVerdict,
)
from gym_p2p.core.api.replies import Accepted, Answer, Code, Notify, Refused
from gym_p2p.core.api.requests import SendProbeSignal
from gym_p2p.core.probing.outcome import Mark, ProbeDeadlines, ProbeOutcome, Reason, reconcile
from gym_p2p.core.signaling.relay import Relay
from gym_p2p.core.signaling.sdp_filter import Screen, pass_all

__all__ = ["ProbeSession", "ProbeState"]


class ProbeState(enum.Enum):
    """Where a probe stands."""

    PREPARING = "preparing"
    CONNECTING = "connecting"
    MEASURING = "measuring"
    ENDED = "ended"


@attrs.define(eq=False)
class _Member:
    ready: bool = False
    reported: bool = False
    report: ProbeReport | None = None
    signalled: set[str] = attrs.field(factory=set)
    """The types of signals that went over."""


class ProbeSession:
    """The life of one probe.

    Args:
        prepares: what each of the two members has to prepare, by subject.
        now: monotonic seconds.
        outputs: where what they are to be sent goes.
        deadlines: of every state.
        until: when it ends at the latest, if that is before ``now + deadlines.total_s``.
        screen: looks into relayed signals.
        repeatable: whether reports that disagree end it with ``AGAIN`` instead of the larger figure.

    Attributes:
        outcome: how it ended; ``None`` until then.
    """

    def __init__(
        self,
        prepares: Mapping[str, ProbePrepare],
        now: float,
        *,
        outputs: deque[Any],
        deadlines: ProbeDeadlines,
        until: float | None = None,
        screen: Screen = pass_all,
        repeatable: bool = True,
    ) -> None:
        first, second = prepares
        self.subjects: tuple[str, str] = (first, second)
        self.probe_session_id = prepares[first].probe_session_id
        self.state = ProbeState.PREPARING
        self.outcome: ProbeOutcome | None = None
        self.until = now + deadlines.total_s if until is None else until
        self._repeatable = repeatable
        self._prepares = prepares
        self._deadlines = deadlines
        self._created = now
        self._due = min(now + deadlines.ready_s, self.until)
        self._measured_by = self._second_report_due = self.until
        self._members = {subject: _Member() for subject in self.subjects}
        self._outputs = outputs
        self._relay = Relay(outputs, screen)
        outputs.extend(Notify(subject, prepares[subject]) for subject in self.subjects)

    # ---- what the members do

    def ready(self, subject: str, now: float) -> Answer:
        """Note that a member has prepared; the probe starts once both have."""
        if self.state is ProbeState.ENDED:
            return _STALE
        self._members[subject].ready = True
        if self.state is ProbeState.PREPARING and all(member.ready for member in self._members.values()):
            self.state = ProbeState.CONNECTING
            self._measured_by = min(now + self._deadlines.connect_s + self._deadlines.measure_s, self.until)
            self._due = min(now + self._deadlines.connect_s, self.until)
            self._notify_both(ProbeStart(probe_session_id=self.probe_session_id))
        return Accepted()

    def rejoined(self, subject: str) -> None:
        """Send a member on a new socket again what it may have missed on the old one."""
        if self.state is ProbeState.PREPARING and not self._members[subject].ready:
            self._outputs.append(Notify(subject, self._prepares[subject]))

    def signal(self, subject: str, request: SendProbeSignal) -> Answer:
        """Relay a connection signal from one member to the other."""
        target = request.target_subject_id
        if self.state is ProbeState.ENDED:
            return _STALE
        if target not in self.subjects or target == subject:
            return Refused(Code.NOT_A_MEMBER, "only the other member of the probe can be signalled")
        if self.state is ProbeState.PREPARING:
            return Refused(Code.WRONG_STATE, "the probe has not started")
        signal = partial(ProbeSignal, probe_session_id=self.probe_session_id, from_subject_id=subject)
        answer = self._relay.pass_on(signal, request.type, request.payload, sender=subject, target=target)
        if isinstance(answer, Accepted):
            self._members[subject].signalled.add(request.type)
            if self.state is ProbeState.CONNECTING and self._described():
                self.state = ProbeState.MEASURING
                self._due = self._measured_by
        return answer

    def result(self, subject: str, report: ProbeReport | None, now: float) -> Answer:
        """Take a member's report; only the first one counts. ``None`` is one that could not be read."""
        if self.state is ProbeState.ENDED:
            return _STALE
        usable = report is not None and report.rtt_ms is not None
        if self.state is ProbeState.PREPARING:
            if usable:
                return Refused(Code.WRONG_STATE, "the probe has not started")
            self._members[subject].report = report
            self._end(Reason.FAILED, now)
            return Accepted()
        member = self._members[subject]
        if not member.reported:
            member.reported, member.report = True, report
            self._second_report_due = min(now + self._deadlines.second_report_s, self._second_report_due)
        if all(member.reported for member in self._members.values()):
            self._conclude(now)
        return Accepted()

    # ---- what happens to it

    def left(self, now: float) -> None:
        """Note that a member is gone."""
        self._end(Reason.LEFT, now)

    def cancel(self, now: float) -> None:
        """End it; does nothing at the end."""
        self._end(Reason.CANCELLED, now)

    def handle_timeout(self, now: float) -> None:
        """Do what has come due by ``now``."""
        due = self.next_timeout()
        if due is None or now < due:
            return
        if any(member.reported for member in self._members.values()):
            self._conclude(now)
            return
        reasons = {
            ProbeState.PREPARING: Reason.NOT_READY,
            ProbeState.CONNECTING: Reason.NOT_CONNECTED,
            ProbeState.MEASURING: Reason.NOT_MEASURED,
        }
        self._end(reasons[self.state], now)

    def next_timeout(self) -> float | None:
        """Return when :meth:`handle_timeout` wants to be called; ``None`` at the end."""
        return None if self.state is ProbeState.ENDED else min(self._due, self._second_report_due)

    # ---- inside

    def _described(self) -> bool:
        one, other = (member.signalled for member in self._members.values())
        return ("offer" in one and "answer" in other) or ("answer" in one and "offer" in other)

    def _conclude(self, now: float) -> None:
        """End with what the reports amount to."""
        rtt_ms, marks = reconcile([member.report for member in self._members.values()])
        if rtt_ms is None:
            self._end(Reason.FAILED, now)
        elif Mark.DISAGREED in marks and self._repeatable:
            self._end(Reason.AGAIN, now, rtt_ms, marks)
        else:
            self._end(Reason.MEASURED, now, rtt_ms, marks)

    def _end(
        self, reason: Reason, now: float, rtt_ms: float | None = None, marks: frozenset[Mark] = frozenset()
    ) -> None:
        if self.state is ProbeState.ENDED:
            return
        self.state = ProbeState.ENDED
        verdict = ProbeVerdict if reason is Reason.MEASURED else ProbeCancel
        self._notify_both(
            verdict(
                probe_session_id=self.probe_session_id,
                reason=str(reason),
                rtt_ms=rtt_ms,
                marks=tuple(sorted(str(mark) for mark in marks)),
            )
        )
        self.outcome = ProbeOutcome(
            probe_session_id=self.probe_session_id,
            subjects=self.subjects,
            reason=reason,
            rtt_ms=rtt_ms,
            marks=marks,
            reports={subject: member.report for subject, member in self._members.items()},
            took_s=now - self._created,
        )

    def _notify_both(self, event: Payload) -> None:
        self._outputs.extend(Notify(subject, event) for subject in self.subjects)


_STALE = Refused(Code.STALE, "this probe has ended")
