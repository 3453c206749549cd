"""The way of an event through the service, without a socket or a loop."""

from __future__ import annotations

from typing import Any

import pytest

from gym_p2p.core.api.payloads import encode
from gym_p2p.core.api.replies import Accepted, Answer, Close, Code, Refused
from gym_p2p.core.presence.rate_limits import RateLimit
from gym_p2p.server.guard.guards import Admission, Guards
from gym_p2p.server.guard.metrics import ServiceMetrics
from gym_p2p.server.guard.tokens import JoinClaims, TokenSigner
from gym_p2p.server.handlers.dispatcher import Dispatcher
from tests.core.service.desk import Desk

SEATS = {"room": "r", "seats": [0, 1]}


class Service:
    """A dispatcher in a laboratory; ``ann`` is connected and registered."""

    def __init__(self, *, events: RateLimit | None = None) -> None:
        self.metrics = ServiceMetrics()
        self.desk = Desk()
        guards = Guards(
            admission=Admission(),
            events=events or RateLimit(30.0, 100),
            joins=RateLimit(1.0, 3),
            metrics=self.metrics,
        )
        self.dispatcher = Dispatcher(self.desk.machines, guards)
        self.now = 0.0
        assert self.dispatcher.connected("ann", None, self.now) is None
        assert isinstance(self.receive("register_subject", {"subject_id": "ann"}), Accepted)

    def receive(self, event: str, payload: object = None, socket: str = "ann") -> Answer:
        return self.dispatcher.receive(event, payload, socket, self.now)

    def closed(self) -> list[str]:
        return [o.socket for o in iter(self.desk.poll, None) if isinstance(o, Close)]

    def counted(self, reason: str) -> float:
        name = f'gym_p2p_refusals_total{{reason="{reason}"}} '
        lines = self.metrics.exposition().decode().splitlines()
        return next((float(line.removeprefix(name)) for line in lines if line.startswith(name)), 0.0)


def code(answer: Answer) -> Code:
    assert isinstance(answer, Refused), answer
    return answer.code


def test_registering_says_who_answers() -> None:
    answer = Service().receive("register_subject", {"subject_id": "ann", "client": {"odd": True}})
    assert isinstance(answer, Accepted)
    assert list(encode(answer.value)) == ["subject_id", "service", "version"]


def test_a_socket_that_has_not_registered_may_do_nothing_else() -> None:
    service = Service()
    service.dispatcher.connected("eve", None, 0.0)
    others = [event for event in service.dispatcher.events if event != "register_subject"]
    assert len(others) >= 15
    for event in others:
        assert code(service.receive(event, {"anything": 1}, socket="eve")) is Code.UNAUTHENTICATED
    assert service.counted("unauthenticated") == len(others)
    assert service.desk.rooms.room_count == 0


def test_a_socket_that_is_not_connected_may_not_even_register() -> None:
    service = Service()
    assert code(service.receive("register_subject", {"subject_id": "eve"}, "eve")) is Code.UNAUTHENTICATED
    assert not service.desk.machines.presence.is_there("eve")


@pytest.mark.parametrize(
    "payload", [None, [], "x", {}, {"room": 5, "seats": [0, 1]}, {**SEATS, "take": "all"}]
)
def test_a_malformed_payload_is_refused_and_counted_and_nothing_else_happens(payload: Any) -> None:
    service = Service()
    assert code(service.receive("join_room", payload)) is Code.BAD_REQUEST
    assert service.counted("bad_request") == 1
    assert service.desk.rooms.room_count == 0


def test_the_tenth_event_that_does_not_exist_closes_the_socket() -> None:
    service = Service()
    assert {code(service.receive("no_such_event")) for _ in range(9)} == {Code.BAD_REQUEST}
    assert service.closed() == []
    service.receive("no_such_event")
    assert service.closed() == ["ann"]
    assert service.counted("violation") == 10
    assert not service.desk.machines.presence.is_there("ann")


