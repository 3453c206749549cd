from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.browser.chromium import HERE, Chromium, running_chromium, serving_pages
from tests.requirements import require

NPM_TIMEOUT_S = 100


@pytest.fixture(scope="session")
def node_modules(request: pytest.FixtureRequest) -> Path:
    """What the tests need of npm, kept in pytest's cache until ``package.json`` changes."""
    require("node", "apt-get install nodejs npm")
    require("npm", "apt-get install nodejs npm")
    assert request.config.cache is not None
    folder = request.config.cache.mkdir("browser-tests")
    wanted, installed = HERE / "package.json", folder / "installed.json"
    if not installed.exists() or installed.read_text() != wanted.read_text():
        shutil.copy(wanted, folder / "package.json")
        install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run(install, cwd=folder, check=True, stdin=subprocess.DEVNULL, timeout=NPM_TIMEOUT_S)
        shutil.copy(wanted, installed)
    return folder / "node_modules"


@pytest.fixture(scope="session")
def pages_url(node_modules: Path) -> Iterator[str]:
    with serving_pages(node_modules) as url:
        yield url


@pytest.fixture(scope="session")
def chromium(node_modules: Path, pages_url: str) -> Iterator[Chromium]:
    """One browser for all tests; each has pages of its own. No process of it is left behind."""
    require("chromium", "apt-get install chromium")
    program = shutil.which("chromium")
    assert program is not None
    before = set(psutil.Process().children(recursive=True))
    with running_chromium(node_modules, program, pages_url) as running:
        started = set(psutil.Process().children(recursive=True)) - before
        assert any("chromium" in process.name() for process in started)
        yield running
    _, alive = psutil.wait_procs(started, timeout=10)
    assert not alive
