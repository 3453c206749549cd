"""Players whose processes end and who come back: nothing is lost, or all who are left end alike."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_p2p.core.match import history
from gym_p2p.core.match.events import EXCLUDED, HandshakeMismatch, PlayerGone, ProtocolErrorSeen, Resumed
from gym_p2p.core.match.match import Match, Transmit
from gym_p2p.core.match.return_events import PlayerAway, PlayerReturned, SeatTaken
from gym_p2p.core.match.returning import nothing_past
from gym_p2p.core.match.seals import Seals
from gym_p2p.core.wire.codec import JsonObject
from gym_p2p.core.wire.messages import PROTOCOL_VERSION, Hello, Ping, Refuse, Resume, decode, encode
from gym_p2p.core.wire.past import PastWord, Recall, TookSeat
from gym_p2p.net.links.memory import Path
from tests.core.examples import examples
from tests.core.match.cut_table import assert_nobody_differs, assert_undisturbed
from tests.core.match.pairs import greeted_match, outputs_of, seals_of
from tests.core.match.returning_table import SYNC, Death, MortalTable, lockstep, rollback

LINK = b"what its two ends have in common"


def told(table: MortalTable) -> list[Any]:
    return [(seat.over, len(seat.played), seat.match._exchange.episode) for seat in table.seats]


@pytest.mark.parametrize("make", [lockstep, rollback])
@pytest.mark.parametrize("players", [2, 3])
@pytest.mark.parametrize("word", [True, False])
def test_a_player_who_dies_comes_back_and_nothing_is_lost(make: Any, players: int, *, word: bool) -> None:
    table = make(players, [Death(0, 1.5, 2.0, word=word)])
    assert table.run(60), told(table)
    assert_undisturbed(table)
    for seat in table.seats[1:]:
        (away,) = seat.events_of(PlayerAway)
        (back,) = seat.events_of(PlayerReturned)
        assert (away.player, back.player) == (0, 0)
        assert back.away_s > 0
    assert table.seats[0].events_of(SeatTaken)


@pytest.mark.parametrize("make", [lockstep, rollback])
@pytest.mark.parametrize("players", [2, 3])
def test_who_plays_again_for_long_takes_nobody_for_unresponsive_meanwhile(make: Any, players: int) -> None:
    table = make(players, [Death(0, 1.5, 2.0, slowly_s=15.0)])
    assert table.run(60), told(table)
    assert_undisturbed(table)
    assert table.seats[0].events_of(SeatTaken)


@pytest.mark.parametrize("word", [True, False])
@pytest.mark.parametrize("back_s", [0.3, 1.0, 6.0])
def test_who_is_back_before_they_were_missed_was_away_since_they_were_heard_last(
    back_s: float, *, word: bool
) -> None:
    table = lockstep(2, [Death(0, 1.5, back_s, word=word)])
    assert table.run(60), told(table)
    assert_undisturbed(table)
    (back,) = table.seats[1].events_of(PlayerReturned)
    assert back_s < back.away_s < back_s + 2.0


DEATHS = st.lists(
    st.builds(
        Death,
        player=st.integers(0, 3),
        at_s=st.floats(0.2, 8),
        back_s=st.none() | st.floats(0.1, 9) | st.floats(19, 24),
        word=st.booleans(),
        slowly_s=st.floats(0, 4),
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.slow
@settings(max_examples=examples(40), deadline=None)
@given(
    players=st.integers(2, 4),
    window=st.booleans(),
    deaths=DEATHS,
    loss=st.sampled_from([0.0, 0.1, 0.3]),
    seed=st.integers(0, 1000),
)
def test_whoever_dies_and_comes_back_nobody_differs_and_nobody_hangs(
    players: int, deaths: list[Death], loss: float, seed: int, *, window: bool
) -> None:
    deaths = [attrs.evolve(death, player=death.player % players) for death in deaths]
    options: dict[str, Any] = {"seed": seed, "path": Path(one_way_ms=25, loss=loss, jitter_ms=4)}
    if window:
        table = rollback(players, deaths, frames=120, **options)
    else:
        table = lockstep(players, deaths, frames=40, episodes=2, **options)
    assert table.run(200), told(table)
    assert not table.desyncs()
    assert_nobody_differs(table)
    left = [seat for seat in table.seats if not seat.stopped and seat.over is not None]
    # Who came back too late is told of that, and ends by whoever of all the others is missed first.
    left = [seat for seat in left if all(gone.reason != EXCLUDED for gone in seat.events_of(PlayerGone))]
    assert len({(seat.over.frame, seat.over.reason, seat.over.player) for seat in left if seat.over}) <= 1


def test_who_is_back_too_late_tells_nobody_else_who_comes_back_that_the_others_are_gone() -> None:
    deaths = [Death(0, 2.0, 19.0, slowly_s=3.0), Death(1, 5.0, 19.0, word=False)]
    table = lockstep(3, deaths, frames=40, episodes=2, path=Path(one_way_ms=25, jitter_ms=4))
    assert table.run(200), told(table)
    late, *left = table.seats
    assert {gone.reason for gone in late.events_of(PlayerGone)} == {EXCLUDED}
    assert {(seat.over.reason, seat.over.player) for seat in left if seat.over} == {("peer_crashed", 0)}
    assert len({seat.over.frame for seat in left if seat.over}) == 1


def returnable(rejoin_ms: int = 20_000) -> Match:
    """Return the first player's match of two, whom the other one has greeted who would wait, too."""
    return greeted_match(2, sync=SYNC, reconnect_ms=4_000, rejoin_ms=rejoin_ms)


