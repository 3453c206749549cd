from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gym_p2p.config import IceServer
from gym_p2p.core.api.payloads import decode, encode
from gym_p2p.core.api.replies import (
    MAX_CANDIDATE_BYTES,
    MAX_SDP_BYTES,
    Accepted,
    Answer,
    Candidate,
    Close,
    Code,
    Description,
    Emit,
    Refused,
)
from gym_p2p.core.api.rooms import (
    CUT_OFF,
    DISCONNECTED,
    MAX_PLAYERS,
    TIMED_OUT,
    JoinAck,
    MatchFound,
    MatchSignal,
    PeerLeft,
    Replaced,
    RoomStatus,
)
from gym_p2p.core.signaling.relay import MATCH_CONNECTIONS, MAX_DESCRIPTIONS
from gym_p2p.core.wire.foreign_text import MAX_SHOWN
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ProtocolError
from tests.core.service.desk import Desk

PONG = ("first_0", "second_0")
OFFER = Description("offer", "v=0")


def make_rooms() -> Desk:
    return Desk(
        ice_servers=lambda subject: (IceServer(urls="turn:turn.example", username=subject, credential="c"),),
        relay_only=True,
    )


def take_outputs(rooms: Desk) -> list[Any]:
    return list(iter(rooms.poll, None))


def sent(rooms: Desk, event: str) -> dict[str, Any]:
    """What was sent under this name, by socket."""
    return {
        o.socket: o.payload for o in take_outputs(rooms) if isinstance(o, Emit) and o.payload.event == event
    }


def refused(answer: Answer) -> Code:
    assert isinstance(answer, Refused), answer
    return answer.code


def enter(rooms: Desk, name: str, room: str = "r", seats: Sequence[SeatId] = PONG, **options: Any) -> Answer:
    """Register a subject on a socket of the same name and join."""
    assert isinstance(rooms.register(name, name), Accepted)
    return rooms.join(name, room=room, seats=seats, **options)


def made_match(rooms: Desk, names: Sequence[str] = ("ann", "bob")) -> dict[str, MatchFound]:
    for name in names:
        assert isinstance(enter(rooms, name), Accepted)
    return sent(rooms, "match_found")


def test_two_players_who_fill_a_room_are_matched_in_seat_order() -> None:
    rooms = make_rooms()
    first = enter(rooms, "ann", take=["second_0"], client="gym_p2p/0.1.0")
    assert isinstance(first, Accepted)
    assert isinstance(first.value, JoinAck)
    assert first.value.seats_free == ("first_0",)
    second = enter(rooms, "bob")
    assert isinstance(second, Accepted)
    assert second.value == JoinAck(room="r", player_id="first_0", seats_taken=("first_0",), seats_free=())
    found = sent(rooms, "match_found")
    ann, bob = found["ann"], found["bob"]
    assert [player.subject_id for player in ann.players] == ["bob", "ann"]
    assert ann.players == bob.players
    assert [player.client for player in ann.players] == [None, "gym_p2p/0.1.0"]
    assert (ann.player_id, bob.player_id) == ("second_0", "first_0")
    assert (ann.match_id, ann.seed) == (bob.match_id, bob.seed) == ("match-1", 2**32 - 5)
    assert ann.token.reveal().endswith("/match-1/'second_0'")
    assert ann.relay_only
    assert ann.ice_servers[0].credential == "c"
    assert [peer.player_id for peer in ann.peers] == ["first_0"]
    assert (rooms.rooms.room_count, rooms.rooms.match_count) == (1, 1)


def test_one_player_may_take_several_seats() -> None:
    rooms = make_rooms()
    enter(rooms, "ann", seats=(0, 1, 2), take=[2, 0])
    enter(rooms, "bob", seats=(0, 1, 2))
    found = sent(rooms, "match_found")
    assert found["ann"].seats_taken == (0, 2)
    assert found["ann"].player_id == 0
    assert found["bob"].player_id == 1


