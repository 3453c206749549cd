"""The whole suite in several processes side by side; what measures time runs with nothing beside it.

Most tests wait, for a network or a timeout, so that more of them than there are processors can run at once.
Each worker process takes one file after the other, for a file's tests share what their module sets up; the
browser's files go to one worker, for they share the browser. Tests marked ``alone`` bound times that a busy
machine would stretch: they come last, and each holds a lock by itself that all others share.

A part of the suite (``pytest tests/net``) runs in one process, as does the whole with ``-n 0``.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import xdist
from xdist.scheduler import LoadFileScheduling

__all__: list[str] = []

WORKERS_BEYOND_PROCESSORS = 1
"""Tests wait more than half of their time; more workers than this stretch the times that they take."""
TOGETHER = ("tests/browser/",)


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
    return _ByFile(config, log) if config.option.dist == "loadfile" else None


class _ByFile(LoadFileScheduling):  # type: ignore[misc]  # it publishes no types
    _units: Mapping[str, str] | None = None

    def _split_scope(self, nodeid: str) -> str:
        if self._units is None:
            self._units = dict(_units(self.collection))
        return self._units[nodeid]


def _units(collection: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Name every test's unit of work: its file, or its file's second part.

    What runs alone comes at the end of the collection, parted from the rest of its file: it must not keep the
    worker of that rest waiting, when there is other work to be done beside others.
    """
    seen: set[str] = set()
    current, name = "", ""
    for nodeid in collection:
        unit = next((folder for folder in TOGETHER if nodeid.startswith(folder)), nodeid.split("::", 1)[0])
        if unit != current:
            current, name = unit, f"{unit}, alone" if unit in seen else unit
            seen.add(unit)
        yield nodeid, name


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what runs alone at the end, so that the workers come to it together."""
    items.sort(key=_alone)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Hold the lock that all workers share, or have it alone. Waiting for it is not the test's time."""
    if not xdist.is_xdist_worker(item.session):
        return (yield)
    with Path(__file__).open() as lock:  # any file will do that all workers have
        fcntl.flock(lock, fcntl.LOCK_EX if _alone(item) else fcntl.LOCK_SH)
        try:
            return (yield)
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)  # for the file may be open in a forked process still


def _alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None
