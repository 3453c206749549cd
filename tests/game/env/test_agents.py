"""Environments whose mappings hold only who acts, and agents who are not there yet."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pettingzoo
import pytest
from gymnasium import spaces

import gym_p2p
from gym_p2p.errors import UnsupportedEnvironment
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.state.proof import choose_snapshots


class Turns(gymnasium.Env[Any, Any]):
    """RLlib's form: agents act in turn, and every mapping holds only whose turn it is."""

    def __init__(self, *, by_agent: bool = False, limit: int = 9) -> None:
        acted: dict[str, gymnasium.Space[Any]] = {name: spaces.Discrete(3) for name in ("a", "b", "c")}
        observed: dict[str, gymnasium.Space[Any]] = {
            name: spaces.Box(0, 1000, (2,), np.int64) for name in acted
        }
        if by_agent:
            self.action_spaces, self.observation_spaces = acted, observed
        else:
            self.action_space, self.observation_space = spaces.Dict(acted), spaces.Dict(observed)
        self.given: list[Any] = []
        self._limit = limit
        self._names = list(acted)
        self._turn = self._total = 0

    def _seen(self) -> dict[str, Any]:
        return {self._names[self._turn % 3]: np.array([self._turn, self._total])}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed, options=options)
        self.given, self._turn, self._total = [], 0, 0
        return self._seen(), {}

    def step(self, action: Any) -> Any:
        self.given.append(dict(action))
        ((name, value),) = action.items()
        self._turn += 1
        self._total += int(value)
        ended = {"__all__": self._turn >= self._limit}
        return (
            self._seen(),
            {name: np.array([float(value)])},
            ended,
            {"__all__": False},
            {name: {"n": self._turn}},
        )


@pytest.mark.parametrize("by_agent", [False, True])
def test_only_who_acts_is_stepped_and_the_others_keep_what_they_saw(by_agent: bool) -> None:  # noqa: FBT001 a parameter of the test
    env = Turns(by_agent=by_agent)
    game = make_game(env)
    assert game.seats == ("a", "b", "c")
    first = game.reset(seed=1)
    assert first.unborn == {1, 2}
    second = game.step([2, 1, 1])
    assert env.given == [{"a": 2}]
    assert second.rewards == (2.0, 0.0, 0.0)
    assert second.observations[0].tolist() == [0, 0]  # its last
    assert second.observations[1].tolist() == [1, 2]
    assert second.infos == ({"n": 1}, {}, {})
    assert second.unborn == {2}
    game.step([0, 1, 0])
    assert env.given[-1] == {"b": 1}


def test_the_end_for_all_is_everybodys() -> None:
    game = make_game(Turns(limit=2))
    game.reset(seed=1)
    assert not game.step([0, 0, 0]).ended
    outcome = game.step([0, 0, 0])
    assert outcome.ended
    assert outcome.terminations == (True, True, True)
    assert outcome.truncations == (False, False, False)
    assert not any(game.reset(seed=1).terminations)


def test_what_who_does_not_act_saw_last_is_saved_with_the_state() -> None:
    game = make_game(Turns())
    choice = choose_snapshots(game)
    assert choice.snapshots is not None, choice.reason
    game.reset(seed=1)
    game.step([1, 0, 0])
    saved = choice.snapshots.save()
    wanted = [game.step([0, 2, 0]) for _ in range(3)]
    choice.snapshots.load(saved)
    again = [game.step([0, 2, 0]) for _ in range(3)]
    assert [str(one.observations) for one in again] == [str(one.observations) for one in wanted]


@pytest.mark.parametrize("sync", ["lockstep", "rollback"])
def test_a_match_of_who_acts_plays_to_its_end(sync: Any) -> None:
    policies = {name: (lambda _o, frame: frame % 3) for name in ("a", "b", "c")}
    match = gym_p2p.simulate(Turns, policies, frames=60, seed=1, one_way_ms=40, sync=sync)
    assert match.sync == sync
    assert {player.ending for player in match.players.values()} == {"ended"}
    first, *others = ([frame.checksum for frame in one.confirmed] for one in match.players.values())
    assert len(first) == 9
    assert others == [first, first]


def test_an_agent_with_a_flag_of_its_own_is_over_and_not_stepped_again() -> None:
    class Early(Turns):
        def _seen(self) -> dict[str, Any]:
            return {name: np.array([self._turn, 0]) for name in self._names}

        def step(self, action: Any) -> Any:
            self.given.append(dict(action))
            self._turn += 1
            return (
                self._seen(),
                dict.fromkeys(action, 1.0),
                {"a": True, "__all__": False},
                {"__all__": False},
                {},
            )

    env = Early()
    game = make_game(env)
    game.reset(seed=1)
    assert game.step([0, 0, 0]).terminations == (True, False, False)
    outcome = game.step([0, 1, 2])
    assert env.given[-1] == {"b": 1, "c": 2}
    assert outcome.terminations == (True, False, False)