@pytest.mark.parametrize(
    ("seats", "take", "code", "said"),
    [
        ((7, 8), None, "room_mismatch", "their environment has [7, 8]"),
        ((0, 1, 2), [0], "seat_taken", "taken already"),
        ((0, 1, 2), [9], "bad_request", "cannot take [9]"),
    ],
)
def test_who_waits_hears_that_somebody_was_turned_away_and_why(
    seats: Sequence[SeatId], take: list[SeatId] | None, code: str, said: str
) -> None:
    rooms = make_rooms()
    enter(rooms, "ann", seats=(0, 1, 2), take=[0])
    enter(rooms, "bob", seats=(0, 1, 2), take=[1])
    take_outputs(rooms)
    assert refused(enter(rooms, "eve", seats=seats, take=take)) == code
    told = sent(rooms, "turned_away")
    assert told.keys() == {"ann", "bob"}
    assert (told["ann"].place, told["ann"].code) == ("room r", code)
    assert said in told["ann"].message


def test_who_plays_hears_of_nobody_who_comes_too_late() -> None:
    rooms = make_rooms()
    for name in ("ann", "bob"):
        enter(rooms, name)
    take_outputs(rooms)
    enter(rooms, "eve", seats=(7, 8))
    enter(rooms, "eve")
    assert sent(rooms, "turned_away") == {}


def test_a_number_and_its_text_are_different_seats_and_keep_their_type() -> None:
    rooms = make_rooms()
    enter(rooms, "ann", seats=(1, "1"), take=["1"])
    enter(rooms, "bob", seats=(1, "1"), take=[1])
    found = sent(rooms, "match_found")
    assert found["ann"].player_id == "1"
    assert found["bob"].player_id == 1
    rooms.signal("ann", game_id="match-1", target_player_id=1, payload=OFFER)
    assert encode(sent(rooms, "webrtc_signal")["bob"]) == {
        "type": "offer",
        "from_player_id": "1",
        "game_id": "match-1",
        "payload": {"type": "offer", "sdp": "v=0"},
    }


def test_another_environment_is_refused_with_both_seat_lists() -> None:
    rooms = make_rooms()
    enter(rooms, "ann", seats=(0, 1))
    answer = enter(rooms, "bob", seats=("0", "1"))
    assert refused(answer) is Code.ROOM_MISMATCH
    assert isinstance(answer, Refused)
    assert "[0, 1]" in answer.message
    assert "['0', '1']" in answer.message


def test_a_taken_seat_is_refused_and_the_free_ones_are_named() -> None:
    rooms = make_rooms()
    enter(rooms, "ann", take=["first_0"])
    answer = enter(rooms, "bob", take=["first_0"])
    assert refused(answer) is Code.SEAT_TAKEN
    assert isinstance(answer, Refused)
    assert "second_0" in answer.message


@pytest.mark.parametrize(
    "options",
    [
        {"room": "a/b"},
        {"seats": ("only",)},
        {"seats": ("a", "a")},
        {"seats": ("a", "")},
        {"seats": (True, False)},
        {"seats": ("a", 2**53)},
        {"seats": ("a", "\n")},
        {"seats": tuple(range(65))},
        {"take": []},
        {"take": ["first_0", "first_0"]},
        {"take": ["third_0"]},
        {"take": ["first_0", "second_0"]},
        {"client": ""},
        {"client": "x" * 65},
        {"client": "a\nb"},
    ],
)
def test_a_join_that_makes_no_sense_is_refused_and_leaves_no_room(options: dict[str, Any]) -> None:
    rooms = make_rooms()
    assert refused(enter(rooms, "ann", **options)) is Code.BAD_REQUEST
    assert rooms.rooms.room_count == 0


def test_a_running_match_refuses_newcomers_until_everyone_is_gone() -> None:
    rooms = make_rooms()
    made_match(rooms)
    assert refused(enter(rooms, "eve")) is Code.ROOM_FULL
    rooms.leave("ann", room="r")
    assert refused(enter(rooms, "eve")) is Code.ROOM_FULL
    rooms.disconnected("bob")
    assert isinstance(enter(rooms, "eve", seats=("other", "seats")), Accepted)


