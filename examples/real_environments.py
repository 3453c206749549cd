"""Short matches of third-party environments, every player in a thread of this script.

Needs the extra: pip install 'gym_p2p[envs]'
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ale_py
import gymnasium
import lbforaging  # noqa: F401 - registers its environments
from cogrid.envs import registry
from mpe2 import simple_spread_v3
from pettingzoo.atari import pong_v3

from gym_p2p import P2PEnv, ServiceConfig
from gym_p2p.server import serve_in_thread

FRAMES = 60


def pong() -> Any:
    """PettingZoo Atari Pong, with the ROM that comes with ale-py."""
    roms = str(Path(ale_py.__file__).parent / "roms")
    return pong_v3.parallel_env(obs_type="ram", auto_rom_install_path=roms)


def spread() -> Any:
    """Three particles that cover three landmarks."""
    return simple_spread_v3.parallel_env(N=3, max_cycles=200)


def foraging() -> Any:
    """Level-Based Foraging: a Gymnasium environment with a Tuple action space."""
    return gymnasium.make("Foraging-8x8-2p-2f-v3", disable_env_checker=True)


def overcooked() -> Any:
    """CoGrid Overcooked: two cooks in a cramped room."""
    return registry.make("Overcooked-CrampedRoom-V0")


def play(env: Any, seat: Any, room: str, server_url: str) -> list[str]:
    """Play one seat with random actions; return the checksums."""
    player = P2PEnv(
        env,
        seat=seat,
        room=room,
        server_url=server_url,
        network="thread",
        fps=30,
        checksum_interval=10,
        room_timeout_s=30,
    )
    player.reset()
    over = False
    while not over and player.p2p.progress.frame < FRAMES:
        _, _, terminated, truncated, _ = player.step(player.action_space.sample())
        over = terminated or truncated
    player.close()
    return [entry["hash"] for entry in player.export_multiplayer_metrics()["validation"]["allHashes"]]


def play_all(make_env: Callable[[], Any], seats: Sequence[Any], server_url: str) -> list[list[str]]:
    """Play a match of every seat at once; every player has an environment of their own."""
    name = make_env.__name__
    environments = [make_env() for _ in seats]
    with ThreadPoolExecutor(len(seats)) as pool:
        games = [
            pool.submit(play, env, seat, name, server_url)
            for env, seat in zip(environments, seats, strict=True)
        ]
        return [game.result() for game in games]


def main() -> None:
    """Play a match of each."""
    with serve_in_thread(ServiceConfig(port=0, data_dir="p2p-exports/service")) as service:
        for make_env, seats in (
            (pong, ["first_0", "second_0"]),
            (spread, ["agent_0", "agent_1", "agent_2"]),
            (foraging, [0, 1]),
            (overcooked, [0, 1]),
        ):
            first, *others = play_all(make_env, seats, service.url)
            assert all(hashes == first for hashes in others), "the players' games differ"  # noqa: S101  # what this example shows
            print(f"{make_env.__name__}: {len(seats)} players, {len(first)} checksums agree")


if __name__ == "__main__":
    main()
