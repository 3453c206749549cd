"""Environments of an older form, made playable: what a user of one would write."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import gymnasium
import numpy as np
import pettingzoo
from gymnasium import spaces

__all__ = ["console", "crafter", "slime_volley"]


class _Crafter(gymnasium.Env[Any, Any]):
    """Crafter, which takes its seed when it is made, and draws from a generator of its own."""

    def __init__(self) -> None:
        self._package = importlib.import_module("crafter")
        self.action_space = spaces.Discrete(17)
        self.observation_space = spaces.Box(0, 255, (64, 64, 3), np.uint8)
        self._env: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed, options=options)
        self._env = self._package.Env(seed=int(self.np_random.integers(2**31 - 1)))
        return self._env.reset(), {}

    def step(self, action: Any) -> Any:
        observation, reward, done, info = self._env.step(int(action))
        return observation, float(reward), bool(done), False, {"inventory": info["inventory"]}


def crafter() -> gymnasium.Env[Any, Any]:
    """Make it."""
    return _Crafter()


class _SlimeVolley(pettingzoo.ParallelEnv):  # type: ignore[misc]  # PettingZoo has no types
    """slimevolleygym, whose step takes the other player's action as a second argument."""

    metadata = {"name": "slime_volley_v0", "render_modes": []}  # noqa: RUF012 as PettingZoo declares it

    def __init__(self) -> None:
        np.bool8 = np.bool_  # type: ignore[attr-defined]  # numpy 2 has dropped the name that gym uses
        module: Any = importlib.import_module("slimevolleygym.slimevolley")
        self._env = module.SlimeVolleyEnv()
        self.possible_agents = ["right", "left"]
        self.agents: list[str] = []
        self._acted, self._seen = spaces.MultiBinary(3), spaces.Box(-np.inf, np.inf, (12,), np.float32)

    def action_space(self, _agent: str) -> Any:
        return self._acted

    def observation_space(self, _agent: str) -> Any:
        return self._seen

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        del options
        self._env.seed(seed)
        self.agents = list(self.possible_agents)
        seen = np.asarray(self._env.reset(), np.float32)
        return {"right": seen, "left": seen.copy()}, {agent: {} for agent in self.agents}

    def step(self, actions: Any) -> Any:
        seen, reward, done, info = self._env.step(actions["right"], actions["left"])
        told = dict.fromkeys(self.agents, bool(done))
        observations = {
            "right": np.asarray(seen, np.float32),
            "left": np.asarray(info["otherObs"], np.float32),
        }
        rewards = {"right": float(reward), "left": -float(reward)}
        infos: dict[str, dict[str, Any]] = {agent: {} for agent in self.agents}
        if done:
            self.agents = []
        return observations, rewards, told, dict.fromkeys(told, False), infos


def slime_volley() -> Any:
    """Make it."""
    return _SlimeVolley()


class _Console(gymnasium.Env[Any, Any]):
    """Twelve buttons of one controller, which two people hold."""

    def __init__(self) -> None:
        self.action_space = spaces.MultiBinary(12)
        self.observation_space = spaces.Box(0, 1, (4,), np.float64)
        self._state = np.zeros(4)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed, options=options)
        self._state = self.np_random.random(4)
        return self._state.copy(), {}

    def step(self, action: Any) -> Any:
        self._state = (self._state * 1.7 + np.asarray(action).reshape(4, 3) @ [0.1, 0.2, 0.4]) % 1.0
        return self._state.copy(), float(self._state[0]), False, False, {}


def console() -> gymnasium.Env[Any, Any]:
    """Make it."""
    return _Console()


if "gym" not in sys.modules:
    import warnings

    warnings.filterwarnings("ignore", message=".*Gym has been unmaintained.*")
