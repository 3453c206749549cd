"""A process that stood still is told from one that was busy, and from one that was merely a little late."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from gym_p2p.processes.standstill import LEAST_S, STEP_S, Standstill
from tests.waiting import PATIENCE_S


def looks(*steps: tuple[float, float]) -> Iterator[float | None]:
    """What looks find, of a clock and a processor that move on by so much before each."""
    now = used_s = 0.0
    standstill = Standstill(clock=lambda: now, busy=lambda: used_s)
    for passed_s, busy_s in steps:
        now, used_s = now + passed_s, used_s + busy_s
        yield standstill.look()


def test_what_takes_longer_than_a_step_without_work_is_a_standstill_of_the_rest() -> None:
    assert list(looks((STEP_S, 0.0), (STEP_S + 4.0, 0.1), (STEP_S, 0.0))) == [None, 4.0, None]


@pytest.mark.parametrize(
    "step",
    [
        pytest.param((STEP_S + LEAST_S - 0.1, 0.0), id="a little late"),
        pytest.param((STEP_S + 4.0, 4.0), id="busy"),
        pytest.param((STEP_S + 4.0, 9.0), id="busy on several processors"),
    ],
)
def test_who_is_late_or_busy_does_not_stand_still(step: tuple[float, float]) -> None:
    assert list(looks(step)) == [None]


STOPPED = """
import time
from gym_p2p.processes.clocks import WallClock
from gym_p2p.processes.standstill import StandstillWatch
seen = []
watch = StandstillWatch(seen.append, WallClock(), print)
watch.start()
print("ready", flush=True)
input()
until = time.monotonic() + 20
while not seen and time.monotonic() < until:
    time.sleep(0.05)
watch.stop()
print(seen[0] if seen else None, flush=True)
"""


def test_a_process_that_was_stopped_knows_for_how_long() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STOPPED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGSTOP)
        try:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(2.0)
        finally:
            os.kill(process.pid, signal.SIGCONT)
        told, _ = process.communicate("\n", timeout=PATIENCE_S)
    assert float(told) > LEAST_S
