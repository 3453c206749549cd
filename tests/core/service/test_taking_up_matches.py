"""Matches that a service knows no more are taken up again by their players' own claims, and no others'."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.api.replies import Accepted, Code, Description, Emit, Refused
from gym_p2p.core.api.rooms import MatchFound, MatchSignal, PeerReturned
from tests.core.service.desk import Desk, PlainMatchTokens

OFFER = Description("offer", "v=0")
SEATS = ("left", "right")


class Study:
    """One service after the other with the same secret, and clients who hold what it gave them."""

    def __init__(self) -> None:
        self.tokens = PlainMatchTokens()
        self.numbers = itertools.count(1)
        self.found: dict[str, MatchFound] = {}
        self.desk = self._desk()

    def _desk(self) -> Desk:
        return Desk(match_tokens=self.tokens, match_ids=lambda: f"match-{next(self.numbers)}")

    def restart(self) -> None:
        self.desk = self._desk()

    def connect(self, name: str, **shown: Any) -> None:
        self.desk.connected(name)
        held = self.found.get(name)
        if not shown and held is not None and held.match_token is not None:
            shown = {"match_token": held.match_token.reveal()}
        assert isinstance(self.desk.register(name, name, **shown), Accepted)

    def play(self, *names: str, room: str = "r", **options: Any) -> None:
        for name in names:
            self.connect(name)
            assert isinstance(self.desk.join(name, room=room, seats=SEATS[: len(names)], **options), Accepted)
        for output in self.outputs():
            if isinstance(output.payload, MatchFound):
                self.found[output.socket] = output.payload

    def outputs(self) -> list[Emit]:
        return [output for output in iter(self.desk.poll, None) if isinstance(output, Emit)]

    def sent(self, kind: type) -> dict[str, Any]:
        return {one.socket: one.payload for one in self.outputs() if isinstance(one.payload, kind)}

    def signal(self, sender: str, target: str) -> Any:
        match_id, seat = self.found[sender].match_id, self.found[target].player_id
        self.outputs()
        answer = self.desk.signal(sender, game_id=match_id, target_player_id=seat, payload=OFFER)
        if isinstance(answer, Refused):
            return answer.code
        return self.sent(MatchSignal)[target].from_player_id

    @property
    def sizes(self) -> tuple[int, int]:
        return self.desk.rooms.room_count, self.desk.rooms.match_count


@pytest.fixture
def study() -> Study:
    study = Study()
    study.play("ann", "bob")
    return study


def test_a_restarted_service_learns_of_a_running_match_from_its_players(study: Study) -> None:
    study.restart()
    assert study.sizes == (0, 0)
    study.connect("bob")
    assert study.sizes == (1, 1)
    assert study.signal("bob", "ann") is Code.NOT_A_MEMBER
    study.connect("ann")
    assert study.sent(PeerReturned) == {"bob": PeerReturned(match_id="match-1", player_id="left")}
    assert study.signal("ann", "bob") == "left"
    assert study.signal("bob", "ann") == "right"
    assert study.sizes == (1, 1)


def test_players_who_lost_their_lines_at_once_find_their_match_again(study: Study) -> None:
    for name in ("ann", "bob"):
        study.desk.disconnected(name)
    assert study.sizes == (0, 0)  # nothing is held for those who do not come back
    for name in ("ann", "bob"):
        study.connect(name)
    assert study.signal("ann", "bob") == "left"


def test_a_match_is_taken_up_beside_another_that_has_its_rooms_name_by_then(study: Study) -> None:
    study.restart()
    study.play("cat", "dan")
    for name in ("ann", "bob"):
        study.connect(name)
    assert study.sizes == (2, 2)
    assert study.signal("ann", "bob") == "left"
    assert study.signal("cat", "dan") == "left"
    for name in ("ann", "bob"):
        assert isinstance(study.desk.leave(name, room="r"), Accepted)
    assert study.sizes == (1, 1)
    assert study.signal("cat", "dan") == "left"


def test_a_match_that_was_taken_up_is_shown_to_spectators() -> None:
    study = Study()
    study.play("ann", "bob", spectators=1)
    study.restart()
    study.connect("ann")
    study.connect("eve")
    assert isinstance(study.desk.watch("eve", match_id="match-1"), Accepted)


@pytest.mark.parametrize("token", ["match-1/bob", "match-2/ann", "", 7, None, ["match-1/ann"]])
def test_no_seat_is_claimed_with_what_is_not_ones_own(study: Study, token: object) -> None:
    study.restart()
    study.connect("ann", match_token=token)
    assert study.sizes == (0, 0)
    assert study.signal("ann", "bob") is Code.NO_SUCH_MATCH


def test_who_has_taken_another_place_keeps_it(study: Study) -> None:
    study.restart()
    study.connect("ann", match_token=None)
    assert isinstance(study.desk.join("ann", room="other", seats=SEATS), Accepted)
    assert study.found["ann"].match_token is not None
    token = study.found["ann"].match_token.reveal()
    assert isinstance(study.desk.register("ann", "ann", match_token=token), Accepted)
    assert study.sizes == (1, 0)


def test_who_waits_in_a_queue_goes_on_waiting(study: Study) -> None:
    study.restart()
    study.connect("ann", match_token=None)
    assert isinstance(study.desk.join_queue("ann"), Accepted)
    assert study.found["ann"].match_token is not None
    study.desk.register("ann", "ann", match_token=study.found["ann"].match_token.reveal())
    assert study.desk.machines.queues.queue_of("ann") == "q"
    assert study.sizes == (0, 0)


def test_who_has_left_is_not_let_back_in_by_a_line_that_breaks(study: Study) -> None:
    assert isinstance(study.desk.leave("ann", room="r"), Accepted)
    study.desk.disconnected("ann")
    study.connect("ann", match_token=None)
    assert study.signal("ann", "bob") is Code.NO_SUCH_MATCH


@given(st.lists(st.tuples(st.sampled_from(["cut", "back", "restart"]), st.integers(0, 2)), max_size=30))
def test_whoever_is_connected_can_signal_whatever_was_lost_before(steps: list[tuple[str, int]]) -> None:
    study = Study()
    study.play("ann", "bob")
    names, there = ("ann", "bob"), {"ann", "bob"}
    for what, who in steps:
        name = names[who % 2]
        if what == "restart":
            study.restart()
            there.clear()
        elif what == "cut" and name in there:
            study.desk.disconnected(name)
            there.discard(name)
        elif what == "back" and name not in there:
            study.connect(name)
            there.add(name)
        assert study.sizes == ((1, 1) if there else (0, 0))
        if len(there) == 2:
            assert study.signal("ann", "bob") == "left"
            assert study.signal("bob", "ann") == "right"


@pytest.mark.parametrize("again", [False, True], ids=["at first", "once more"])
def test_who_joins_the_room_of_their_own_match_anew_is_told_how_to_come_back(
    study: Study, *, again: bool
) -> None:
    study.desk.disconnected("bob")
    study.found.pop("bob")  # as --no-rejoin has it
    study.connect("bob")
    for _ in range(1 + again):
        refused = study.desk.join("bob", room="r", seats=SEATS)
    assert isinstance(refused, Refused)
    assert refused.code is Code.ROOM_FULL
    for words in ("'right' is kept for who played there", "without --no-rejoin", "another room"):
        assert words in refused.message


def test_who_joins_a_room_in_which_all_are_there_is_told_to_wait_or_to_join_another(study: Study) -> None:
    study.connect("eve")
    refused = study.desk.join("eve", room="r", seats=SEATS)
    assert isinstance(refused, Refused)
    assert refused.message.endswith("a match runs in it; join when it is over, or another room")
