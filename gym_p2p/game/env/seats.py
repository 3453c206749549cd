"""Whose part of a joint action is whose: one :class:`Game` over every kind of environment.

Knows Gymnasium environments with joint actions, PettingZoo's parallel and AEC environments, and single-agent
environments that others watch. To the session above they are all the same.
"""

from __future__ import annotations

import logging
from typing import Any

import gymnasium
import pettingzoo
from pettingzoo.utils.conversions import aec_to_parallel, turn_based_aec_to_parallel

from gym_p2p.config.checks import require_whole
from gym_p2p.errors import ConfigurationError, UnsupportedEnvironment
from gym_p2p.game.env.agents import AgentsGame, agent_spaces
from gym_p2p.game.env.describe import FILMING, RECORDERS, layers
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.joint import JointGame
from gym_p2p.game.env.parallel import ParallelGame
from gym_p2p.game.env.split import SeatsOption, plain_seats, split_actions
from gym_p2p.game.outcome import Outcome

__all__ = ["Game", "Outcome", "make_game"]

_log = logging.getLogger(__name__)

_WHAT_WORKS = (
    "a gymnasium.Env (a Dict, Tuple, MultiDiscrete or MultiBinary action has one part a player, unless "
    "seats= says otherwise; of any other one plays, and others may watch), a PettingZoo ParallelEnv, or an "
    "AECEnv"
)


def make_game(env: Any, *, watchers: int = 0, seats: SeatsOption = None, default_actions: Any = None) -> Game:
    """Return the game that an environment is.

    * ``gymnasium.Env``: as ``seats`` says. Without it a ``Dict``, ``Tuple``, ``MultiDiscrete`` or
      ``MultiBinary`` action space has a seat for each key or index; any other one, and an array of more than
      eight parts, is the seat ``"player"``'s. So is one whose mappings hold only who acts (RLlib's form),
      with a seat for each agent. With ``watchers=n`` there are the seats ``"watcher_1"`` to ``"watcher_n"``
      too, who have the single action 0 and see what the players see.
    * PettingZoo ``ParallelEnv``: a seat for each of ``possible_agents``. An ``AECEnv`` is converted by
      PettingZoo's ``aec_to_parallel`` or, where its agents take turns, by ``turn_based_aec_to_parallel``: a
      step is then one agent's turn, and what the others do in it is ignored.

    Args:
        env: the environment; the game owns it from now on.
        watchers: watching seats of a Gymnasium environment.
        seats: how a joint action splits: a number of seats with equal shares (1 for one seat with all of
            it), or each seat's indices or keys, such as ``{"left": [0, 1, 2], "right": [3, 4, 5]}``.
        default_actions: each seat's no-op, as a mapping of seats (or their text) to actions or their JSON
            forms, or one action for all seats that act. Seats without one get :meth:`Game.default_action`'s.

    Raises:
        UnsupportedEnvironment: it cannot be split into seats; the message says what was found and what works.
        ConfigurationError: ``watchers``, ``seats`` or ``default_actions`` do not fit this environment.
    """
    require_whole("watchers", watchers, 0)
    _warn_about_recorders(env)
    game = _game_of(env, watchers, seats, default_actions)
    game.watchers, game.split = watchers, plain_seats(seats)
    return game


def _game_of(env: Any, watchers: int, seats: SeatsOption, default_actions: Any) -> Game:
    if isinstance(env, gymnasium.Env):
        agents = agent_spaces(env) if seats is None else None
        if agents is not None:
            return AgentsGame(env, agents, watchers=watchers, default_actions=default_actions)
        split = split_actions(env.action_space, seats)
        return JointGame(env, split, watchers=watchers, default_actions=default_actions)
    if isinstance(env, pettingzoo.AECEnv):
        env = _parallel_form(env)
    if isinstance(env, pettingzoo.ParallelEnv):
        for option, value in (("watchers", watchers or None), ("seats", seats)):
            if value is not None:
                problem = "a PettingZoo environment has a seat for each of its agents, and no other"
                raise ConfigurationError(option, problem)
        return ParallelGame(env, default_actions)
    found = f"a {type(env).__module__}.{type(env).__qualname__}"
    if isinstance(env, gymnasium.vector.VectorEnv):
        found += " (a vector of environments; wrap each one by itself)"
    elif callable(env):
        found += " (something to call; pass the environment that it makes)"
    raise UnsupportedEnvironment(f"cannot play this over peers: found {found}; what works is {_WHAT_WORKS}")


def _parallel_form(env: Any) -> Any:
    if env.metadata.get("is_parallelizable", False):
        return aec_to_parallel(env)
    _log.info(
        "%s is played in turns (PettingZoo's turn_based_aec_to_parallel): a step is one agent's turn, what "
        "the others do in it is ignored, and info['active_agent'] names whose turn is next",
        env.metadata.get("name", type(env.unwrapped).__name__),
    )
    return turn_based_aec_to_parallel(env)


def _warn_about_recorders(env: Any) -> None:
    for layer in layers(env):
        if isinstance(layer, RECORDERS) and not isinstance(layer, FILMING):
            _log.warning(
                "%s is inside the peer-to-peer wrapper: it will also record or show frames that are "
                "played again after a correction; put it outside, around the wrapper",
                type(layer).__name__,
            )
