"""Tiny environments for the tests of the game layer; each shows one way in which real ones are laid out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pettingzoo
from gymnasium import spaces

__all__ = ["AecCounter", "Echo", "LastOneStanding"]


class Echo(gymnasium.Env[Any, Any]):
    """Remembers the joint actions it was stepped with and returns what it was told to."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}  # type: ignore[misc]  # declared without ClassVar

    def __init__(
        self,
        action_space: gymnasium.Space[Any],
        observation_space: gymnasium.Space[Any] | None = None,
        reply: Callable[[Any], tuple[Any, Any, Any, Any, dict[Any, Any]]] | None = None,
        first: Any = None,
    ) -> None:
        self.action_space = action_space
        self.observation_space = observation_space or spaces.Discrete(10)
        self.stepped: list[Any] = []
        self.closed = 0
        self._reply = reply or (lambda _action: (3, 1.0, False, False, {}))
        self._first = first if first is not None else self.observation_space.sample()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        return self._first, {"seed": seed}

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict[Any, Any]]:
        self.stepped.append(action)
        return self._reply(action)

    def close(self) -> None:
        self.closed += 1


class LastOneStanding(pettingzoo.ParallelEnv):  # type: ignore[misc]  # PettingZoo has no types
    """Whoever plays 1 is out; ``limit`` ends it for the rest. Gives one array to all, and writes on in it."""

    metadata: ClassVar[dict[str, Any]] = {"name": "last_one_standing_v0", "render_modes": []}

    def __init__(self, agents: tuple[Any, ...] = ("a", "b", "c"), limit: int = 10) -> None:
        self.possible_agents = list(agents)
        self.agents: list[Any] = []
        self.limit = limit
        self.given: list[dict[Any, Any]] = []
        self.drop_silently = False
        self.keep_listed = False
        """Whether it goes on listing and reporting agents that are over, as some environments do."""
        self._seen = np.zeros(2, np.float32)
        self._space = spaces.Discrete(3)
        self._observed = spaces.Box(-100, 100, (2,))

    def action_space(self, _agent: Any) -> spaces.Discrete[np.int64]:
        return self._space

    def observation_space(self, _agent: Any) -> spaces.Box[np.float32]:
        return self._observed

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[Any, Any], dict[Any, Any]]:
        del options
        self.agents = list(self.possible_agents)
        self.given = []
        self._seen[:] = seed or 0, 0
        return dict.fromkeys(self.agents, self._seen), {a: {} for a in self.agents}

    def step(self, actions: dict[Any, Any]) -> Any:
        self.given.append(actions)
        self._seen[1] += 1
        acting = self.agents
        out = {a: actions[a] == 1 and not self.drop_silently for a in acting}
        over = {a: len(self.given) >= self.limit for a in acting}
        if not self.keep_listed:
            self.agents = [a for a in acting if actions[a] != 1 and not over[a]]
        return (
            dict.fromkeys(acting, self._seen),
            dict.fromkeys(acting, 1.0),
            out,
            over,
            {a: {} for a in acting},
        )


class AecCounter(pettingzoo.AECEnv):  # type: ignore[misc]  # PettingZoo has no types
    """Two agents in turn; once both have acted the frame counts, and after three frames it is over."""

    def __init__(self, *, is_parallelizable: bool) -> None:
        super().__init__()
        self.metadata = {"name": "aec_counter_v0", "is_parallelizable": is_parallelizable}
        self.render_mode = None
        self.possible_agents = ["x", "y"]
        self._spaces = {a: spaces.Discrete(5) for a in self.possible_agents}
        self._observed = {a: spaces.Discrete(100) for a in self.possible_agents}

    def action_space(self, agent: str) -> spaces.Discrete[np.int64]:
        return self._spaces[agent]

    def observation_space(self, agent: str) -> spaces.Discrete[np.int64]:
        return self._observed[agent]

    def observe(self, _agent: str) -> int:
        return self.total

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        del seed, options
        self.agents = list(self.possible_agents)
        self.agent_selection = "x"
        self.total = self.frames = self.pending = 0
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos: dict[str, dict[str, Any]] = {a: {} for a in self.agents}

    def step(self, action: int | None) -> None:
        agent = self.agent_selection
        if self.terminations[agent]:
            self._was_dead_step(action)
            return
        assert action is not None
        self._clear_rewards()
        self.pending += int(action)
        if agent == "x":
            self.agent_selection = "y"
            return
        self.total, self.pending = self.total + self.pending, 0
        self.frames += 1
        self.rewards = dict.fromkeys(self.agents, float(self.total))
        self.terminations = dict.fromkeys(self.agents, self.frames >= 3)
        self.agent_selection = "x"