def test_no_room_strands_its_players_beyond_eight() -> None:
    rooms = make_rooms()
    seats = tuple(range(10))
    for number in range(MAX_PLAYERS - 1):
        assert isinstance(enter(rooms, f"p{number}", seats=seats), Accepted)
    assert refused(enter(rooms, "last", seats=seats)) is Code.ROOM_FULL
    assert isinstance(enter(rooms, "last", seats=seats, take=[7, 8, 9]), Accepted)
    assert len(sent(rooms, "match_found")) == MAX_PLAYERS


def test_those_who_wait_are_told_who_comes_and_goes() -> None:
    rooms = make_rooms()
    enter(rooms, "ann", seats=(0, 1, 2))
    enter(rooms, "bob", seats=(0, 1, 2))
    assert sent(rooms, "room_status")["ann"].seats_free == (2,)
    rooms.disconnected("ann")
    assert sent(rooms, "room_status") == {"bob": RoomStatus(room="r", seats_free=(0, 2))}


@pytest.mark.parametrize(("how", "reason"), [("leave", "left"), ("disconnect", "disconnected")])
def test_the_others_of_a_match_learn_that_a_player_is_gone(how: str, reason: str) -> None:
    rooms = make_rooms()
    made_match(rooms)
    if how == "leave":
        rooms.leave("ann", room="r")
    else:
        rooms.disconnected("ann")
    told = sent(rooms, "peer_left")
    assert told.keys() == {"bob"}
    assert told["bob"] == PeerLeft(match_id="match-1", player_id="first_0", reason=reason)
    signal = rooms.signal("bob", game_id="match-1", target_player_id="first_0", payload=OFFER)
    assert refused(signal) is Code.NOT_A_MEMBER


@pytest.mark.parametrize("how", [DISCONNECTED, CUT_OFF, TIMED_OUT])
def test_a_player_whose_socket_went_comes_back_to_the_running_match_and_is_signalled_again(how: str) -> None:
    rooms = make_rooms()
    made_match(rooms)
    rooms.disconnected("ann", how=how)
    rooms.register("ann2", "ann")
    take_outputs(rooms)
    for sender, player, socket in (("bob", "first_0", "ann2"), ("ann2", "second_0", "bob")):
        answer = rooms.signal(sender, game_id="match-1", target_player_id=player, payload=OFFER)
        assert isinstance(answer, Accepted)
        assert sent(rooms, "webrtc_signal").keys() == {socket}


def test_players_of_a_match_signal_one_connection_after_the_other_and_not_without_end() -> None:
    rooms = make_rooms()
    made_match(rooms)
    answers = [
        rooms.signal(
            "ann",
            game_id="match-1",
            target_player_id="second_0",
            payload=Description("offer", f"v=0\r\na=x:{number}"),
        )
        for number in range(MAX_DESCRIPTIONS * MATCH_CONNECTIONS + 1)
    ]
    assert all(isinstance(answer, Accepted) for answer in answers[:-1])
    assert refused(answers[-1]) is Code.TOO_LARGE


def test_who_left_by_their_own_word_does_not_come_back_by_registering() -> None:
    rooms = make_rooms()
    made_match(rooms)
    rooms.leave("ann", room="r")
    rooms.disconnected("ann")
    rooms.register("ann2", "ann")
    answer = rooms.signal("ann2", game_id="match-1", target_player_id="second_0", payload=OFFER)
    assert refused(answer) is Code.NO_SUCH_MATCH


def test_nobody_comes_back_to_a_match_that_is_over_and_whose_name_is_free_again() -> None:
    rooms = make_rooms()
    made_match(rooms)
    rooms.disconnected("ann")
    rooms.disconnected("bob")
    assert rooms.rooms.room_count == 0
    assert isinstance(enter(rooms, "ann"), Accepted)
    assert rooms.rooms.match_count == 0


