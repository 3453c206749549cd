from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from gym_p2p.core.api.matches import GroupHistory, QueueTicket
from gym_p2p.core.api.payloads import decode, encode
from gym_p2p.core.api.probes import ProbeReport
from gym_p2p.core.api.queues import Verdict
from gym_p2p.core.api.replies import Candidate, Description
from gym_p2p.core.api.requests import (
    AnswerMatch,
    DropSpectator,
    JoinRoom,
    LeaveQueue,
    LeaveRoom,
    MatchLatency,
    ProbeReady,
    ProbeRequest,
    ProbeWait,
    RegisterSubject,
    ReportProbe,
    SendMatchSignal,
    SendProbeSignal,
    StopWatching,
    Watch,
)
from gym_p2p.core.signaling.signals import parse_payload
from gym_p2p.errors import ProtocolError

TICKET = QueueTicket(queue="q", seats=("a", 1), take=1, plays="digest", asks=True, spectators=2)


def on_wire(payload: Any) -> Any:
    return json.loads(json.dumps(encode(payload)))


@pytest.mark.parametrize(
    ("request_", "event", "written"),
    [
        (
            RegisterSubject("ann", "gym_p2p/1"),
            "register_subject",
            '{"subject_id":"ann","client":"gym_p2p/1","match_token":null}',
        ),
        (
            JoinRoom("r", ["a", 1], None, "gym_p2p/1", 2),
            "join_room",
            '{"room":"r","seats":["a",1],"take":null,"client":"gym_p2p/1","spectators":2}',
        ),
        (LeaveRoom("r"), "leave_room", '{"room":"r","why":null}'),
        (
            QueueTicket(queue="q", seats=("a", "b"), rtt_ms=1.5),
            "join_queue",
            (
                '{"queue":"q","seats":["a","b"],"take":null,"client":null,"asks":false,"rtt_ms":1.5,'
                '"previous_partners":[],"group_id":null,"plays":null,"spectators":0,"page_rtt_ms":null}'
            ),
        ),
        (LeaveQueue("q"), "leave_queue", '{"queue":"q"}'),
        (AnswerMatch("p", Verdict.NEXT), "answer_match", '{"proposal_id":"p","verdict":"next"}'),
        (MatchLatency("m", 1, 2.5), "match_latency", '{"game_id":"m","player_id":1,"rtt_ms":2.5}'),
        (
            SendMatchSignal("m", "b", "ice-candidate"),
            "webrtc_signal",
            '{"game_id":"m","target_player_id":"b","type":"ice-candidate","payload":null}',
        ),
        (Watch(match_id="m", avoid=1), "watch", '{"room":null,"match_id":"m","avoid":1}'),
        (StopWatching(), "stop_watching", "{}"),
        (DropSpectator("w"), "drop_spectator", '{"spectator_id":"w"}'),
        (ProbeReady("p"), "probe_ready", '{"probe_session_id":"p"}'),
        (
            SendProbeSignal("p", "bob", "offer", {"type": "offer", "sdp": "v=0"}),
            "probe_signal",
            (
                '{"probe_session_id":"p","target_subject_id":"bob","type":"offer",'
                '"payload":{"type":"offer","sdp":"v=0"}}'
            ),
        ),
        (
            ReportProbe(probe_session_id="p", success=False, failure="no_address"),
            "probe_result",
            (
                '{"rtt_ms":null,"success":false,"samples_ms":[],"jitter_ms":null,"loss":null,"path":null,'
                '"failure":"no_address","probe_session_id":"p"}'
            ),
        ),
        (ProbeWait(waiting=True), "probe_wait", '{"waiting":true}'),
        (ProbeRequest("bob"), "probe_request", '{"target_subject_id":"bob"}'),
    ],
)
def test_every_request_to_the_byte(request_: Any, event: str, written: str) -> None:
    assert request_.event == event
    assert json.dumps(encode(request_), separators=(",", ":")) == written
    assert decode(type(request_), json.loads(written)) == request_


