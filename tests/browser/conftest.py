from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.browser.chromium import DRIVER, HERE, Chromium, running_chromium, serving_pages
from tests.browser.driver import Driver, running_driver
from tests.browser.packages import installed
from tests.requirements import require
from tests.waiting import PATIENCE_S


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Do not count the start of npm and of the browser, which have deadlines, as the first test's time."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(func_only=True))


@pytest.fixture(scope="session")
def node_modules() -> Path:
    require("node", "apt-get install nodejs npm")
    require("npm", "apt-get install nodejs npm")
    return installed()


@pytest.fixture(scope="session")
def pages_url(node_modules: Path) -> Iterator[str]:
    with serving_pages(node_modules) as url:
        yield url


@pytest.fixture(scope="session")
def chromium(node_modules: Path, pages_url: str) -> Iterator[Chromium]:
    """One browser for all tests; each has pages of its own. No process of it is left behind."""
    before = set(psutil.Process().children(recursive=True))
    with running_chromium(node_modules, _program(), pages_url) as running:
        started = set(psutil.Process().children(recursive=True)) - before
        assert any("chromium" in _name(process) for process in started)
        yield running
    _, alive = psutil.wait_procs(started, timeout=PATIENCE_S)
    assert not alive


@pytest.fixture(scope="session")
def browser(chromium: Chromium) -> Driver:
    """The same one, for the pages of people's seats (``seat_page.py``)."""
    return chromium.driver


@pytest.fixture(scope="module")
def firefox(node_modules: Path) -> Iterator[Driver]:
    """Another one, for the same pages."""
    require("firefox-esr", "apt-get install firefox-esr")
    program = shutil.which("firefox-esr")
    assert program is not None
    with running_driver(DRIVER, node_modules, program, kind="firefox") as driver:
        yield driver


def _program() -> str:
    require("chromium", "apt-get install chromium")
    program = shutil.which("chromium")
    assert program is not None
    return program


def _name(process: psutil.Process) -> str:
    """Return a process's name; one of the short-lived ones that a browser starts may have none any more."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return str(process.name())
    return ""
