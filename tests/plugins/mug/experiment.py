"""The framework's own server with a scene for two that needs no Pyodide, in a process of its own.

``python experiment.py PORT ours|probes|theirs [INITIAL_RTT_MS]``, with the released framework installed: our
coordinator and planner, our coordinator alone, or its own. It runs in a working directory that it may write
to.
"""

from __future__ import annotations

import eventlet

eventlet.monkey_patch()

import sys  # noqa: E402 - after the patching
import urllib.request  # noqa: E402 - after the patching

from mug.configurations import configuration_constants, experiment_config  # noqa: E402 - after the patching
from mug.scenes import gym_scene, stager, static_scene  # noqa: E402 - after the patching
from mug.server import app  # noqa: E402 - after the patching
from mug.server.matchmaker import FIFOMatchmaker  # noqa: E402 - after the patching

THRESHOLD_MS = 150
HUMAN = configuration_constants.PolicyTypes.Human


def main(port: int, whose: str, initial_rtt_ms: float) -> None:
    def no_internet(*_arguments: object, **_options: object) -> None:
        raise OSError("the tests do without the Internet")

    urllib.request.urlopen = no_internet
    scene = gym_scene.GymScene().scene(scene_id="lean", experiment_config={})
    scene = scene.policies(policy_mapping={0: HUMAN, 1: HUMAN})
    scene = scene.content(scene_header="lean", scene_body="", in_game_scene_body="")
    scene = scene.waitroom(timeout=120_000)
    if whose != "ours":
        scene = scene.multiplayer(matchmaker=FIFOMatchmaker(max_p2p_rtt_ms=THRESHOLD_MS))
    start = static_scene.StartScene().scene(scene_id="start", experiment_config={})
    start = start.display(scene_header="start", scene_body="")
    end = static_scene.EndScene().scene(scene_id="end", experiment_config={})
    end = end.display(scene_header="end", scene_body="")
    config = experiment_config.ExperimentConfig()
    config = config.experiment(experiment_id="mug_test", stager=stager.Stager(scenes=[start, scene, end]))
    config = config.hosting(port=port, host="127.0.0.1")
    if whose != "theirs":
        from gym_p2p import WideningMatchmaker  # noqa: PLC0415 - the other server is without
        from gym_p2p.plugins import mug  # noqa: PLC0415 - the same

        strategy = WideningMatchmaker(
            THRESHOLD_MS, initial_rtt_ms=initial_rtt_ms, widen_ms_per_s=20, last_resort_rtt_ms=None
        )
        mug.install(config, strategy)
    app.run(config)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else THRESHOLD_MS)
