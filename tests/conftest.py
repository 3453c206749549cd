"""Fixtures for tests of the whole: a service in this process, a lobby for every test, the laboratory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gym_p2p.config import ServiceConfig
from gym_p2p.server import Service, serve_in_thread
from tests.lab.fixtures import lab_possible, make_lab
from tests.players import Lobby

__all__ = ["lab_possible", "lobby", "make_lab", "wrapper_service"]


@pytest.fixture(scope="module")
def wrapper_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all tests of a module: each uses rooms of its own."""
    config = ServiceConfig(port=0, data_dir=str(tmp_path_factory.mktemp("service")))
    with serve_in_thread(config) as running:
        yield running


@pytest.fixture
def lobby(wrapper_service: Service, tmp_path: Path) -> Lobby:
    return Lobby(wrapper_service.url, tmp_path / "exports")
