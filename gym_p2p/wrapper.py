"""The two wrappers: one seat of an environment as a ``gymnasium.Env``, or some agents as a ``ParallelEnv``.

They are the package's face: everything behind them is :class:`~gym_p2p.play.session.Session`. Constructor
arguments are plain data and nothing connects before the first ``reset``, so that ``env.spec`` can travel as
JSON and a vector environment can start its workers first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Self

import gymnasium
import pettingzoo
from gymnasium.utils import RecordConstructorArgs
from pettingzoo.utils import BaseParallelWrapper
from typing_extensions import Unpack

from gym_p2p.config import P2PConfig, config_from_options
from gym_p2p.config.mappings import plain_number
from gym_p2p.config.options import recorded_options
from gym_p2p.core.record.plain import plain
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConfigurationError, InvalidAction, UnsupportedEnvironment
from gym_p2p.game.env.as_gymnasium import AsGymnasium
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.isolation import isolate_global_random
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.env.split import SeatsOption, plain_seats
from gym_p2p.game.outcome import Outcome, fresh
from gym_p2p.game.spaces.codec import ActionCodec
from gym_p2p.net.worker.backends import prepare_network
from gym_p2p.play.copies import Copied
from gym_p2p.play.ending import why_closed
from gym_p2p.play.options import P2POptions
from gym_p2p.play.reentrancy import close_when_dropped
from gym_p2p.play.session import Session

__all__ = ["P2PEnv", "P2POptions", "P2PParallelEnv"]


class _Exports:
    """The three documents of a wrapper's match; plain JSON-ready data, at any time, also after ``close``."""

    p2p: Session

    def export_session_metrics(self) -> dict[str, Any]:
        """Return the session document: connection, inputs, rollbacks, reconnections, latency.

        Raises:
            UsageError: no match was made yet.
        """
        return self.p2p.document("session")

    def export_validation_data(self) -> dict[str, Any]:
        """Return the validation document: confirmed hashes and verified actions of the last episode.

        Raises:
            UsageError: no match was made yet.
        """
        return self.p2p.document("validation")

    def export_multiplayer_metrics(self) -> dict[str, Any]:
        """Return the multiplayer document, the one that is stored and uploaded: every episode's record.

        Raises:
            UsageError: no match was made yet.
        """
        return self.p2p.document("multiplayer")


