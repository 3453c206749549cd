"""Three strangers in a queue: they are probed, and matched by the latency that they will really have.

The service runs in this process; its hook turns down whoever is called Mallory, who learns of it in the end.
"""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor

import gymnasium

from gym_p2p import MatchmakingConfig, NoMatch, P2PEnv, ProposedMatch, ServiceConfig
from gym_p2p.server import serve_in_thread


def no_mallory(match: ProposedMatch) -> bool:
    """Decide who may play together, knowing what was measured."""
    names = [candidate.subject_id for candidate in match.candidates]
    print(f"service: {' and '.join(names)} would be {match.worst_rtt_ms:.1f} ms apart")
    return "mallory" not in names


def play(name: str, url: str) -> str:
    """Wait in the queue, play a second of whatever comes of it."""
    game = gymnasium.make("gym_p2p.envs:gym_p2p/Rally-v0")
    env = P2PEnv(
        game, seat=None, queue="lab", subject_id=name, server_url=url, fps=60, pre_match=100, exports=None
    )
    try:
        env.reset()
        for _ in range(60):
            env.step(env.action_space.sample())
        measured = env.export_multiplayer_metrics()["probe"]
        return f"{name}: played after {measured['waitedMs']:.0f} ms of waiting"
    except NoMatch as nobody:
        return f"{name}: {nobody}"
    finally:
        env.close()


def main() -> None:
    """Let three wait for a match of two."""
    with tempfile.TemporaryDirectory() as directory:
        config = ServiceConfig(port=0, data_dir=directory, matchmaking=MatchmakingConfig(give_up_after_s=5))
        with serve_in_thread(config, pre_match=no_mallory) as service, ThreadPoolExecutor() as players:
            for line in players.map(lambda name: play(name, service.url), ("mallory", "ann", "bob")):
                print(line)


if __name__ == "__main__":
    main()
