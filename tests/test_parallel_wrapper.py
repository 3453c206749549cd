"""``P2PParallelEnv``: PettingZoo's contract, three and four players in a mesh, several agents a player."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pettingzoo
import pytest
from mpe2 import simple_spread_v3
from pettingzoo.test import parallel_api_test

from gym_p2p import (
    ConfigurationError,
    InvalidAction,
    P2PEnv,
    P2PParallelEnv,
    UnsupportedEnvironment,
    UsageError,
)
from gym_p2p.envs.rally import parallel_env
from gym_p2p.game.env.seats import make_game
from tests.game.environments import AecCounter, LastOneStanding
from tests.players import (
    Episode,
    Lobby,
    assert_all_played_the_same,
    auto_peers,
    play_episode,
    play_oracle,
    together,
)
from tests.toys import Blend


def _spread(players: int = 3) -> Any:
    return simple_spread_v3.parallel_env(N=players, max_cycles=20)


def _counter() -> Any:
    return AecCounter(is_parallelizable=True)


def _play_match(make: Callable[[], Any], hands: Sequence[Sequence[Any]], lobby: Lobby) -> list[Any]:
    """Play two episodes, one player a hand of agents, and hold them against the oracle."""
    envs = [P2PParallelEnv(make(), agents=hand, **lobby.options(checksum_interval=4)) for hand in hands]

    def play(index: int) -> Episode:
        play_episode(envs[index], salt=index)
        episode = play_episode(envs[index], salt=index)
        envs[index].close()
        return episode

    played = together(*(partial(play, i) for i in range(len(envs))))
    documents = [env.export_multiplayer_metrics() for env in envs]
    assert_all_played_the_same(documents)
    game, seed = make_game(make()), envs[0].p2p.seed
    assert isinstance(seed, int)
    oracle = list(play_oracle(game, seed, documents[0], episode=2))
    for hand, episode in zip(hands, played, strict=True):
        assert isinstance(episode, Episode), episode
        assert len(oracle) == len(episode.results) + 1
        for outcome, (observations, rewards, *_) in zip(oracle[1:], episode.results, strict=True):
            for agent in hand:
                index = game.seats.index(agent)
                np.testing.assert_array_equal(observations[agent], outcome.observations[index])
                assert rewards[agent] == outcome.rewards[index]
    return documents


@pytest.mark.parametrize(
    ("make", "agents", "others"),
    [
        (parallel_env, ["left"], ["right"]),
        (_spread, ["agent_1"], ["agent_0", "agent_2"]),
        (_spread, ["agent_0", "agent_2"], ["agent_1"]),
        (_counter, ["x"], ["y"]),
    ],
)
def test_pettingzoos_api_test_passes_beside_auto_peers(
    make: Callable[[], Any], agents: list[str], others: list[str], lobby: Lobby
) -> None:
    makers = [partial(_wrapped, make, [other], lobby) for other in others]
    with auto_peers(makers), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        env = _wrapped(make, agents, lobby)
        parallel_api_test(env, num_cycles=40)
        env.close()
    assert [str(warning.message) for warning in warned] == []


def _wrapped(make: Callable[[], Any], agents: list[str], lobby: Lobby) -> P2PParallelEnv:
    return P2PParallelEnv(make(), agents=agents, **lobby.options())


def test_a_seed_makes_whole_episodes_the_same_in_two_matches(lobby: Lobby) -> None:
    seen = []
    for _ in range(2):
        table = Lobby(lobby.url, lobby.exports)
        with auto_peers([partial(_wrapped, _spread, [agent], table) for agent in ("agent_1", "agent_2")]):
            env = _wrapped(_spread, ["agent_0"], table)
            seen.append([play_episode(env, seed=seed).results for seed in (42, None)])
            env.close()
    np.testing.assert_equal(seen[0], seen[1])
    assert not np.array_equal(seen[0][0][0][0]["agent_0"], seen[0][1][0][0]["agent_0"])


def test_three_players_in_a_mesh_play_the_oracles_episode(lobby: Lobby) -> None:
    _play_match(_spread, [["agent_0"], ["agent_1"], ["agent_2"]], lobby)


def test_four_players_in_a_mesh_play_the_oracles_episode(lobby: Lobby) -> None:
    documents = _play_match(lambda: _spread(4), [[f"agent_{i}"] for i in range(4)], lobby)
    assert all(len(document["latencyByPeer"]) == 3 for document in documents)


def test_a_player_may_hold_several_agents(lobby: Lobby) -> None:
    _play_match(lambda: _spread(4), [["agent_0", "agent_3"], ["agent_1", "agent_2"]], lobby)


def test_a_converted_aec_environment_plays_the_oracles_episode(lobby: Lobby) -> None:
    _play_match(_counter, [["x"], ["y"]], lobby)


def test_agents_that_end_at_different_frames_end_so_for_everybody(lobby: Lobby) -> None:
    envs = [
        P2PParallelEnv(LastOneStanding(limit=12), agents=agents, **lobby.options())
        for agents in (["a", "b"], ["c"])
    ]

    def play(env: P2PParallelEnv, ends: dict[str, int]) -> list[tuple[str, ...]]:
        env.reset()
        alive = []
        frame = 0
        while env.agents:
            alive.append(tuple(env.agents))
            _, _, terminations, _, _ = env.step({a: 1 if ends[a] == frame else 2 for a in env.agents})
            assert {a for a, out in terminations.items() if out} == {a for a in alive[-1] if ends[a] == frame}
            frame += 1
        env.close()
        return alive

    played = together(partial(play, envs[0], {"a": 2, "b": 5}), partial(play, envs[1], {"c": 5}))
    assert played == [[("a", "b")] * 3 + [("b",)] * 3, [("c",)] * 6]


@pytest.mark.parametrize("agents", [("a", "b"), ("a", "b", "c"), ("a", "b", "c", "d")])
@pytest.mark.parametrize("sync", ["lockstep", "rollback"])
def test_who_closes_after_their_agent_died_costs_the_others_nothing(
    sync: Any, agents: tuple[str, ...], lobby: Lobby
) -> None:
    options = lobby.options(sync=sync, fps=120, checksum_interval=5)
    envs = [P2PParallelEnv(LastOneStanding(agents, limit=60), agents=[one], **options) for one in agents]

    def play(env: P2PParallelEnv) -> list[Any]:
        env.reset()
        (own,) = env.agents
        told: list[Any] = []
        while env.agents:
            told.append(env.step({own: 1 if own == "a" and len(told) == 20 else 2}))
        env.close()
        return told

    dead, *lived = [
        told for told in together(*(partial(play, env) for env in envs)) if isinstance(told, list)
    ]
    assert len(dead) == 21
    assert [len(told) for told in lived] == [60] * (len(agents) - 1)
    leaver, *others = [env.export_multiplayer_metrics() for env in envs]
    assert _frames(leaver) == 21
    for document in (leaver, *others):
        assert document["sessionStatus"]["terminationReason"] == "normal"
        assert not document["sessionStatus"]["isPartial"]
    for document in others:
        assert _frames(document) == 60
        assert [gone["playerId"] for gone in document["departures"]][:1] == ["a"]
    assert_all_played_the_same(others)


def _frames(document: Any) -> int:
    (episode,) = document["validation"]["episodes"]
    return int(episode["confirmedFrame"]) + 1


def test_one_agent_of_a_parallel_environment_is_a_gymnasium_environment_too(lobby: Lobby) -> None:
    with auto_peers([partial(_wrapped, _spread, [agent], lobby) for agent in ("agent_1", "agent_2")]):
        env = P2PEnv(_spread(), seat="agent_0", **lobby.options())
        episode = play_episode(env, seed=5)
        assert len(episode.results) == 20
        assert episode.results[-1][3] is True
        assert env.observation_space.contains(episode.results[-1][0])
        env.close()


def test_a_missing_action_names_the_agent_and_consumes_no_frame(lobby: Lobby) -> None:
    with auto_peers([partial(_wrapped, _spread, ["agent_1"], lobby)]):
        env = _wrapped(_spread, ["agent_0", "agent_2"], lobby)
        env.reset()
        with pytest.raises(InvalidAction, match=r"agent_2.*no action given"):
            env.step({"agent_0": 1})
        with pytest.raises(InvalidAction, match="agent_2"):
            env.step({"agent_0": 1, "agent_2": 99})
        assert env.p2p.progress.frame == 0
        env.step({"agent_0": 1, "agent_2": 2})
        assert env.p2p.progress.frame == 1
        env.close()


def test_a_with_block_closes_it_whatever_comes() -> None:
    with pytest.raises(KeyError), P2PParallelEnv(_spread(), agents=["agent_1"]) as env:
        raise KeyError
    assert env.p2p.state.value == "closed"


@pytest.mark.parametrize("agents", ["agent_0", [], ["agent_0", "agent_0"], None, 3, [["a"], ["a"]]])
def test_agents_are_a_list_of_different_agents(agents: Any) -> None:
    with pytest.raises(ConfigurationError, match="agents"):
        P2PParallelEnv(_spread(), agents=agents)


def test_an_unknown_agent_is_told_which_there_are() -> None:
    with pytest.raises(UsageError, match=r"'agent_9'.*'agent_0', 'agent_1', 'agent_2'"):
        P2PParallelEnv(_spread(), agents=["agent_9"])


def test_a_gymnasium_environment_is_sent_to_the_other_wrapper() -> None:
    with pytest.raises(UnsupportedEnvironment, match="P2PEnv"):
        P2PParallelEnv(Blend(), agents=["a"])


def test_the_wrapper_is_a_parallel_environment() -> None:
    env = P2PParallelEnv(_spread(), agents=["agent_1"])
    assert isinstance(env, pettingzoo.ParallelEnv)
    assert (env.possible_agents, env.agents) == (["agent_1"], [])
    assert env.observation_spaces == {"agent_1": env.observation_space("agent_1")}
    assert env.action_spaces == {"agent_1": env.action_space("agent_1")}
    assert env.action_space("agent_1") is env.action_space("agent_1")
    env.close()
    env.close()
