"""What every run needs, and fixtures for the tests of the whole: a service in this process, a lobby a test.

The core's tests load this file too, where nothing is installed but the package, pytest and Hypothesis: what
needs more than these is imported by the fixture that uses it.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from gym_p2p.server import Service
    from tests.players import Lobby

pytest_plugins = ["tests.parallel"] if importlib.util.find_spec("xdist") else []

settings.register_profile("save", max_examples=4, deadline=None)
settings.register_profile("quick", max_examples=15, deadline=None)
settings.register_profile("thorough", max_examples=50, deadline=None)


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Know the settings of pytest-timeout where it is not installed, so that they are no unknown ones."""
    if not pluginmanager.hasplugin("timeout"):
        for name in ("timeout", "timeout_method"):
            parser.addini(name, "of pytest-timeout, which is not installed")


def pytest_configure(config: pytest.Config) -> None:
    """Heed Ctrl-C, and choose how many examples Hypothesis tries: most where nothing may be missed."""
    if (
        signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    ):  # in a shell's background; programs would inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.environ.get("GYM_P2P_REQUIRE_ALL") == "1":
        settings.load_profile("thorough")
    elif "not slow" in config.option.markexpr:
        settings.load_profile("save")
    else:
        settings.load_profile("quick")


@pytest.fixture(autouse=True, scope="session")
def _state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what a full disk sends to the user's state folder out of the one of whoever runs this."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def _log_level() -> Iterator[None]:
    """Undo what a command that ran in this process has set: the next test may look at the log."""
    log = logging.getLogger("gym_p2p")
    before = log.level
    yield
    log.setLevel(before)


@pytest.fixture(autouse=True)
def _unwritten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let what a test could write nowhere be tried again for as long as the test lasts, and no longer."""
    if "gym_p2p.exports.exporter" not in sys.modules:
        yield
        return
    from gym_p2p.exports.unwritten import Unwritten  # noqa: PLC0415 - it is there

    unwritten, over = Unwritten(every_s=0.05), threading.Event()

    def keep_trying(folder: Path, attempt: Callable[[], bool]) -> None:
        unwritten.add(folder, lambda: over.is_set() or attempt())

    monkeypatch.setattr("gym_p2p.exports.exporter.keep_trying", keep_trying)
    yield
    over.set()


@pytest.fixture(scope="module")
def wrapper_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all tests of a module: each uses rooms of its own."""
    from gym_p2p.config import ServiceConfig  # noqa: PLC0415 - see above
    from gym_p2p.server import serve_in_thread  # noqa: PLC0415 - see above

    config = ServiceConfig(port=0, data_dir=str(tmp_path_factory.mktemp("service")))
    with serve_in_thread(config) as running:
        yield running


@pytest.fixture
def lobby(wrapper_service: Service, tmp_path: Path) -> Lobby:
    from tests.players import Lobby  # noqa: PLC0415 - see above

    return Lobby(wrapper_service.url, tmp_path / "exports")
