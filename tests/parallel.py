"""The whole suite in several processes side by side; what measures time runs with nothing beside it.

Most tests wait, for a network or a timeout, so that more of them than there are processors can run at once.
Each worker process takes one file after the other, for a file's tests share what their module sets up; some
folders go to one worker, for their files share what is costly: the browser, the hosts. What bounds times
that a busy machine would stretch comes last: first the tests marked ``quiet``, which wait for the most
part, three at a time, beside nothing else but what computes where a processor would be idle, as some of
``.ci/run`` does; then those marked ``alone``, one by one.

Before a test has failed it is tried again with nothing beside it: twice where it finds itself late
(``in_time`` of ``tests.waiting``), and once, in the whole run, where other tests ran beside it and real time
passes in it. The summary shows each such try whole, for it is looked at all the same: a bound is too tight,
or two things may come in either order, in the test or in what it tests. The core's tests, on virtual time,
fail at once, as do those that were alone.

A part of the suite (``pytest tests/net``) runs in one process, as does the whole with ``-n 0``: there nothing
runs beside a test.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import itertools
import os
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import pytest
import xdist
from xdist.scheduler import LoadFileScheduling

from tests.waiting import Late

__all__ = ["CHANCES", "IDLING", "LOOKS_AGAIN_S", "PLACES", "VIRTUAL", "ByFile", "taken"]

WORKERS_BEYOND_PROCESSORS = 1
"""Tests wait for more than half of their time; with one more yet, two processors are late now and then."""
TOGETHER = ("tests/browser/", "tests/server/hosts/")

PLACES = tuple(Path(__file__).with_name(name) for name in ("parallel.py", "__init__.py", "waiting.py"))
"""Three files that all workers have: a quiet test locks one, a test alone all, and all others share all."""
IDLING = Path(__file__).with_name("conftest.py")
"""What computes where a processor would be idle shares this one, and a test alone locks it."""
LOOKS_AGAIN_S = 0.05
LATE_TRIES = 2
"""So often is a test that was late tried again: a busy machine makes late, and nothing early."""
CHANCES = 4
"""So many tests of each process are tried again for having had others beside them. Where more fail, it is no
chance."""
VIRTUAL = Path(__file__).with_name("core")
"""The tests in which no real time passes: whatever runs beside them, they do the same."""
_AGAIN = pytest.StashKey[int]()
"""How often a test has been tried again."""
_COUNTS = pytest.StashKey[bool]()
"""Whether this try of a test counts, which it does unless another one follows."""
_GIVEN = pytest.StashKey[int]()
"""How many of ``CHANCES`` this process has given."""


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Ask for workers when nobody says what to run, or in how many processes."""
    option = config.option
    if config.args_source is not pytest.Config.ArgsSource.TESTPATHS or option.usepdb:
        return
    if hasattr(config, "workerinput"):  # this is a worker
        return
    if config.pluginmanager.hasplugin("xdist") and option.numprocesses is None and option.dist == "no":
        option.numprocesses = (os.cpu_count() or 1) + WORKERS_BEYOND_PROCESSORS
        option.dist = "loadfile"
        option.loadscopereorder = False


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    """Give whole files to the workers, and what belongs together to one of them."""
    return ByFile(config, log) if config.option.dist == "loadfile" else None


class ByFile(LoadFileScheduling):  # type: ignore[misc]  # it publishes no types
    """Gives whole files to the workers, in the order of the collection."""

    _units: Mapping[str, str] | None = None

    def _split_scope(self, nodeid: str) -> str:
        if self._units is None:
            self._units = dict(_units(self.collection))
        return self._units[nodeid]

    def remove_node(self, node: Any) -> Any:
        """Hand out what a worker that died has left; return the test that it died in.

        That one is not tried again, for it would kill the next worker; nor is a file handed out that is done
        with: a worker that is given nothing to do runs not even the last of what it has, and all never end.
        """
        units = self.assigned_work.pop(node)
        left = [
            (unit, test) for unit, tests in units.items() for test, is_done in tests.items() if not is_done
        ]
        if not left:
            return None
        (unit, died_in), *_ = left
        units[unit][died_in] = True
        self.workqueue.update({unit: tests for unit, tests in units.items() if not all(tests.values())})
        for other in self.nodes:
            self._reschedule(other)
        return died_in


