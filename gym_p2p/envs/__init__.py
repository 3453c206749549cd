"""The bundled game, registered with Gymnasium and with PettingZoo when this is imported.

``gymnasium.make("gym_p2p.envs:gym_p2p/Rally-v0")`` imports it too.
"""

from __future__ import annotations

import gymnasium
import pettingzoo

__all__: list[str] = []

_RALLY = "gym_p2p/Rally-v0"

if _RALLY not in gymnasium.registry:
    gymnasium.register(id=_RALLY, entry_point="gym_p2p.envs.rally:RallyEnv")
if _RALLY not in pettingzoo.parallel_registry:
    pettingzoo.register("parallel", _RALLY, "gym_p2p.envs.rally:parallel_env")