class P2PEnv(Copied, gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs, _Exports):
    """One seat of an unmodified environment that is played with peers over the network.

    Every player wraps a copy of the same environment and takes another seat. ``reset`` meets the others
    (the first time it connects), ``step`` exchanges actions and advances every copy by the same frame.

    Args:
        env: a ``gymnasium.Env`` with a ``Dict``, ``Tuple``, ``MultiDiscrete`` or ``MultiBinary`` action
            space (a seat is a key or index, unless ``seats`` say otherwise), any other one (the seat
            ``"player"`` acts, ``watchers`` look on), or a PettingZoo environment (a seat is an agent).
        seat: the seat to take; ``None`` takes any free one, where all seats have the same spaces.
        watchers: seats ``"watcher_1"`` ... for players who look on; not in a PettingZoo environment.
        seats: how a joint action splits: a number of seats with equal shares (1 for one seat with all of it),
            or each seat's indices or keys: ``{"left": [0, 1, 2], "right": [3, 4, 5]}``.
        default_actions: each seat's no-op, where it is not the action nearest to zero: used for the first
            ``input_delay`` frames, and after a seat has ended.
        options: see :class:`P2POptions`.

    Attributes:
        p2p: the session: ``p2p.progress``, ``p2p.latency()``, ``p2p.peers``.

    When the match ends before the environment does, ``step`` returns ``truncated=True``, and ``p2p.ending``
    holds the ``reason`` and the ``player``; so does ``info["p2p"]``, beside what the environment said last.

    Raises:
        ConfigurationError: an option is unknown or out of range.
        UnsupportedEnvironment: the environment has no such seats.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any]
        | pettingzoo.ParallelEnv[Any, Any, Any]
        | pettingzoo.AECEnv[Any, Any, Any],
        *,
        seat: SeatId | None,
        watchers: int = 0,
        seats: SeatsOption = None,
        default_actions: Any = None,
        **options: Unpack[P2POptions],
    ) -> None:
        config = config_from_options(options)
        prepare_network(config.network)  # first, for it goes on beside the rest
        seat, watchers = plain_number(seat), plain_number(watchers)
        RecordConstructorArgs.__init__(
            self,
            _disable_deepcopy=True,  # a policy may be large, or hold what cannot be copied
            seat=seat,
            watchers=watchers,
            seats=plain_seats(seats),
            default_actions=plain(default_actions),
            **recorded_options(options, config),
        )
        made = make_game(env, watchers=watchers, seats=seats, default_actions=default_actions)
        game = _isolated(made, config)
        wrapped = env if isinstance(env, gymnasium.Env) else AsGymnasium(game)
        gymnasium.Wrapper.__init__(self, wrapped)
        example = _any_seat(game) if seat is None else seat
        self.action_space, self.observation_space = game.users_spaces(example)
        self._game = game
        self._own: tuple[SeatId, int, ActionCodec] | None = None
        self.p2p = Session(game, seats=None if seat is None else (seat,), config=config)
        close_when_dropped(self, self.p2p.close)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode together with the others; the first call signs in and connects.

        Args:
            seed: an episode's seed that this player insists on. ``None`` leaves it to the others; if
                nobody insists, all get the same one.
            options: passed to every player's environment; plain JSON data.

        Raises:
            HandshakeRefused: the others play something else, or insist on another seed.
            NetworkError: the service or a peer cannot be reached; it may be tried again.
            PeerLost: a peer left while everybody was to begin, or before: also with an ``on_peer_loss`` that
                has played the last episode on without them, the next one takes a new wrapper.
            MatchOver: the match has ended.

        Directly after the step in which the environment ended the episode, a reset that finds nobody to go on
        with does not raise, for a vector environment may have called it inside its own step: it returns that
        step's observation once more, with the reason in ``info["p2p"]``, and the next call raises.
        """
        outcome = self.p2p.reset(seed, options)
        if isinstance(self.env, AsGymnasium):
            self.env.seed_generator(None if seed is None else self.p2p.seed)
        self._own = _, index, _ = self._taken_seat()
        return fresh(outcome.observations[index]), fresh(outcome.infos[index])

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Play one frame, once everybody's action of it is here.

        Raises:
            InvalidAction: the action is outside the seat's action space; no frame was consumed.
            PeerLost: a peer is gone, where ``on_peer_loss="raise"``.
            MatchOver: the match has ended.
            UsageError: no episode is running.
        """
        seat, index, codec = self._own or self._taken_seat()
        outcome = self.p2p.step({seat: codec.check(action)})
        return (
            fresh(outcome.observations[index]),
            outcome.rewards[index],
            outcome.terminations[index],
            outcome.truncations[index],
            fresh(outcome.infos[index]),
        )

    def _taken_seat(self) -> tuple[SeatId, int, ActionCodec]:
        """Return the seat, its index and its actions' codec."""
        seat = self.p2p.seat
        return seat, self._game.seats.index(seat), self._game.codec(seat)

    @property
    def render_mode(self) -> str | None:  # type: ignore[override]  # Gymnasium's cannot be set either
        """What the environment was made with: ``"human"`` draws what ``reset`` and ``step`` return."""
        return self._game.screen.render_mode

    def render(self) -> Any:
        """Return the environment's picture of what was returned last."""
        return self.p2p.render()

    def close(self) -> None:
        """Say goodbye, write and upload the exports, close the environment. Idempotent."""
        self.p2p.close(why_closed())


