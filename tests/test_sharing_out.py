"""Which worker of the whole suite runs which tests, and what becomes of them when one dies."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.parallel import ByFile

FILES = {"tests/test_one.py": 4, "tests/test_two.py": 3, "tests/test_three.py": 4, "tests/test_four.py": 3}
TESTS = [f"{file}::test_{number}" for file, count in FILES.items() for number in range(count)]


class Worker:
    """A worker as its controller sees it: it runs a test once it knows of the next, or that there is none."""

    def __init__(self, schedule: ByFile) -> None:
        self.ran: list[str] = []
        self.shutting_down = False
        self.gateway = SimpleNamespace(id=len(schedule.registered_collections))
        self._schedule = schedule
        self._given: list[int] = []
        schedule.add_node(self)
        schedule.add_node_collection(self, TESTS)

    def send_runtest_some(self, indices: list[int]) -> None:
        self._given += indices

    def shutdown(self) -> None:
        self.shutting_down = True

    def run_one(self) -> None:
        if len(self._given) >= 2 - self.shutting_down:
            index = self._given.pop(0)
            self.ran.append(TESTS[index])
            self._schedule.mark_test_complete(self, index)


def scheduled(workers: int) -> ByFile:
    options: Any = SimpleNamespace(
        getvalue=lambda _name: ["popen"] * workers, option=SimpleNamespace(loadscopereorder=False)
    )
    return ByFile(options)


def run(schedule: ByFile, *workers: Worker) -> None:
    """Let them run in turn, until the controller sees the end of it and for as long as that takes them."""
    schedule.schedule()
    for _ in TESTS:
        for worker in workers:
            worker.run_one()
            if schedule.tests_finished:
                worker.shutdown()


def test_a_file_is_run_by_one_worker_in_its_order() -> None:
    schedule = scheduled(2)
    workers = [Worker(schedule) for _ in range(2)]
    run(schedule, *workers)
    assert sorted(workers[0].ran + workers[1].ran) == sorted(TESTS)
    for file in FILES:
        (ran,) = (here for worker in workers if (here := [one for one in worker.ran if one.startswith(file)]))
        assert ran == [one for one in TESTS if one.startswith(file)]


@pytest.mark.parametrize("died_after", range(7))
def test_a_worker_that_dies_costs_the_test_that_it_died_in_and_no_other(died_after: int) -> None:
    schedule = scheduled(2)
    one, other = Worker(schedule), Worker(schedule)
    schedule.schedule()
    for _ in range(died_after):
        one.run_one()
    died_in: str = schedule.remove_node(one)
    another = Worker(schedule)
    run(schedule, other, another)
    assert died_in not in one.ran
    assert sorted([*one.ran, *other.ran, *another.ran, died_in]) == sorted(TESTS)