def test_a_program_started_anew_may_join_elsewhere_though_its_older_one_may_come_back() -> None:
    rooms = make_rooms()
    made_match(rooms)
    rooms.disconnected("ann")
    assert isinstance(enter(rooms, "ann", room="other"), Accepted)
    rooms.disconnected("ann")
    rooms.register("ann2", "ann")
    answer = rooms.signal("ann2", game_id="match-1", target_player_id="second_0", payload=OFFER)
    assert refused(answer) is Code.NO_SUCH_MATCH


@pytest.mark.parametrize("how", [DISCONNECTED, CUT_OFF, TIMED_OUT])
def test_the_others_learn_how_a_players_socket_went(how: str) -> None:
    rooms = make_rooms()
    made_match(rooms)
    rooms.disconnected("ann", how=how)
    left = sent(rooms, "peer_left")["bob"]
    assert (left.reason, left.why) == (how, None)


def test_the_others_learn_in_printable_words_why_a_player_left() -> None:
    rooms = make_rooms()
    made_match(rooms)
    rooms.leave("ann", room="r", why="no path\x1b[2J" + "x" * 10_000)
    left = sent(rooms, "peer_left")["bob"]
    assert left.reason == "left"
    assert left.why.startswith(r"no path\x1b[2Jxxx")
    assert len(left.why) == MAX_SHOWN


def test_leaving_a_room_where_one_is_not_changes_nothing() -> None:
    rooms = make_rooms()
    enter(rooms, "ann")
    assert isinstance(rooms.leave("ann", room="another"), Accepted)
    assert rooms.rooms.room_count == 1


def test_joining_again_is_idempotent_while_waiting_and_refused_elsewhere() -> None:
    rooms = make_rooms()
    assert enter(rooms, "ann") == enter(rooms, "ann") == enter(rooms, "ann", take=["first_0"])
    assert refused(enter(rooms, "ann", take=["second_0"])) is Code.WRONG_STATE
    assert refused(enter(rooms, "ann", room="other")) is Code.WRONG_STATE


def test_a_newer_socket_of_a_subject_inherits_the_seat_and_the_signals() -> None:
    rooms = make_rooms()
    made_match(rooms)
    rooms.register("ann2", "ann")
    told, close = take_outputs(rooms)
    assert told == Emit("ann", Replaced(subject_id="ann"))
    assert isinstance(close, Close)
    assert close.socket == "ann"
    rooms.disconnected("ann")
    assert take_outputs(rooms) == []
    rooms.signal("bob", game_id="match-1", target_player_id="first_0", payload=OFFER)
    assert sent(rooms, "webrtc_signal").keys() == {"ann2"}


def test_a_program_started_anew_may_join_although_its_older_socket_still_held_a_seat() -> None:
    rooms = make_rooms()
    made_match(rooms)
    rooms.register("ann2", "ann")
    assert isinstance(rooms.join("ann2", room="other", seats=PONG), Accepted)
    assert sent(rooms, "peer_left").keys() == {"bob"}


@pytest.mark.parametrize(
    ("socket", "game", "target", "code"),
    [
        ("ann", "match-9", "second_0", Code.NO_SUCH_MATCH),
        ("eve", "match-1", "second_0", Code.NO_SUCH_MATCH),
        ("ann", "match-1", "first_0", Code.NOT_A_MEMBER),
        ("ann", "match-1", "bob", Code.NOT_A_MEMBER),
        ("ann", "match-1", "r", Code.NOT_A_MEMBER),
    ],
)
def test_a_signal_that_would_leave_its_match_goes_nowhere(
    socket: str, game: str, target: str, code: Code
) -> None:
    rooms = make_rooms()
    made_match(rooms)
    enter(rooms, "eve", room="elsewhere")
    take_outputs(rooms)
    answer = rooms.signal(socket, game_id=game, target_player_id=target, payload=OFFER)
    assert refused(answer) is code
    assert take_outputs(rooms) == []


