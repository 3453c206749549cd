from __future__ import annotations

import itertools
from typing import Any

import pytest

from gym_p2p.core.api.payloads import encode
from gym_p2p.core.api.replies import Accepted, Answer, Candidate, Code, Departed, Description, Emit, Refused
from gym_p2p.core.api.rooms import MAX_SPECTATORS
from gym_p2p.core.api.spectators import SpectatorJoined, SpectatorLeft, WatchedMatch, WatchOver
from gym_p2p.core.service.rooms import Rooms
from gym_p2p.core.service.spectators import Watching

OFFER = Description("offer", "v=0")


class Service:
    """Rooms and their spectators, with a room ``r`` in which ann, bob and cat play."""

    def __init__(self, **shows: int) -> None:
        self.rooms = Rooms(
            match_ids=lambda: "match-1",
            seeds=lambda: 1,
            issue_token=lambda _match, _player, _everyone: "token",
        )
        numbers = itertools.count()
        self.watching = Watching(self.rooms, watch_ids=lambda: f"w{next(numbers)}")
        for seat, name in enumerate(("ann", "bob", "cat")):
            self.rooms.register(name, name)
            spectators = shows.get(name, 0)
            self.rooms.join(
                name, room="r", seats=("w0", 1, 2), take=(("w0", 1, 2)[seat],), spectators=spectators
            )
        self.outputs()

    def watch(self, name: str, **where: Any) -> Answer:
        self.rooms.register(name, name)
        return self.watching.watch(name, **({"room": "r"} | where))

    def watched(self, name: str, **where: Any) -> WatchedMatch:
        answer = self.watch(name, **where)
        assert isinstance(answer, Accepted), answer
        assert isinstance(answer.value, WatchedMatch)
        return answer.value

    def outputs(self) -> list[Emit]:
        found: list[Emit] = []
        for output in iter(self.rooms.poll, None):
            if isinstance(output, Departed):
                self.watching.departed(output)
        for output in iter(self.watching.poll, None):
            assert isinstance(output, Emit)
            found.append(output)
        return found


def refused(answer: Answer | None) -> Code:
    assert isinstance(answer, Refused), answer
    return answer.code


def test_the_player_who_shows_it_to_the_fewest_is_the_source_and_told() -> None:
    service = Service(ann=2, cat=2)
    sources = [service.watched(f"s{number}").source for number in range(4)]
    assert sorted(map(str, sources)) == ["2", "2", "w0", "w0"]
    joined = [(o.socket, o.payload) for o in service.outputs()]
    assert sorted(socket for socket, _ in joined) == ["ann", "ann", "cat", "cat"]
    joined_matches = {p.match_id for _, p in joined if isinstance(p, SpectatorJoined)}
    assert joined_matches == {"match-1"}


def test_a_spectators_id_is_no_seats_name() -> None:
    assert Service(ann=1).watched("s").spectator_id == "w1"  # "w0" was drawn first, and is a seat


def test_one_more_than_the_players_allow_is_refused_and_a_place_given_up_is_free() -> None:
    service = Service(ann=1, bob=1)
    service.watched("s")
    service.watched("t")
    assert refused(service.watch("u")) is Code.ROOM_FULL
    assert isinstance(service.watching.stop("s"), Accepted)
    service.watched("u")
    assert service.watching.count == 2


@pytest.mark.parametrize("where", [{"room": "elsewhere"}, {"room": None, "match_id": "match-2"}])
def test_what_is_not_there_and_what_nobody_shows_look_alike(where: dict[str, Any]) -> None:
    there = Service().watch("s")
    nowhere = Service(ann=1).watch("s", **where)
    assert there == nowhere
    assert refused(there) is Code.NO_SUCH_MATCH


def test_a_match_can_be_named_itself() -> None:
    service = Service(ann=1)
    assert service.watched("s", room=None, match_id="match-1").match_id == "match-1"
    assert refused(service.watch("s", match_id="match-1")) is Code.BAD_REQUEST
    assert refused(service.watch("s", room=None)) is Code.BAD_REQUEST


