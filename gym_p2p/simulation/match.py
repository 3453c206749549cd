"""Sets a simulated match up, and plays it to its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import attrs

from gym_p2p.config import SyncConfig
from gym_p2p.errors import ConfigurationError, ConnectFailed
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.isolation import isolate_global_random
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.state.snapshot import snapshots_named
from gym_p2p.net.links.memory import MemoryNetwork, VirtualClock
from gym_p2p.play.sync_mode import SyncChoice, agree, make_offer
from gym_p2p.simulation.arguments import Figure, check_plain, check_seats, paths_of
from gym_p2p.simulation.player import VirtualPlayer
from gym_p2p.simulation.results import Simulation
from gym_p2p.simulation.setting import Policy, Setting

__all__ = ["simulate"]

_GREETING_S = 30.0
"""Virtual time for the handshake, whatever the network."""
_SLACK = 20
"""A match that makes no headway for so many times its own length is given up."""


def simulate(
    make_env: Callable[[], Any],
    policies: Mapping[Any, Policy],
    *,
    frames: int,
    seed: int,
    one_way_ms: Figure = 0,
    jitter_ms: Figure = 0,
    loss: Figure = 0,
    reorder: Figure = 0,
    duplicate: Figure = 0,
    sync: Literal["auto", "lockstep", "rollback"] = "auto",
    input_delay: int | Literal["auto"] | Mapping[Any, int] = 0,
    fps: float = 60,
    leave: Mapping[Any, int] | None = None,
    network_seed: int = 0,
    clock_drift: Mapping[Any, float] | None = None,
    **options: Any,
) -> Simulation:
    """Play one episode with virtual players over a network in memory.

    Args:
        make_env: builds one player's copy, a new one each time: a Gymnasium or PettingZoo environment.
        policies: a policy for each seat, in any order; one player sits on each.
        frames: the match ends after so many, if the environment does not end it before.
        seed: of the episode.
        one_way_ms: delay of every message, from one seat to another.
        jitter_ms: mean of an exponentially distributed extra delay.
        loss: probability that a message is lost.
        reorder: probability that a message is held back, so that later ones overtake it.
        duplicate: probability that a message arrives twice.
        sync: the mode; ``auto`` tries out whether the environment can be saved and restored.
        input_delay: frames from input to effect; for all, ``auto``, or by seat.
        fps: frames a second, of virtual time.
        leave: the frame at which the player of a seat vanishes without a word.
        network_seed: of all that the network draws.
        clock_drift: by how much the clock of a seat's player is faster, e.g. 0.02.
        options: any other option of :class:`~gym_p2p.config.SyncConfig`: ``prediction_window``,
            ``prediction``, ``on_peer_loss``, ``stand_in``, ``checksum_interval`` and so on.

    Raises:
        ConfigurationError: an option out of range, or policies for other seats than the game has.
        UnsupportedEnvironment: the environment has no seats, or cannot do what ``sync`` asks for.
        ConnectFailed: the players did not get the match done in reasonable virtual time.
    """
    check_plain(policies, frames=frames, seed=seed, options=options)
    delays = input_delay if isinstance(input_delay, Mapping) else {}
    config = SyncConfig(
        mode=sync,
        input_delay=0 if isinstance(input_delay, Mapping) else input_delay,
        fps=fps,
        **options,
    )
    games: list[Game] = []
    try:
        for _ in policies:
            games.append(_game(make_env, len(policies), config))  # noqa: PERF401 - closed if a later one fails
        if len({id(game.env.unwrapped) for game in games}) < len(games):
            raise ConfigurationError("make_env", "has to make a new environment each time it is called")
        seats = games[0].seats
        check_seats(seats, policies, leave=leave or {}, clock_drift=clock_drift or {}, input_delay=delays)
        paths = paths_of(
            seats,
            {
                "one_way_ms": one_way_ms,
                "jitter_ms": jitter_ms,
                "loss": loss,
                "reorder": reorder,
                "duplicate": duplicate,
            },
        )
        clock = VirtualClock()
        setting = Setting(
            seats=seats,
            policies=policies,
            config=config,
            frames=frames,
            seed=seed,
            delays=delays,
            leave=dict(leave or {}),
            drift=dict(clock_drift or {}),
            clock=clock,
            network=MemoryNetwork(clock, seed=network_seed, paths=paths),
        )
        return _Table(games, setting).run(max(path.one_way_ms + path.jitter_ms for path in paths.values()))
    finally:
        for game in games:
            game.close()


def _game(make_env: Callable[[], Any], seats: int, config: SyncConfig) -> Game:
    env = make_env()
    try:
        game = make_game(env)
    except Exception:
        if callable(close := getattr(env, "close", None)):
            close()
        raise
    if len(game.seats) == 1 and seats > 1:
        game = make_game(env, watchers=seats - 1)
    return isolate_global_random(game) if config.isolate_random else game


class _Table:
    """The players of one match, their clock and their network."""

    def __init__(self, games: list[Game], setting: Setting) -> None:
        self._games = games
        self._setting = setting

    def run(self, slowest_ms: float) -> Simulation:
        """Play the match; ``slowest_ms`` is the longest mean delay of any path."""
        setting = self._setting
        choices = self._choices()
        players = [VirtualPlayer(setting, i, game, choices[i]) for i, game in enumerate(self._games)]
        for player in players:
            player.connect(len(players))
        frame_s = 1 / (setting.config.fps or 60) + 2e-3 * slowest_ms
        limit_s = _GREETING_S + _SLACK * setting.frames * frame_s
        if not setting.clock.run_until(limit_s, done=lambda: all(player.ending for player in players)):
            seen = ", ".join(f"{p.seat!r}: {p.progress}" for p in players)
            raise ConnectFailed(
                "the simulated match", waited_s=limit_s, seen=seen, advice="Is the network passable at all?"
            )
        return Simulation(
            players={player.seat: player.result() for player in players},
            sync=choices[0].mode,
            why=choices[0].why,
            seconds=max(player.ended_at for player in players),
            lost=setting.network.lost,
        )

    def _choices(self) -> list[SyncChoice]:
        """Let the first player try their game; the others have the same one."""
        offer = make_offer(self._games[0], self._setting.config, real_time=False)
        choice = agree(offer, {})
        if choice.snapshots is None:
            return [choice] * len(self._games)
        hooks = self._setting.config.snapshot_hooks
        others = [snapshots_named(game, choice.snapshots.name, hooks=hooks) for game in self._games[1:]]
        return [choice, *(attrs.evolve(choice, snapshots=other) for other in others)]