def test_a_flood_is_refused_with_a_time_and_its_third_burst_closes_the_socket() -> None:
    service = Service(events=RateLimit(10.0, 2))
    assert isinstance(service.receive("leave_queue"), Accepted)
    for burst in range(3):
        assert service.closed() == []
        refusals = [service.receive("leave_queue") for _ in range(20)][2:]
        if burst < 2:
            assert {(code(r), getattr(r, "retry_after_ms", None)) for r in refusals} == {
                (Code.RATE_LIMITED, 100)
            }
        service.now += 2.0
    assert service.closed() == ["ann"]
    assert code(service.receive("leave_queue")) is Code.UNAUTHENTICATED


def test_joins_are_limited_by_subject_whatever_the_event() -> None:
    service = Service()
    for event in ("join_room", "join_queue", "watch"):
        service.receive(event, {})
    refused = service.receive("join_room", SEATS)
    assert isinstance(refused, Refused)
    assert refused.code is Code.RATE_LIMITED
    service.now += 1.0
    assert isinstance(service.receive("join_room", SEATS), Accepted)


def test_a_bug_is_the_services_fault_and_ends_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service()

    def broken(_subject: str, _now: float) -> Answer:
        raise RuntimeError("a bug")

    monkeypatch.setattr(service.desk.machines.queues, "leave", broken)
    assert code(service.receive("leave_queue")) is Code.UNAVAILABLE
    assert "a bug" in caplog.text
    assert isinstance(service.receive("join_room", SEATS), Accepted)
    assert service.closed() == []


def tokened() -> tuple[Service, str]:
    """Return a service that asks for join tokens, and mallory's."""
    service = Service()
    claims = JoinClaims(experiment="x", subject_id="mallory", expires_at=1e12, token_id="t")  # noqa: S106  # no secret
    guards = Guards(
        admission=Admission("s" * 32, "x"),
        events=RateLimit(30.0, 100),
        joins=RateLimit(1.0, 3),
        metrics=service.metrics,
    )
    service.dispatcher = Dispatcher(service.desk.machines, guards)
    return service, TokenSigner(b"s" * 32, JoinClaims).issue(claims)


def test_a_subject_that_is_dropped_again_and_again_is_let_in_later_and_later() -> None:
    service, token = tokened()
    dispatcher, now, waits = service.dispatcher, 0.0, []
    for number in range(6):
        socket = f"s{number}"
        while (refused := dispatcher.connected(socket, {"token": token}, now)) is not None:
            assert code(refused) is Code.RATE_LIMITED
            assert refused.retry_after_ms is not None
            waits.append(refused.retry_after_ms)
            now += refused.retry_after_ms / 1000
        for _ in range(10):
            dispatcher.receive("no such event", None, socket, now)
        assert service.closed() == [socket]
    assert waits == [5000, 10_000, 20_000, 40_000]


def test_what_is_dropped_below_the_dispatcher_counts_as_well_and_a_plain_goodbye_does_not() -> None:
    service, token = tokened()
    dispatcher = service.dispatcher
    for number in range(3):
        assert dispatcher.connected(f"polite {number}", {"token": token}, 0.0) is None
        dispatcher.disconnected(f"polite {number}", 0.0)
    for number in range(2):
        assert dispatcher.connected(f"rude {number}", {"token": token}, 0.0) is None
        dispatcher.disconnected(f"rude {number}", 0.0, misbehaved=True)
    assert dispatcher.connected("again", {"token": token}, 1.0) is not None


def test_in_a_laboratory_nobody_is_held_back_under_a_name_that_anybody_may_take() -> None:
    service = Service()
    for number in range(5):
        socket = f"mallory {number}"
        assert service.dispatcher.connected(socket, None, 0.0) is None
        service.receive("register_subject", {"subject_id": "victim"}, socket)
        service.dispatcher.disconnected(socket, 0.0, misbehaved=True)
    assert service.dispatcher.connected("victim", None, 0.0) is None
    assert isinstance(service.receive("register_subject", {"subject_id": "victim"}, "victim"), Accepted)
