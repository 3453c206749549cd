"""Payloads from what arrives: everything that is missing, of another kind or out of bounds is refused."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from gym_p2p.config import IceServer
from gym_p2p.core.api.events import SERVICE_EVENTS
from gym_p2p.core.api.matches import QueueTicket
from gym_p2p.core.api.payloads import decode, encode
from gym_p2p.core.api.probes import ProbePrepare, ProbeVerdict
from gym_p2p.core.api.queues import (
    MatchFailed,
    MatchProbe,
    MatchProposed,
    PairMeasured,
    QueueAck,
    QueueStatus,
    Verdict,
)
from gym_p2p.core.api.requests import AnswerMatch, SendMatchSignal
from gym_p2p.core.api.rooms import JoinAck, MatchSignal, PeerLeft, RoomStatus
from gym_p2p.core.api.spectators import WatchedMatch, WatchedPlayer, WatchOver
from gym_p2p.core.signaling.signals import parse_payload
from gym_p2p.core.wire.seats import MAX_SEATS
from gym_p2p.errors import ProtocolError

PROBE = MatchProbe(waited_s=1.0, pairs=(PairMeasured(subjects=("a", "b"), rtt_ms=5.0, reports={"a": {}}),))
STATUS = QueueStatus(queue="q", state="waiting", waiting=2, wait_s=1.5, threshold_ms=None, probes=0)
PROPOSED = MatchProposed(proposal_id="p", queue="q", subjects=("a", "b"), probe=PROBE, answer_within_s=5.0)
PREPARE = ProbePrepare(
    probe_session_id="probe_1", peer_subject_id="bob", ice_servers=(IceServer(urls="stun:a.example"),)
)
WATCHED = WatchedMatch(
    match_id="m",
    spectator_id="w",
    source=0,
    players=(WatchedPlayer(player_id=0, seats=(0,)),),
    ice_servers=(),
    relay_only=False,
)
JOINED = JoinAck(room="r", player_id=0, seats_taken=(0,), seats_free=("b",))
SIGNAL = MatchSignal(type="offer", from_player_id="a", game_id="m", payload={"type": "offer", "sdp": ""})
PAYLOADS: list[Any] = [
    PROBE,
    STATUS,
    PROPOSED,
    PREPARE,
    WATCHED,
    JOINED,
    SIGNAL,
    QueueAck(queue="q", group_size=2, waiting=1),
    MatchFailed(queue="q", reason="nobody_else", waited_s=60.0),
    RoomStatus(room="r", seats_free=()),
    PeerLeft(match_id="m", player_id="a", reason="left"),
    WatchOver("m", "dropped"),
    ProbeVerdict(probe_session_id="p", reason="measured", rtt_ms=5.0, marks=("one_sided",)),
]


def on_wire(payload: Any) -> Any:
    return json.loads(json.dumps(encode(payload)))


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: type(payload).__name__)
def test_a_payload_survives_the_wire_and_what_is_not_known_of_it_is_ignored(payload: Any) -> None:
    assert decode(type(payload), {**on_wire(payload), "more": [1]}) == payload


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: type(payload).__name__)
@pytest.mark.parametrize("nonsense", [None, [], {}, "text", 1])
def test_what_is_no_such_payload_is_a_protocol_error(payload: Any, nonsense: object) -> None:
    with pytest.raises(ProtocolError):
        decode(type(payload), nonsense)


@pytest.mark.parametrize(
    ("payload", "field", "value"),
    [
        (STATUS, "queue", ""),
        (STATUS, "waiting", -1),
        (STATUS, "waiting", True),
        (STATUS, "waiting", 1.5),
        (STATUS, "wait_s", "1"),
        (STATUS, "wait_s", True),
        (STATUS, "wait_s", -0.1),
        (STATUS, "wait_s", None),
        (STATUS, "wait_s", math.nan),
        (STATUS, "wait_s", math.inf),
        (STATUS, "threshold_ms", math.inf),
        (STATUS, "threshold_ms", 10**400),
        (PROPOSED, "subjects", ["a", 1]),
        (PROPOSED, "subjects", "ab"),
        (PROPOSED, "probe", None),
        (PROBE, "pairs", [{"subjects": ["a"], "rtt_ms": 1, "reports": {}}]),
        (PROBE, "pairs", [{"subjects": ["a", "b", "c"], "rtt_ms": 1, "reports": {}}]),
        (PROBE, "pairs", [{"subjects": ["a", "b"], "rtt_ms": math.nan, "reports": {}}]),
        (PROBE, "pairs", [{"subjects": ["a", "b"], "rtt_ms": 1, "reports": []}]),
        (PROBE, "pairs", [{"subjects": ["a", "b"], "rtt_ms": 1, "reports": {"a": 5}}]),
        (JOINED, "player_id", True),
        (JOINED, "player_id", None),
        (JOINED, "player_id", 2**53),
        (JOINED, "player_id", 1.0),
        (JOINED, "player_id", "x" * 129),
        (JOINED, "player_id", "\n"),
        (JOINED, "seats_free", [""]),
        (JOINED, "seats_free", list(range(MAX_SEATS + 1))),
        (JOINED, "seats_taken", "ab"),
        (SIGNAL, "from_player_id", None),
        (SIGNAL, "type", 1),
        (SIGNAL, "payload", "sdp"),
        (WATCHED, "relay_only", 1),
        (WATCHED, "players", [{"player_id": 0}]),
        (WATCHED, "ice_servers", [{"urls": ["http://a.example"]}]),
        (WATCHED, "ice_servers", [{"urls": ["turn:a.example"], "username": ""}]),
        (WATCHED, "ice_servers", [{"urls": ["turn:a.example"], "credential": 5}]),
        (PREPARE, "probe_session_id", "x" * 129),
        (PREPARE, "peer_subject_id", "a\n"),
        (PREPARE, "peer_client", "x" * 65),
        (PREPARE, "threshold_ms", 60_000.1),
        (PREPARE, "deadline_ms", 600_001),
    ],
)
def test_a_field_of_another_kind_or_out_of_bounds_is_a_protocol_error(
    payload: Any, field: str, value: object
) -> None:
    with pytest.raises(ProtocolError):
        decode(type(payload), {**on_wire(payload), field: value})


def test_the_error_says_what_and_where_and_quotes_nothing() -> None:
    sent = on_wire(WATCHED)
    with pytest.raises(ProtocolError) as caught:
        decode(WatchedMatch, {**sent, "players": [{"player_id": 0, "seats": "secret"}]}, "answer to watch")
    assert caught.value.problem == "malformed answer to watch at $.players[0].seats"
    with pytest.raises(ProtocolError) as caught:
        decode(WatchedMatch, {**sent, "players": [{"player_id": "secret\n", "seats": []}]}, "answer to watch")
    assert caught.value.problem == "malformed answer to watch at $.players[0]: player_id: wanted a seat's id"
    with pytest.raises(ProtocolError) as caught:
        decode(WatchedMatch, {**sent, "ice_servers": [{"urls": ["http://secret"]}]}, "answer to watch")
    assert caught.value.problem == "malformed answer to watch at $.ice_servers[0]"


def test_what_is_left_out_of_a_probes_beginning_and_end_has_its_default() -> None:
    prepare = decode(ProbePrepare, {"probe_session_id": "p", "peer_subject_id": "bob", "turn_username": None})
    assert prepare == ProbePrepare(probe_session_id="p", peer_subject_id="bob")
    assert decode(ProbeVerdict, {"probe_session_id": "p", "reason": "left"}).marks == ()


def test_requests_are_read_as_they_are_written() -> None:
    assert decode(AnswerMatch, on_wire(AnswerMatch("p", Verdict.NEXT))) == AnswerMatch("p", Verdict.NEXT)
    with pytest.raises(ProtocolError):
        decode(AnswerMatch, {"proposal_id": "p", "verdict": "perhaps"})
    ticket = decode(QueueTicket, {"queue": "q", "seats": ["a", 1], "previous_partners": ["x"]})
    assert ticket.seats == ("a", 1)
    wanted = {
        "game_id": "m",
        "target_player_id": 1,
        "type": "offer",
        "payload": {"type": "answer", "sdp": ""},
    }
    with pytest.raises(ProtocolError):
        parse_payload("offer", decode(SendMatchSignal, wanted).payload)


def test_fields_that_are_no_payload_are_written_as_they_are() -> None:
    fields = {"ok": True}
    assert encode(fields) == fields


def test_every_event_has_a_name_of_its_own() -> None:
    assert len(SERVICE_EVENTS) == 19
    assert all(kind.event == event for event, kind in SERVICE_EVENTS.items())


@pytest.mark.parametrize(
    "data", ["\ud800", {"match_id": "\ud800"}, {"\udfff": 1}, {"extra": {"\ud800": "\ud800"}}]
)
def test_halves_of_letters_are_malformed(data: object) -> None:
    with pytest.raises(ProtocolError, match="malformed"):
        decode(PeerLeft, data)
