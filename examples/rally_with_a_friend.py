"""Two players of the bundled game in one script: one in a process of its own, one here.

On two machines, run only the `play` part on each, with `server_url` naming the machine that runs
`gym-p2p serve --host 0.0.0.0 --open`.
"""

from __future__ import annotations

import multiprocessing

import gymnasium

import gym_p2p.envs
from gym_p2p import P2PEnv, ServiceConfig
from gym_p2p.server import serve_in_thread

gymnasium.register_envs(gym_p2p.envs)


def play(seat: str, server_url: str) -> None:
    """Play one episode of random actions, and print what the latency was."""
    env = P2PEnv(gymnasium.make("gym_p2p/Rally-v0", max_frames=200), seat=seat, server_url=server_url, fps=60)
    env.reset(seed=7)
    over = False
    while not over:
        _, _, terminated, truncated, info = env.step(env.action_space.sample())
        over = terminated or truncated
    env.close()
    latency = env.export_session_metrics()["latency"]
    print(
        f"{seat}: {env.p2p.progress.frame} frames, median RTT {latency['medianMs']:.2f} ms",
        info.get("p2p", ""),
    )


def main() -> None:
    """Start a service and both players."""
    with serve_in_thread(ServiceConfig(port=0, data_dir="p2p-exports/service")) as service:
        friend = multiprocessing.get_context("spawn").Process(target=play, args=("right", service.url))
        friend.start()
        play("left", service.url)
        friend.join(30)


if __name__ == "__main__":
    main()