class P2PParallelEnv(Copied, BaseParallelWrapper, _Exports):  # type: ignore[misc]  # PettingZoo has no types
    """Some agents of a PettingZoo ``ParallelEnv`` that is played with peers over the network.

    To its user it is a ``ParallelEnv`` of the local agents alone; the others' actions come from the peers.

    Args:
        env: the environment; an ``AECEnv`` is converted as PettingZoo does it.
        agents: the local agents.
        default_actions: see :class:`P2PEnv`.
        options: see :class:`P2POptions`.

    Attributes:
        p2p: the session: ``p2p.progress``, ``p2p.latency()``, ``p2p.peers``.

    Once all local agents are out, ``close()`` costs the others nothing: they play the episode to its end.
    ``reset()`` waits for that, and begins the next one.

    A local agent who has not appeared yet is not among ``agents``, as PettingZoo has it: ``step({})`` lets
    time pass until they do.

    When the match ends before the environment does, ``step`` truncates every local agent, and ``p2p.ending``
    holds the ``reason`` and the ``player``; so does ``"p2p"`` in every agent's info, beside what the
    environment said last.
    """

    def __init__(
        self,
        env: pettingzoo.ParallelEnv[Any, Any, Any] | pettingzoo.AECEnv[Any, Any, Any],
        *,
        agents: Sequence[SeatId],
        default_actions: Any = None,
        **options: Unpack[P2POptions],
    ) -> None:
        _check_agents(agents)
        if not isinstance(env, pettingzoo.ParallelEnv | pettingzoo.AECEnv):
            found = f"a {type(env).__module__}.{type(env).__qualname__}"
            raise UnsupportedEnvironment(f"wanted a PettingZoo environment, got {found}; P2PEnv takes others")
        config = config_from_options(options)
        prepare_network(config.network)  # first, for it goes on beside the rest
        self._game = _isolated(make_game(env, default_actions=default_actions), config)
        for agent in agents:
            self._game.action_space(agent)
        super().__init__(self._game.env)
        ordered = [seat for seat in self._game.seats if seat in agents]
        self.possible_agents: list[Any] = list(ordered)
        self.agents: list[Any] = []
        self.p2p = Session(self._game, seats=ordered, config=config)
        close_when_dropped(self, self.p2p.close)

    @property
    def observation_spaces(self) -> dict[Any, gymnasium.Space[Any]]:
        """The local agents' observation spaces; PettingZoo's older form of :meth:`observation_space`."""
        return {agent: self.observation_space(agent) for agent in self.possible_agents}

    @property
    def action_spaces(self) -> dict[Any, gymnasium.Space[Any]]:
        """The local agents' action spaces; PettingZoo's older form of :meth:`action_space`."""
        return {agent: self.action_space(agent) for agent in self.possible_agents}

    def observation_space(self, agent: Any) -> gymnasium.Space[Any]:
        """Return a local agent's observation space."""
        return self._game.users_spaces(agent)[1]

    def action_space(self, agent: Any) -> gymnasium.Space[Any]:
        """Return a local agent's action space."""
        return self._game.users_spaces(agent)[0]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[Any, Any], dict[Any, dict[str, Any]]]:
        """Begin an episode together with the others; see :meth:`P2PEnv.reset`."""
        outcome = self.p2p.reset(seed, options)
        self.agents = self._present(outcome)
        return self._of(self.agents, outcome.observations), self._of(self.agents, outcome.infos)

    def step(
        self, actions: Mapping[Any, Any]
    ) -> tuple[dict[Any, Any], dict[Any, float], dict[Any, bool], dict[Any, bool], dict[Any, dict[str, Any]]]:
        """Play one frame with the living local agents' actions; see :meth:`P2PEnv.step`."""
        outcome = self.p2p.step(self._checked(actions))
        before, self.agents = self.agents, self._present(outcome)
        told = [agent for agent in self.possible_agents if agent in before or agent in self.agents]
        return (
            self._of(told, outcome.observations),
            self._of(told, outcome.rewards),
            self._of(told, outcome.terminations),
            self._of(told, outcome.truncations),
            self._of(told, outcome.infos),
        )

    @property
    def render_mode(self) -> str | None:
        """What the environment was made with: ``"human"`` draws what ``reset`` and ``step`` return."""
        return self._game.screen.render_mode

    def render(self) -> Any:
        """Return the environment's picture of what was returned last."""
        return self.p2p.render()

    def close(self) -> None:
        """Say goodbye, write and upload the exports, close the environment. Idempotent."""
        self.p2p.close(why_closed())

    def __enter__(self) -> Self:
        """Begin a ``with`` block that closes this."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close this."""
        self.close()

    def _checked(self, actions: Mapping[Any, Any]) -> dict[SeatId, Any]:
        checked: dict[SeatId, Any] = {}
        for agent in self.possible_agents:
            if agent not in self.agents:
                checked[agent] = self._game.default_action(agent)
            elif agent in actions:
                checked[agent] = self._game.codec(agent).check(actions[agent])
            else:
                raise InvalidAction(agent, f"no action given; actions came for {list(actions)}")
        return checked

    def _present(self, outcome: Outcome) -> list[Any]:
        """Return the local agents who have appeared and for whom it is not over."""
        index_of = self._game.seats.index
        indices = {agent: index_of(agent) for agent in self.possible_agents}
        return [a for a, i in indices.items() if i not in outcome.unborn and not outcome.over_for(i)]

    def _of(self, agents: Sequence[Any], values: Sequence[Any]) -> dict[Any, Any]:
        """Return copies of these local agents' parts of what all seats got."""
        seats = self._game.seats
        return {agent: fresh(values[seats.index(agent)]) for agent in agents}


def _check_agents(agents: Any) -> None:
    listed = isinstance(agents, Collection) and not isinstance(agents, str) and len(agents) > 0
    if not listed or any(list(agents).count(agent) > 1 for agent in agents):
        raise ConfigurationError("agents", f"wanted a list of different agents, got {agents!r}")


def _isolated(game: Game, config: P2PConfig) -> Game:
    return isolate_global_random(game) if config.sync.isolate_random else game


def _any_seat(game: Game) -> SeatId:
    first = game.seats[0]
    for seat in game.seats[1:]:
        same = game.action_space(seat) == game.action_space(first) and game.observation_space(
            seat
        ) == game.observation_space(first)
        if not same:
            message = (
                f"seat: name one of {', '.join(map(repr, game.seats))}: to get any free one, "
                f"seats need equal spaces, and {seat!r} differs from {first!r}"
            )
            raise UnsupportedEnvironment(message)
    return first
