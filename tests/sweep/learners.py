"""What a learner does with a wrapper: Stable-Baselines3's checker, a short PPO, SuperSuit's vector path."""

from __future__ import annotations

import contextlib
import importlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium

from gym_p2p import P2PEnv, P2PParallelEnv, PolicySeat
from gym_p2p.config import ServiceConfig
from gym_p2p.game.env.load import load_environment
from gym_p2p.server import serve_in_thread
from tests.players import Lobby, auto_peers

__all__ = ["LEARNERS"]


def _checker() -> Iterator[tuple[str, str]]:
    check_env = importlib.import_module("stable_baselines3.common.env_checker").check_env
    with _lobby() as lobby, auto_peers([lambda: _cart_pole(lobby, "watcher_1")]):
        env = _cart_pole(lobby, "player")
        check_env(env, warn=True, skip_render_check=True)
        env.close()
    yield "checker", "no complaint"


def _ppo() -> Iterator[tuple[str, str]]:
    ppo = importlib.import_module("stable_baselines3").PPO
    with _lobby() as lobby, auto_peers([lambda: _cart_pole(lobby, "watcher_1")]):
        env = _cart_pole(lobby, "player")
        model = ppo("MlpPolicy", env, n_steps=64, batch_size=32, n_epochs=2, seed=1)
        model.learn(256)
        totals = env.p2p.progress.frames_total
        env.close()
    yield "ppo", f"{model.num_timesteps} steps, {totals} frames of matches"


def _partner() -> Iterator[tuple[str, str]]:
    """Models that the library trained and saved take a seat, found by their files alone."""
    library = importlib.import_module("stable_baselines3")
    told = []
    with tempfile.TemporaryDirectory() as folder:
        for algorithm in ("PPO", "A2C", "DQN"):
            path = Path(folder) / f"{algorithm}.zip"
            getattr(library, algorithm)("MlpPolicy", "CartPole-v1", seed=1, device="cpu").learn(64).save(path)
            with _lobby() as lobby, auto_peers([lambda: _cart_pole(lobby, "watcher_1")]):
                env = _cart_pole(lobby, "player")
                policy = PolicySeat(env, f"sb3:{path}")
                for _ in range(3):
                    env.reset()
                    over = False
                    while not over:
                        _, _, terminated, truncated, _ = env.step(policy.action())
                        over = terminated or truncated
                (played,) = env.export_multiplayer_metrics()["policies"]
                env.close()
            assert (played["policy"], played["algorithm"]) == (f"sb3:{path.name}", algorithm)
            told.append(f"{algorithm} {played['decisions']} frames")
    yield "partner", ", ".join(told)


def _supersuit() -> Iterator[tuple[str, str]]:
    supersuit: Any = importlib.import_module("supersuit")
    ppo = importlib.import_module("stable_baselines3").PPO
    with _lobby() as lobby, auto_peers([lambda: _spread(lobby, ["agent_2"])]):
        env = _spread(lobby, ["agent_0", "agent_1"])
        vectors = supersuit.pettingzoo_env_to_vec_env_v1(env)
        vectors = supersuit.concat_vec_envs_v1(vectors, 1, num_cpus=0, base_class="stable_baselines3")
        model = ppo("MlpPolicy", vectors, n_steps=32, batch_size=32, n_epochs=1)  # vectors take no seed
        model.learn(128)
        vectors.close()
        env.close()
    yield "supersuit", f"{model.num_timesteps} steps of two agents"


@contextlib.contextmanager
def _lobby() -> Iterator[Lobby]:
    """A service of its own."""
    with (
        tempfile.TemporaryDirectory() as folder,
        serve_in_thread(ServiceConfig(port=0, data_dir=folder)) as service,
    ):
        yield Lobby(service.url, Path(folder) / "exports")


def _cart_pole(lobby: Lobby, seat: str) -> P2PEnv:
    return P2PEnv(gymnasium.make("CartPole-v1"), seat=seat, watchers=1, **lobby.options())


def _spread(lobby: Lobby, agents: list[Any]) -> P2PParallelEnv:
    env = load_environment("mpe2.simple_spread_v3", {"max_cycles": 20})
    return P2PParallelEnv(env, agents=agents, **lobby.options())


LEARNERS: dict[str, Callable[[], Iterator[tuple[str, str]]]] = {
    "stable-baselines3 checker": _checker,
    "stable-baselines3 PPO": _ppo,
    "stable-baselines3 partners": _partner,
    "supersuit and PPO": _supersuit,
}
