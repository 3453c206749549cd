"""Long matches over 100 ms of round trip, 5 ms of jitter and 2 % of loss; by hand, three minutes each.

``python -m tests.net.long_shaky_match [--frames 10000] [--game pong --game spread]``. The two players are in
the network laboratory (root, network namespaces) and play on guesses at 60 frames a second. What both have is
held against one plain environment, as in the short matches of the suite: equal actions and checksums, by DTLS
records alone. It exits 1 with what was wrong.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.lab import Lab
from tests.net.test_rollback_on_the_lab import PONG, SHAKY, SPREAD, play_over_a_long_shaky_path

GAMES = {"pong": PONG, "spread": {**SPREAD, "env_args": {**SPREAD["env_args"], "max_cycles": 10**6}}}


def main() -> int:
    """Play; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--game", action="append", choices=tuple(GAMES), help="default: all of them")
    args = parser.parse_args()
    for name in args.game or GAMES:
        folder = Path(tempfile.mkdtemp(prefix=f"shaky-{name}-"))
        began = time.monotonic()
        with Lab(("a", "b"), seed=1, **SHAKY) as lab:
            match = play_over_a_long_shaky_path(lab, folder, GAMES[name], frames=args.frames)
            lost = int(lab.counters().total("lost"))
        compared = [player.summary["status"]["checksums_agreed"] for player in match.players.values()]
        took_s = time.monotonic() - began
        sys.stdout.write(
            f"{name}: {args.frames} frames, {min(compared)} checksums equal for both and the oracle, by DTLS "
            f"records; {lost} packets lost; {took_s:.0f} s\n"
        )
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
