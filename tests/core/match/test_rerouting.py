"""Messages that take another way: by the service or a third player, and directly again."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_p2p.core.match.events import Interrupted, PlayerGone, ProtocolErrorSeen, Resumed
from gym_p2p.core.match.ways import DIRECT, DirectPathLost, Forwarding, WayChanged, WayKind, Why
from gym_p2p.net.links.memory import Path
from tests.core.examples import examples
from tests.core.match.cut_table import (
    FOR_GOOD_S,
    Cut,
    CutTable,
    assert_nobody_differs,
    assert_undisturbed,
    some_cuts,
)
from tests.core.match.served_table import ServedTable
from tests.core.tables import TICK_S, held_action


class WayTable(ServedTable, CutTable):
    """Players who have a service between them, and third players."""

    def __init__(
        self, players: int, cuts: Sequence[Cut] = (), *, relay: str = "service", **options: Any
    ) -> None:
        super().__init__(players, cuts, match_options={"relay": relay}, **options)

    def ways(self, seat: int) -> list[tuple[int, WayKind, int | None, Why]]:
        changes = self.seats[seat].events_of(WayChanged)
        return [(change.player, change.kind, change.via, change.why) for change in changes]


def rollback(players: int, cuts: Sequence[Cut] = (), **options: Any) -> WayTable:
    settings = {"path": Path(one_way_ms=30), "action": held_action, "tick_s": TICK_S, "frames": 240}
    return WayTable(players, cuts, window=8, **{**settings, **options})


def lockstep(players: int, cuts: Sequence[Cut] = (), **options: Any) -> WayTable:
    return WayTable(players, cuts, **{"path": Path(one_way_ms=20), "frames": 120, "episodes": 3, **options})


def slow_lockstep(players: int, cuts: Sequence[Cut] = (), *, frames: int, **options: Any) -> WayTable:
    """Lockstep at 20 frames a second: what takes long does not take many of them."""
    pace: dict[str, Any] = {"tick_s": 1 / 20, "frames": frames // 3, "episodes": 1}
    return lockstep(players, cuts, **pace, **options)


@pytest.mark.parametrize("make", [lockstep, rollback])
def test_a_path_that_is_gone_for_good_is_gone_round_by_the_service(make: Any) -> None:
    table = make(2, [Cut((0, 1), 1.0, FOR_GOOD_S, None)])
    assert table.run(60)
    assert_undisturbed(table)
    for seat, other in ((0, 1), (1, 0)):
        assert [way[:3] for way in table.ways(seat)] == [(other, WayKind.SERVICE, None)]
        (back,) = table.seats[seat].events_of(Resumed)
        assert back.over is WayKind.SERVICE
        assert back.silent_s < 1.5
        assert table.seats[seat].events_of(DirectPathLost) == [DirectPathLost(other)]
    assert {table.ways(seat)[0][3] for seat in (0, 1)} <= {Why.LOST, Why.OTHER_PLAYER}


@pytest.mark.parametrize("make", [slow_lockstep, rollback])
def test_a_path_that_is_back_is_taken_once_it_was_good_for_five_seconds(make: Any) -> None:
    table = make(2, [Cut((0, 1), 1.0, 4.0, None)], frames=900)
    changed: dict[WayKind, float] = {}

    def watch() -> bool:
        for way in table.ways(0):
            changed.setdefault(way[1], table.clock.time())
        return bool(table.finished())

    assert table.run(120, until=watch)
    assert_undisturbed(table)
    for seat in (0, 1):
        assert [way[1] for way in table.ways(seat)] == [WayKind.SERVICE, WayKind.DIRECT]
    assert changed[WayKind.DIRECT] == pytest.approx(1.0 + 4.0 + 5.0, abs=1.0)


@pytest.mark.parametrize("make", [slow_lockstep, rollback])
def test_a_new_link_is_taken_in_place_of_the_service_once_it_was_good_for_a_while(make: Any) -> None:
    table = make(2, [Cut((0, 1), 1.0, FOR_GOOD_S, 3.0)], frames=900)
    assert table.run(120)
    assert_undisturbed(table)
    for seat in (0, 1):
        assert [way[1] for way in table.ways(seat)] == [WayKind.SERVICE, WayKind.DIRECT]
        assert table.ways(seat)[1][3] in {Why.GOOD_AGAIN, Why.OTHER_PLAYER}


@pytest.mark.parametrize("make", [lockstep, rollback])
@pytest.mark.parametrize("relay", ["service", "players"])
def test_two_who_cannot_reach_each_other_are_reached_through_a_third_player(make: Any, relay: str) -> None:
    table = make(3, [Cut((0, 1), 1.0, FOR_GOOD_S, None)], relay=relay)
    assert table.run(60)
    assert_undisturbed(table)
    for seat, other in ((0, 1), (1, 0)):
        assert [way[:3] for way in table.ways(seat)] == [(other, WayKind.PLAYER, 2)]
    assert not table.ways(2)
    told = table.seats[2].events_of(Forwarding)
    assert {(one.origin, one.recipient) for one in told} == {(0, 1), (1, 0)}
    assert table.passed_on == 0


def test_where_the_third_player_is_gone_too_the_service_is_next() -> None:
    table = rollback(4, [Cut((0, 1), 1.0, FOR_GOOD_S, None), Cut((0, 2), 1.0, FOR_GOOD_S, None)], frames=420)
    for pair in ((0, 3), (1, 3), (2, 3)):
        table.clock.call_at(4.0, partial(table.cut, Cut(pair, 0, 0, None)))
    assert table.run(60)
    assert_undisturbed(table)
    assert table.seats[0].match._peers[1].ways.now.kind in {WayKind.SERVICE, WayKind.PLAYER}
    assert table.passed_on > 0


def test_nobody_passes_anything_on_where_relay_says_so() -> None:
    table = lockstep(3, [Cut((0, 1), 1.0, 3.0, None)], relay="none")
    assert table.run(60)
    assert_undisturbed(table)
    assert table.passed_on == 0
    for seat in range(3):
        assert not table.ways(seat)
        assert not table.seats[seat].events_of(Forwarding)


@pytest.mark.parametrize("make", [slow_lockstep, rollback])
def test_a_path_that_loses_much_is_left_and_taken_again_when_it_is_good(make: Any) -> None:
    bad = {ends: Path(one_way_ms=30, loss=0.55) for ends in ((0, 1), (1, 0))}
    table = make(2, paths=bad, frames=1300)
    table.clock.call_at(12.0, table.network._paths.clear)
    assert table.run(200)
    assert_undisturbed(table)
    changes = table.seats[0].events_of(WayChanged) + table.seats[1].events_of(WayChanged)
    assert {change.why for change in changes} >= {Why.BAD, Why.GOOD_AGAIN}
    (left,) = [change for change in changes if change.why is Why.BAD][:1]
    assert left.loss is not None
    assert left.loss > 0.3
    for seat in (0, 1):
        assert table.ways(seat)[0][1] is WayKind.SERVICE
        assert table.ways(seat)[-1][1] is WayKind.DIRECT
        assert not table.seats[seat].events_of(Interrupted) or table.passed_on > 0


def test_a_path_that_takes_too_long_is_left() -> None:
    table = rollback(2, path=Path(one_way_ms=400), frames=600)
    assert table.run(120)
    assert_undisturbed(table)
    change = next(change for change in table.seats[0].events_of(WayChanged) if change.why is Why.BAD)
    assert change.rtt_ms == pytest.approx(800, abs=20)


def test_a_good_path_is_never_left() -> None:
    table = rollback(2, path=Path(one_way_ms=60, loss=0.08, jitter_ms=5), frames=600)
    assert table.run(60)
    assert_undisturbed(table)
    assert not [way for seat in range(2) for way in table.ways(seat)]
    assert table.passed_on == 0


class BegunByService(WayTable):
    """Players who have no direct path when the match begins."""

    def connect(self) -> None:
        attach = {seat.index: seat.driver.attach for seat in self.seats}
        for seat in self.seats:
            seat.driver.attach = lambda *_: None  # type: ignore[method-assign]  # for a while
        super().connect()
        for seat in self.seats:
            seat.driver.attach = attach[seat.index]  # type: ignore[method-assign]  # as it was

    def begin_by_service(self, here: int, there: int, at_s: float) -> None:
        self.clock.call_at(at_s, lambda: self.seats[here].driver.begin_by_service(there))

    def open_directly(self, here: int, there: int, at_s: float) -> None:
        link = self.network.link(here, there)
        on_message, early = link.on_message, []
        link.on_message = lambda *message: early.append(message)

        def attach() -> None:
            self.seats[here].driver.attach(there, link)
            link.on_message = on_message
            for message in early:
                on_message(*message)

        self.clock.call_at(at_s, attach)


@pytest.mark.parametrize("mode", ["lockstep", "rollback"])
@pytest.mark.parametrize("both", [True, False])
def test_a_match_begins_by_the_service_where_there_is_no_direct_path(mode: str, *, both: bool) -> None:
    options: dict[str, Any] = {"frames": 120}
    if mode == "rollback":
        options.update(window=8, action=held_action, tick_s=TICK_S)
    table = BegunByService(2, **options)
    table.begin_by_service(0, 1, 3.0)
    if both:
        table.begin_by_service(1, 0, 3.01)
    assert table.run(60)
    assert_undisturbed(table)
    for seat, other in ((0, 1), (1, 0)):
        assert [way[:3] for way in table.ways(seat)] == [(other, WayKind.SERVICE, None)]
    assert Why.NO_DIRECT_PATH in {table.ways(seat)[0][3] for seat in (0, 1)}


@pytest.mark.slow
@settings(max_examples=examples(20), deadline=None)
@given(
    service_s=st.tuples(st.floats(0.1, 4), st.none() | st.floats(0.1, 4)),
    direct_s=st.tuples(st.floats(0.1, 6), st.floats(0.1, 6)),
    seed=st.integers(0, 100),
)
def test_whichever_way_is_there_first_a_match_begins_and_ends_up_direct(
    service_s: tuple[float, float | None], direct_s: tuple[float, float], seed: int
) -> None:
    table = BegunByService(2, seed=seed, frames=400, tick_s=1 / 30, path=Path(one_way_ms=20, jitter_ms=3))
    for here, at_s in enumerate(service_s):
        if at_s is not None:
            table.begin_by_service(here, 1 - here, at_s)
    for here, at_s in enumerate(direct_s):
        table.open_directly(here, 1 - here, at_s)
    assert table.run(60)
    assert_undisturbed(table)
    for seat, other in ((0, 1), (1, 0)):
        assert table.seats[seat].match._peers[other].ways.now is DIRECT


def test_what_is_lost_on_the_way_round_is_sent_again() -> None:
    table = slow_lockstep(2, [Cut((0, 1), 1.0, FOR_GOOD_S, None)], frames=900)
    number = 0

    def loses(_data: bytes) -> bool:
        nonlocal number
        number += 1
        return number % 7 == 0

    table.loses = loses
    assert table.run(120)
    assert_undisturbed(table)
    assert number > 100


def test_where_the_service_is_away_for_a_while_the_match_goes_on_when_it_is_back() -> None:
    table = slow_lockstep(2, [Cut((0, 1), 1.0, FOR_GOOD_S, None)], frames=900)
    table.clock.call_at(4.0, lambda: table.set_service(there=False))
    table.clock.call_at(8.0, lambda: table.set_service(there=True))
    assert table.run(120)
    assert_undisturbed(table)
    assert [e.silent_s for e in table.seats[0].events_of(Resumed)][1] == pytest.approx(4.0, abs=1.8)


@pytest.mark.slow
@settings(max_examples=examples(25), deadline=None)
@given(
    players=st.integers(2, 4),
    window=st.booleans(),
    relay=st.sampled_from(["service", "players"]),
    cuts=some_cuts(st.floats(0.1, 9) | st.just(FOR_GOOD_S)),
    away=st.none() | st.tuples(st.floats(0.5, 6), st.floats(0.5, 4)),
    dies=st.none() | st.tuples(st.integers(0, 3), st.floats(0.2, 6)),
    loss=st.sampled_from([0.0, 0.1, 0.3, 0.5]),
    seed=st.integers(0, 1000),
)
def test_whatever_fails_and_returns_nobody_differs_and_nobody_hangs(
    players: int,
    relay: str,
    cuts: list[Cut],
    away: tuple[float, float] | None,
    dies: tuple[int, float] | None,
    loss: float,
    seed: int,
    *,
    window: bool,
) -> None:
    cuts = [cut for cut in cuts if max(cut.pair) < players]
    options: dict[str, Any] = {
        "seed": seed,
        "path": Path(one_way_ms=25, loss=loss, jitter_ms=4),
        "relay": relay,
        "frames": 300,
    }
    table = rollback(players, cuts, **options) if window else slow_lockstep(players, cuts, **options)
    if away is not None:
        table.clock.call_at(away[0], lambda: table.set_service(there=False))
        table.clock.call_at(sum(away), lambda: table.set_service(there=True))
    if dies is not None:
        table.clock.call_at(dies[1], table.seats[dies[0] % players].vanish)
    assert table.run(200), [(seat.over, len(seat.played)) for seat in table.seats]
    assert not [e for seat in table.seats for e in seat.events_of(ProtocolErrorSeen)]
    if dies is None and away is None and relay == "service":
        assert_undisturbed(table)
    assert_nobody_differs(table)
    for seat in table.seats:
        for gone in seat.events_of(PlayerGone):
            assert gone.reason in {"peer_lost", "peer_unresponsive", "peer_left", "excluded"}


def test_what_somebody_played_becomes_final_while_two_others_repair_their_path() -> None:
    table = rollback(3, [Cut((1, 2), 1.0, FOR_GOOD_S, None)])
    seat = table.seats[0]
    assert table.run(5.0, until=lambda: table.clock.time() >= 1.1)
    assert seat.session is not None
    seat.frames = seat.session.frame  # they close, and give nothing more
    assert len(seat.confirmed) < seat.frames
    assert table.run(2.5, until=lambda: len(seat.confirmed) == seat.frames)
