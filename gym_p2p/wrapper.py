"""The two wrappers: one seat of an environment as a ``gymnasium.Env``, or some agents as a ``ParallelEnv``.

They are the package's face: everything behind them is :class:`~gym_p2p.play.session.Session`. Constructor
arguments are plain data and nothing connects before the first ``reset``, so that ``env.spec`` can travel as
JSON and a vector environment can start its workers first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict

import gymnasium
import pettingzoo
from gymnasium.utils import RecordConstructorArgs
from pettingzoo.utils import BaseParallelWrapper
from typing_extensions import Unpack

from gym_p2p.config import IceServer, P2PConfig, config_from_options, to_mapping
from gym_p2p.core.api.queues import MatchProposed
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConfigurationError, InvalidAction, UnsupportedEnvironment
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.isolation import isolate_global_random
from gym_p2p.game.env.seats import make_game
from gym_p2p.play.copies import Copied
from gym_p2p.play.reentrancy import close_when_dropped
from gym_p2p.play.session import Session

__all__ = ["P2PEnv", "P2POptions", "P2PParallelEnv"]


class P2POptions(TypedDict, total=False):
    """The options of both wrappers; what they mean and their defaults are in :mod:`gym_p2p.config`."""

    server_url: str
    room: str
    queue: str | None
    pre_match: Callable[[MatchProposed], object] | str | float | None
    on_refusal: Literal["raise", "requeue"]
    subject_id: str | None
    token: str | None
    spectators: int
    network: Literal["thread", "process"]
    ice_servers: Sequence[Mapping[str, Any]]
    relay_only: bool
    connect_timeout_s: float
    emulation: Mapping[str, Any]
    sync: Literal["auto", "lockstep", "rollback"]
    input_delay: int | Literal["auto"]
    prediction_window: int
    prediction: str
    view: Literal["predicted", "confirmed"]
    snapshot_hooks: tuple[Any, Any] | None
    isolate_random: bool
    fps: float | None
    checksum_interval: int | None
    on_peer_loss: Literal["truncate", "raise", "default_action", "stand_in"]
    stand_in: Callable[[SeatId, Any, int], Any] | str | None
    on_desync: Literal["continue", "truncate"]
    disconnect_timeout_s: float
    disconnect_notice_s: float
    input_timeout_s: float
    room_timeout_s: float
    poll_interval_ms: float
    max_samples: int
    warning_ms: float
    critical_ms: float
    exports: str | None
    checkpoint_interval_s: float
    upload: bool
    record: str | None


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
            space (a seat is a key or index), any other one (the seat ``"player"`` acts, ``watchers`` look
            on), or a PettingZoo environment (a seat is an agent).
        seat: the seat to take; ``None`` takes any free one, where all seats have the same spaces.
        watchers: seats ``"watcher_1"`` ... that a single-agent environment gets.
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
        default_actions: Any = None,
        **options: Unpack[P2POptions],
    ) -> None:
        config = config_from_options(options)
        RecordConstructorArgs.__init__(
            self,
            _disable_deepcopy=True,  # a policy may be large, or hold what cannot be copied
            seat=seat,
            watchers=watchers,
            default_actions=default_actions,
            **_without_secrets(options),
        )
        game = _isolated(make_game(env, watchers=watchers, default_actions=default_actions), config)
        wrapped = env if isinstance(env, gymnasium.Env) else _SeatsOf(game)
        gymnasium.Wrapper.__init__(self, wrapped)
        example = _any_seat(game) if seat is None else seat
        self.action_space = game.action_space(example)
        self.observation_space = game.observation_space(example)
        self._game = game
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
            PeerLost: a peer left while everybody was to begin.
            MatchOver: the match has ended.
        """
        outcome = self.p2p.reset(seed, options)
        if isinstance(self.env, _SeatsOf):
            self.env.seed_generator(seed)
        index = self._game.seats.index(self.p2p.seat)
        return outcome.observations[index], outcome.infos[index]

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Play one frame, once everybody's action of it is here.

        Raises:
            InvalidAction: the action is outside the seat's action space; no frame was consumed.
            PeerLost: a peer is gone, where ``on_peer_loss="raise"``.
            MatchOver: the match has ended.
            UsageError: no episode is running.
        """
        seat = self.p2p.seat
        outcome = self.p2p.step({seat: self._game.codec(seat).check(action)})
        index = self._game.seats.index(seat)
        return (
            outcome.observations[index],
            outcome.rewards[index],
            outcome.terminations[index],
            outcome.truncations[index],
            outcome.infos[index],
        )

    def close(self) -> None:
        """Say goodbye, write and upload the exports, close the environment. Idempotent."""
        self.p2p.close()


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
        if isinstance(agents, str) or not agents or len(set(agents)) != len(agents):
            raise ConfigurationError("agents", f"wanted a list of different agents, got {agents!r}")
        if not isinstance(env, pettingzoo.ParallelEnv | pettingzoo.AECEnv):
            found = f"a {type(env).__module__}.{type(env).__qualname__}"
            raise UnsupportedEnvironment(f"wanted a PettingZoo environment, got {found}; P2PEnv takes others")
        config = config_from_options(options)
        self._game = _isolated(make_game(env, default_actions=default_actions), config)
        for agent in agents:
            self._game.action_space(agent)
        super().__init__(self._game.env)
        ordered = [seat for seat in self._game.seats if seat in agents]
        self.possible_agents: list[Any] = list(ordered)
        self.agents: list[Any] = []
        self.p2p = Session(self._game, seats=ordered, config=config)
        close_when_dropped(self, self.p2p.close)

    def observation_space(self, agent: Any) -> gymnasium.Space[Any]:
        """Return a local agent's observation space."""
        return self._game.observation_space(agent)

    def action_space(self, agent: Any) -> gymnasium.Space[Any]:
        """Return a local agent's action space."""
        return self._game.action_space(agent)

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[Any, Any], dict[Any, dict[str, Any]]]:
        """Begin an episode together with the others; see :meth:`P2PEnv.reset`."""
        outcome = self.p2p.reset(seed, options)
        self.agents = list(self.possible_agents)
        return self._of(outcome.observations), self._of(outcome.infos)

    def step(
        self, actions: Mapping[Any, Any]
    ) -> tuple[dict[Any, Any], dict[Any, float], dict[Any, bool], dict[Any, bool], dict[Any, dict[str, Any]]]:
        """Play one frame with the living local agents' actions; see :meth:`P2PEnv.step`."""
        outcome = self.p2p.step(self._checked(actions))
        terminations, truncations = self._of(outcome.terminations), self._of(outcome.truncations)
        answer = (
            self._of(outcome.observations),
            self._of(outcome.rewards),
            terminations,
            truncations,
            self._of(outcome.infos),
        )
        self.agents = [agent for agent in self.agents if not (terminations[agent] or truncations[agent])]
        return answer

    def close(self) -> None:
        """Say goodbye, write and upload the exports, close the environment. Idempotent."""
        self.p2p.close()

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

    def _of(self, values: Sequence[Any]) -> dict[Any, Any]:
        """Return the living local agents' parts of what all seats got."""
        seats = self._game.seats
        return {agent: values[seats.index(agent)] for agent in self.agents}


