"""All probes of a service: who is in which one, and what came of it.

An I/O-free machine. Each verb is one thing that a client, or the service's host, did; what has to be sent is
collected with :meth:`ProbeRegistry.poll`, and so are the outcomes. By the time that an outcome comes out the
probe is forgotten and both subjects are free, so nothing that a listener does can leave a trace here.

It knows subjects, and the limits of what they may request. It refuses to know why somebody wants a probe, and
draws no ids.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import attrs

from gym_p2p.config import IceServer
from gym_p2p.core.api.probes import ProbePrepare, ProbeReport
from gym_p2p.core.api.replies import Accepted, Answer, Code, Notify, Refused
from gym_p2p.core.api.requests import ProbeReady, ProbeRequest, ProbeWait, SendProbeSignal
from gym_p2p.core.presence.rate_limits import SlidingWindow, too_often
from gym_p2p.core.probing.outcome import ProbeDeadlines, ProbeOutcome, Reason
from gym_p2p.core.probing.session import ProbeSession
from gym_p2p.core.signaling.sdp_filter import Screen, pass_all
from gym_p2p.errors import UsageError

__all__ = ["Attendance", "ProbeEnded", "ProbeRegistry"]

_REMEMBERED = 1024
"""Ended probes whose members get ``stale`` instead of ``no_such_probe``."""
_REQUESTS = 12
_REQUESTS_WITHIN_S = 600.0
"""Probes that one client may request: each costs both sides sockets and a second."""


class Attendance(Protocol):
    """What a registry asks of who is there: a service's own book of that, or a host's."""

    def is_there(self, subject_id: str) -> bool:
        """Return whether a subject can be reached."""
        ...

    def client_of(self, subject_id: str) -> str | None:
        """Return a subject's software, by its own account; ``None`` for a browser."""
        ...


@attrs.frozen
class ProbeEnded:
    """Event: the probe that was created under this id has an outcome, and its subjects are free."""

    probe_id: str
    outcome: ProbeOutcome


@attrs.define(eq=False)
class _Probe:
    probe_id: str
    """Of the first attempt; what the caller knows it by."""
    session: ProbeSession
    prepares: Mapping[str, ProbePrepare]
    created: float
    first: ProbeOutcome | None = None


