"""The conversations of the test vectors, and what clients must not send, through the table of events."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

from gym_p2p.config import ServiceConfig
from gym_p2p.core.api.payloads import encode
from gym_p2p.core.api.replies import Answer, Emit, Refused
from gym_p2p.core.presence.rate_limits import RateLimit
from gym_p2p.server.factory import assemble
from gym_p2p.server.guard.guards import Admission, Guards
from gym_p2p.server.guard.metrics import ServiceMetrics
from gym_p2p.server.handlers.dispatcher import Dispatcher
from tests.core.api.vectors import VECTORS, cases


class Service:
    """The machines behind the table of events; clients are sockets of their names."""

    def __init__(self) -> None:
        metrics = ServiceMetrics()
        self.machines = assemble(ServiceConfig(), b"0" * 32, metrics=metrics).machines
        guards = Guards(
            admission=Admission(None, "default"),
            events=RateLimit(1000.0, 1000),
            joins=RateLimit(1000.0, 1000),
            metrics=metrics,
        )
        self.dispatcher = Dispatcher(self.machines, guards)
        self.known: dict[str, Any] = {}

    def connect(self, client: str) -> None:
        assert self.dispatcher.connected(client, None, 0.0) is None

    def send(self, client: str, event: str, payload: Any) -> Answer:
        return self.dispatcher.receive(event, payload, client, 0.0)

    def sent(self) -> list[Emit]:
        return [output for output in iter(self.machines.poll, None) if isinstance(output, Emit)]


def acknowledged(answer: Answer) -> dict[str, Any]:
    if isinstance(answer, Refused):
        return {"ok": False, "error": {"code": str(answer.code), "message": answer.message}}
    return {"ok": True, **encode(answer.value)}


def matches(pattern: Any, value: Any) -> bool:
    if pattern == "*":
        return value is not None
    if isinstance(pattern, dict):
        return (
            isinstance(value, dict)
            and pattern.keys() == value.keys()
            and all(matches(pattern[key], value[key]) for key in pattern)
        )
    if isinstance(pattern, list):
        return isinstance(value, list) and len(pattern) == len(value) and all(map(matches, pattern, value))
    return type(pattern) is type(value) and bool(pattern == value)


def filled(payload: Any, known: dict[str, Any]) -> Any:
    """Return a payload whose ids are those that were announced."""
    return {key: known.get(key, value) if value == "*" else value for key, value in payload.items()}


@pytest.mark.parametrize("conversation", VECTORS["conversations"], ids=lambda c: c["name"])
def test_a_conversation_goes_as_the_vectors_have_it(conversation: dict[str, Any]) -> None:
    service, known = Service(), {"room": "lab"}
    inbox: dict[str, deque[Emit]] = {}
    for step in conversation["steps"]:
        client = step.get("from", step.get("to"))
        if client not in inbox:
            inbox[client] = deque()
            service.connect(client)
        if "from" in step:
            answer = acknowledged(service.send(client, step["event"], filled(step["payload"], known)))
            assert matches(step["answer"], answer), (step, answer)
            known |= {key: answer[key] for key in ("probe_session_id",) if key in answer}
            for output in service.sent():
                inbox[output.socket].append(output)
        else:
            payload = inbox[client].popleft().payload
            assert payload.event == step["event"]
            assert matches(step["payload"], encode(payload)), (step, encode(payload))
    assert not any(inbox.values())


REFUSED = [case for case in cases("client", "refused") if case[0] != "probe_result"]
"""A report that cannot be read counts as a failed one, of a probe that there is."""


@pytest.mark.parametrize(("event", "payload"), REFUSED)
def test_what_no_client_sends_is_a_bad_request(event: str, payload: Any) -> None:
    service = Service()
    service.connect("ann")
    service.send("ann", "register_subject", {"subject_id": "ann"})
    service.send("ann", "join_room", {"room": "lab", "seats": ["a", "b"]})
    answer = service.send("ann", event, payload)
    assert isinstance(answer, Refused)
    assert answer.code == "bad_request", answer
