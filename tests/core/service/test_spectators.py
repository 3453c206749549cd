from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gym_p2p.config import IceServer
from gym_p2p.core.api.payloads import encode
from gym_p2p.core.api.replies import Accepted, Answer, Candidate, Code, Description, Emit, Refused
from gym_p2p.core.api.rooms import MAX_SPECTATORS, PeerLeft, Replaced
from gym_p2p.core.api.spectators import SpectatorJoined, SpectatorLeft, WatchedMatch, WatchOver
from tests.core.service.desk import Desk

OFFER = Description("offer", "v=0")


class Service(Desk):
    """Rooms and their spectators, with a room ``r`` in which ann, bob and cat play."""

    def __init__(
        self, ice_servers: Callable[[str], tuple[IceServer, ...]] = lambda _subject: (), **shows: int
    ) -> None:
        super().__init__(spectators_ice_servers=ice_servers)
        for seat, name in enumerate(("ann", "bob", "cat")):
            self.register(name, name)
            spectators = shows.get(name, 0)
            self.join(name, room="r", seats=("w0", 1, 2), take=(("w0", 1, 2)[seat],), spectators=spectators)
        self.outputs()

    def watch(self, socket: str, **where: Any) -> Answer:
        self.register(socket, socket)
        return super().watch(socket, **({"room": "r"} | where))

    def watched(self, name: str, **where: Any) -> WatchedMatch:
        answer = self.watch(name, **where)
        assert isinstance(answer, Accepted), answer
        assert isinstance(answer.value, WatchedMatch)
        return answer.value

    def outputs(self) -> list[Emit]:
        return [
            o for o in iter(self.poll, None) if isinstance(o, Emit) and not isinstance(o.payload, PeerLeft)
        ]


def refused(answer: Answer | None) -> Code:
    assert isinstance(answer, Refused), answer
    return answer.code


def test_the_player_who_shows_it_to_the_fewest_is_the_source_and_learns_of_it() -> None:
    service = Service(ann=2, cat=2)
    sources = [service.watched(f"s{number}").source for number in range(4)]
    assert sorted(map(str, sources)) == ["2", "2", "w0", "w0"]
    joined = [(o.socket, o.payload) for o in service.outputs()]
    assert sorted(socket for socket, _ in joined) == ["ann", "ann", "cat", "cat"]
    joined_matches = {p.match_id for _, p in joined if isinstance(p, SpectatorJoined)}
    assert joined_matches == {"match-1"}


def test_the_player_who_shows_it_gets_servers_that_are_good_now() -> None:
    minted = iter(range(9))
    service = Service(
        lambda subject: (IceServer(urls=(f"turn:{subject}.example",), username=f"{next(minted)}"),), ann=2
    )
    for number in range(2):
        service.watched(f"s{number}")
    joined = [o.payload for o in service.outputs() if isinstance(o.payload, SpectatorJoined)]
    assert [server.urls for one in joined for server in one.ice_servers] == [("turn:ann.example",)] * 2
    assert len({server.username for one in joined for server in one.ice_servers}) == 2


def test_a_spectators_id_is_no_seats_name() -> None:
    assert Service(ann=1).watched("s").spectator_id == "w1"  # "w0" was drawn first, and is a seat


def test_one_more_than_the_players_allow_is_refused_and_a_place_given_up_is_free() -> None:
    service = Service(ann=1, bob=1)
    service.watched("s")
    service.watched("t")
    assert refused(service.watch("u")) is Code.ROOM_FULL
    assert isinstance(service.stop_watching("s"), Accepted)
    service.watched("u")
    assert service.machines.spectators.count == 2


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
    assert refused(Desk.watch(service, "nobody", room="r")) is Code.UNAUTHENTICATED


def test_the_avoided_player_is_taken_only_if_there_is_no_other() -> None:
    service = Service(ann=2, bob=2)
    assert service.watched("s", avoid="w0").source == 1
    assert service.watched("t", avoid="w0").source == 1
    assert service.watched("u", avoid="w0").source == "w0"


def test_signals_pass_between_a_spectator_and_their_player_and_nobody_else() -> None:
    service = Service(ann=1, bob=1)
    first, second = service.watched("s"), service.watched("t")
    service.outputs()

    def signal(sender: str, target: Any, payload: Any = OFFER, game_id: str = "match-1") -> Answer:
        return service.signal(sender, game_id=game_id, target_player_id=target, payload=payload)

    assert isinstance(signal("s", first.source), Accepted)
    assert isinstance(signal("ann", first.spectator_id), Accepted)
    relayed = [(o.socket, encode(o.payload)["from_player_id"]) for o in service.outputs()]
    assert relayed == [("ann", first.spectator_id), ("s", first.source)]
    assert refused(signal("s", second.source)) is Code.NO_SUCH_MATCH
    assert refused(signal("bob", first.spectator_id)) is Code.NOT_A_MEMBER
    assert refused(signal("s", second.spectator_id)) is Code.NO_SUCH_MATCH
    assert refused(signal("s", first.source, game_id="x")) is Code.NO_SUCH_MATCH
    assert refused(signal("s", first.source, Candidate("x" * 10_000))) is Code.TOO_LARGE
    assert not service.outputs()


def test_a_spectator_who_is_gone_leaves_their_place_and_their_player_is_told() -> None:
    service = Service(ann=1)
    watched = service.watched("s")
    service.outputs()
    service.disconnected("s")
    service.disconnected("s")
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
def test_when_the_player_leaves_their_spectators_learn_of_it_and_find_another_one(how: str) -> None:
    service = Service(ann=1, bob=1)
    assert service.watched("s").source == "w0"
    service.outputs()
    if how == "left":
        service.leave("ann", room="r")
    else:
        service.disconnected("ann")
    (told,) = service.outputs()
    assert (told.socket, told.payload) == ("s", WatchOver("match-1", "left"))
    assert service.watched("s", room=None, match_id="match-1").source == 1


def test_a_player_can_drop_their_own_spectators_only() -> None:
    service = Service(ann=1, bob=1)
    watched = service.watched("s")
    service.outputs()
    service.drop_spectator("bob", watched.spectator_id)
    assert not service.outputs()
    service.drop_spectator("ann", watched.spectator_id)
    assert [(o.socket, o.payload.event) for o in service.outputs()] == [("s", "watch_over")]


@pytest.mark.parametrize("number", [-1, MAX_SPECTATORS + 1])
def test_nobody_offers_more_than_is_within_reason(number: int) -> None:
    service = Service()
    service.register("eve", "eve")
    assert refused(service.join("eve", room="x", seats=(0, 1), spectators=number)) is Code.BAD_REQUEST


def test_a_spectator_who_comes_back_on_another_socket_has_to_ask_again() -> None:
    service = Service(ann=1)
    watched = service.watched("s")
    service.outputs()
    service.register("s2", "s")
    replaced, left = service.outputs()
    assert (replaced.socket, replaced.payload) == ("s", Replaced(subject_id="s"))
    assert (left.socket, left.payload) == ("ann", SpectatorLeft("match-1", watched.spectator_id))
    assert service.machines.spectators.count == 0