def _units(collection: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Name every test's unit of work: its file, or a later part of its file.

    What is quiet or alone comes at the end of the collection, parted from the rest of its file: it must not
    keep the worker of that rest waiting, when there is other work to be done beside others.
    """
    parts: dict[str, int] = {}
    current = ""
    for nodeid in collection:
        unit = next((folder for folder in TOGETHER if nodeid.startswith(folder)), nodeid.split("::", 1)[0])
        if unit != current:
            current = unit
            parts[unit] = parts.get(unit, 0) + 1
        yield nodeid, f"{unit}, part {parts[unit]}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what is quiet or alone at the end, so that the workers come to it together.

    What takes one worker longest comes first: at the end the others would wait for it.
    """
    items.sort(key=lambda item: (_places(item), not item.nodeid.startswith(TOGETHER)))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector from looking through ten thousand tests again and again: they stay.

    Where a test collects garbage, or many objects are made, that took longer than most tests do.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    """Hold the places that the test takes, which is not its time; try it again where that is its due."""
    tried = item.stash.get(_AGAIN, 0)
    places = len(PLACES) if tried else _places(item)
    with taken(places) if xdist.is_xdist_worker(item.session) else contextlib.nullcontext():
        done = yield
    if item.stash.get(_AGAIN, 0) > tried:
        return item.ihook.pytest_runtest_protocol(item=item, nextitem=nextitem)
    return done


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a test fail only where it is not tried again."""
    report = yield
    tried = item.stash.get(_AGAIN, 0)
    if call.when == "setup":
        item.stash[_COUNTS] = True
    if call.when == "call" and report.failed and call.excinfo is not None:
        late = call.excinfo.errisinstance(Late)
        if tried < LATE_TRIES if late else not tried and _give_chance(item):
            item.stash[_AGAIN] = tried + 1
            item.stash[_COUNTS] = False
    if report.failed and not item.stash[_COUNTS]:  # also what it left behind
        report.outcome = "again"  # type: ignore[assignment]  # one of our own, which is none of pytest's
    return report


def _give_chance(item: pytest.Item) -> bool:
    """Take one of the chances, where what ran beside a test may be why it failed; return whether."""
    beside = xdist.is_xdist_worker(item.session) and _places(item) < len(PLACES)
    given = item.config.stash.get(_GIVEN, 0)
    if not beside or item.path.is_relative_to(VIRTUAL) or given == CHANCES:
        return False
    item.config.stash[_GIVEN] = given + 1
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Show a try that does not count as that."""
    return ("tried again", "A", "AGAIN") if report.outcome == "again" else None  # type: ignore[comparison-overlap]  # see above


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show in full by what each test failed that was tried again, so that it gets looked at."""
    again = terminalreporter.getreports("tried again")
    if again:
        terminalreporter.section("tried again with nothing beside it")
    for report in again:
        terminalreporter.write_line(f"{report.nodeid}:")
        for _title, text in [("", report.longreprtext), *report.sections]:
            terminalreporter.write_line(text)


def _places(item: pytest.Item) -> int:
    """Return how many places it has for itself."""
    if item.get_closest_marker("alone") is not None:
        return len(PLACES)
    return int(item.get_closest_marker("quiet") is not None)


@contextlib.contextmanager
def taken(places: int) -> Iterator[None]:
    """Wait for so many places and have them for oneself in the block, or share all with who wants none."""
    with contextlib.ExitStack() as held:
        paths = (IDLING, *PLACES) if places == len(PLACES) else PLACES  # first what may take long to leave
        files = [held.enter_context(path.open()) for path in paths]
        for file in files:  # for it may be open in a forked process still
            held.callback(fcntl.flock, file, fcntl.LOCK_UN)
        if places == 1:
            _take_one(files)
        else:
            for file in files:
                fcntl.flock(file, fcntl.LOCK_EX if places else fcntl.LOCK_SH)
        yield


def _take_one(files: Iterable[TextIO]) -> None:
    for file in itertools.cycle(files):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOOKS_AGAIN_S)
        else:
            return
