"""The exchange of states at a desync: once with each player, and only states of the episode that runs."""

from __future__ import annotations

from typing import Any

import msgspec

from gym_p2p.core.match.events import Desynced, GiveState, StateArrived
from gym_p2p.core.record.documents import build_document
from gym_p2p.core.record.episode import Begin
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.state.fields import Fields
from gym_p2p.game.state.snapshot import snapshots_named
from gym_p2p.play.state_exchange import StateExchange
from tests.toys import Blend


def _fields(skew: float) -> Fields:
    env = Blend("dict")
    game = make_game(env)
    game.reset(1)
    env.skew = skew
    snapshots = snapshots_named(game, "layers")
    fields = snapshots.fields(snapshots.save())
    assert fields is not None
    return fields


class _Side:
    def __init__(self, skew: float) -> None:
        self.record = MatchRecord(
            game_id="match",
            player_id=0,
            players=("a", "b"),
            peers=(1, 2),
            session_start_ms=0,
            environment={},
            config={},
        )
        self.sent: list[GiveState] = []
        self.exchange = StateExchange(self.record, self.sent.append)
        self._states = _fields(skew)

    def begin(self, episode: int) -> None:
        self.record.begin_episode(Begin(at_ms=0), number=episode)
        self.exchange.begin_episode(episode, lambda frame: self._states if frame == 9 else None)

    def differs(self, episode: int, frame: int = 9, player: int = 1) -> None:
        if (record := self.record.called(episode)) is not None:
            record.desync(frame, "aa", "bb", 0)
        self.exchange.receive(Desynced(episode, frame, player, b"a", b"b"))

    def events(self) -> list[dict[str, Any]]:
        document = build_document("multiplayer", self.record, 0, lambda _seat, _data: None)
        events = msgspec.to_builtins(document)["validation"]["allDesyncEvents"]
        assert isinstance(events, list)
        return events


def test_both_states_and_the_field_that_differs_are_recorded_where_they_belong() -> None:
    ours, theirs = _Side(0.0), _Side(0.25)
    for side in (ours, theirs):
        side.begin(1)
        side.begin(3)
        side.differs(3)
    (given,) = theirs.sent
    ours.exchange.receive(StateArrived(1, given.episode, given.frame, given.data))
    (event,) = ours.events()
    assert event["episode"] == 2, "in the exports episodes that did not begin do not count"
    assert event["stateDifferences"] == [{"path": "unwrapped.skew", "ours": "0.0", "theirs": "0.25"}]


def test_every_player_gets_one_state_in_a_match_however_many_episodes_differ() -> None:
    side = _Side(0.0)
    for episode in (1, 2):
        side.begin(episode)
        for player in (1, 2):
            side.differs(episode, player=player)
    assert [(given.player, given.episode) for given in side.sent] == [(1, 1), (2, 1)]


def test_a_difference_of_an_episode_that_is_over_gets_no_state_of_the_running_one() -> None:
    side = _Side(0.0)
    side.begin(1)
    side.begin(2)
    side.differs(1)
    assert side.sent == []
    side.differs(2)
    assert [(given.episode, given.frame) for given in side.sent] == [(2, 9)]
