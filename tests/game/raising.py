"""Environments that raise at one moment of their lives or another."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

__all__ = ["ExitsWhenMade", "InReset", "InStep", "LateInStep", "MadeWrong", "OfAnOlderApi"]


class _Sound(gymnasium.Env[Any, Any]):
    action_space = spaces.MultiDiscrete([3, 3])
    observation_space = spaces.Box(0, 1e9, (1,), np.float64)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.sum = 0
        self.frame = 0
        return np.zeros(1), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.frame += 1
        self.sum += int(action.sum())
        return np.array([float(self.sum)]), 0.0, False, False, {}


class InReset(_Sound):
    def reset(self, **_options: Any) -> tuple[Any, dict[str, Any]]:
        raise FileNotFoundError("no map 'dungeon.tmx'")


class InStep(_Sound):
    def step(self, action: Any) -> Any:
        raise ZeroDivisionError(f"friction is zero for {action.size}")


class OfAnOlderApi(_Sound):
    def step(self, action: Any) -> Any:
        observation, reward, terminated, _, info = super().step(action)
        return observation, reward, terminated, info


class LateInStep(_Sound):
    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        if self.frame > 50:
            raise RuntimeError("boss has no path")
        return super().step(action)


class MadeWrong(_Sound):
    def __init__(self) -> None:
        self._load(3)  # type: ignore[call-arg]  # that is the error

    def _load(self) -> None:
        raise NotImplementedError


class ExitsWhenMade(_Sound):
    def __init__(self) -> None:
        raise SystemExit(1)
