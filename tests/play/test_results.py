"""What players' documents say of episodes that end in every way, played over real channels."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium
import pytest

from gym_p2p import P2PEnv
from tests.players import Episode, Lobby, play_episode, together
from tests.toys import BLEND


def _episodes(env: P2PEnv) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = env.export_session_metrics()["episodes"]
    return found


@pytest.mark.parametrize("sync", ["lockstep", "rollback"])
def test_every_end_has_its_name_and_what_was_earned_is_the_same_for_both(lobby: Lobby, sync: Any) -> None:
    envs = [
        P2PEnv(
            gymnasium.make(BLEND, kind="dict", length=20),
            seat=seat,
            **lobby.options(sync=sync, fps=200, emulation={"one_way_ms": 5}),
        )
        for seat in ("a", "b")
    ]
    whole = together(*(partial(play_episode, env, seed=5, options={"n": 1}) for env in envs))
    assert all(isinstance(episode, Episode) for episode in whole), whole
    # The first leaves the second episode after five frames; the other one sees it end, and follows.
    left = together(partial(play_episode, envs[0], frames=5), partial(play_episode, envs[1], frames=5))
    assert all(isinstance(episode, Episode) for episode in left), left
    together(envs[0].reset, partial(_until_the_end_and_reset, envs[1]))
    together(envs[0].close, partial(_until_the_end, envs[1]))
    envs[1].close()
    ours, theirs = map(_episodes, envs)
    assert [episode["endedBy"] for episode in ours] == ["terminated", "reset", "closed"]
    assert [episode["endedBy"] for episode in theirs] == ["terminated", "peer_reset", "peer_left"]
    assert [episode["episode"] for episode in ours] == [1, 2, 3]
    assert (ours[0]["seed"], ours[0]["options"], ours[1]["options"]) == (5, {"n": 1}, None)
    assert [episode["seed"] for episode in ours] == [episode["seed"] for episode in theirs]
    assert isinstance(whole[0], Episode)
    rewards = [result[1] for result in whole[0].results]
    for episodes in (ours, theirs):
        assert (episodes[0]["frames"], episodes[0]["lengths"]) == (20, {"a": 20, "b": 20})
        assert episodes[0]["finalInfo"]["a"]["frame"] == 20
        assert episodes[0]["startedAt"] <= episodes[0]["endedAt"] <= episodes[1]["startedAt"]
    assert ours[0]["returns"] == theirs[0]["returns"]
    if sync == "lockstep":  # in rollback what was shown may have been a guess
        total = 0.0
        for reward in rewards:
            total += reward
        assert ours[0]["returns"]["a"] == total


def _until_the_end(env: P2PEnv) -> None:
    play = partial(env.step, env.action_space.sample())
    for _ in range(10_000):
        if any(play()[2:4]):
            return
    raise AssertionError("it did not end")


def _until_the_end_and_reset(env: P2PEnv) -> None:
    _until_the_end(env)
    env.reset()
