"""What the path decides for each packet, on times that the test makes up: no sockets, no privileges."""

from __future__ import annotations

import pytest

from tests.lab.forwarder import Condition, Way


def _arrivals(way: Way, count: int) -> list[list[float]]:
    return [way.accept(number * 0.001) for number in range(count)]


def test_packet_after_a_shortened_delay_waits_for_its_predecessor() -> None:
    way = Way(seed="1")
    way.condition = Condition(one_way_ms=100)
    assert way.accept(1.0) == [pytest.approx(1.1)]
    way.condition = Condition(one_way_ms=10)
    assert way.accept(1.05) == [pytest.approx(1.1)]
    assert way.accept(1.2) == [pytest.approx(1.21)]


def test_held_back_packet_does_not_hold_back_the_next() -> None:
    way = Way(seed="1")
    way.condition = Condition(reorder=1.0, reorder_ms=50)
    assert way.accept(1.0) == [pytest.approx(1.05)]
    way.condition = Condition()
    assert way.accept(1.001) == [1.001]


@pytest.mark.parametrize("jitter", ["exponential", "uniform"])
def test_jitter_has_the_mean_that_was_asked_for(jitter: str) -> None:
    way = Way(seed="1")
    way.condition = Condition(one_way_ms=5, jitter_ms=3, jitter=jitter, in_order=False)
    delays = [way.accept(0.0)[0] for _ in range(5000)]
    assert min(delays) >= 0.005
    assert sum(delays) / len(delays) == pytest.approx(0.008, abs=0.0002)


def test_what_is_lost_does_not_depend_on_the_other_conditions() -> None:
    plain, shaken = Way(seed="1"), Way(seed="1")
    plain.condition = Condition(loss=0.2)
    shaken.condition = Condition(loss=0.2, jitter_ms=5, reorder=0.1, duplicate=0.3)
    lost = [not dues for dues in _arrivals(plain, 200)]
    assert [not dues for dues in _arrivals(shaken, 200)] == lost
    assert sum(lost) == plain.counters.lost > 0


def test_how_long_a_packet_was_kept_is_recorded_with_the_lateness() -> None:
    way = Way(seed="1")
    way.condition = Condition(one_way_ms=10)
    (due,) = way.accept(1.0)
    way.delivered(1, read=1.0, due=due, now=1.0125)
    assert list(way.held_ms) == [pytest.approx(12.5)]
    assert way.counters.late_max_ms == pytest.approx(2.5)


def test_every_packet_is_accounted_for() -> None:
    way = Way(seed="1")
    way.condition = Condition(loss=0.2, duplicate=0.3)
    copies = sum(map(len, _arrivals(way, 200)))
    way.condition = Condition(blackout=True)
    assert way.accept(1.0) == []
    counted = way.counters
    assert counted.received == 201
    assert counted.blacked_out == 1
    assert counted.received + counted.duplicated == counted.lost + counted.blacked_out + copies


@pytest.mark.parametrize("wrong", [{"loss": -0.1}, {"one_way_ms": float("nan")}, {"jitter": "pareto"}])
def test_impossible_condition_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Condition(**wrong)  # type: ignore[arg-type]  # the wrong types are the point
