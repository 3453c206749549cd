"""The whole suite in several processes side by side; what measures time runs with nothing beside it.

Most tests wait, for a network or a timeout, so that more of them than there are processors can run at once.
Each worker process takes one file after the other, for a file's tests share what their module sets up; some
folders go to one worker, for their files share what is costly: the browser, the hosts. What bounds times
that a busy machine would stretch comes last: first the tests marked ``quiet``, which wait for the most
part, two at a time, beside nothing else but what computes where a processor would be idle, as some of
``.ci/run`` does; then those marked ``alone``, one by one.

A part of the suite (``pytest tests/net``) runs in one process, as does the whole with ``-n 0``.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import pytest
import xdist
from xdist.scheduler import LoadFileScheduling

__all__ = ["IDLING", "LOOKS_AGAIN_S", "PLACES", "ByFile", "taken"]

WORKERS_BEYOND_PROCESSORS = 1
"""Tests wait for more than half of their time; with one more yet, two processors are late now and then."""
TOGETHER = ("tests/browser/", "tests/server/hosts/")

PLACES = tuple(Path(__file__).with_name(name) for name in ("parallel.py", "__init__.py"))
"""Two files that all workers have: a quiet test locks one, a test alone all, and all others share all."""
IDLING = Path(__file__).with_name("conftest.py")
"""What computes where a processor would be idle shares this one, and a test alone locks it."""
LOOKS_AGAIN_S = 0.05


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
    """Put what is quiet or alone at the end, so that the workers come to it together."""
    items.sort(key=_places)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Hold the places that the test takes. Waiting for them is not the test's time."""
    if not xdist.is_xdist_worker(item.session):
        return (yield)
    with taken(_places(item)):
        return (yield)


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
