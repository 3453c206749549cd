"""Vector environments, which reset by themselves in the step that ended an episode, in the next, or never."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

from gym_p2p import MatchOver, P2PEnv, PeerLost
from gym_p2p.wrapper import P2POptions
from tests.players import Lobby, act, play_episode, together
from tests.toys import BLEND
from tests.waiting import in_time

LENGTH = 10
AT_ONCE_S = 10.0
"""Well below the time-outs of the wait for the others, which are 20 s here."""


def make(seat: str | int, options: P2POptions, kind: str = "dict") -> P2PEnv:
    return P2PEnv(gymnasium.make(BLEND, length=LENGTH, kind=kind), seat=seat, **options)


def play_one_episode(seat: str | int, options: P2POptions, kind: str = "dict") -> None:
    env = make(seat, options, kind)
    play_episode(env)
    env.close()


def step(envs: VectorEnv[Any, Any, Any], frame: int) -> Any:
    return envs.step(np.stack([act(envs.single_action_space, frame)]))


def play_to_the_end(envs: VectorEnv[Any, Any, Any]) -> tuple[Any, float]:
    """Play the episode; return what its last step gave and how long it took."""
    envs.reset()
    for frame in range(LENGTH - 1):
        _, _, terminated, truncated, _ = step(envs, frame)
        assert not terminated[0]
        assert not truncated[0]
    began = time.monotonic()
    return step(envs, LENGTH - 1), time.monotonic() - began


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("kind", [SyncVectorEnv, AsyncVectorEnv])
def test_the_last_transition_is_kept_where_the_others_leave_after_it(
    kind: Any, mode: AutoresetMode, lobby: Lobby
) -> None:
    def learn() -> None:
        envs = kind([partial(make, "a", lobby.options())], autoreset_mode=mode)
        (observations, rewards, terminated, _, infos), took_s = play_to_the_end(envs)
        assert terminated[0]
        assert rewards[0] != 0
        with in_time():
            assert took_s < AT_ONCE_S
        if mode is AutoresetMode.SAME_STEP:
            assert (infos["final_obs"][0] == observations[0]).all()
            assert infos["final_info"]["frame"][0] == LENGTH
        elif mode is AutoresetMode.NEXT_STEP:
            _, rewards, terminated, truncated, infos = step(envs, LENGTH)
            assert (rewards[0], terminated[0], truncated[0]) == (0.0, False, False)
        else:
            _, infos = envs.reset()
        assert (infos["p2p"]["reason"][0], infos["p2p"]["player"][0]) == ("peer_left", "b")
        with pytest.raises(PeerLost, match="'b'"):
            step(envs, LENGTH)
        envs.close()

    learned, _ = together(learn, partial(play_one_episode, "b", lobby.options()))
    assert learned is None, learned


@pytest.mark.parametrize("asked", ["latency", "a document"])
def test_who_looks_between_the_last_step_and_the_reset_loses_no_transition(asked: str, lobby: Lobby) -> None:
    class Looking(gymnasium.Wrapper[Any, Any, Any, Any]):
        """A logger, as people wrap one around an environment."""

        def step(self, action: Any) -> Any:
            result = super().step(action)
            assert isinstance(self.env, P2PEnv)
            looks: dict[str, Callable[[], object]] = {
                "latency": self.env.p2p.latency,
                "a document": self.env.export_session_metrics,
            }
            looks[asked]()
            return result

    def learn() -> None:
        envs = SyncVectorEnv(
            [lambda: Looking(make("a", lobby.options()))], autoreset_mode=AutoresetMode.SAME_STEP
        )
        (_, rewards, terminated, _, infos), _ = play_to_the_end(envs)
        assert terminated[0]
        assert rewards[0] != 0
        assert infos["p2p"]["reason"][0] == "peer_left"
        envs.close()

    learned, _ = together(learn, partial(play_one_episode, "b", lobby.options()))
    assert learned is None, learned


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("kind", [SyncVectorEnv, AsyncVectorEnv])
def test_a_match_that_is_lost_in_the_middle_of_an_episode_is_truncated_in_a_vector_too(
    kind: Any, mode: AutoresetMode, lobby: Lobby
) -> None:
    def learn() -> None:
        envs = kind([partial(make, "a", lobby.options())], autoreset_mode=mode)
        envs.reset()
        for frame in range(LENGTH):
            _, _, terminated, truncated, infos = step(envs, frame)
            if truncated[0]:
                break
        assert (terminated[0], truncated[0]) == (False, True)
        assert (infos["p2p"]["reason"][0], infos["p2p"]["player"][0]) == ("peer_left", "b")
        if mode is AutoresetMode.SAME_STEP:
            assert infos["final_info"]["p2p"]["reason"][0] == "peer_left"
        elif mode is AutoresetMode.NEXT_STEP:
            step(envs, LENGTH)
        else:
            envs.reset()
        with pytest.raises(MatchOver, match="peer_left"):
            step(envs, LENGTH)
        envs.close()

    def leave() -> None:
        env = make("b", lobby.options())
        env.reset()
        for frame in range(LENGTH // 2):
            env.step(act(env.action_space, frame))
        env.close()

    learned, _ = together(learn, leave)
    assert learned is None, learned


def test_of_three_players_one_who_leaves_after_an_episode_takes_no_transition_along(lobby: Lobby) -> None:
    def learn(seat: int) -> None:
        envs = SyncVectorEnv(
            [partial(make, seat, lobby.options(), "three")], autoreset_mode=AutoresetMode.SAME_STEP
        )
        (_, _, terminated, _, infos), took_s = play_to_the_end(envs)
        assert terminated[0]
        with in_time():
            assert took_s < AT_ONCE_S
        assert infos["p2p"]["player"][0] in {0, 1, 2}
        envs.close()

    leave = partial(play_one_episode, 0, lobby.options(), "three")
    assert together(partial(learn, 1), partial(learn, 2), leave) == [None] * 3


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_two_vector_environments_play_episode_after_episode(mode: AutoresetMode, lobby: Lobby) -> None:
    def learn(seat: str) -> int:
        envs = SyncVectorEnv([partial(make, seat, lobby.options())], autoreset_mode=mode)
        envs.reset()
        ended = 0
        for frame in range(3 * (LENGTH + 1)):
            _, _, terminated, _, infos = step(envs, frame)
            assert "p2p" not in infos
            ended += bool(terminated[0])
        envs.close()
        return ended

    assert together(partial(learn, "a"), partial(learn, "b")) == [3, 3]


def test_who_waits_in_vain_for_the_next_episode_is_told_for_whom_and_loses_nothing(lobby: Lobby) -> None:
    idle = make("b", lobby.options())

    def learn() -> None:
        envs = SyncVectorEnv(
            [partial(make, "a", lobby.options(input_timeout_s=4.0))], autoreset_mode=AutoresetMode.SAME_STEP
        )
        (_, _, terminated, _, infos), _ = play_to_the_end(envs)
        assert terminated[0]
        assert (infos["p2p"]["reason"][0], infos["p2p"]["player"][0]) == ("peer_unresponsive", "b")
        with pytest.raises(PeerLost, match="player 'b' is gone: they are connected, and do not play"):
            step(envs, LENGTH)
        envs.close()

    learned, _ = together(learn, partial(play_episode, idle))
    assert learned is None, learned
    idle.close()


def test_a_reset_after_the_one_that_found_nobody_says_that_the_match_is_over(lobby: Lobby) -> None:
    env = make("a", lobby.options())
    together(partial(play_episode, env), partial(play_one_episode, "b", lobby.options()))
    _, info = env.reset()
    assert info["p2p"] == {"reason": "peer_left", "player": "b"}
    assert env.p2p.ending is not None
    with pytest.raises(PeerLost):
        env.reset()
    with pytest.raises(MatchOver, match="peer_left"):
        env.reset()
    env.close()