@pytest.mark.parametrize(
    ("payload", "fits"),
    [
        (Description("offer", "x" * MAX_SDP_BYTES), True),
        (Description("offer", "x" * MAX_SDP_BYTES + "x"), False),
        (Description("offer", "é" * (MAX_SDP_BYTES // 2 + 1)), False),
        (Candidate("x" * MAX_CANDIDATE_BYTES), True),
        (Candidate("x" * MAX_CANDIDATE_BYTES + "x"), False),
        (Candidate("c", sdpMid="x" * MAX_CANDIDATE_BYTES + "x"), False),
        (Candidate("c", usernameFragment="x" * MAX_CANDIDATE_BYTES + "x"), False),
        (None, True),
    ],
)
def test_signals_are_relayed_up_to_their_limit(
    payload: Description | Candidate | None, *, fits: bool
) -> None:
    rooms = make_rooms()
    made_match(rooms)
    answer = rooms.signal("ann", game_id="match-1", target_player_id="second_0", payload=payload)
    assert isinstance(answer, Accepted) == fits
    if not fits:
        assert refused(answer) is Code.TOO_LARGE


def test_a_candidate_travels_in_the_browsers_form() -> None:
    assert encode(Candidate("c", "0", 0, "u")) == {
        "candidate": "c",
        "sdpMid": "0",
        "sdpMLineIndex": 0,
        "usernameFragment": "u",
    }


def _tampered(**changes: Any) -> dict[str, Any]:
    wire = encode(made_match(make_rooms())["ann"])
    return {**wire, **changes}


@pytest.mark.parametrize(
    "wire",
    [
        None,
        [],
        {},
        _tampered(seed=-1),
        _tampered(seed=2**32),
        _tampered(seed=True),
        _tampered(seed=1.0),
        _tampered(players=[]),
        _tampered(players="ann"),
        _tampered(players=[{"player_id": "first_0", "subject_id": "ann", "seats": []}] * 2),
        _tampered(players=_tampered()["players"] * 2),
        _tampered(player_id="eve"),
        _tampered(player_id=None),
        _tampered(seats_taken=["second_0"]),
        _tampered(seats_taken=[None]),
        _tampered(ice_servers=[{"urls": ["http://not.ice"]}]),
        _tampered(ice_servers=[{"urls": 5}]),
        _tampered(relay_only="no"),
        _tampered(token=""),
        _tampered(match_id=7),
    ],
)
def test_a_malformed_match_announcement_is_a_protocol_error(wire: object) -> None:
    with pytest.raises(ProtocolError):
        decode(MatchFound, wire, "match_found")


def test_a_match_announcement_survives_its_wire_form_and_hides_the_token() -> None:
    found = made_match(make_rooms())["ann"]
    assert decode(MatchFound, json.loads(json.dumps(encode(found)))) == found
    assert found.token.reveal() not in repr(found)


SOCKETS = st.sampled_from(["s-ann", "s-bob", "s-cyd", "s1", "s2"])
SUBJECTS = st.sampled_from(["ann", "bob", "cyd", "dan"])
ROOMS = st.sampled_from(["r", "q"])
SEAT_LISTS = st.sampled_from([("a", "b"), (0, 1, 2), (1, "1")])
SEATS = st.sampled_from(["a", "b", 0, 1, 2, "1"])


class AnyOrderOfEvents(RuleBasedStateMachine):
    """A model that keeps only what was announced; the machine must never contradict it."""

    def __init__(self) -> None:
        super().__init__()
        self.rooms = make_rooms()
        self.subject_of: dict[str, str] = {}
        self.in_match: dict[str, dict[SeatId, str]] = {}  # match to player ids to subjects

    @rule(socket=SOCKETS, subject=SUBJECTS)
    def register(self, socket: str, subject: str) -> None:
        if isinstance(self.rooms.register(socket, subject), Accepted):
            self.subject_of = {s: name for s, name in self.subject_of.items() if name != subject}
            self.subject_of[socket] = subject
        self.collect()

    @rule(socket=SOCKETS, room=ROOMS, seats=SEAT_LISTS, take=st.none() | st.lists(SEATS, max_size=2))
    def join(self, socket: str, room: str, seats: tuple[SeatId, ...], take: list[SeatId] | None) -> None:
        answer = self.rooms.join(socket, room=room, seats=seats, take=take)
        assert isinstance(answer, Refused) or socket in self.subject_of
        self.collect()

    @rule(subject=SUBJECTS, room=ROOMS)
    def enter(self, subject: str, room: str) -> None:
        """What most clients do: register, and take any seat."""
        self.register(socket=f"s-{subject}", subject=subject)
        self.join(socket=f"s-{subject}", room=room, seats=(1, "1"), take=None)

    @rule(data=st.data())
    def play(self, data: st.DataObject) -> None:
        """Signal between two who were told of each other, whether they are still there or not."""
        if not self.in_match:
            return
        match_id = data.draw(st.sampled_from(sorted(self.in_match)))
        players = self.in_match[match_id]
        sender = data.draw(st.sampled_from(sorted(self.subject_of) or ["nobody"]))
        self.signal(socket=sender, match_id=match_id, player=data.draw(st.sampled_from(list(players))))

    @rule(socket=SOCKETS, room=ROOMS)
    def leave(self, socket: str, room: str) -> None:
        self.rooms.leave(socket, room=room)
        self.collect()

    @rule(socket=SOCKETS)
    def disconnect(self, socket: str) -> None:
        self.rooms.disconnected(socket)
        self.subject_of.pop(socket, None)
        self.collect()

    @rule(socket=SOCKETS, match_id=st.sampled_from(["match-1", "match-2"]), player=SEATS)
    def signal(self, socket: str, match_id: str, player: SeatId) -> None:
        answer = self.rooms.signal(socket, game_id=match_id, target_player_id=player, payload=OFFER)
        outputs = take_outputs(self.rooms)
        if isinstance(answer, Refused):
            assert outputs == []
            return
        (output,) = outputs
        assert isinstance(output, Emit)
        assert isinstance(output.payload, MatchSignal)
        members = self.in_match[output.payload.game_id]
        assert members[output.payload.from_player_id] == self.subject_of[socket]
        assert members[player] == self.subject_of[output.socket]
        assert self.subject_of[output.socket] != self.subject_of[socket]

    def collect(self) -> None:
        made: dict[str, list[MatchFound]] = {}
        for output in take_outputs(self.rooms):
            if isinstance(output, Emit) and isinstance(output.payload, MatchFound):
                found = output.payload
                assert (
                    next(p.subject_id for p in found.players if p.player_id == found.player_id)
                    == (self.subject_of[output.socket])
                )
                made.setdefault(found.match_id, []).append(found)
        for match_id, announcements in made.items():
            assert len(announcements) == len(announcements[0].players) >= 2
            assert len({(a.players, a.seed) for a in announcements}) == 1
            self.in_match[match_id] = {p.player_id: p.subject_id for p in announcements[0].players}

    @invariant()
    def the_books_agree(self) -> None:
        members = [(name, room) for room in self.rooms.rooms._rooms.values() for name in room.members]
        assert len({name for name, _room in members}) == len(members), "somebody sits in two rooms"
        assert {name for name, _room in members} <= set(self.subject_of.values()), (
            "a seat outlived its player"
        )
        assert all(room.members for room in self.rooms.rooms._rooms.values()), "an empty room stays"
        for room in self.rooms.rooms._rooms.values():
            taken = [seat for member in room.members.values() for seat in member.seats]
            assert len(set(taken)) == len(taken), "a seat was given twice"
            assert (room.match_id is not None) or room.seats_free, "a full room without a match"
        away = {name: room for room in self.rooms.rooms._rooms.values() for name in room.away}
        assert away == self.rooms.rooms._away_from, "somebody is away from a match that is over"
        assert away.keys().isdisjoint(self.subject_of.values()), "somebody is back, and away"
        assert self.rooms.machines.presence._sockets.keys() == self.subject_of.keys()

    def teardown(self) -> None:
        for socket in list(self.subject_of):
            self.rooms.disconnected(socket)
        assert self.rooms.rooms.room_count == 0


TestAnyOrderOfEvents = AnyOrderOfEvents.TestCase
TestAnyOrderOfEvents.settings = settings(stateful_step_count=30, deadline=None)
