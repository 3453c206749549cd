"""Players whose process forks: what the forks hold keeps nothing alive; they have no part in the match."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import psutil
import pytest

from gym_p2p import P2PEnv, UsageError
from gym_p2p.processes.forked import ForkServer
from tests.lone_player import HEIRS, lone_player
from tests.players import Lobby, act, auto_peers, left_running, network_processes, together
from tests.toys import BLEND
from tests.waiting import PATIENCE_S, until

TIMEOUT_S = 5.0
"""Well above what a goodbye needs, so that one which came is told from a silence."""


@pytest.fixture(autouse=True)
def _none_of_another_match() -> None:
    until(lambda: network_processes() == [])


def _env(lobby: Lobby, seat: str, **changes: Any) -> P2PEnv:
    return P2PEnv(gymnasium.make(BLEND, length=100_000), seat=seat, **lobby.options(fps=100, **changes))


def _play_until_it_ends(env: P2PEnv) -> dict[str, Any]:
    for frame in range(100_000):
        _, _, _, truncated, info = env.step(act(env.action_space, frame))
        if truncated:
            told: dict[str, Any] = info["p2p"]
            return told
    raise AssertionError("it did not end")


@pytest.mark.parametrize("heir", HEIRS)
def test_a_killed_player_of_whom_something_lives_on_is_gone_at_once(
    heir: str, lobby: Lobby, tmp_path: Path
) -> None:
    theirs = lobby.options(network="process", exports=str(tmp_path / "killed"))
    env = _env(lobby, "b", disconnect_timeout_s=TIMEOUT_S)
    heirs: list[psutil.Process] = []
    network: list[psutil.Process] = []

    def kill() -> None:
        heirs.append(psutil.Process(int(player.wait_until_it_says("heir"))))
        player.wait_until_it_says("frame 30")
        network.extend(player.network_processes())
        player.process.kill()

    with lone_player("a", theirs, heir=heir, length=100_000) as player:
        try:
            assert together(env.reset)[0] is not None
            told = together(lambda: _play_until_it_ends(env), kill)[0]
            assert heirs[0].is_running()
            assert told == {"reason": "peer_crashed", "player": "a"}  # their network process said so
            assert len(network) == 1
            assert psutil.wait_procs(network, timeout=PATIENCE_S)[1] == []
        finally:
            for process in heirs:
                process.kill()
    env.close()


def _outcome_in_a_fork(call: Callable[[], object]) -> Any:
    """Call this in a fork; return what it returned, or the error it raised."""
    context = multiprocessing.get_context("fork")
    reads, writes = context.Pipe(duplex=False)

    def run() -> None:
        try:
            writes.send(call())
        except Exception as error:  # noqa: BLE001 - handed to the test
            writes.send(error)

    child = context.Process(target=run)
    child.start()
    try:
        assert reads.poll(PATIENCE_S), "the fork hangs"
        return reads.recv()
    finally:
        child.kill()
        child.join()


@pytest.mark.parametrize("network", ["thread", "process"])
def test_a_fork_can_neither_play_nor_close_its_parents_match(network: str, lobby: Lobby) -> None:
    with auto_peers([partial(_env, lobby, "b", exports=None)]):
        env = _env(lobby, "a", network=network)
        env.reset()
        for verb in (lambda: env.step(0), env.reset):
            error = _outcome_in_a_fork(verb)
            assert isinstance(error, UsageError)
            assert "fork" in str(error)
        assert _outcome_in_a_fork(env.close) is None
        assert not list(lobby.exports.glob("*T*Z-*/*.json"))  # nothing is final yet
        for frame in range(20):
            assert "p2p" not in env.step(act(env.action_space, frame))[4]
        env.close()
        assert len(list(lobby.exports.glob("*T*Z-*/*.json"))) == 3


def test_a_wrapper_that_was_made_before_a_fork_plays_in_the_fork(lobby: Lobby) -> None:
    env = _env(lobby, "a", exports=None)

    def play() -> list[bool]:
        env.reset()
        ended = [env.step(act(env.action_space, frame))[3] for frame in range(5)]
        env.close()
        return ended

    with auto_peers([partial(_env, lobby, "b", exports=None)]):
        assert _outcome_in_a_fork(play) == [False] * 5
    env.close()


def test_a_match_that_a_thread_began_outlives_the_thread(lobby: Lobby) -> None:
    with auto_peers([partial(_env, lobby, "b", exports=None)]):
        env = _env(lobby, "a", network="process", exports=None)
        beginner = threading.Thread(target=env.reset)
        beginner.start()
        beginner.join(PATIENCE_S)
        for frame in range(30):
            assert "p2p" not in env.step(act(env.action_space, frame))[4]
        env.close()
    until(lambda: left_running() == [])


def test_a_network_process_is_missed_although_a_fork_holds_its_end_of_the_line(
    lobby: Lobby, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []

    def fork(server: ForkServer, theirs: Any) -> Any:
        kept.append(os.dup(theirs.fileno()))  # as a fork in another thread at this very moment would
        return real(server, theirs)

    real = ForkServer.fork
    monkeypatch.setattr(ForkServer, "fork", fork)
    with auto_peers([partial(_env, lobby, "b", exports=None)]):
        env = _env(lobby, "a", network="process", exports=None)
        env.reset()
        network_processes()[0].kill()
        told = together(lambda: _play_until_it_ends(env))[0]
        assert told == {"reason": "network_failed", "player": None}
        env.close()
    os.close(kept[0])
