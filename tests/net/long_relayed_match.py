"""A match of many minutes over a real relay that forgets within a minute; by hand, for it takes its time.

``python -m tests.net.long_relayed_match [--minutes 12] [--forgets-after-s 60]``. Both players are relay-only,
and their credentials expire in the middle of it. It prints how many frames each has played and how long the
slowest took, and exits 1 if the match ended early or a frame waited for longer than ``LONGEST_WAIT_S``.
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
LONGEST_WAIT_S = 1.0
"""Far above the jitter of a busy machine, far below what is lost with a permission that nobody renews."""


def play(env: P2PEnv, until: float) -> tuple[int, float]:
    """Play until a monotonic time; return how many frames, and the longest of them in seconds."""
    frames, longest_s = 0, 0.0
    over = True
    while time.monotonic() < until or not over:
        if over:
            env.reset()
        began = time.monotonic()
        _, _, terminated, truncated, info = env.step(env.action_space.sample())
        longest_s = max(longest_s, time.monotonic() - began)
        frames += 1
        over = terminated or truncated
        if env.p2p.ending is not None:
            raise AssertionError(f"the match ended after {frames} frames: {env.p2p.ending}, {info}")
    return frames, longest_s


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
    return int(any(isinstance(one, BaseException) or one[1] > LONGEST_WAIT_S for one in played))


if __name__ == "__main__":
    sys.exit(main())
