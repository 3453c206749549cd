"""All probes of a service: who is there, who is in which probe, and what came of it.

An I/O-free machine. Each verb is one thing that a client, or the service's host, did; what has to be sent is
collected with :meth:`ProbeRegistry.poll`, and so are the outcomes. By the time that an outcome comes out the
probe is forgotten and both subjects are free, so nothing that a listener does can leave a trace here.

It knows subjects and their newest sockets, the limits of what a subject may ask for, and which pairs are put
off for a while. It refuses to know why somebody wants a probe, and draws no ids.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence

import attrs

from gym_p2p.config import IceServer
from gym_p2p.core.api.probes import ProbePrepare, ProbeReport
from gym_p2p.core.api.replies import Accepted, Answer, Candidate, Code, Description, Emit, Refused
from gym_p2p.core.probing.outcome import ProbeDeadlines, ProbeOutcome, Reason
from gym_p2p.core.probing.presence import Presence, ProbeSubject
from gym_p2p.core.probing.rate_limits import CoolDowns, RequestLimits
from gym_p2p.core.probing.session import Ended, ProbeSession
from gym_p2p.core.signaling.sdp_filter import Screen, pass_all
from gym_p2p.errors import UsageError

__all__ = ["ProbeEnded", "ProbeRegistry"]

_REMEMBERED = 1024
"""Ended probes whose members are told ``stale`` instead of ``no_such_probe``."""


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
        probe_ids: draws a new ``probe_<uuid4>``.
        ice_servers: what a subject is handed for a probe, with credentials of his own where needed.
        relay_only: told with every probe; the same as for matches.
        screen: looks into relayed signals; chosen by whether the probe is relay-only.
        deadlines: of every probe.
        cool_down_s: for how long a failed pair is put off.

    Attributes:
        put_off: the pairs that should not be probed yet; a host adds those that it rejects.
        refusals: how often clients were refused, by code.
    """

    def __init__(
        self,
        *,
        probe_ids: Callable[[], str],
        ice_servers: Callable[[str], Sequence[IceServer]] = lambda _subject: (),
        relay_only: bool = False,
        screen: Callable[[bool], Screen] = lambda _relay_only: pass_all,
        deadlines: ProbeDeadlines | None = None,
        cool_down_s: float = 30.0,
    ) -> None:
        self._probe_ids = probe_ids
        self._ice_servers = ice_servers
        self._relay_only = relay_only
        self._screen = screen
        self._deadlines = ProbeDeadlines() if deadlines is None else deadlines
        self.put_off = CoolDowns(cool_down_s)
        self._requests = RequestLimits()
        self._present = Presence()
        self._probe_of: dict[str, _Probe] = {}  # by subject
        self._probes: dict[str, _Probe] = {}  # by the id of the running attempt
        self._ended: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._outputs: deque[Emit | ProbeEnded] = deque()
        self.refusals: Counter[Code] = Counter()

    @property
    def active_count(self) -> int:
        """Probes under way."""
        return len(self._probes)

    def is_probing(self, subject_id: str) -> bool:
        """Tell whether a subject is in a probe."""
        return subject_id in self._probe_of

    # ---- who is there

    def registered(self, socket: str, subject_id: str, now: float, *, client: str | None = None) -> None:
        """Note which socket a subject has now; a probe of his goes on over it."""
        known = self._present.find(subject_id)
        moved = known is not None and known.socket != socket
        self._present.arrive(socket, subject_id, client)
        probe = self._probe_of.get(subject_id)
        if probe is not None and moved:
            probe.session.rejoined(subject_id)
            self._carry_on(probe, now)

    def disconnected(self, socket: str, now: float) -> None:
        """Forget a socket; the probe of its subject ends at once. Idempotent."""
        subject = self._present.leave(socket)
        probe = None if subject is None else self._probe_of.get(subject.subject_id)
        if probe is not None:
            probe.session.left(now)
            self._carry_on(probe, now)

    # ---- what the host asks for

    def create(
        self,
        one: str,
        other: str,
        now: float,
        *,
        threshold_ms: float | None = None,
        relay_only: bool = False,
    ) -> str:
        """Begin a probe; its end is told as :class:`ProbeEnded` under the returned id, always.

        Args:
            one: a registered subject.
            other: another one.
            now: monotonic seconds.
            threshold_ms: what the result will be compared with: tells the two how exact it has to be.
            relay_only: over a relay, even where the service as a whole does not insist on it.

        Raises:
            UsageError: a subject cannot be probed against itself.
        """
        if one == other:
            raise UsageError(f"a probe is between two subjects, not {one!r} and himself")
        probe_id = self._probe_ids()
        members = self._present.find(one), self._present.find(other)
        if members[0] is None or members[1] is None:
            self._end_at_once(probe_id, (one, other), Reason.ABSENT)
        elif self.is_probing(one) or self.is_probing(other):
            self._end_at_once(probe_id, (one, other), Reason.BUSY)
        else:
            prepares = self._prepares(
                probe_id, members[0], members[1], threshold_ms, relay_only=relay_only or self._relay_only
            )
            screen = self._screen(prepares[one].relay_only)
            session = ProbeSession(prepares, now, deadlines=self._deadlines, screen=screen)
            self._run(_Probe(probe_id, session, prepares, now), now)
        return probe_id

    def cancel(self, probe_id: str, now: float) -> None:
        """End a probe that :meth:`create` began; does nothing when it has ended."""
        for probe in list(self._probes.values()):
            if probe.probe_id == probe_id:
                probe.session.cancel(now)
                self._carry_on(probe, now)

    # ---- what clients do

    def wait(self, socket: str, *, waiting: bool) -> Answer:
        """Say whether anybody who knows this subject's name may probe him."""
        subject = self._present.on(socket)
        if subject is None:
            return self._refuse(Code.UNAUTHENTICATED, _REGISTER_FIRST)
        subject.waiting = waiting
        return Accepted()

    def request(self, socket: str, target_subject_id: str, now: float) -> Answer:
        """Begin a probe of a client against one who waits for that."""
        subject = self._present.on(socket)
        if subject is None:
            return self._refuse(Code.UNAUTHENTICATED, _REGISTER_FIRST)
        target = self._present.find(target_subject_id)
        if target is None or target is subject or not target.waiting:
            return self._refuse(Code.NO_SUCH_SUBJECT, "nobody of that name waits to be probed")
        if self.is_probing(subject.subject_id) or self.is_probing(target_subject_id):
            return self._refuse(Code.WRONG_STATE, "one of the two is in another probe; try again in a moment")
        wait_s = self._requests.take(subject.subject_id, now)
        if wait_s is not None:
            self.refusals[Code.RATE_LIMITED] += 1
            message = "too many probes; try again in some minutes"
            return Refused(Code.RATE_LIMITED, message, retry_after_ms=math.ceil(wait_s * 1000))
        return Accepted({"probe_session_id": self.create(subject.subject_id, target_subject_id, now)})

    def ready(self, socket: str, probe_session_id: str, now: float) -> Answer:
        """A member has prepared."""
        return self._on_member(
            socket, probe_session_id, now, lambda session, subject: session.ready(subject, now)
        )

    def signal(
        self,
        socket: str,
        probe_session_id: str,
        now: float,
        *,
        target_subject_id: str,
        type: str,  # noqa: A002  # the wire's name
        payload: Description | Candidate | None,
    ) -> Answer:
        """A member signals the other one."""
        return self._on_member(
            socket,
            probe_session_id,
            now,
            lambda session, subject: session.signal(subject, target_subject_id, type, payload),
        )

    def result(self, socket: str, probe_session_id: str, report: ProbeReport | None, now: float) -> Answer:
        """A member reports; ``None`` is a report that could not be read, which counts as a failed one."""
        return self._on_member(
            socket, probe_session_id, now, lambda session, subject: session.result(subject, report, now)
        )

    # ---- time and outputs

    def handle_timeout(self, now: float) -> None:
        """Do what has come due by ``now``."""
        for probe in list(self._probes.values()):
            probe.session.handle_timeout(now)
            self._carry_on(probe, now)

    def next_timeout(self) -> float | None:
        """Return when :meth:`handle_timeout` wants to be called, or ``None``."""
        times = (probe.session.next_timeout() for probe in self._probes.values())
        return min((time for time in times if time is not None), default=None)

    def poll(self) -> Emit | ProbeEnded | None:
        """Return the next request to carry out or the next outcome, or ``None``."""
        return self._outputs.popleft() if self._outputs else None

    # ---- inside

    def _on_member(
        self, socket: str, probe_session_id: str, now: float, act: Callable[[ProbeSession, str], Answer]
    ) -> Answer:
        """Let a member act on his probe; unknown and others' probes get the same answer."""
        subject = self._present.on(socket)
        if subject is None:
            return self._refuse(Code.UNAUTHENTICATED, _REGISTER_FIRST)
        if subject.subject_id in self._ended.get(probe_session_id, ()):
            return self._refuse(Code.STALE, "this probe has ended")
        probe = self._probes.get(probe_session_id)
        if probe is None or self._probe_of.get(subject.subject_id) is not probe:
            return self._refuse(Code.NO_SUCH_PROBE, "no such probe")
        answer = act(probe.session, subject.subject_id)
        if isinstance(answer, Refused):
            self.refusals[answer.code] += 1
        self._carry_on(probe, now)
        return answer

    def _refuse(self, code: Code, message: str) -> Refused:
        self.refusals[code] += 1
        return Refused(code, message)

    def _prepares(
        self,
        probe_id: str,
        one: ProbeSubject,
        other: ProbeSubject,
        threshold_ms: float | None,
        *,
        relay_only: bool,
    ) -> dict[str, ProbePrepare]:
        return {
            mine.subject_id: ProbePrepare.over(
                self._ice_servers(mine.subject_id),
                probe_session_id=probe_id,
                peer_subject_id=peer.subject_id,
                relay_only=relay_only,
                peer_client=peer.client,
                threshold_ms=threshold_ms,
                deadline_ms=self._deadlines.total_s * 1000,
            )
            for mine, peer in ((one, other), (other, one))
        }

    def _run(self, probe: _Probe, now: float) -> None:
        self._probes[probe.session.probe_session_id] = probe
        for subject in probe.session.subjects:
            self._probe_of[subject] = probe
        self._carry_on(probe, now)

    def _carry_on(self, probe: _Probe, now: float) -> None:
        """Pass on what the probe wants told, each to the socket that its subject has now."""
        while (output := probe.session.poll()) is not None:
            if isinstance(output, Ended):
                self._end(probe, output.outcome, now)
                return
            subject = self._present.find(output.subject_id)
            if subject is not None:
                self._outputs.append(Emit(subject.socket, output.payload))

    def _end(self, probe: _Probe, outcome: ProbeOutcome, now: float) -> None:
        del self._probes[outcome.probe_session_id]
        self._ended[outcome.probe_session_id] = outcome.subjects
        if len(self._ended) > _REMEMBERED:
            self._ended.popitem(last=False)
        for subject_id in outcome.subjects:
            del self._probe_of[subject_id]
        if outcome.reason is Reason.AGAIN:
            self._repeat(probe, outcome, now)
            return
        if outcome.pair_failed:
            self.put_off.add(*outcome.subjects, now)
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
        screen = self._screen(prepares[first.subjects[0]].relay_only)
        probe.session = ProbeSession(
            prepares, now, deadlines=self._deadlines, until=until, screen=screen, repeatable=False
        )
        self._run(probe, now)

    def _end_at_once(self, probe_id: str, subjects: tuple[str, str], reason: Reason) -> None:
        outcome = ProbeOutcome(probe_session_id=probe_id, subjects=subjects, reason=reason)
        self._outputs.append(ProbeEnded(probe_id, outcome))


_REGISTER_FIRST = "register_subject comes first"
