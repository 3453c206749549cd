"""Nobody's last words are lost where everybody closes, whatever becomes of the paths meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_p2p.core.match.events import PlayerGone
from gym_p2p.core.match.leaving import LINGER_S, REPAIRED_S
from gym_p2p.core.match.ways import WayChanged, WayKind
from gym_p2p.net.links.memory import Path
from tests.core.examples import examples, rarely
from tests.core.match.cut_table import FOR_GOOD_S, PAIRS, Cut
from tests.core.match.ending_table import EndingTable, is_control
from tests.core.tables import TICK_S, held_action

FRAMES = 50
WITHIN_S = 60


def rollback(players: int, cuts: Sequence[Cut] = (), **options: Any) -> EndingTable:
    settings = {"path": Path(one_way_ms=30), "action": held_action, "tick_s": TICK_S, "window": 8}
    return EndingTable(players, cuts, **{**settings, "frames": FRAMES, **options})


def lockstep(players: int, cuts: Sequence[Cut] = (), **options: Any) -> EndingTable:
    return EndingTable(players, cuts, **{"path": Path(one_way_ms=20), "frames": FRAMES, **options})


MAKERS = pytest.mark.parametrize("make", [lockstep, rollback])
CLOSES = pytest.mark.parametrize("closes_after_s", [{1: 0.05}, *rarely({}, {0: 0.3})])


def end_of(make: Any, players: int, closes_after_s: Mapping[int, float]) -> float:
    """Return when the last one has left where nothing breaks."""
    table: EndingTable = make(players, closes_after_s=closes_after_s)
    assert table.run(WITHIN_S, until=table.all_left)
    table.assert_all_compared_alike()
    return table.clock.time()


@MAKERS
@CLOSES
@pytest.mark.parametrize("players", [2, 3])
@pytest.mark.parametrize("ways", [2, *rarely(1)])
@pytest.mark.parametrize("for_s", [FOR_GOOD_S, *rarely(0.2)])
def test_whoever_closes_has_compared_what_the_others_have_though_a_path_breaks_just_then(
    make: Any, players: int, closes_after_s: Mapping[int, float], ways: int, for_s: float
) -> None:
    end, took_s = end_of(make, players, closes_after_s), 0.0
    for step in range(16):
        cut = Cut((0, 1), end - 0.3 + step / 50, for_s, None, one_way=ways == 1)
        table: EndingTable = make(players, [cut], closes_after_s=closes_after_s)
        assert table.run(WITHIN_S, until=table.all_left)
        table.assert_all_compared_alike()
        assert not any(seat.over for seat in table.seats)
        took_s = max(took_s, *table.took_s())
    assert 0.2 < took_s < REPAIRED_S / 2  # some had to wait for the path, and nobody up to the limit


@MAKERS
@pytest.mark.parametrize("players", [2, 3])
def test_over_paths_that_carry_closing_takes_one_round_trip(make: Any, players: int) -> None:
    table: EndingTable = make(players)
    assert table.run(WITHIN_S, until=table.all_left)
    table.assert_all_compared_alike()
    assert max(table.took_s()) < 0.0605  # of 40 and 60 ms, and what inputs wait to be reported


@MAKERS
@pytest.mark.parametrize("lost", range(3))
def test_what_the_service_loses_of_the_last_words_is_said_again(make: Any, lost: int) -> None:
    table: EndingTable = make(2, [Cut((0, 1), 0.1, FOR_GOOD_S, None)])
    seen = 0

    def loses(data: bytes) -> bool:
        nonlocal seen
        said = is_control(data) and any(seat.asked_at is not None for seat in table.closing)
        seen += said
        return said and seen == lost + 1

    table.loses = loses
    assert table.run(WITHIN_S, until=table.all_left)
    assert seen > lost
    table.assert_all_compared_alike()
    assert max(table.took_s()) < REPAIRED_S
    for seat in table.seats:
        assert [way.kind for way in seat.events_of(WayChanged)] == [WayKind.SERVICE]


@MAKERS
@pytest.mark.parametrize("after_s", [0.02, 0.1, *rarely(0.4)])
def test_time_for_which_the_machine_stood_still_is_no_time_of_who_closes(make: Any, after_s: float) -> None:
    end, waited_for_somebody = end_of(make, 2, {}), 0
    for step in range(16):
        table: EndingTable = make(2, [Cut((0, 1), end - 0.3 + step / 50, FOR_GOOD_S, None)])

        def stand_still(clock: Any = table.clock) -> None:
            clock._now += 2 * REPAIRED_S

        table.clock.call_at(end + after_s, stand_still)
        assert table.run(WITHIN_S, until=table.all_left)
        table.assert_all_compared_alike()
        assert not any(seat.over for seat in table.seats)
        waited_for_somebody += table.clock.time() > 2 * REPAIRED_S
    assert waited_for_somebody > 0, "nobody stood still while they closed"


@MAKERS
def test_who_closes_as_their_machine_wakes_up_does_not_wait_as_long_as_it_slept(make: Any) -> None:
    table: EndingTable = make(2, frames=500)

    def wake_up() -> None:
        table.clock._now += 3600
        table.closing[0].close()

    table.clock.call_at(0.5, wake_up)
    assert table.run(3600 + WITHIN_S, until=lambda: table.closing[0].left_at is not None)
    assert max(table.took_s()) < REPAIRED_S


@MAKERS
@pytest.mark.parametrize("relay", ["players", "service"])
@pytest.mark.parametrize("first", [0, 1, 2])
def test_who_passes_messages_on_for_two_who_close_stays_until_they_have(
    make: Any, relay: str, first: int
) -> None:
    others_s = {player: 0.1 for player in range(3) if player != first}
    table: EndingTable = make(3, [Cut((0, 1), 0.1, FOR_GOOD_S, None)], relay=relay, closes_after_s=others_s)
    assert table.run(WITHIN_S, until=table.all_left)
    table.assert_all_compared_alike()
    assert max(table.took_s()) < LINGER_S
    assert table.seats[0].events_of(WayChanged)[0].via == 2


@MAKERS
def test_a_goodbye_to_players_who_are_gone_is_over_at_once(make: Any) -> None:
    table: EndingTable = make(2, frames=500)
    table.clock.call_at(0.5, table.seats[1].vanish)
    assert table.run(WITHIN_S, until=lambda: bool(table.seats[0].events_of(PlayerGone)))
    table.closing[0].close()
    assert table.closing[0].left_at == table.clock.time()


@pytest.mark.parametrize("silent_s", [0.1, 0.7])
def test_a_goodbye_to_who_has_vanished_unnoticed_ends_within_the_limit(silent_s: float) -> None:
    table = lockstep(2, frames=500)
    table.clock.call_at(0.5, table.seats[1].vanish)
    table.run(0.5 + silent_s, until=lambda: False)
    began = table.clock.time()
    table.closing[0].close()
    assert table.run(WITHIN_S, until=lambda: table.closing[0].left_at is not None)
    assert table.clock.time() - began <= REPAIRED_S


CUTS = st.builds(
    Cut,
    pair=st.sampled_from(PAIRS[:3]),
    at_s=st.floats(0.1, 1.3),
    for_s=st.sampled_from([0.1, 0.4, 1.1, FOR_GOOD_S]),
    rebuilt_s=st.none() | st.floats(0.2, 2),
    one_way=st.booleans(),
)


@given(
    make=st.sampled_from([lockstep, rollback]),
    players=st.sampled_from([2, 3]),
    cuts=st.lists(CUTS, max_size=2, unique_by=lambda cut: cut.pair),
    closes_after_s=st.dictionaries(st.integers(0, 2), st.floats(0, 0.5)),
    last_of=st.dictionaries(st.just(0), st.integers(1, FRAMES)),
    path=st.builds(
        Path,
        one_way_ms=st.sampled_from([5, 30]),
        jitter_ms=st.sampled_from([0, 10]),
        loss=st.sampled_from([0, 0.05, 0.3]),
    ),
    loses=st.sets(st.integers(0, 40), max_size=2),
    seed=st.integers(0, 100),
)
@settings(max_examples=examples(100), deadline=None)
def test_any_two_have_compared_the_same_frames_however_their_match_ends(
    make: Any, players: int, cuts: list[Cut], loses: set[int], **options: Any
) -> None:
    cuts = [cut for cut in cuts if max(cut.pair) < players]
    table: EndingTable = make(players, cuts, **options)
    passed_on = iter(range(1_000_000))
    table.loses = lambda data: is_control(data) and next(passed_on) in loses
    assert table.run(WITHIN_S, until=table.all_left)
    assert max(table.took_s()) <= REPAIRED_S
    table.assert_all_compared_alike()