def introduced(match: Match, incarnation: int, *, secret: bytes = b"\x01") -> bool:
    """Return whether a process of the other player's, or of whoever has that secret, is recognised."""
    seals = Seals(secret, players=2, incarnation=incarnation)
    resume = Resume(1, seals.proof_for(0, 1, LINK), incarnation)
    return match.recognises(1, 1, LINK, encode(resume))


def of(kind: type[Any], outputs: list[object]) -> list[Any]:
    return [one for one in outputs if isinstance(one, kind)]


def test_who_has_not_the_secret_takes_nobodys_seat() -> None:
    match = returnable()
    match.closed(1, 1.0)
    assert not introduced(match, 1, secret=b"somebody else's")
    assert introduced(match, 1)


def test_a_process_that_was_followed_by_another_takes_nothing_back() -> None:
    match = returnable()
    match.closed(1, 1.0)
    assert introduced(match, 2)
    match.replaced(1, 1.5)
    assert not introduced(match, 0)
    assert not introduced(match, 1)
    assert introduced(match, 2)  # its path broke
    assert introduced(match, 3)  # it was started twice


def test_who_comes_back_too_late_is_gone_and_stays_it() -> None:
    match = returnable()
    match.closed(1, 1.0)
    gone = []
    for tenth in range(10, 240):
        match.handle_timeout(tenth / 10)
        gone += [tenth / 10 for _ in of(PlayerGone, outputs_of(match))]
    assert gone == pytest.approx([1.0 + 2.0 + SYNC.rejoin_timeout_s], abs=0.2)
    assert not introduced(match, 1)


def test_where_one_would_not_wait_nobody_does() -> None:
    match = returnable(rejoin_ms=0)
    match.closed(1, 1.0)
    gone = []
    for tenth in range(10, 40):
        match.handle_timeout(tenth / 10)
        gone += of(PlayerGone, outputs_of(match))
    assert [one.reason for one in gone] == ["peer_crashed"]
    assert not introduced(match, 1)


