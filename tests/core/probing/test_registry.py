"""The service's side of a probe: the wire's eight rules, every deadline, and any order of messages."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gym_p2p.config import IceServer
from gym_p2p.core.api.payloads import decode, encode
from gym_p2p.core.api.probes import ProbeCancel, ProbePath, ProbePrepare, ProbeReport, ProbeSignal, ProbeStart
from gym_p2p.core.api.replies import Accepted, Answer, Candidate, Code, Description, Notify, Refused
from gym_p2p.core.api.requests import ProbeReady, ProbeRequest, ProbeWait, SendProbeSignal
from gym_p2p.core.presence.presence import Presence, Registered
from gym_p2p.core.probing.outcome import Mark, ProbeOutcome, Reason
from gym_p2p.core.probing.registry import ProbeEnded, ProbeRegistry
from gym_p2p.errors import ProtocolError, UsageError
from tests.core.examples import examples

OFFER, ANSWER = Description("offer", "v=0"), Description("answer", "v=0")
ONE_SIDED, DISAGREED = frozenset({Mark.ONE_SIDED}), frozenset({Mark.DISAGREED})
FAILED = ProbeReport(success=False, failure="not_connected")


def measured(rtt_ms: float) -> ProbeReport:
    return ProbeReport(rtt_ms=rtt_ms, success=True)


def probe_signal(probe_id: str, target: str, payload: Description | Candidate | None) -> SendProbeSignal:
    kind: Any = payload.type if isinstance(payload, Description) else "ice-candidate"
    return SendProbeSignal(probe_id, target, kind, None if payload is None else encode(payload))


class Service:
    """A registry with the subjects ``ann``, ``bob`` and ``eve``, each on a socket of its name."""

    def __init__(self, **options: Any) -> None:
        ids = itertools.count(1)
        self.presence = Presence()
        self.registry = ProbeRegistry(self.presence, probe_ids=lambda: f"probe_{next(ids)}", **options)
        self.now = 1000.0
        self.sent: list[Notify] = []
        self.outcomes: dict[str, ProbeOutcome] = {}
        for name in ("ann", "bob", "eve"):
            self.presence.register(name, name, "gym_p2p/1")

    def collect(self) -> None:
        while (output := self.registry.poll()) is not None:
            if isinstance(output, ProbeEnded):
                assert output.probe_id not in self.outcomes, "an outcome came twice"
                self.outcomes[output.probe_id] = output.outcome
            else:
                self.sent.append(output)

    def create(self, **options: Any) -> str:
        probe_id = self.registry.create("ann", "bob", self.now, **options)
        self.collect()
        return probe_id

    def start(self) -> str:
        probe_id = self.create()
        for name in ("ann", "bob"):
            assert self.ready(name, probe_id) == Accepted()
        return probe_id

    def connect(self) -> str:
        probe_id = self.start()
        assert self.signal("ann", probe_id, "bob", OFFER) == Accepted()
        assert self.signal("bob", probe_id, "ann", ANSWER) == Accepted()
        return probe_id

    def ready(self, socket: str, probe_id: str) -> Answer:
        answer = self.registry.ready(socket, ProbeReady(probe_id), self.now)
        self.collect()
        return answer

    def signal(self, socket: str, probe_id: str, target: str, payload: Any = None) -> Answer:
        answer = self.registry.signal(socket, probe_signal(probe_id, target, payload), self.now)
        self.collect()
        return answer

    def report(self, socket: str, probe_id: str, rtt_ms: float | None) -> Answer:
        report = FAILED if rtt_ms is None else measured(rtt_ms)
        answer = self.registry.result(socket, probe_id, report, self.now)
        self.collect()
        return answer

    def leave(self, socket: str) -> None:
        self.registry.gone(self.presence.disconnected(socket) or socket, self.now)
        self.collect()

    def come_back(self, name: str) -> None:
        self.presence.register(f"{name}2", name)
        self.registry.rejoined(name, self.now)
        self.collect()

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.registry.handle_timeout(self.now)
        self.collect()

    def events(self, subject_id: str) -> list[str]:
        return [output.payload.event for output in self.sent if output.subject_id == subject_id]

    def free(self) -> bool:
        return self.registry.active_count == 0 and not any(map(self.registry.is_probing, ("ann", "bob")))


@pytest.fixture
def service() -> Service:
    return Service()


def code(answer: Answer) -> Code:
    assert isinstance(answer, Refused), answer
    return answer.code


def test_a_probe_goes_from_prepare_to_the_larger_of_two_medians(service: Service) -> None:
    probe_id = service.connect()
    service.now += 0.4
    assert service.report("ann", probe_id, 20.0) == Accepted()
    assert service.outcomes == {}
    assert service.report("bob", probe_id, 22.0) == Accepted()
    outcome = service.outcomes[probe_id]
    assert (outcome.reason, outcome.rtt_ms, outcome.marks) == (Reason.MEASURED, 22.0, frozenset())
    assert outcome.reports == {"ann": measured(20.0), "bob": measured(22.0)}
    assert outcome.took_s == pytest.approx(0.4)
    assert service.events("ann") == ["probe_prepare", "probe_start", "probe_signal", "probe_verdict"]
    assert service.free()


def test_prepare_carries_what_browsers_read_and_what_is_ours() -> None:
    turn = IceServer(urls="turn:turn.example", username="u", credential="c")
    service = Service(ice_servers=lambda subject: (turn,) if subject == "ann" else (), relay_only=True)
    service.create(threshold_ms=80.0)
    ann, bob = (encode(output.payload) for output in service.sent)
    assert (ann["turn_username"], ann["turn_credential"], ann["peer_subject_id"]) == ("u", "c", "bob")
    assert (bob["turn_username"], bob["turn_credential"], bob["peer_subject_id"]) == (None, None, "ann")
    read = decode(ProbePrepare, ann)
    assert (read.ice_servers, read.relay_only, read.threshold_ms) == ((turn,), True, 80.0)
    assert (read.peer_client, read.deadline_ms) == ("gym_p2p/1", 18_000)


# ---- rule 1: every phase has a deadline


def test_not_ready_in_three_seconds_ends_it(service: Service) -> None:
    probe_id = service.create()
    service.ready("ann", probe_id)
    assert service.registry.next_timeout() == 1003.0
    service.pass_time(2.999)
    assert not service.outcomes
    service.pass_time(0.001)
    assert service.outcomes[probe_id].reason is Reason.NOT_READY
    assert service.events("ann")[-1] == service.events("bob")[-1] == "probe_cancel"
    assert service.free()


def test_no_descriptions_twelve_seconds_after_the_start_ends_it(service: Service) -> None:
    probe_id = service.start()
    service.signal("ann", probe_id, "bob", OFFER)
    service.pass_time(11.9)
    assert not service.outcomes
    service.pass_time(0.1)
    assert service.outcomes[probe_id].reason is Reason.NOT_CONNECTED
    assert service.free()


def test_no_report_five_seconds_after_that_ends_it(service: Service) -> None:
    probe_id = service.connect()
    service.pass_time(16.9)
    assert not service.outcomes
    service.pass_time(0.1)
    assert service.outcomes[probe_id].reason is Reason.NOT_MEASURED
    assert service.free()


def test_a_probe_takes_eighteen_seconds_at_most_whatever_its_phases(service: Service) -> None:
    probe_id = service.create()
    service.pass_time(2.9)
    for name in ("ann", "bob"):
        service.ready(name, probe_id)
    service.signal("ann", probe_id, "bob", OFFER)
    service.signal("bob", probe_id, "ann", ANSWER)
    assert service.registry.next_timeout() == 1018.0
    service.pass_time(15.1)
    assert service.outcomes[probe_id].reason is Reason.NOT_MEASURED


# ---- rule 2: sockets


@pytest.mark.parametrize("stage", ["create", "start", "connect"])
def test_a_lost_socket_ends_the_probe_at_once_and_frees_the_other(service: Service, stage: str) -> None:
    probe_id = getattr(service, stage)()
    service.leave("bob")
    assert service.outcomes[probe_id].reason is Reason.LEFT
    assert service.events("ann")[-1] == "probe_cancel"
    assert service.free()
    service.leave("bob")
    assert len(service.outcomes) == 1


def test_a_subject_who_is_not_there_ends_the_probe_with_a_reason(service: Service) -> None:
    probe_id = service.registry.create("ann", "nobody", service.now)
    service.collect()
    assert service.outcomes[probe_id].reason is Reason.ABSENT
    assert service.sent == []
    assert service.free()


def test_a_reconnect_mid_probe_is_looked_up_anew(service: Service) -> None:
    probe_id = service.create()
    service.ready("ann", probe_id)
    service.come_back("bob")
    assert service.presence.disconnected("bob") is None  # the older socket goes after it was replaced
    assert not service.outcomes
    assert service.events("bob") == ["probe_prepare", "probe_prepare"]
    service.ready("bob", probe_id)
    service.signal("ann", probe_id, "bob", OFFER)
    assert service.events("bob")[2:] == ["probe_start", "probe_signal"]


# ---- rule 3: who may do what


def test_start_is_sent_once_both_are_ready_and_before_any_signal(service: Service) -> None:
    probe_id = service.create()
    assert service.ready("ann", probe_id) == service.ready("ann", probe_id) == Accepted()
    assert "probe_start" not in service.events("ann") + service.events("bob")
    assert code(service.signal("ann", probe_id, "bob", OFFER)) is Code.WRONG_STATE
    service.ready("bob", probe_id)
    service.ready("bob", probe_id)
    service.signal("ann", probe_id, "bob", OFFER)
    assert service.events("bob") == ["probe_prepare", "probe_start", "probe_signal"]
    assert service.events("ann") == ["probe_prepare", "probe_start"]


def test_the_sender_is_what_the_service_knows(service: Service) -> None:
    probe_id = service.start()
    service.signal("ann", probe_id, "bob", OFFER)
    assert service.sent[-1] == Notify(
        "bob",
        ProbeSignal(
            probe_session_id=probe_id,
            type="offer",
            from_subject_id="ann",
            payload={"type": "offer", "sdp": "v=0"},
        ),
    )


@pytest.mark.parametrize("target", ["ann", "eve", "probe_1", "/", ""])
def test_only_the_other_member_can_be_signalled(service: Service, target: str) -> None:
    probe_id = service.start()
    assert code(service.signal("ann", probe_id, target, OFFER)) is Code.NOT_A_MEMBER


def test_strangers_and_unknown_ids_get_the_same_answer(service: Service) -> None:
    probe_id = service.start()
    for wanted in (probe_id, "probe_x"):
        answers = [
            service.ready("eve", wanted),
            service.signal("eve", wanted, "ann", OFFER),
            service.report("eve", wanted, 5.0),
        ]
        assert [code(answer) for answer in answers] == [Code.NO_SUCH_PROBE] * 3
    assert "probe_signal" not in service.events("ann")


def test_after_the_end_members_are_told_that_it_is_stale(service: Service) -> None:
    probe_id = service.connect()
    service.leave("bob")
    assert code(service.signal("ann", probe_id, "bob", OFFER)) is Code.STALE
    assert code(service.report("ann", probe_id, 5.0)) is Code.STALE
    assert code(service.ready("ann", probe_id)) is Code.STALE
    assert code(service.ready("eve", probe_id)) is Code.NO_SUCH_PROBE


def test_more_signals_than_a_connection_needs_are_refused(service: Service) -> None:
    probe_id = service.start()
    answers = [service.signal("ann", probe_id, "bob", Candidate(f"candidate:{n}")) for n in range(65)]
    assert [answer for answer in answers if answer != Accepted()] == [answers[64]]
    assert code(answers[64]) is Code.TOO_LARGE
    assert service.signal("ann", probe_id, "bob") == Accepted()
    assert code(service.signal("bob", probe_id, "ann", Description("offer", "x" * 17_000))) is Code.TOO_LARGE


def test_an_offer_that_is_repeated_counts_once(service: Service) -> None:
    probe_id = service.start()
    for _ in range(6):
        assert service.signal("ann", probe_id, "bob", OFFER) == Accepted()
    answers = [service.signal("ann", probe_id, "bob", Description("offer", f"v={n}")) for n in range(1, 5)]
    assert [answer == Accepted() for answer in answers] == [True, True, True, False]


# ---- rules 4 and 5: reports


@pytest.mark.parametrize(
    "wire",
    [
        None,
        [],
        {},
        {"rtt_ms": 12.0},
        {"rtt_ms": 12.0, "success": 1},
        {"rtt_ms": -1, "success": True},
        {"rtt_ms": 1e9, "success": True},
        {"rtt_ms": 60_000.1, "success": True},
        {"rtt_ms": 10**400, "success": True},
        {"rtt_ms": "12", "success": True},
        {"rtt_ms": True, "success": True},
        {"rtt_ms": float("nan"), "success": True},
        {"rtt_ms": float("inf"), "success": True},
        {"rtt_ms": None, "success": True},
        {"success": True},
        {"rtt_ms": 5, "success": True, "samples_ms": [5] * 65},
        {"rtt_ms": 5, "success": True, "samples_ms": ["5"]},
        {"rtt_ms": 5, "success": True, "loss": 1.5},
        {"rtt_ms": 5, "success": True, "path": "host"},
        {"rtt_ms": 5, "success": True, "path": {"local": "\n"}},
        {"rtt_ms": None, "success": False, "failure": "x" * 65},
    ],
)
def test_a_malformed_report_cannot_be_read(wire: object) -> None:
    with pytest.raises(ProtocolError):
        decode(ProbeReport, wire)


@pytest.mark.parametrize("rtt_ms", [0, 12, 12.5, 60_000])
def test_a_browsers_report_is_read(rtt_ms: float) -> None:
    read = decode(ProbeReport, {"probe_session_id": "p", "rtt_ms": rtt_ms, "success": True, "more": 1})
    assert read == measured(float(rtt_ms))
    assert decode(ProbeReport, {"rtt_ms": None, "success": False}).rtt_ms is None
    assert decode(ProbeReport, {"rtt_ms": 12, "success": False}).rtt_ms is None


def test_a_report_survives_the_wire() -> None:
    path = ProbePath(local="host", remote="relay", protocol="udp")
    report = ProbeReport(success=True, rtt_ms=5.5, samples_ms=(5.0, 6.0), jitter_ms=0.5, loss=0.1, path=path)
    assert decode(ProbeReport, json.loads(json.dumps(encode(report)))) == report
    assert decode(ProbeReport, encode(FAILED)) == FAILED


def test_a_report_that_cannot_be_read_is_a_failed_one(service: Service) -> None:
    probe_id = service.connect()
    assert service.registry.result("ann", probe_id, None, service.now) == Accepted()
    service.report("bob", probe_id, 30.0)
    outcome = service.outcomes[probe_id]
    assert (outcome.rtt_ms, outcome.marks) == (30.0, ONE_SIDED)


def test_the_first_of_two_reports_of_one_side_is_kept(service: Service) -> None:
    probe_id = service.connect()
    service.report("ann", probe_id, 30.0)
    assert service.report("ann", probe_id, 1.0) == Accepted()
    service.report("bob", probe_id, 31.0)
    assert service.outcomes[probe_id].reports["ann"] == measured(30.0)


def test_the_second_report_is_waited_for_two_seconds(service: Service) -> None:
    probe_id = service.connect()
    service.report("ann", probe_id, 30.0)
    service.pass_time(1.999)
    assert not service.outcomes
    service.pass_time(0.001)
    outcome = service.outcomes[probe_id]
    assert (outcome.reason, outcome.rtt_ms) == (Reason.MEASURED, 30.0)
    assert outcome.marks == ONE_SIDED
    assert outcome.reports["bob"] is None
    assert service.free()


def test_a_signal_after_the_first_report_does_not_extend_the_wait(service: Service) -> None:
    probe_id = service.start()
    service.signal("ann", probe_id, "bob", OFFER)
    service.report("ann", probe_id, None)
    service.signal("bob", probe_id, "ann", ANSWER)
    service.pass_time(2.0)
    assert service.outcomes[probe_id].reason is Reason.FAILED


def test_two_failures_are_a_failure(service: Service) -> None:
    probe_id = service.connect()
    service.report("ann", probe_id, None)
    service.report("bob", probe_id, None)
    outcome = service.outcomes[probe_id]
    assert (outcome.reason, outcome.rtt_ms) == (Reason.FAILED, None)
    assert outcome.reports == {"ann": FAILED, "bob": FAILED}


def test_a_failure_before_the_start_ends_it_and_a_success_is_refused(service: Service) -> None:
    probe_id = service.create()
    assert code(service.report("ann", probe_id, 5.0)) is Code.WRONG_STATE
    assert service.report("ann", probe_id, None) == Accepted()
    assert service.outcomes[probe_id].reason is Reason.FAILED


@pytest.mark.parametrize(
    ("one", "other", "again"), [(20.0, 28.0, False), (20.0, 28.1, True), (100.0, 125.0, False)]
)
def test_reports_that_differ_by_a_quarter_and_8_ms_are_probed_once_more(
    service: Service, one: float, other: float, *, again: bool
) -> None:
    probe_id = service.connect()
    service.report("ann", probe_id, one)
    service.report("bob", probe_id, other)
    assert (service.registry.active_count == 1) == again
    assert (probe_id in service.outcomes) == (not again)


def disagree(service: Service) -> tuple[str, str]:
    """Return the ids of a probe and of its second attempt, which has started."""
    probe_id = service.connect()
    service.report("ann", probe_id, 20.0)
    service.report("bob", probe_id, 90.0)
    (second,) = {o.payload.probe_session_id for o in service.sent if isinstance(o.payload, ProbePrepare)} - {
        probe_id
    }
    for name in ("ann", "bob"):
        service.ready(name, second)
    return probe_id, second


def test_the_second_attempt_counts_and_the_first_is_kept(service: Service) -> None:
    probe_id, second = disagree(service)
    sent = [output.payload for output in service.sent if output.subject_id == "ann"]
    (cancelled,) = (payload for payload in sent if isinstance(payload, ProbeCancel))
    assert cancelled.reason == "again"
    service.report("ann", second, 20.0)
    service.report("bob", second, 21.0)
    outcome = service.outcomes[probe_id]
    assert (outcome.rtt_ms, outcome.marks, outcome.reason) == (21.0, frozenset(), Reason.MEASURED)
    assert outcome.earlier is not None
    assert (outcome.earlier.rtt_ms, outcome.earlier.marks) == (90.0, DISAGREED)


def test_who_disagrees_twice_is_marked_and_the_larger_one_counts(service: Service) -> None:
    probe_id, second = disagree(service)
    service.report("ann", second, 20.0)
    service.report("bob", second, 80.0)
    outcome = service.outcomes[probe_id]
    assert (outcome.rtt_ms, outcome.marks, outcome.reason) == (80.0, DISAGREED, Reason.MEASURED)
    assert service.free()


def test_a_second_attempt_without_a_figure_leaves_the_first_ones(service: Service) -> None:
    probe_id, second = disagree(service)
    service.report("ann", second, None)
    service.report("bob", second, None)
    outcome = service.outcomes[probe_id]
    assert (outcome.rtt_ms, outcome.marks, outcome.reason) == (90.0, DISAGREED, Reason.MEASURED)


def test_a_second_attempt_that_is_left_is_left(service: Service) -> None:
    probe_id, _ = disagree(service)
    service.leave("ann")
    assert (service.outcomes[probe_id].reason, service.outcomes[probe_id].rtt_ms) == (Reason.LEFT, None)


def test_both_attempts_together_take_eighteen_seconds_at_most(service: Service) -> None:
    probe_id = service.connect()
    service.pass_time(16.0)
    service.report("ann", probe_id, 20.0)
    service.report("bob", probe_id, 90.0)
    service.pass_time(2.0)
    assert service.outcomes[probe_id].took_s == pytest.approx(18.0)


# ---- rules 7 and 8, and what clients may ask for


def test_a_pair_that_failed_is_to_blame_for_it(service: Service) -> None:
    probe_id = service.create()
    service.pass_time(3.0)
    assert service.outcomes[probe_id].pair_failed


def test_a_pair_is_not_to_blame_because_one_left_or_when_measured(service: Service) -> None:
    measured_id = service.connect()
    service.report("ann", measured_id, 20.0)
    service.report("bob", measured_id, 20.0)
    left_id = service.create()
    service.leave("bob")
    assert not service.outcomes[measured_id].pair_failed
    assert not service.outcomes[left_id].pair_failed


def test_a_subject_is_in_one_probe_at_a_time(service: Service) -> None:
    first = service.start()
    second = service.registry.create("eve", "ann", service.now)
    service.collect()
    assert service.outcomes[second].reason is Reason.BUSY
    assert first not in service.outcomes
    assert not service.registry.is_probing("eve")
    with pytest.raises(UsageError):
        service.registry.create("eve", "eve", service.now)


def test_a_cancelled_probe_frees_both_and_tells_them(service: Service) -> None:
    probe_id = service.start()
    service.registry.cancel(probe_id, service.now)
    service.registry.cancel(probe_id, service.now)
    service.collect()
    assert service.outcomes[probe_id].reason is Reason.CANCELLED
    assert service.events("bob")[-1] == "probe_cancel"
    assert service.free()


def test_only_who_waits_can_be_asked_for(service: Service) -> None:
    def request(asking: str, target: str, now: float) -> Answer:
        return service.registry.request(asking, ProbeRequest(target), now)

    assert code(request("ann", "bob", service.now)) is Code.NO_SUCH_SUBJECT
    assert code(request("ann", "nobody", service.now)) is Code.NO_SUCH_SUBJECT
    assert service.registry.wait("bob", ProbeWait(waiting=True)) == Accepted()
    assert request("ann", "bob", service.now) == Accepted({"probe_session_id": "probe_1"})
    assert code(request("eve", "bob", service.now)) is Code.WRONG_STATE
    assert service.registry.wait("bob", ProbeWait(waiting=False)) == Accepted()
    service.registry.cancel("probe_1", service.now)
    assert code(request("ann", "bob", service.now)) is Code.NO_SUCH_SUBJECT


def test_a_new_socket_has_to_say_again_that_it_waits(service: Service) -> None:
    service.registry.wait("bob", ProbeWait(waiting=True))
    service.come_back("bob")
    assert code(service.registry.request("ann", ProbeRequest("bob"), service.now)) is Code.NO_SUCH_SUBJECT


def test_a_client_may_ask_for_twelve_probes_in_ten_minutes(service: Service) -> None:
    service.registry.wait("bob", ProbeWait(waiting=True))

    def ask() -> Answer:
        answer = service.registry.request("ann", ProbeRequest("bob"), service.now)
        if isinstance(answer, Accepted):
            service.registry.cancel(encode(answer.value)["probe_session_id"], service.now)
        return answer

    answers = [ask() for _ in range(13)]
    assert [isinstance(answer, Accepted) for answer in answers] == [True] * 12 + [False]
    assert code(answers[12]) is Code.RATE_LIMITED
    service.now += 600.0
    assert isinstance(ask(), Accepted)


# ---- any order of messages


class Probes(RuleBasedStateMachine):
    """Four subjects whose messages come in any order, or never; sockets come and go."""

    NAMES = ("ann", "bob", "cid", "dan")

    def __init__(self) -> None:
        super().__init__()
        ids = itertools.count(1)
        self.presence = Presence()
        self.registry = ProbeRegistry(self.presence, probe_ids=lambda: f"probe_{next(ids)}")
        self.now = 0.0
        self.sockets = itertools.count(1)
        self.socket_of: dict[str, str] = {}
        self.created: dict[str, float] = {}
        self.ended: dict[str, ProbeOutcome] = {}
        self.seen: list[str] = []
        self.started: set[str] = set()

    names = st.sampled_from(NAMES)

    def collect(self) -> Iterator[Notify]:
        while (output := self.registry.poll()) is not None:
            if isinstance(output, Notify):
                yield output
                continue
            assert output.probe_id in self.created
            assert output.probe_id not in self.ended
            self.ended[output.probe_id] = output.outcome
            assert (output.outcome.rtt_ms is not None) == (output.outcome.reason is Reason.MEASURED)
            assert self.now <= self.created[output.probe_id] + 18.0 + 1e-6

    def drain(self) -> None:
        for sent in self.collect():
            if sent.subject_id not in self.socket_of:  # it is dropped, as presence knows no socket for it
                assert isinstance(sent.payload, ProbeCancel), "sent to a subject that is gone"
            match sent.payload:
                case ProbePrepare(probe_session_id=probe_id) if probe_id not in self.seen:
                    self.seen.append(probe_id)
                case ProbeStart(probe_session_id=probe_id):
                    self.started.add(probe_id)
                case ProbeSignal(probe_session_id=probe_id):
                    assert probe_id in self.started, "a signal before the start"

    def some_probe(self, pick: int) -> str:
        return self.seen[-1 - pick % len(self.seen)] if self.seen else "probe_none"

    @rule(name=names)
    def arrive(self, name: str) -> None:
        self.socket_of[name] = f"socket{next(self.sockets)}"
        registered = self.presence.register(self.socket_of[name], name)
        assert isinstance(registered, Registered)
        if registered.moved:
            self.registry.rejoined(name, self.now)
        self.drain()

    @rule(name=names)
    def go(self, name: str) -> None:
        self.presence.disconnected(self.socket_of.pop(name, "?"))
        self.registry.gone(name, self.now)
        self.drain()

    @rule(one=names, other=names)
    def create(self, one: str, other: str) -> None:
        if one != other:
            probe_id = self.registry.create(one, other, self.now)
            self.created[probe_id] = self.now
            self.drain()

    @rule(name=names, pick=st.integers(0, 2))
    def ready(self, name: str, pick: int) -> None:
        self.registry.ready(name, ProbeReady(self.some_probe(pick)), self.now)
        self.drain()

    @rule(name=names, to=names, pick=st.integers(0, 2), payload=st.sampled_from([OFFER, ANSWER, None]))
    def signal(self, name: str, to: str, pick: int, payload: Description | None) -> None:
        self.registry.signal(name, probe_signal(self.some_probe(pick), to, payload), self.now)
        self.drain()

    @rule(name=names, pick=st.integers(0, 2), rtt_ms=st.sampled_from([None, 5.0, 20.0, 90.0]))
    def report(self, name: str, pick: int, rtt_ms: float | None) -> None:
        report = FAILED if rtt_ms is None else measured(rtt_ms)
        self.registry.result(name, self.some_probe(pick), report, self.now)
        self.drain()

    @rule(pick=st.integers(0, 2))
    def cancel(self, pick: int) -> None:
        self.registry.cancel(self.some_probe(pick), self.now)
        self.drain()

    @rule(seconds=st.floats(0.01, 6.0))
    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        for _ in range(50):
            due = self.registry.next_timeout()
            if due is None or due > until:
                break
            self.now = max(self.now, due)
            self.registry.handle_timeout(self.now)
            self.drain()
        self.now = until

    @invariant()
    def the_busy_are_those_of_the_running_probes(self) -> None:
        busy = [name for name in self.NAMES if self.registry.is_probing(name)]
        assert len(busy) == 2 * self.registry.active_count
        assert len(set(self.created) - set(self.ended)) == self.registry.active_count

    def teardown(self) -> None:
        for _ in range(20):
            self.wait(1.0)
        assert self.registry.active_count == 0
        assert self.registry.next_timeout() is None
        assert set(self.created) == set(self.ended)


Probes.TestCase.settings = settings(max_examples=examples(60), stateful_step_count=40, deadline=None)
TestProbes = Probes.TestCase
