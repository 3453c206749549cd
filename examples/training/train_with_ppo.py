"""Stable-Baselines3's checker and a short PPO run at one end of a match, while the other end looks on."""

import contextlib
import sys
import threading
from functools import partial

import gymnasium

from gym_p2p import P2PEnv, ServiceConfig, errors
from gym_p2p.server import serve_in_thread

try:
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_checker import check_env
except ImportError:
    sys.exit("it needs Stable-Baselines3, and with it PyTorch: pip install stable-baselines3")


def look_on(env: P2PEnv) -> None:
    """Begin and end every episode with the learner, until they leave."""
    with contextlib.suppress(errors.P2PError), env:
        while True:
            env.reset()
            over = False
            while not over:
                _, _, terminated, truncated, _ = env.step(0)
                over = terminated or truncated


with serve_in_thread(ServiceConfig(port=0)) as service:
    make = partial(P2PEnv, watchers=1, server_url=service.url, room="ppo", fps=None)
    other = make(gymnasium.make("CartPole-v1"), seat="watcher_1")
    watching = threading.Thread(target=look_on, args=(other,))
    watching.start()
    with make(gymnasium.make("CartPole-v1"), seat="player") as env:
        check_env(env, skip_render_check=True)
        PPO("MlpPolicy", env, n_steps=128, seed=1, verbose=1).learn(1_024)
    watching.join()
