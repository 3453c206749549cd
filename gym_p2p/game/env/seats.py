"""Whose part of a joint action is whose: one :class:`Game` over every kind of environment.

Knows Gymnasium environments with joint actions, PettingZoo's parallel and AEC environments, and single-agent
environments that others watch. To the session above they are all the same.
"""

from __future__ import annotations

import logging
from typing import Any

import gymnasium
import pettingzoo
from gymnasium import spaces
from pettingzoo.utils.conversions import aec_to_parallel

from gym_p2p.config.checks import require_whole
from gym_p2p.errors import ConfigurationError, UnsupportedEnvironment
from gym_p2p.game.env.describe import RECORDERS, layers
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.joint import JointGame, SingleGame
from gym_p2p.game.env.parallel import ParallelGame
from gym_p2p.game.outcome import Outcome

__all__ = ["Game", "Outcome", "make_game"]

_log = logging.getLogger(__name__)

_WHAT_WORKS = (
    "a gymnasium.Env whose action space is a Dict, Tuple, MultiDiscrete or MultiBinary (one part a player), "
    "a PettingZoo ParallelEnv, a parallelizable AECEnv, or a single-agent gymnasium.Env (one plays, "
    "others watch)"
)


def make_game(env: Any, *, watchers: int = 0, default_actions: Any = None) -> Game:
    """Return the game that an environment is.

    * ``gymnasium.Env`` with a ``Dict``, ``Tuple``, ``MultiDiscrete`` or ``MultiBinary`` action space: a seat
      for each key or index.
    * PettingZoo ``ParallelEnv``: a seat for each of ``possible_agents``. An ``AECEnv`` is converted by
      PettingZoo's ``aec_to_parallel``.
    * Any other ``gymnasium.Env``: the seat ``"player"``, and with ``watchers=n`` the seats ``"watcher_1"`` to
      ``"watcher_n"``, who have the single action 0 and see what the player sees.

    Args:
        env: the environment; the game owns it from now on.
        watchers: watching seats of a single-agent environment.
        default_actions: each seat's no-op, as a mapping of seats (or their text) to actions or their JSON
            forms, or one action for all seats that act. Seats without one get :meth:`Game.default_action`'s.

    Raises:
        UnsupportedEnvironment: it cannot be split into seats; the message says what was found and what works.
        ConfigurationError: ``watchers`` or ``default_actions`` do not fit this environment.
    """
    require_whole("watchers", watchers, 0)
    single = isinstance(env, gymnasium.Env) and not _is_joint(env.action_space)
    if watchers and not single:
        raise ConfigurationError("watchers", "only a single-agent environment has watching seats")
    _warn_about_recorders(env)
    if single:
        return SingleGame(env, watchers, default_actions)
    if isinstance(env, gymnasium.Env):
        return JointGame(env, default_actions)
    if isinstance(env, pettingzoo.AECEnv):
        env = _parallel_form(env)
    if isinstance(env, pettingzoo.ParallelEnv):
        return ParallelGame(env, default_actions)
    found = f"a {type(env).__module__}.{type(env).__qualname__}"
    if isinstance(env, gymnasium.vector.VectorEnv):
        found += " (a vector of environments; wrap each one by itself)"
    elif callable(env):
        found += " (something to call; pass the environment that it makes)"
    raise UnsupportedEnvironment(f"cannot play this over peers: found {found}; what works is {_WHAT_WORKS}")


def _is_joint(space: gymnasium.Space[Any]) -> bool:
    if isinstance(space, spaces.Dict):
        return len(space.spaces) > 0 and all(isinstance(key, str | int) for key in space.spaces)
    if isinstance(space, spaces.Tuple):
        return len(space.spaces) > 0
    return isinstance(space, spaces.MultiDiscrete | spaces.MultiBinary)


def _parallel_form(env: Any) -> Any:
    if not env.metadata.get("is_parallelizable", False):
        name = env.metadata.get("name", type(env.unwrapped).__name__)
        raise UnsupportedEnvironment(
            f"the AEC environment {name} is not parallelizable: its agents take turns within a frame, and "
            f"peers act at the same time. If it only updates once all agents have acted, set "
            f'metadata["is_parallelizable"] = True; otherwise what works is {_WHAT_WORKS}'
        )
    return aec_to_parallel(env)


def _warn_about_recorders(env: Any) -> None:
    for layer in layers(env):
        name = type(layer).__name__
        if name in RECORDERS:
            _log.warning(
                "%s is inside the peer-to-peer wrapper: it will also record or show frames that are "
                "played again after a correction; put it outside, around the wrapper",
                name,
            )