class ProbeRegistry:
    """The probes of one service.

    Args:
        presence: who is there.
        probe_ids: draws a new ``probe_<uuid4>``.
        ice_servers: what a subject is handed for a probe, with credentials of its own where needed.
        relay_only: announced with every probe; the same as for matches.
        screen: looks into relayed signals; chosen by whether the probe is relay-only.
        deadlines: of every probe.
    """

    def __init__(
        self,
        presence: Attendance,
        *,
        probe_ids: Callable[[], str],
        ice_servers: Callable[[str], Sequence[IceServer]] = lambda _subject: (),
        relay_only: bool = False,
        screen: Callable[[bool], Screen] = lambda _relay_only: pass_all,
        deadlines: ProbeDeadlines | None = None,
    ) -> None:
        self._presence = presence
        self._probe_ids = probe_ids
        self._ice_servers = ice_servers
        self._relay_only = relay_only
        self._screen = screen
        self._deadlines = ProbeDeadlines() if deadlines is None else deadlines
        self._requests = SlidingWindow(_REQUESTS, _REQUESTS_WITHIN_S)
        self._waiting: set[str] = set()
        """Whom anybody who knows their name may probe."""
        self._probe_of: dict[str, _Probe] = {}  # by subject
        self._probes: dict[str, _Probe] = {}  # by the id of the running attempt
        self._ended: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._outputs: deque[Notify | ProbeEnded] = deque()

    @property
    def active_count(self) -> int:
        """Probes under way."""
        return len(self._probes)

    def is_probing(self, subject_id: str) -> bool:
        """Return whether a subject is in a probe."""
        return subject_id in self._probe_of

    # ---- what happens to subjects

    def rejoined(self, subject_id: str, now: float) -> None:
        """Note that a subject has a new socket; its probe goes on over it, and it does not wait any more."""
        self._waiting.discard(subject_id)
        probe = self._probe_of.get(subject_id)
        if probe is not None:
            probe.session.rejoined(subject_id)
            self._carry_on(probe, now)

    def gone(self, subject_id: str, now: float) -> None:
        """Forget a subject that cannot be reached any more; its probe ends at once. Idempotent."""
        self._waiting.discard(subject_id)
        probe = self._probe_of.get(subject_id)
        if probe is not None:
            probe.session.left(now)
            self._carry_on(probe, now)

    # ---- what the host requests

    def create(
        self, one: str, other: str, now: float, *, threshold_ms: float | None = None, relay_only: bool = False
    ) -> str:
        """Begin a probe; its end comes out as :class:`ProbeEnded` under the returned id, always.

        Args:
            one: a registered subject.
            other: another one.
            now: monotonic seconds.
            threshold_ms: what the result will be compared with: so the two know how exact it has to be.
            relay_only: over a relay, even where the service as a whole does not insist on it.

        Raises:
            UsageError: a subject cannot be probed against itself.
        """
        if one == other:
            raise UsageError(f"a probe is between two subjects, not {one!r} and itself")
        probe_id = self._probe_ids()
        if not (self._presence.is_there(one) and self._presence.is_there(other)):
            self._end_at_once(probe_id, (one, other), Reason.ABSENT)
        elif self.is_probing(one) or self.is_probing(other):
            self._end_at_once(probe_id, (one, other), Reason.BUSY)
        else:
            relay_only = relay_only or self._relay_only
            prepares = self._prepares(probe_id, (one, other), threshold_ms, relay_only=relay_only)
            session = ProbeSession(
                prepares,
                now,
                outputs=self._outputs,
                deadlines=self._deadlines,
                screen=self._screen(relay_only),
            )
            self._run(_Probe(probe_id, session, prepares, now), now)
        return probe_id

    def cancel(self, probe_id: str, now: float) -> None:
        """End a probe that :meth:`create` began; does nothing when it has ended."""
        for probe in list(self._probes.values()):
            if probe.probe_id == probe_id:
                probe.session.cancel(now)
                self._carry_on(probe, now)

    # ---- what clients do

    def wait(self, subject_id: str, request: ProbeWait) -> Answer:
        """Note whether anybody who knows this subject's name may probe it."""
        if request.waiting:
            self._waiting.add(subject_id)
        else:
            self._waiting.discard(subject_id)
        return Accepted()

    def request(self, subject_id: str, request: ProbeRequest, now: float) -> Answer:
        """Begin a probe of a client against one who waits for that."""
        target = request.target_subject_id
        if target == subject_id or target not in self._waiting:
            return Refused(Code.NO_SUCH_SUBJECT, "nobody of that name waits to be probed")
        if self.is_probing(subject_id) or self.is_probing(target):
            return Refused(Code.WRONG_STATE, "one of the two is in another probe; try again in a moment")
        wait_s = self._requests.take(subject_id, now)
        if wait_s is not None:
            return too_often(wait_s, "too many probes; try again in some minutes")
        return Accepted({"probe_session_id": self.create(subject_id, target, now)})

    def ready(self, subject_id: str, request: ProbeReady, now: float) -> Answer:
        """A member has prepared."""
        return self._let(
            subject_id, request.probe_session_id, now, lambda probe: probe.ready(subject_id, now)
        )

    def signal(self, subject_id: str, request: SendProbeSignal, now: float) -> Answer:
        """A member signals the other one."""
        return self._let(
            subject_id, request.probe_session_id, now, lambda probe: probe.signal(subject_id, request)
        )

    def result(
        self, subject_id: str, probe_session_id: str, report: ProbeReport | None, now: float
    ) -> Answer:
        """A member reports; ``None`` is a report that could not be read, which counts as a failed one."""
        return self._let(
            subject_id, probe_session_id, now, lambda probe: probe.result(subject_id, report, now)
        )

    # ---- time and outputs

    def handle_timeout(self, now: float) -> None:
        """Do what has come due by ``now``."""
        for probe in list(self._probes.values()):
            probe.session.handle_timeout(now)
            self._carry_on(probe, now)

    def next_timeout(self) -> float | None:
        """Return when :meth:`handle_timeout` wants to be called, or ``None``."""
        if not self._probes:  # mostly, and it is asked after every signal
            return None
        times = (probe.session.next_timeout() for probe in self._probes.values())
        return min((time for time in times if time is not None), default=None)

    def poll(self) -> Notify | ProbeEnded | None:
        """Return the next request to carry out or the next outcome, or ``None``."""
        return self._outputs.popleft() if self._outputs else None

    # ---- inside

    def _let(
        self, subject_id: str, probe_session_id: str, now: float, act: Callable[[ProbeSession], Answer]
    ) -> Answer:
        """Let a member act in its probe; unknown ones and others' get the same answer."""
        if subject_id in self._ended.get(probe_session_id, ()):
            return Refused(Code.STALE, "this probe has ended")
        probe = self._probes.get(probe_session_id)
        if probe is None or self._probe_of.get(subject_id) is not probe:
            return Refused(Code.NO_SUCH_PROBE, "no such probe")
        answer = act(probe.session)
        self._carry_on(probe, now)
        return answer

    def _prepares(
        self, probe_id: str, subjects: tuple[str, str], threshold_ms: float | None, *, relay_only: bool
    ) -> dict[str, ProbePrepare]:
        return {
            subject: ProbePrepare.over(
                self._ice_servers(subject),
                probe_session_id=probe_id,
                peer_subject_id=peer,
                relay_only=relay_only,
                peer_client=self._presence.client_of(peer),
                threshold_ms=threshold_ms,
                deadline_ms=self._deadlines.total_s * 1000,
            )
            for subject, peer in (subjects, subjects[::-1])
        }

    def _run(self, probe: _Probe, now: float) -> None:
        self._probes[probe.session.probe_session_id] = probe
        for subject in probe.session.subjects:
            self._probe_of[subject] = probe
        self._carry_on(probe, now)

    def _carry_on(self, probe: _Probe, now: float) -> None:
        """Take note of what a probe has come to, if it has ended."""
        outcome = probe.session.outcome
        if outcome is None:
            return
        del self._probes[outcome.probe_session_id]
        self._ended[outcome.probe_session_id] = outcome.subjects
        if len(self._ended) > _REMEMBERED:
            self._ended.popitem(last=False)
        for subject_id in outcome.subjects:
            del self._probe_of[subject_id]
        if outcome.reason is Reason.AGAIN:
            self._repeat(probe, outcome, now)
            return
        self._outputs.append(ProbeEnded(probe.probe_id, outcome.after(probe.first, now - probe.created)))

    def _repeat(self, probe: _Probe, first: ProbeOutcome, now: float) -> None:
        """Probe a pair once more, within the time that the first attempt has left."""
        probe_id, until = self._probe_ids(), probe.session.until
        deadline_ms = round((until - now) * 1000)
        prepares = {
            subject: attrs.evolve(prepare, probe_session_id=probe_id, deadline_ms=deadline_ms)
            for subject, prepare in probe.prepares.items()
        }
        probe.first = first
        probe.session = ProbeSession(
            prepares,
            now,
            outputs=self._outputs,
            deadlines=self._deadlines,
            until=until,
            screen=self._screen(prepares[first.subjects[0]].relay_only),
            repeatable=False,
        )
        self._run(probe, now)

    def _end_at_once(self, probe_id: str, subjects: tuple[str, str], reason: Reason) -> None:
        outcome = ProbeOutcome(probe_session_id=probe_id, subjects=subjects, reason=reason)
        self._outputs.append(ProbeEnded(probe_id, outcome))