@pytest.mark.parametrize(
    "history", [None, GroupHistory(["ann", "bob"]), GroupHistory([], group_id="g"), GroupHistory(["ann"])]
)
def test_a_ticket_survives_the_wire(history: GroupHistory | None) -> None:
    partners, group_id = ((), None) if history is None else (history.previous_partners, history.group_id)
    ticket = attrs.evolve(TICKET, rtt_ms=12.5, previous_partners=tuple(partners), group_id=group_id)
    read = decode(QueueTicket, on_wire(ticket))
    assert read == ticket
    assert read.group_history == history


def test_of_many_former_partners_the_most_recent_count_and_a_long_digest_is_cut() -> None:
    partners = [f"s{number}" for number in range(100)]
    fields = {"queue": "q", "seats": ["a", "b"], "previous_partners": partners, "plays": "x" * 100}
    ticket = decode(QueueTicket, fields)
    assert ticket.group_history == GroupHistory(partners[-64:])
    assert ticket.plays == "x" * 64


@pytest.mark.parametrize(
    ("client", "named"),
    [("gym_p2p/1", "gym_p2p/1"), (None, None), ("", None), ("x" * 65, None), ("a\n", None), ({"a": 1}, None)],
)
def test_whatever_a_browser_calls_itself_it_registers(client: object, named: str | None) -> None:
    request = decode(RegisterSubject, {"subject_id": "ann", "client": client, "more": 1})
    assert request.named_client == named


def signal(kind: type[SendMatchSignal | SendProbeSignal], **fields: object) -> Any:
    to = {"game_id": "m", "target_player_id": 1} if kind is SendMatchSignal else {"target_subject_id": "bob"}
    return decode(kind, {"probe_session_id": "p", **to, **fields})


@pytest.mark.parametrize("kind", [SendMatchSignal, SendProbeSignal])
def test_a_signals_payload_is_read_by_its_type(kind: type[SendMatchSignal | SendProbeSignal]) -> None:
    offer = signal(kind, type="offer", payload={"type": "offer", "sdp": "SECRET", "more": 1})
    assert parse_payload(offer.type, offer.payload) == Description("offer", "SECRET")
    assert "SECRET" not in repr(offer)
    candidate = {"candidate": "c", "sdpMid": None, "sdpMLineIndex": 0}
    assert parse_payload(
        "ice-candidate", signal(kind, type="ice-candidate", payload=candidate).payload
    ) == Candidate("c", None, 0)
    assert parse_payload("ice-candidate", signal(kind, type="ice-candidate").payload) is None


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("offer", None),
        ("offer", {"type": "offer"}),
        ("offer", {"type": "answer", "sdp": ""}),
        ("offer", {"type": "offer", "sdp": 5}),
        ("ice-candidate", {}),
        ("ice-candidate", {"candidate": "c", "sdpMLineIndex": "0"}),
        ("ice-candidate", {"candidate": "c", "sdpMLineIndex": True}),
    ],
)
def test_a_payload_of_another_shape_is_a_protocol_error(kind: str, payload: object) -> None:
    with pytest.raises(ProtocolError):
        parse_payload(kind, signal(SendMatchSignal, type=kind, payload=payload).payload)


def test_a_report_is_read_without_its_probe() -> None:
    sent = ReportProbe(probe_session_id="p", rtt_ms=5.0, success=True, samples_ms=(5.0,))
    assert decode(ProbeReport, on_wire(sent)) == ProbeReport(rtt_ms=5.0, success=True, samples_ms=(5.0,))


def test_a_seats_number_and_its_text_stay_apart() -> None:
    for avoid in (1, "1"):
        assert decode(Watch, on_wire(Watch(room="r", avoid=avoid))).avoid == avoid
    with pytest.raises(ProtocolError):
        decode(Watch, {"room": "r", "avoid": True})
