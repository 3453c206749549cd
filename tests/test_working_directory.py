"""A program that goes to another folder in the middle of a match, or whose folder goes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import gymnasium
import pytest

from gym_p2p import P2PEnv
from gym_p2p.config import ServiceConfig
from gym_p2p.server import serve_in_thread
from tests.players import Lobby, act, auto_peers
from tests.toys import BLEND
from tests.waiting import until


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where everything begins."""
    folder = tmp_path / "where it begän"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def local(home: Path) -> Iterator[Lobby]:
    """A service and players who name every folder relative to the one they are in."""
    assert home == Path.cwd()
    with serve_in_thread(ServiceConfig(port=0, data_dir="service")) as running:
        yield Lobby(running.url, Path("exports"))


def _env(lobby: Lobby, seat: str, record: str | None = None) -> P2PEnv:
    options = lobby.options(fps=100, checkpoint_interval_s=0.1, record=record)
    return P2PEnv(gymnasium.make(BLEND, length=100_000), seat=seat, **options)


def _play(env: P2PEnv, frames: int) -> None:
    for frame in range(frames):
        env.step(act(env.action_space, frame))


@pytest.mark.parametrize("record", ["records", "games/mine.p2preplay"])
def test_every_file_of_a_match_stays_where_it_began(
    record: str, home: Path, local: Lobby, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with auto_peers([partial(_env, local, "b")]):
        env = _env(local, "a", record)
        monkeypatch.chdir(elsewhere)  # before the first reset
        env.reset()
        _play(env, 20)
        monkeypatch.chdir("/")
        until(lambda: len(list(home.glob("exports/*T*Z-*/a.journal.jsonl"))) == 1)  # a checkpoint
        monkeypatch.chdir(elsewhere)
        finished = env.p2p.close()
    assert finished is not None
    assert not finished.problems
    assert finished.uploaded
    assert all(path.is_relative_to(home) for path in finished.paths.values())
    assert len(list(home.glob("exports/*T*Z-*/*.json"))) == 6
    assert list(home.glob("service/*T*Z-*/a.multiplayer.json"))
    assert len(list(home.rglob("*.p2preplay"))) == 1
    assert not list(elsewhere.iterdir())


def test_a_match_whose_working_directory_is_deleted_goes_on(
    local: Lobby, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    with auto_peers([partial(_env, local, "b")]):
        env = _env(local, "a", "records")
        monkeypatch.chdir(gone)
        shutil.rmtree(gone)
        env.reset()
        _play(env, 10)
        finished = env.p2p.close()
    assert finished is not None
    assert not finished.problems
