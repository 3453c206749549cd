"""A match of many minutes over a real relay that forgets within a minute; by hand, for it takes its time.

``python -m tests.net.long_relayed_match [--minutes 12] [--forgets-after-s 60]``. Both players are relay-only,
and their credentials expire in the middle of it. It prints how many frames each has played, and which took
long and when: those of a busy machine come at any time, those of a relay that has forgotten something come at
its times. It exits 1 if the match ended early or a frame waited for longer than ``LONGEST_WAIT_S``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import gymnasium

from gym_p2p import P2PEnv
from gym_p2p.config import IceServer, ServiceConfig
from gym_p2p.server import serve_in_thread
from tests.net.coturn import SECRET, coturn
from tests.players import Lobby, together

FPS = 30
NOTED_WAIT_S = 0.3
LONGEST_WAIT_S = 3.0
"""Above what a busy machine needs, far below the hole that a permission leaves which nobody renews."""


def play(env: P2PEnv, until: float) -> tuple[int, dict[int, float]]:
    """Play until a monotonic time; return how many frames, and by the second how long the slow ones took."""
    frames, slow_s = 0, dict[int, float]()
    started, over = time.monotonic(), True
    while time.monotonic() < until or not over:
        if over:
            env.reset()
        began = time.monotonic()
        _, _, terminated, truncated, info = env.step(env.action_space.sample())
        took_s = time.monotonic() - began
        if took_s > NOTED_WAIT_S:
            slow_s[round(began - started)] = round(took_s, 2)
        frames += 1
        over = terminated or truncated
        if env.p2p.ending is not None:
            raise AssertionError(f"the match ended after {frames} frames: {env.p2p.ending}, {info}")
    return frames, slow_s


def main() -> int:
    """Run it; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=12.0)
    parser.add_argument("--forgets-after-s", type=int, default=60)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="relayed"))
    with coturn(folder, forgets_after_s=args.forgets_after_s) as url:
        config = ServiceConfig(
            port=0, data_dir=str(folder / "data"), ice_servers=(IceServer(urls=(url,)),), turn_secret=SECRET
        )
        with serve_in_thread(config) as service:
            lobby = Lobby(service.url, folder / "exports")
            options = lobby.options(relay_only=True, fps=FPS, network="process")
            envs = [
                P2PEnv(gymnasium.make("gym_p2p.envs:gym_p2p/Rally-v0"), seat=seat, **options)
                for seat in ("left", "right")
            ]
            until = time.monotonic() + 60 * args.minutes
            limit_s = 60 * args.minutes + 120
            played = together(*(partial(play, env, until) for env in envs), timeout_s=limit_s)
            together(*(env.close for env in envs))
    for one in played:
        sys.stdout.write(f"{one!r}\n")
    ended_early = any(isinstance(one, BaseException) for one in played)
    waits = [took for one in played if not isinstance(one, BaseException) for took in one[1].values()]
    return int(ended_early or max(waits, default=0.0) > LONGEST_WAIT_S)


if __name__ == "__main__":
    sys.exit(main())