@pytest.mark.parametrize(
    ("version", "description"),
    [(PROTOCOL_VERSION, {"must": {"game": "chess"}}), (PROTOCOL_VERSION - 1, {"must": {}})],
)
def test_a_process_that_plays_something_else_is_refused_and_the_match_goes_on_without_it(
    version: int, description: dict[str, Any]
) -> None:
    match = returnable()
    match.closed(1, 1.0)
    assert introduced(match, 1)
    match.replaced(1, 1.5)
    outputs_of(match)
    key = seals_of(1, 2).key_for(0)
    match.receive(1, encode(Hello(version, JsonObject(description), key, 4_000, 20_000)), 1.6)
    outputs = outputs_of(match)
    assert not of(HandshakeMismatch, outputs)
    sent = [decode(one.data) for one in of(Transmit, outputs)]
    assert [one for one in sent if isinstance(one, Refuse)]
    match.receive(1, encode(Ping(1, 1, 0)), 1.7)  # over the link that was refused
    assert not of(Resumed, outputs_of(match))
    assert introduced(match, 2)


def test_who_was_never_away_is_told_nothing_of_the_past_and_takes_no_seat() -> None:
    match = returnable()
    recall = Recall(1, (0, 0), 0, claims=True)
    past = nothing_past(recall, 0, returning=False)
    for message in (recall, past, TookSeat(0, 0, 0, 0, 0, b""), PastWord(1, b"")):
        match.receive(1, encode(message), 0.5)
        assert len(of(ProtocolErrorSeen, outputs_of(match))) == 1


@pytest.mark.parametrize("make", [lockstep, rollback])
def test_two_who_die_at_once_both_come_back(make: Any) -> None:
    table = make(3, [Death(0, 1.5, 2.0), Death(1, 1.6, 2.5)])
    assert table.run(60), told(table)
    assert_undisturbed(table)


@pytest.mark.parametrize("make", [lockstep, rollback])
def test_who_dies_again_while_they_catch_up_comes_back_the_next_time(make: Any) -> None:
    table = make(2, [Death(0, 1.5, 2.0, slowly_s=3.0), Death(0, 5.0, 1.0)])
    assert table.run(60), told(table)
    assert_undisturbed(table)
    assert table.seat(0).incarnation == 2


@pytest.mark.parametrize("make", [lockstep, rollback])
def test_whoever_feeds_may_die_meanwhile_where_another_one_is_there(make: Any) -> None:
    table = make(3, [Death(0, 1.5, 2.0, slowly_s=1.0), Death(1, 3.55, 2.0)])
    assert table.run(60), told(table)
    assert_undisturbed(table)


def test_where_nobody_is_left_who_knows_the_match_it_is_over_for_all() -> None:
    table = lockstep(2, [Death(0, 1.5, 3.0), Death(1, 1.6, 3.0)])
    assert table.run(60, until=lambda: all(table.seat(player).failed for player in (0, 1))), told(table)


def test_an_input_that_a_single_other_player_holds_is_not_given_anew() -> None:
    table = lockstep(3, [Death(0, 1.5, 2.0)], paths={(0, 1): Path(one_way_ms=20, loss=0.9)}, seed=3)
    assert table.run(60), told(table)
    assert_undisturbed(table)


def test_of_a_match_that_is_longer_than_is_kept_nobody_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "HISTORY_BYTES", 2_000)
    table = lockstep(2, [Death(0, 1.5, 2.0)])
    assert table.run(60), told(table)
    assert table.seats[1].over is not None
    assert table.seats[1].over.reason == "peer_crashed"
    assert not table.seats[1].events_of(PlayerAway)


def test_what_is_kept_for_who_comes_back_is_a_place_in_a_list_for_an_input_that_came_before() -> None:
    kept = history.History(2)
    kept.begin({})
    for frame in range(10_000):
        kept.add(0, (bytes([frame % 4]),))
        kept.add(1, (bytes([7]),))
    assert kept.size_bytes < 2 * 10_000 * 8 + 1_000
    assert kept.episodes[0].inputs[0][4] is kept.episodes[0].inputs[0][0]
