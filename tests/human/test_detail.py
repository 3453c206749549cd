"""On a slow line the rate falls first, and the detail only where that is not enough; both come back."""

from __future__ import annotations

import numpy as np
import pytest

from gym_p2p.human.detail import Detail, DetailControl
from gym_p2p.human.encoding import simplified
from gym_p2p.human.frames import FrameStream

NOISE = np.random.default_rng(1)


def run(control: DetailControl, *, offered: int, arrived: int, seconds: int, since: float) -> list[Detail]:
    """Offer pictures at a rate, of which others arrive at another one; return the detail of each second."""
    found = []
    for second in range(seconds):
        for number in range(offered):
            control.offered(since + second + number / offered)
            if number < arrived:
                control.arrived()
        found.append(control.detail)
    return found


@pytest.mark.parametrize(("offered", "arrived"), [(60, 60), (60, 11), (10, 4), (5, 5)])
def test_while_enough_pictures_arrive_they_are_exact(offered: int, arrived: int) -> None:
    told = run(DetailControl(), offered=offered, arrived=arrived, seconds=20, since=0.0)
    assert set(told) == {Detail.EXACT}


@pytest.mark.parametrize(("offered", "arrived"), [(60, 5), (10, 2), (60, 0)])
def test_where_too_few_arrive_they_lose_detail_and_never_more_than_there_is(
    offered: int, arrived: int
) -> None:
    told = run(DetailControl(), offered=offered, arrived=arrived, seconds=10, since=0.0)
    assert told[:1] == [Detail.EXACT]
    assert told[-1] is Detail.COARSE
    assert told == sorted(told)


def test_on_a_line_that_is_fast_again_the_detail_comes_back_step_by_step() -> None:
    control = DetailControl()
    run(control, offered=60, arrived=3, seconds=6, since=0.0)
    told = run(control, offered=60, arrived=60, seconds=12, since=6.0)
    assert told[0] is Detail.COARSE
    assert told[-1] is Detail.EXACT
    assert Detail.FEWER_COLOURS in told


def test_vain_tries_of_more_detail_become_rare() -> None:
    control, tries, before = DetailControl(), [], Detail.COARSE
    run(control, offered=60, arrived=3, seconds=6, since=0.0)
    for second in range(6, 400):
        arrived = 60 if control.detail is Detail.COARSE else 3  # all that the line carries
        (after,) = run(control, offered=60, arrived=arrived, seconds=1, since=float(second))
        if after < before:
            tries.append(second)
        before = after
    between = np.diff(tries)
    assert len(between) >= 3
    assert list(between) == sorted(between)
    assert between[-1] >= 30


def test_a_game_that_stood_still_says_nothing_of_the_line() -> None:
    control = DetailControl()
    for second in range(0, 100, 5):
        control.offered(float(second))
    assert control.detail is Detail.EXACT


def test_a_page_on_a_slow_line_gets_fewer_pictures_then_simpler_ones_and_all_of_the_last() -> None:
    stream = FrameStream()
    in_flight: list[int] = []
    kinds: list[tuple[int, bool]] = []
    for tick in range(600):
        now = tick / 60
        stream.offer(NOISE.integers(0, 256, (64, 64, 3), np.uint8), frame=tick, seq=0, now=now)
        if tick % 20 == 0 and in_flight:  # three a second arrive
            stream.acknowledge(in_flight.pop(0))
        while (sent := stream.next(now)) is not None:
            in_flight.append(sent.number)
            kinds.append((len(sent.data), bool(sent.data[1] & 2)))
    assert stream.skipped > 500
    assert not kinds[0][1]
    assert kinds[-1][1]
    assert kinds[-1][0] < kinds[0][0] / 4
    for number in in_flight:
        stream.acknowledge(number)
    assert stream.next(9.99) is not None  # the newest that waited
    stream.acknowledge(max(in_flight) + 1)
    assert stream.next(10.0) is None
    due = stream.next_timeout()
    assert due is not None
    whole = stream.next(due)
    assert whole is not None
    assert not whole.data[1] & 2
    assert stream.next(due + 9) is None


def test_what_is_simpler_has_the_same_black_and_white_and_half_the_sides() -> None:
    picture = np.zeros((5, 7, 3), np.uint8)
    picture[2] = 255
    fewer = simplified(picture, Detail.FEWER_COLOURS)
    assert np.array_equal(fewer, picture)
    assert simplified(picture, Detail.COARSE).shape == (3, 4, 3)
    assert (
        len(np.unique(simplified(np.arange(192, dtype=np.uint8).reshape(8, 8, 3), Detail.FEWER_COLOURS))) <= 8
    )
