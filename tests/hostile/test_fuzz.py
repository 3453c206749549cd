"""The fuzzer itself: it finds what was planted, and it ends."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Iterator

import hypothesis
import pytest

from tests.hostile.faults import EASY, FAULTS, ROOT, planted
from tests.hostile.machines import property_named
from tests.waiting import in_time

BATCHES = 8
"""Of a hundred examples each: several times as many as it takes."""
DEEP_BATCHES = 10
"""Several times as many as it takes."""


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def _is_found(name: str, seeds: range) -> bool:
    fault = FAULTS[name]
    with planted(fault):
        for seed in seeds:
            try:
                hypothesis.seed(seed)(property_named(fault.looked_for, examples=100, shrinks=False))()
            except (KeyError, AssertionError):
                return True
    return False


@pytest.mark.parametrize("name", EASY)
def test_a_shallow_fault_is_found_soon(name: str) -> None:
    assert _is_found(name, range(BATCHES))


@pytest.mark.slow
@pytest.mark.timeout(400)  # it computes all the while, and others beside it may, too
@pytest.mark.parametrize(  # one is found with the first seed, as the generators are; with others later on
    ("name", "seed"), [("an acknowledgement of one too many", 4), ("an input after a gap", 0)]
)
def test_a_deeper_one_is_found_in_the_end(name: str, seed: int) -> None:
    assert _is_found(name, range(seed, seed + DEEP_BATCHES))


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_can_be_planted(name: str) -> None:
    with planted(FAULTS[name]):
        pass


@pytest.mark.slow
def test_a_target_that_hangs_is_stopped_and_shows_where_it_was() -> None:
    seconds, grace_s = 1, 12.0
    options = ["--seconds", str(seconds), "--seed", "1", "--grace", str(grace_s), "--plant", "it hangs"]
    command = [sys.executable, "-m", "tests.hostile.fuzz", "--only", "conversation", *options]
    began = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    with in_time():  # it has to have come there
        assert "planted in" in done.stdout, "the place where it hangs"
    assert time.monotonic() - began >= seconds
