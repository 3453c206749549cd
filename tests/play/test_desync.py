"""The exchange of states at a desync: once with each player, and only states of the episode that runs."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gym_p2p.core.match.commands import GiveState
from gym_p2p.core.match.events import Desynced, StateArrived
from gym_p2p.core.record.documents import build_document
from gym_p2p.core.record.episode import Begin
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.exports.encoding import to_data
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.state.dumps import MAX_PLAIN_BYTES, NoStateError
from gym_p2p.game.state.fields import Fields
from gym_p2p.game.state.snapshot import snapshots_named
from gym_p2p.play.state_comparer import StateComparer
from gym_p2p.play.state_exchange import AtOnce, Beside, StateExchange, Workplace
from tests.game.state.test_dumps import HOSTILE
from tests.toys import Blend
from tests.waiting import PATIENCE_S


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
    def __init__(self, skew: float, workplace: Workplace | None = None) -> None:
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
        self.exchange = StateExchange(self.record, self.sent.append, workplace or AtOnce())
        self._states = _fields(skew)

    def begin(self, episode: int) -> None:
        self.record.begin_episode(Begin(at_ms=0), number=episode)
        self.exchange.begin_episode(episode, lambda frame: self._states if frame == 9 else None)

    def hold(self, fields: Fields) -> None:
        self._states = fields

    def differs(self, episode: int, frame: int = 9, player: int = 1) -> None:
        if (record := self.record.called(episode)) is not None:
            record.desync(frame, "aa", "bb", 0)
        self.exchange.receive(Desynced(episode, frame, player, b"a", b"b"))

    def events(self) -> list[dict[str, Any]]:
        document = build_document("multiplayer", self.record, 0, lambda _seat, _data: None)
        events = to_data(document)["validation"]["allDesyncEvents"]
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


# Whatever another player sends as a state is looked at elsewhere, and the documents say what became of it.


def _desynced(workplace: Workplace | None = None) -> _Side:
    side = _Side(0.0, workplace)
    side.begin(1)
    side.differs(1)
    return side


@pytest.fixture
def beside() -> Iterator[Beside]:
    workplace = Beside()
    yield workplace
    workplace.finish(PATIENCE_S)
    assert "gym_p2p desync" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_state_is_named_in_the_documents(data: bytes) -> None:
    side = _desynced()
    (event,) = side.events()
    assert event["stateProblem"] == "the other player has sent no state"
    side.exchange.receive(StateArrived(1, 1, 9, data))
    (event,) = side.events()
    assert (event["hasStateDump"], event["states"]) == (False, None)
    assert event["stateProblem"].startswith("what the other player sent was not compared: ")


def test_states_are_compared_beside_the_play_by_a_process_of_its_own(beside: Beside) -> None:
    ours, theirs = _desynced(beside), _Side(0.25)
    theirs.begin(1)
    theirs.differs(1)
    (given,) = theirs.sent
    ours.exchange.receive(StateArrived(1, given.episode, given.frame, given.data))
    ours.exchange.finish(PATIENCE_S)
    (event,) = ours.events()
    assert event["stateDifferences"] == [{"path": "unwrapped.skew", "ours": "0.0", "theirs": "0.25"}]
    assert event["states"]["ours"]["unwrapped"] != event["states"]["theirs"]["unwrapped"]
    assert [sent.player for sent in ours.sent] == [1]


@pytest.mark.parametrize("name", ["16 MB of lists", "deep", "a lone surrogate", "a float beyond"])
def test_what_is_no_state_is_refused_by_that_process(beside: Beside, name: str) -> None:
    side = _desynced(beside)
    side.exchange.receive(StateArrived(1, 1, 9, HOSTILE[name]))
    side.exchange.finish(PATIENCE_S)
    (event,) = side.events()
    assert event["stateProblem"].startswith("what the other player sent was not compared: ")


def test_where_our_state_cannot_be_sent_that_is_said_also_once_theirs_has_come() -> None:
    side, theirs = _Side(0.0), _Side(0.25)
    side.hold({"x": bytes(MAX_PLAIN_BYTES)})
    for one in (side, theirs):
        one.begin(1)
        one.differs(1)
    for when in ("before", "after"):
        (event,) = side.events()
        assert event["stateProblem"].startswith("our state cannot be sent: it has more than "), when
        side.exchange.receive(StateArrived(1, 1, 9, theirs.sent[0].data))
    assert side.sent == []


def test_it_waits_until_both_states_are_under_way_whichever_is_first() -> None:
    class Later(AtOnce):
        def submit(self, job: Callable[[], None]) -> None:
            jobs.append(job)

    jobs: list[Callable[[], None]] = []
    side = _desynced(Later())
    assert side.exchange.waits
    side.exchange.receive(StateArrived(1, 1, 9, b"theirs, before ours is packed"))
    assert side.exchange.waits
    assert side.sent == []
    for job in jobs:
        job()
    assert len(side.sent) == 1
    assert not side.exchange.waits


class _Slow(Beside):
    """A workplace whose comparisons take as long as they may."""

    def __init__(self) -> None:
        super().__init__()
        self.began = threading.Event()
        self.on: set[int] = set()

    def compare(self, ours: bytes, theirs: bytes) -> Any:
        self.on.add(threading.get_ident())
        self.began.set()
        return super().compare(ours, theirs)


def test_nothing_of_it_is_done_by_whoever_plays() -> None:
    slow = _Slow()
    side = _desynced(slow)
    side.exchange.receive(StateArrived(1, 1, 9, HOSTILE["deep"]))
    assert slow.began.wait(PATIENCE_S)
    side.exchange.finish(PATIENCE_S)
    assert slow.on
    assert threading.get_ident() not in slow.on


def test_what_is_not_compared_by_the_end_is_given_up_and_the_documents_say_so() -> None:
    slow = _Slow()
    side = _desynced(slow)
    for _ in range(3):
        side.exchange.receive(StateArrived(1, 1, 9, HOSTILE["16 MB of lists"]))
    side.exchange.finish(0.0)
    (event,) = side.events()
    assert event["stateProblem"].startswith("what the other player sent was not compared: given up")
    side.exchange.finish(PATIENCE_S)


def test_what_takes_too_long_is_given_up() -> None:
    with pytest.raises(NoStateError, match="takes more than 0 s"):
        StateComparer().compare(zlib.compress(b"{}"), zlib.compress(b"{}"), limit_s=0.0)


def test_what_takes_too_much_memory_or_ends_its_process_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gym_p2p.play.state_comparer.python_command", lambda _module: ["false"])
    with pytest.raises(NoStateError, match="the process that compared it ended"):
        StateComparer().compare(b"", b"", limit_s=PATIENCE_S)


def test_only_one_state_a_player_is_looked_at_and_only_of_the_frame_that_differed() -> None:
    seen: list[bytes] = []

    class Counting(AtOnce):
        def compare(self, ours: bytes, theirs: bytes) -> Any:
            seen.append(theirs)
            return super().compare(ours, theirs)

    side = _desynced(Counting())
    for frame, player in ((8, 1), (9, 2), (9, 1), (9, 1)):
        side.exchange.receive(StateArrived(player, 1, frame, b"state"))
    assert len(seen) == 1


def test_of_a_match_only_so_much_is_kept_and_the_differences_of_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gym_p2p.play.state_exchange.KEPT_BYTES", 10)
    ours, theirs = _desynced(), _Side(0.25)
    theirs.begin(1)
    theirs.differs(1)
    ours.exchange.receive(StateArrived(1, 1, 9, theirs.sent[0].data))
    (event,) = ours.events()
    assert (event["hasStateDump"], event["states"], event["stateProblem"]) == (True, None, None)
    assert [row["path"] for row in event["stateDifferences"]] == ["unwrapped.skew"]
