"""Unix time that goes on as it was, whatever is done to the machine's; and what is done to it is seen."""

from __future__ import annotations

import time

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.processes.clocks import LEAST_SET_S, WallClock, clock_setting, set_since


@attrs.define
class Machine:
    wall_s: float = 1_800_000_000.0
    steady_s: float = 50.0

    def clock(self) -> WallClock:
        return WallClock(lambda: self.wall_s, lambda: self.steady_s)

    def pass_s(self, seconds: float) -> None:
        self.wall_s += seconds
        self.steady_s += seconds


def test_it_is_the_machines_as_long_as_nobody_sets_that() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.pass_s(7200.0)
    assert clock.ms() == 1_800_007_200_000
    assert clock.look() is None


@given(st.lists(st.tuples(st.floats(0.0, 10.0), st.floats(-3600.0, 3600.0)), max_size=20))
def test_whatever_is_set_it_goes_on_and_every_setting_is_seen_once(steps: list[tuple[float, float]]) -> None:
    machine = Machine()
    clock, before_ms = machine.clock(), 0
    for passed_s, set_by_s in steps:
        machine.pass_s(passed_s)
        machine.wall_s += set_by_s
        assert before_ms <= clock.ms()
        before_ms = clock.ms()
        seen = clock.look()
        assert (seen is not None) == (abs(set_by_s) >= LEAST_SET_S) or abs(abs(set_by_s) - LEAST_SET_S) < 1e-3
        assert seen is None or abs(seen - set_by_s) < 1e-3
        assert clock.look() is None


def test_a_clock_that_is_kept_bit_by_bit_is_not_one_that_is_set() -> None:
    machine = Machine()
    clock = machine.clock()
    for _ in range(1000):
        machine.pass_s(0.5)
        machine.wall_s += 0.0003  # as a time service slews it
        assert clock.look() is None


def test_how_far_the_clock_was_set_is_seen_by_another_process_of_the_same_start_of_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, real_s = clock_setting(), time.time
    if before is None:
        pytest.skip("this system does not tell its starts apart")
    monkeypatch.setattr("time.time", lambda: real_s() - 86_400.0)
    assert set_since(before) == pytest.approx(-86_400.0, abs=LEAST_SET_S)
    assert set_since(("another start", before[1])) == 0.0
    assert set_since(None) == 0.0