class LateJoiner(pettingzoo.ParallelEnv):  # type: ignore[misc]  # PettingZoo has no types
    """``b`` comes in the third frame; who is not among the possible agents in the fifth, if wanted."""

    metadata = {"name": "late_joiner_v0"}  # noqa: RUF012 as PettingZoo declares it

    def __init__(self, stranger: Any = None, *, spaces_of: tuple[str, ...] = ("a", "b")) -> None:
        self.possible_agents = ["a", "b"]
        self.agents: list[Any] = []
        self._stranger = stranger
        self._table = {agent: spaces.Discrete(3) for agent in spaces_of}
        self._frame = 0

    def action_space(self, agent: Any) -> Any:
        return self._table[agent]

    def observation_space(self, _agent: Any) -> Any:
        return spaces.Discrete(100)

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        del seed, options
        self.agents, self._frame = ["a"], 0
        return {"a": 0}, {"a": {}}

    def step(self, actions: dict[Any, Any]) -> Any:
        assert set(actions) == set(self.agents)
        self._frame += 1
        before = list(self.agents)
        if self._frame == 3:
            self.agents = ["a", "b"]
        if self._frame == 5 and self._stranger is not None:
            self.agents = [*self.agents, self._stranger]
        over = self._frame >= 8
        told = self.agents
        if over:
            self.agents = []
        return (
            dict.fromkeys(told, self._frame),
            dict.fromkeys(before, 1.0),
            dict.fromkeys(told, over),
            dict.fromkeys(told, False),
            {agent: {} for agent in told},
        )


def test_an_agent_who_is_not_there_yet_has_a_seat_that_waits() -> None:
    game = make_game(LateJoiner())
    assert game.reset(seed=1).unborn == {1}
    assert [game.step([0, 0]).unborn for _ in range(4)] == [{1}, {1}, set(), set()]
    outcome = game.step([0, 0])
    assert outcome.rewards == (1.0, 1.0)
    assert game.progress.born == (True, True)


@pytest.mark.parametrize("stranger", ["c", 7])
def test_an_agent_who_is_none_of_the_possible_ones_is_named(stranger: Any) -> None:
    game = make_game(LateJoiner(stranger))
    game.reset(seed=1)
    for _ in range(4):
        game.step([0, 0])
    with pytest.raises(UnsupportedEnvironment, match=rf"brought in the agent {stranger!r}.*\['a', 'b'\]"):
        game.step([0, 0])


def test_an_agent_without_an_action_space_is_named() -> None:
    with pytest.raises(UnsupportedEnvironment, match="no action space for 'b'"):
        make_game(LateJoiner(spaces_of=("a",)))


class _Alone:
    """A session without peers: the local game is all of the match."""

    def __init__(self, game: Any) -> None:
        self._game = game

    def reset(self, seed: int | None, options: Any) -> Any:
        return self._game.reset(seed, options)

    def step(self, actions: Any) -> Any:
        return self._game.step([actions.get(seat, 0) for seat in self._game.seats])


def test_the_parallel_wrapper_lists_who_is_there() -> None:
    env = gym_p2p.P2PParallelEnv(LateJoiner(), agents=["a", "b"])
    env.p2p = _Alone(env._game)  # type: ignore[assignment]  # all that is asked of it
    assert env.reset(seed=1) == ({"a": 0}, {"a": {}})
    assert env.agents == ["a"]
    listed = []
    while env.agents:
        observations, rewards, terminations, _, infos = env.step(dict.fromkeys(env.agents, 0))
        listed.append(list(env.agents))
        assert observations.keys() == rewards.keys() == terminations.keys() == infos.keys()
    assert listed == [["a"]] * 2 + [["a", "b"]] * 5 + [[]]
    assert terminations == {"a": True, "b": True}


def test_the_parallel_wrapper_of_who_is_not_there_yet_waits_without_actions() -> None:
    env = gym_p2p.P2PParallelEnv(LateJoiner(), agents=["b"])
    env.p2p = _Alone(env._game)  # type: ignore[assignment]  # all that is asked of it
    assert env.reset(seed=1) == ({}, {})
    told = [env.step({})[0] for _ in range(3)]
    assert told == [{}, {}, {"b": 3}]
    assert env.agents == ["b"]
