"""Ways back into a match that are not straight, and answers that are none."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
import pytest

from gym_p2p.config import SyncConfig
from gym_p2p.core.match import history
from gym_p2p.core.match.catching_up import CatchingUp
from gym_p2p.core.match.events import PlayerGone, ProtocolErrorSeen, Resumed
from gym_p2p.core.match.forwards import Forwards
from gym_p2p.core.match.history import History
from gym_p2p.core.match.outputs import Outputs, Transmit
from gym_p2p.core.match.peer import Peer, PeerState
from gym_p2p.core.match.return_events import PlayerAway, PlayerReturned, ReturnFailed
from gym_p2p.core.match.returning import nothing_past
from gym_p2p.core.match.seals import Seals
from gym_p2p.core.wire.codec import JsonObject
from gym_p2p.core.wire.messages import Checksum, Ready, decode, encode
from gym_p2p.core.wire.past import PastWord, Recall
from gym_p2p.errors import ProtocolError
from tests.core.match.cut_table import inputs_of
from tests.core.match.returning_table import Death, MortalPlayer, MortalTable, lockstep, rollback


def assert_alike(table: MortalTable, *seats: int) -> None:
    assert not table.desyncs()
    for seat in seats:
        assert not table.seats[seat].events_of(ProtocolErrorSeen)
        assert inputs_of(table, seat) == inputs_of(table, seats[0])


@pytest.mark.parametrize("at_s", [round(2.3 + 0.04 * step, 2) for step in range(10)])
def test_who_dies_around_a_barrier_is_where_the_others_are(at_s: float) -> None:
    table = lockstep(3, [Death(0, at_s, 1.0)], frames=40, episodes=4)
    assert table.run(60)
    assert_alike(table, 0, 1, 2)
    assert len(inputs_of(table, 0)) == 160


def test_who_comes_back_does_not_wait_for_one_who_is_away_for_all() -> None:
    table = lockstep(3, [Death(0, 1.5, None), Death(1, 2.0, 3.0)])
    assert table.run(60)
    assert table.seats[2].events_of(PlayerReturned)
    assert {seat.over.player for seat in table.seats[1:] if seat.over} == {0}
    assert_alike(table, 1, 2)


def test_who_comes_back_learns_who_is_gone_by_then() -> None:
    sync = SyncConfig(checksum_interval=10, reconnect_timeout_s=2, rejoin_timeout_s=3)
    options: dict[str, Any] = {"continue_without_leavers": True, "frames": 400, "episodes": 1}
    table = lockstep(3, [Death(0, 1.0, None), Death(1, 8.0, 1.0)], sync=sync, **options)
    assert table.run(60)
    assert [gone.player for gone in table.seats[1].events_of(PlayerGone)][-1] == 0
    assert table.seats[2].events_of(PlayerReturned)
    assert_alike(table, 1, 2)
    assert len(inputs_of(table, 1)) == 400


@pytest.mark.parametrize("make", [lockstep, rollback])
def test_a_process_that_merely_stood_still_goes_on_as_it_was(make: Any) -> None:
    table = make(2)
    network = table.network
    for at_s, does in ((1.0, network.darken), (8.0, network.brighten)):
        for ends in ((0, 1), (1, 0)):
            table.clock.call_at(at_s, partial(does, *ends))
    assert table.run(60)
    assert_alike(table, 0, 1)
    for seat in table.seats:
        assert seat.events_of(PlayerAway)
        assert seat.events_of(Resumed)
        assert not seat.events_of(PlayerReturned)


def test_whose_game_comes_out_otherwise_does_not_get_the_seat(monkeypatch: pytest.MonkeyPatch) -> None:
    come_back = MortalPlayer.come_back

    def otherwise(self: MortalPlayer, *arguments: Any) -> None:
        come_back(self, *arguments)
        self.state = 99

    monkeypatch.setattr(MortalPlayer, "come_back", otherwise)
    table = lockstep(2, [Death(0, 1.5, 2.0)])
    assert table.run(60)
    assert "does not come out as the others have it" in (table.seat(0).failed or "")
    assert not table.seats[1].events_of(PlayerReturned)
    assert table.seats[1].over is not None


# Answers, taken by themselves.


def asking(players: int = 2) -> tuple[CatchingUp, dict[int, Peer], Outputs]:
    sync = SyncConfig(rejoin_timeout_s=20)
    peers = {index: Peer(index=index, sync=sync, players=players) for index in range(1, players)}
    outputs = Outputs(peers, Forwards(local=0, peers=peers, seals=Seals(b"ours", players=players)))
    for peer in peers.values():
        peer.opened(0.0)
        peer.state = PeerState.PLAYING
    return CatchingUp(local=0, peers=peers, outputs=outputs, history=History(players)), peers, outputs


def test_what_was_not_asked_for_is_refused_and_what_comes_late_is_not_taken() -> None:
    catching_up, peers, _ = asking(3)
    past = nothing_past(Recall(1, (0, 0, 0), 0, claims=True), 0, returning=False)
    with pytest.raises(ProtocolError):
        catching_up.take_past(peers[2], past, 0.1)
    catching_up.look(0.1)  # asks the first
    peers[1].interrupted = True
    catching_up.look(0.2)  # and then the second
    catching_up.take_past(peers[1], past, 0.3)
    assert not catching_up.complete
    catching_up.take_past(peers[2], past, 0.4)
    peers[1].interrupted = False
    catching_up.look(0.5)
    catching_up.take_past(peers[1], past, 0.6)
    assert catching_up.complete


@pytest.mark.parametrize(
    "word",
    [
        PastWord(1, encode(Checksum(1, 0, b"x"))),
        PastWord(7, encode(Ready(1, None, None, 0, 0))),
        PastWord(1, encode(Ready(9, None, None, 0, 0))),
    ],
)
def test_a_word_that_nobody_can_have_said_is_refused(word: PastWord) -> None:
    catching_up, _, _ = asking()
    with pytest.raises(ProtocolError):
        catching_up.take_word(word)


def test_what_is_put_off_is_bounded() -> None:
    catching_up, peers, _ = asking()
    for frame in range(4096):
        catching_up.put_off_or_drop(peers[1], Checksum(1, frame, b"x"))
    with pytest.raises(ProtocolError):
        catching_up.put_off_or_drop(peers[1], Checksum(1, 5000, b"x"))


@pytest.mark.parametrize("poured", ["episodes", "digests", "words"])
def test_what_is_told_of_the_past_without_end_is_bounded(
    monkeypatch: pytest.MonkeyPatch, poured: str
) -> None:
    monkeypatch.setattr(history, "HISTORY_BYTES", 100_000)
    catching_up, peers, outputs = asking()
    catching_up.look(0.1)
    nothing = nothing_past(Recall(1, (0, 0), 0, claims=True), 10_000, returning=False)
    options = JsonObject({"x": "y" * 2_000} if poured == "words" else {})
    digests = tuple([(frame, b"x") for frame in range(20)]) if poured == "digests" else ()
    for episode in range(1, 1_000):
        catching_up.take_word(PastWord(1, encode(Ready(episode, None, options, 0, 0))))
        past = msgspec.structs.replace(nothing, episode=episode, digests=digests, more=True)
        catching_up.take_past(peers[1], past, 0.1)
    assert catching_up.failed
    assert sum(map(len, catching_up._words.values())) <= 100_000 // (2_500 if poured == "words" else 500)
    assert len(catching_up.digests) < 100_000 // 128
    assert [one.why for one in iter(outputs.poll, None) if isinstance(one, ReturnFailed)] == [
        "there is more of the match than anybody keeps for who comes back"
    ]


def test_who_is_asked_again_is_asked_for_no_digest_a_second_time() -> None:
    """Now and then: whether the third player, who does not answer us, is away by now."""
    catching_up, peers, outputs = asking(3)
    peers[2].interrupted = True
    catching_up.look(0.0)
    whole = nothing_past(Recall(1, (0, 0, 0), 0, claims=True), 1, returning=False)
    recalls: list[Recall] = []
    for half_second in range(10):
        sent = [decode(one.data) for one in iter(outputs.poll, None) if isinstance(one, Transmit)]
        recalls += [one for one in sent if isinstance(one, Recall)]
        there = tuple([(frame, b"x") for frame in range(20)])[recalls[-1].digests :]
        told = msgspec.structs.replace(whole, digests=there, digest_count=20, inputs=((), (), ()))
        if catching_up._asked is not None:
            catching_up.take_past(peers[1], told, half_second / 2)
        catching_up.look(half_second / 2 + 0.5)
    assert len(recalls) > 3
    assert [one.digests for one in recalls] == [0, *[20] * (len(recalls) - 1)]
    assert len(catching_up.digests) == 20
    assert not catching_up.complete


def test_it_is_given_up_once() -> None:
    catching_up, _, _ = asking()
    catching_up.give_up()
    catching_up.give_up()
    assert catching_up.failed
    catching_up.look(1.0)
    assert not catching_up.complete


@pytest.mark.parametrize("start", [5, 0])
def test_of_what_was_played_nothing_is_taken_with_a_gap_or_of_too_many_players(start: int) -> None:
    whole = History(2)
    whole.begin({})
    for player in (0, 1):
        whole.add(player, [b"x"] * 10)
    past = whole.past(Recall(1, (start, start), 0, claims=True), more=False)
    with pytest.raises(ProtocolError):
        History(2 if start else 3).merge(past)
