"""A user who takes their time is neither a lost player nor a slow network."""

from __future__ import annotations

import itertools
import os
import signal
import time
from functools import partial
from typing import Any

import gymnasium
import pytest

from gym_p2p import P2PEnv
from tests.lone_player import lone_player
from tests.players import Episode, Lobby, act, auto_peers, play_episode, together
from tests.toys import BLEND, Blend
from tests.waiting import in_time

THINKING_S = 3.0
TAKES_S = 1.2
"""Less than any of the matches here lasts beside its beginning and its end."""

WATCH: dict[str, Any] = {"disconnect_timeout_s": 2.5, "disconnect_notice_s": 2.0, "poll_interval_ms": 100}
"""Well below the time that the users here take."""


class _Laborious(Blend):
    """Takes its time for the third step, on one player's machine."""

    def __init__(self, pause_s: float, length: int) -> None:
        super().__init__(length=length)
        self._pause_s = pause_s

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        if self._frame == 2:
            time.sleep(self._pause_s)
        return super().step(action)


def _env(lobby: Lobby, seat: str, **changes: Any) -> P2PEnv:
    return P2PEnv(gymnasium.make(BLEND, length=100_000), seat=seat, **lobby.options(**{**WATCH, **changes}))


def _assert_undisturbed(env: P2PEnv) -> None:
    """Check that no link broke or seemed to, and that round trips are fresh, short, and come steadily."""
    document = env.export_multiplayer_metrics()
    assert document["reconnection"]["disconnections"] == []
    latency = document["latency"]
    stamps = [sample["timestamp"] for sample in latency["samples"]]
    with in_time():
        assert max(after - before for before, after in itertools.pairwise(stamps)) < 1000
        assert latency["p90Ms"] < 60
        assert (stamps[-1] - stamps[0]) / len(stamps) < 150, "one is asked for every 100 ms"
        assert stamps[-1] - stamps[0] > 1e3 * TAKES_S
    assert document["connection"]["health"]["gapCount"] == 0


@pytest.mark.parametrize("network", ["thread", "process"])
def test_a_policy_that_thinks_is_waited_for(network: str, lobby: Lobby) -> None:
    a, b = _env(lobby, "a", network=network), _env(lobby, "b", network=network)

    def think() -> Episode:
        play_episode(a, frames=5)
        time.sleep(THINKING_S)
        return Episode(None, [], [a.step(act(a.action_space, 5))])

    played = together(think, partial(play_episode, b, frames=6))
    assert all(isinstance(episode, Episode) and "p2p" not in episode.info for episode in played), played
    together(a.close, b.close)
    for env in (a, b):
        _assert_undisturbed(env)


def test_an_environment_that_labours_is_waited_for(lobby: Lobby) -> None:
    pauses = (("a", THINKING_S), ("b", 0.0))
    a, b = [P2PEnv(_Laborious(pause_s, 9), seat=seat, **lobby.options(**WATCH)) for seat, pause_s in pauses]
    played = together(partial(play_episode, a), partial(play_episode, b))
    assert [len(getattr(episode, "results", ())) for episode in played] == [9, 9], played
    together(a.close, b.close)
    for env in (a, b):
        _assert_undisturbed(env)


def test_a_policy_that_computes_without_pause_does_not_slow_the_network_process(lobby: Lobby) -> None:
    with auto_peers([partial(_env, lobby, "b", network="process")]):
        env = _env(lobby, "a", network="process")
        env.reset()
        for frame in range(4):
            busy_until = time.process_time() + 0.7
            while time.process_time() < busy_until:
                sum(range(10_000))
            env.step(act(env.action_space, frame))
        env.close()
    _assert_undisturbed(env)


def test_a_stopped_user_process_is_waited_for(lobby: Lobby) -> None:
    options = lobby.options(network="process", exports=None, **WATCH)
    env = _env(lobby, "b", network="process", fps=100)

    def stop() -> None:
        player.wait_until_it_says("frame 20")
        os.kill(player.process.pid, signal.SIGSTOP)
        time.sleep(THINKING_S)
        os.kill(player.process.pid, signal.SIGCONT)
        player.wait_until_it_says("frame 50")

    with lone_player("a", options, length=100_000) as player:
        began = time.monotonic()
        played = together(partial(play_episode, env, frames=100), stop)
        assert time.monotonic() - began > THINKING_S
        assert isinstance(played[0], Episode), played
        assert len(played[0].results) == 100
        assert played[1] is None
        env.close()
    _assert_undisturbed(env)
