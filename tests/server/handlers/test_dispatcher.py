"""The way of an event through the service, without a socket or a loop."""

from __future__ import annotations

from typing import Any

import pytest

from gym_p2p.core.api.payloads import encode
from gym_p2p.core.api.replies import Accepted, Answer, Close, Code, Refused
from gym_p2p.core.presence.rate_limits import RateLimit
from gym_p2p.server.guard.guards import Admission, Guards
from gym_p2p.server.guard.metrics import ServiceMetrics
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
