from __future__ import annotations

from typing import Any

import attrs
import pytest

from gym_p2p.core.api import requests
from gym_p2p.core.api.events import SERVICE_EVENTS
from gym_p2p.core.api.matches import QueueTicket
from gym_p2p.core.api.payloads import decode, encode
from gym_p2p.core.api.queues import QueueAck
from gym_p2p.core.api.rooms import JoinAck
from gym_p2p.core.api.spectators import WatchedMatch
from gym_p2p.core.signaling.signals import parse_payload
from gym_p2p.errors import ProtocolError
from tests.core.api.vectors import VECTORS, cases

REQUESTS: dict[str, Any] = {
    cls.event: cls
    for cls in [*vars(requests).values(), QueueTicket]
    if isinstance(cls, type) and attrs.has(cls) and hasattr(cls, "event")
}


def read(event: str, payload: Any) -> None:
    request = decode(REQUESTS[event], payload)
    if isinstance(request, requests.SendMatchSignal | requests.SendProbeSignal):
        parse_payload(request.type, request.payload)


def test_every_event_has_vectors() -> None:
    assert VECTORS["client"].keys() == REQUESTS.keys()
    assert VECTORS["service"].keys() == SERVICE_EVENTS.keys()
    assert all(table["valid"] for side in ("client", "service") for table in VECTORS[side].values())


@pytest.mark.parametrize(("event", "payload"), cases("service", "valid"))
def test_what_the_service_sends_is_read_and_written_alike(event: str, payload: Any) -> None:
    assert encode(decode(SERVICE_EVENTS[event], payload)) == payload


@pytest.mark.parametrize(("event", "payload"), cases("service", "refused"))
def test_a_client_refuses_what_no_service_sends(event: str, payload: Any) -> None:
    with pytest.raises(ProtocolError, match="malformed"):
        decode(SERVICE_EVENTS[event], payload)


@pytest.mark.parametrize(("event", "payload"), cases("client", "valid"))
def test_the_service_reads_what_clients_send(event: str, payload: Any) -> None:
    request = decode(REQUESTS[event], payload)
    known = {field.name for field in attrs.fields(type(request))}
    assert {key: encode(request)[key] for key in payload if key in known}.keys() == payload.keys() & known


@pytest.mark.parametrize(("event", "payload"), cases("client", "refused"))
def test_the_service_refuses_what_no_client_sends(event: str, payload: Any) -> None:
    with pytest.raises(ProtocolError):
        read(event, payload)


@pytest.mark.parametrize("event", VECTORS["answers"])
def test_answers_are_read_and_written_alike(event: str) -> None:
    kinds: dict[str, Any] = {"join_room": JoinAck, "join_queue": QueueAck, "watch": WatchedMatch}
    for answer in VECTORS["answers"][event]:
        assert encode(decode(kinds[event], answer)) == answer
