"""Who is ahead, who slows down, and which input delay a path asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.config import SyncConfig
from gym_p2p.core.sync.time_sync import MOST, AutoDelay, Pace, delay_for
from gym_p2p.net.links.memory import Path
from tests.core.tables import TICK_S, Player, Table, rollback_table

PACED = SyncConfig(fps=60, checksum_interval=1000)


def frame_of(seat: Player) -> int:
    return 0 if seat.session is None else seat.session.frame


def watch(table: Table, seconds: float) -> list[int]:
    """Return by how many frames the second player was ahead of the first, ten times a second."""
    ahead: list[int] = []
    for _ in range(int(seconds * 10)):
        table.run(0.1, until=lambda: False)
        ahead.append(frame_of(table.seats[1]) - frame_of(table.seats[0]))
    return ahead


def play_with_a_fast_clock(*, synchronized: bool) -> tuple[Table, list[int]]:
    table = rollback_table(2, one_way_ms=50, frames=10_000, sync=PACED)
    table.seats[1].tick_s = TICK_S / 1.02
    if not synchronized:
        for seat in table.seats:
            seat.match._exchange._paced = False
    return table, watch(table, 60.0 if synchronized else 20.0)


@pytest.mark.slow
def test_a_clock_that_is_two_percent_fast_for_a_minute_neither_runs_ahead_nor_rolls_back_alone() -> None:
    table, ahead = play_with_a_fast_clock(synchronized=True)
    assert frame_of(table.seats[0]) > 60 * 57
    assert sorted(map(abs, ahead))[int(len(ahead) * 0.95)] <= 2
    for counts in (
        [len(seat.rollbacks) for seat in table.seats],
        [seat.simulated_again for seat in table.seats],
    ):
        assert min(counts) > 100
        assert max(counts) <= 0.6 * sum(counts)


@pytest.mark.slow
def test_without_time_sync_the_fast_one_runs_ahead_and_does_nearly_all_the_rolling_back() -> None:
    table, ahead = play_with_a_fast_clock(synchronized=False)
    assert max(ahead) > 2
    assert table.seats[1].simulated_again > 0.8 * sum(seat.simulated_again for seat in table.seats)


@pytest.mark.slow
@pytest.mark.parametrize("delays", [{0: 0, 1: 5}, {0: 6, 1: 1}])
def test_unequal_input_delays_do_not_look_like_being_ahead(delays: dict[int, int]) -> None:
    table = rollback_table(2, one_way_ms=70, frames=10_000, delays=delays, sync=PACED)
    ahead = watch(table, 15.0)
    assert max(map(abs, ahead)) <= 1
    assert all(seat.session is not None and seat.session.stretch < 1.01 for seat in table.seats)


@pytest.mark.slow
def test_changing_the_delay_in_play_does_not_look_like_being_ahead() -> None:
    table = rollback_table(2, one_way_ms=50, frames=10_000, sync=PACED)
    watch(table, 5.0)
    table.seats[0].set_delay(4)
    watch(table, 5.0)
    table.seats[0].set_delay(1)
    assert max(map(abs, watch(table, 10.0))) <= 1


@pytest.mark.slow
def test_of_three_players_all_keep_up_with_the_slowest() -> None:
    table = rollback_table(3, path=Path(one_way_ms=30, jitter_ms=5, loss=0.02), frames=10_000, sync=PACED)
    table.seats[1].tick_s = TICK_S / 1.01
    table.seats[2].tick_s = TICK_S / 1.02
    watch(table, 10.0)
    frames = [frame_of(seat) for seat in table.seats]
    assert max(frames) - min(frames) <= 2


@given(st.lists(st.tuples(st.floats(-1000, 1000), st.integers(0, 40)), max_size=50))
def test_the_pace_is_only_ever_slowed_down_and_within_bounds(observed: list[tuple[float, int]]) -> None:
    pace, frame = Pace(), 0
    for ahead, frames in observed:
        frame += frames
        assert 1.0 <= pace.observe(ahead, frame) <= 1.0 + MOST


def test_who_is_behind_does_not_slow_down() -> None:
    pace = Pace()
    assert [pace.observe(-3.0, frame) for frame in range(0, 600, 15)] == [1.0] * 40


@pytest.mark.parametrize(
    ("one_way_ms", "jitter_ms", "frames"),
    [(0, 0, 0), (0.1, 0, 1), (16, 0, 1), (17, 0, 2), (50, 10, 4), (900, 0, 8)],
)
def test_the_delay_covers_the_path_up_to_a_limit(one_way_ms: float, jitter_ms: float, frames: int) -> None:
    assert delay_for(one_way_ms, jitter_ms, fps=60, most=8) == frames


def test_the_automatic_delay_rises_at_once_and_falls_when_it_is_sure() -> None:
    auto = AutoDelay(fps=60)
    assert auto.observe(30, 0) == 2
    assert auto.observe(60, 0) == 4
    assert [auto.observe(20, 0) for _ in range(7)] == [None] * 7
    assert auto.observe(20, 0) == 2
    assert auto.frames == 2


def test_the_automatic_delay_does_not_swing_where_the_path_lies_between_two() -> None:
    auto = AutoDelay(fps=60)
    changes = [auto.observe(49 + number % 3, 0) for number in range(300)]
    assert [change for change in changes if change is not None] in ([3, 4], [4])


def test_one_slow_measurement_keeps_the_delay_for_a_while() -> None:
    auto = AutoDelay(fps=60)
    auto.observe(20, 0)
    auto.observe(45, 0)
    assert auto.frames == 3
    for number in range(8):
        assert auto.observe(45 if number == 5 else 10, 0) is None
    assert auto.frames == 3
