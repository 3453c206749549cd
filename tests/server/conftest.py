from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gym_p2p.config import ServiceConfig
from gym_p2p.core.presence.connects import Connects
from gym_p2p.server import Service, serve_in_thread
from tests.complaints import no_complaints
from tests.waiting import PATIENCE_S


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service") / "data"


@pytest.fixture(scope="module")
def service(data_dir: Path) -> Iterator[Service]:
    """One service for all tests of a module: each uses rooms and subjects of its own.

    They all have one address, and many of them are dropped on purpose: that does not slow it here.
    """
    config = ServiceConfig(
        port=0,
        data_dir=str(data_dir),
        max_upload_bytes=64 * 1024,
        register_timeout_s=PATIENCE_S,
        cors_origins=("https://lab.example",),
    )
    with pytest.MonkeyPatch.context() as patch, serve_in_thread(config) as running:
        patch.setattr(Connects, "drop", lambda *_: None)
        yield running


@pytest.fixture(autouse=True)
def _nothing_unnoticed() -> Iterator[None]:
    """Take every "Task exception was never retrieved" for an error, whatever has failed."""
    with no_complaints():
        yield