def _without_secrets(options: P2POptions) -> dict[str, Any]:
    """Return the options that a spec may name: it travels as JSON, and ends up in logs and papers.

    Whoever makes the environment again from its spec passes the token by ``GYM_P2P_TOKEN``.
    """
    recorded: dict[str, Any] = {name: value for name, value in options.items() if name != "token"}
    if "ice_servers" in recorded:
        recorded["ice_servers"] = [_without_credentials(server) for server in recorded["ice_servers"]]
    return recorded


def _without_credentials(server: Any) -> dict[str, Any]:
    plain = to_mapping(server) if isinstance(server, IceServer) else dict(server)
    return {name: value for name, value in plain.items() if name not in {"username", "credential"}}


class _SeatsOf(gymnasium.Env[Any, Any]):
    """A PettingZoo environment as far as ``gymnasium.Wrapper`` needs one; it is played through its game."""

    def __init__(self, game: Game) -> None:
        self._game = game
        self.metadata = dict(getattr(game.env, "metadata", {}))
        self.render_mode = getattr(game.env, "render_mode", None)
        spaces = gymnasium.spaces
        self.action_space = spaces.Dict({str(seat): game.action_space(seat) for seat in game.seats})
        self.observation_space = spaces.Dict({str(seat): game.observation_space(seat) for seat in game.seats})

    def seed_generator(self, seed: int | None) -> None:
        """Seed ``np_random`` as ``gymnasium.Env.reset`` does; the game has a generator of its own."""
        super().reset(seed=seed)

    def render(self) -> Any:
        return self._game.render()

    def close(self) -> None:
        self._game.close()


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
                f"seat=None needs seats with equal spaces, and {seat!r} differs from {first!r}; name a seat"
            )
            raise UnsupportedEnvironment(message)
    return first
