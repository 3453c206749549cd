"""What delay does to a policy, before anybody plays: whole matches on virtual time."""

from __future__ import annotations

from gym_p2p import simulate
from gym_p2p.envs.rally import RallyEnv, scripted_policy

ONE_WAY_MS = (0, 50, 100, 150)


def main() -> None:
    """Play the same match over longer and longer paths, and print what it came to."""
    for one_way_ms in ONE_WAY_MS:
        match = simulate(
            RallyEnv,
            {seat: scripted_policy(seat) for seat in ("left", "right")},
            frames=1200,
            seed=7,
            one_way_ms=one_way_ms,
            jitter_ms=5,
            loss=0.02,
        )
        left, right = match.players["left"], match.players["right"]
        print(
            f"{one_way_ms:3} ms, {match.sync}: {left.total_reward:+.0f} to {right.total_reward:+.0f}, "
            f"{left.counters.rollbacks} rollbacks, at most {left.counters.max_rollback_frames} frames deep, "
            f"{left.counters.stalls} stalls"
        )
        if [frame.checksum for frame in left.confirmed] != [frame.checksum for frame in right.confirmed]:
            raise SystemExit("the players saw different games")


if __name__ == "__main__":
    main()