def test_players_cannot_watch_and_strangers_have_to_register() -> None:
    service = Service(ann=1)
    assert refused(service.watch("bob")) is Code.WRONG_STATE
    assert refused(service.watching.watch("nobody", room="r")) is Code.UNAUTHENTICATED


def test_the_avoided_player_is_taken_only_if_there_is_no_other() -> None:
    service = Service(ann=2, bob=2)
    assert service.watched("s", avoid="w0").source == 1
    assert service.watched("t", avoid="w0").source == 1
    assert service.watched("u", avoid="w0").source == "w0"


def test_signals_pass_between_a_spectator_and_his_player_and_nobody_else() -> None:
    service = Service(ann=1, bob=1)
    first, second = service.watched("s"), service.watched("t")
    service.outputs()

    def signal(sender: str, target: Any, payload: Any = OFFER) -> Answer | None:
        return service.watching.signal(
            sender, game_id="match-1", target=target, type="offer", payload=payload
        )

    assert isinstance(signal("s", first.source), Accepted)
    assert isinstance(signal("ann", first.spectator_id), Accepted)
    relayed = [(o.socket, encode(o.payload)["from_player_id"]) for o in service.outputs()]
    assert relayed == [("ann", first.spectator_id), ("s", first.source)]
    assert signal("s", second.source) is None
    assert signal("bob", first.spectator_id) is None
    assert signal("s", second.spectator_id) is None
    assert service.watching.signal("s", game_id="x", target=first.source, type="offer", payload=OFFER) is None
    assert refused(signal("s", first.source, Candidate("x" * 10_000))) is Code.TOO_LARGE
    assert not service.outputs()


def test_a_spectator_who_is_gone_leaves_his_place_and_his_player_is_told() -> None:
    service = Service(ann=1)
    watched = service.watched("s")
    service.outputs()
    service.watching.disconnected("s")
    service.watching.disconnected("s")
    (told,) = service.outputs()
    assert told.socket == "ann"
    assert told.payload == SpectatorLeft("match-1", watched.spectator_id)
    service.watched("t")


def test_watching_again_gives_up_what_was_watched_before() -> None:
    service = Service(ann=1)
    first, again = service.watched("s"), service.watched("s")
    assert first.spectator_id != again.spectator_id
    assert [type(o.payload) for o in service.outputs()] == [SpectatorJoined, SpectatorLeft, SpectatorJoined]


@pytest.mark.parametrize("how", ["left", "disconnected"])
def test_when_the_player_leaves_his_spectators_are_told_and_find_another_one(how: str) -> None:
    service = Service(ann=1, bob=1)
    assert service.watched("s").source == "w0"
    service.outputs()
    if how == "left":
        service.rooms.leave("ann", room="r")
    else:
        service.rooms.disconnected("ann")
    (told,) = service.outputs()
    assert (told.socket, told.payload) == ("s", WatchOver("match-1", "left"))
    assert service.watched("s", room=None, match_id="match-1").source == 1


def test_a_player_can_drop_his_own_spectators_only() -> None:
    service = Service(ann=1, bob=1)
    watched = service.watched("s")
    service.outputs()
    service.watching.drop("bob", spectator_id=watched.spectator_id)
    assert not service.outputs()
    service.watching.drop("ann", spectator_id=watched.spectator_id)
    assert [(o.socket, o.payload.event) for o in service.outputs()] == [("s", "watch_over")]


@pytest.mark.parametrize("number", [-1, MAX_SPECTATORS + 1])
def test_nobody_offers_more_than_is_within_reason(number: int) -> None:
    rooms = Service().rooms
    rooms.register("eve", "eve")
    assert refused(rooms.join("eve", room="x", seats=(0, 1), spectators=number)) is Code.BAD_REQUEST
