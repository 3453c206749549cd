"""Sets a simulated match up, and plays it to its end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Literal

import attrs
import gymnasium

from gym_p2p.config import SyncConfig
from gym_p2p.errors import ConfigurationError, ConnectFailed
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.isolation import isolate_global_random
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.env.split import SeatsOption
from gym_p2p.game.state.apart import apart
from gym_p2p.game.state.proof import rehearse
from gym_p2p.game.state.snapshot import snapshots_named
from gym_p2p.net.links.memory import MemoryNetwork, Path, VirtualClock
from gym_p2p.play.sync_mode import SyncChoice, agree, make_offer
from gym_p2p.simulation.arguments import BySeat, Figure, Figures, Policy, Setting, check_plain
from gym_p2p.simulation.player import VirtualPlayer
from gym_p2p.simulation.results import Simulation

__all__ = ["simulate"]

_GREETING_S = 30.0
"""Virtual time for the handshake, whatever the network."""
_SLACK = 20
"""A match that makes no headway for so many times its own length is given up."""
_ON_THE_WAY_S = 0.5
"""For the last checksums to arrive, once all have ended; beyond two round trips, for one may be lost."""


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
    seats: SeatsOption = None,
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
        leave: the frame at which the player of a seat vanishes without a goodbye.
        network_seed: of all that the network draws.
        clock_drift: by how much the clock of a seat's player is faster, e.g. 0.02.
        seats: how a joint action splits, as for :class:`~gym_p2p.P2PEnv`; the environment gets seats for
            those who watch (``"watcher_1"`` ...) where there are policies for them.
        options: any other option of :class:`~gym_p2p.config.SyncConfig`: ``prediction_window``,
            ``prediction``, ``on_peer_loss``, ``stand_in``, ``checksum_interval`` and so on.

    Raises:
        ConfigurationError: an option out of range, or policies for other seats than the game has.
        UnsupportedEnvironment: the environment has no seats, or cannot do what ``sync`` wants.
        ConnectFailed: the players did not get the match done in reasonable virtual time.
    """
    check_plain(policies, frames=frames, seed=seed, options=options)
    delays, delay = (input_delay, 0) if isinstance(input_delay, Mapping) else ({}, input_delay)
    # A network in memory has no service by which a path could be rebuilt: who is silent has vanished.
    options = {"reconnect_timeout_s": 0, **options}
    config = SyncConfig(mode=sync, input_delay=delay, fps=fps, **options)
    by_seat = BySeat(leave=leave or {}, clock_drift=clock_drift or {}, input_delay=delays)
    figures = Figures(one_way_ms, jitter_ms, loss, reorder, duplicate)
    with _copies(make_env, policies, seats, config) as games:
        setting = Setting(games[0].seats, policies, config, by_seat, frames, seed)
        return _play(games, setting, figures.paths(setting.seats), network_seed)


@contextlib.contextmanager
def _copies(
    make_env: Callable[[], Any], wanted: Collection[Any], seats: SeatsOption, config: SyncConfig
) -> Iterator[list[Game]]:
    """Make every player's copy, and close them all."""
    games: list[Game] = []
    try:
        for _ in wanted:
            games.append(_game(make_env, wanted, seats, config))  # noqa: PERF401 - closed if a later one fails
        if len({id(game.env.unwrapped) for game in games}) < len(games):
            raise ConfigurationError("make_env", "has to make a new environment each time it is called")
        games = apart(games)
        yield games
    finally:
        for game in games:
            game.close()


def _game(
    make_env: Callable[[], Any], wanted: Collection[Any], seats: SeatsOption, config: SyncConfig
) -> Game:
    env = make_env()
    try:
        game = make_game(env, seats=seats)
    except Exception:
        if callable(close := getattr(env, "close", None)):
            close()
        raise
    watchers = len(wanted) - len(game.seats)
    if isinstance(env, gymnasium.Env) and watchers > 0 and (len(game.seats) == 1 or "watcher_1" in wanted):
        game = make_game(env, seats=seats, watchers=watchers)
    return isolate_global_random(game) if config.isolate_random else game


def _play(
    games: Sequence[Game], setting: Setting, paths: Mapping[tuple[int, int], Path], network_seed: int
) -> Simulation:
    clock = VirtualClock()
    network = MemoryNetwork(clock, seed=network_seed, paths=paths)
    choices = _choices(games, setting.config)
    players = [
        VirtualPlayer(setting, index, game, choice, clock=clock, network=network)
        for index, (game, choice) in enumerate(zip(games, choices, strict=True))
    ]
    for player in players:
        player.connect()
    slowest_ms = max(path.one_way_ms + path.jitter_ms for path in paths.values())
    frame_s = 1 / (setting.config.fps or 60) + 2e-3 * slowest_ms
    limit_s = _GREETING_S + _SLACK * setting.frames * frame_s
    if not clock.run_until(limit_s, done=lambda: all(player.ending for player in players)):
        seen = ", ".join(f"{p.seat!r}: {p.progress}" for p in players)
        raise ConnectFailed(
            "the simulated match", waited_s=limit_s, seen=seen, advice="Is the network passable at all?"
        )
    lost = network.lost
    for player in players:
        player.count_messages()
    clock.run_until(clock.time() + _ON_THE_WAY_S + 4e-3 * slowest_ms)
    return Simulation(
        players={player.seat: player.result() for player in players},
        sync=choices[0].mode,
        why=choices[0].why,
        seconds=max(player.ended_at for player in players),
        lost=lost,
    )


def _choices(games: Sequence[Game], config: SyncConfig) -> list[SyncChoice]:
    """Let the first player try their game; the others have the same one, and rehearse with it."""
    offer = make_offer(games[0], config, real_time=False)
    if offer.snapshots is None:
        return [agree(offer, {})] * len(games)
    name, hooks = offer.snapshots.name, config.snapshot_hooks
    others = [snapshots_named(game, name, hooks=hooks) for game in games[1:]]
    offers = [
        attrs.evolve(offer, snapshots=other, rehearsal=rehearse(game, other))
        for game, other in zip(games[1:], others, strict=True)
    ]
    choice = agree(offer, dict(enumerate(offers)))
    return [choice, *(attrs.evolve(choice, snapshots=other) for other in others)]
