"""Whole matches of real environments in one process, on virtual time, over a seeded network in memory.

The same core, netcode and record as on the network: every player has a copy of the environment, a match
machine and a session; only links and clocks are made up. So a match takes as long as its steps take, equal
arguments give equal results, and a researcher can ask what delay does to a policy.

It knows games, machines and the network in memory. It refuses to know what a policy is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import attrs

from gym_p2p.config import ExportConfig, P2PConfig, SyncConfig
from gym_p2p.core.announce import MAX_PLAYERS, MatchFound, MatchPlayer
from gym_p2p.core.events import BeginEpisode, Connected, EpisodeBegan, Event, Pinged, PlayerGone
from gym_p2p.core.latency import Poll
from gym_p2p.core.match import Match
from gym_p2p.core.messages import Channel
from gym_p2p.core.pacing import Pacer
from gym_p2p.core.stats_report import PollStatus
from gym_p2p.core.time_sync import AutoDelay
from gym_p2p.errors import ConfigurationError, ConnectFailed
from gym_p2p.game.base import Game
from gym_p2p.game.checksum import OutcomeChecksum
from gym_p2p.game.inputs import SeatInputs
from gym_p2p.game.isolation import isolate_global_random
from gym_p2p.game.outcome import Outcome, Seat
from gym_p2p.game.seats import make_game
from gym_p2p.game.snapshot import snapshots_named
from gym_p2p.named import load_callable
from gym_p2p.net.driver import Driver
from gym_p2p.net.memory import MemoryNetwork, Path, VirtualClock
from gym_p2p.net.tellings import LinkOpened, Polled
from gym_p2p.net.transport import LinkState
from gym_p2p.playing import Playing, SyncChoice, first_delay
from gym_p2p.recording import Recorder
from gym_p2p.sync_choice import agree, make_offer

__all__ = ["ConfirmedFrame", "Counters", "SimulatedPlayer", "Simulation", "simulate"]

Policy = Callable[[Any, int], Any]
"""``policy(observation, frame) -> action``."""

Figure = float | Mapping[tuple[Any, Any], float]
"""One number for all paths, or one for each directed pair of seats (others: 0)."""

EPOCH_MS = 1_750_000_000_000
"""The Unix time at which every simulation begins, so that equal arguments give equal documents."""

_GREETING_S = 30.0
"""Virtual time for the handshake, whatever the network."""
_SLACK = 20
"""A match that makes no headway for so many times its own length is given up."""


@attrs.frozen(kw_only=True)
class ConfirmedFrame:
    """One frame as it became final for one player.

    Attributes:
        actions: every seat's, by seat, as JSON-ready data.
        observation: what this player's seat saw after it.
        checksum: 16 hex digits over everything up to it; equal for all players who agree.
    """

    frame: int
    actions: Mapping[Seat, Any]
    observation: Any
    reward: float
    terminated: bool
    truncated: bool
    checksum: str


@attrs.define
class Counters:
    """What keeping together cost one player."""

    rollbacks: int = 0
    resimulated_frames: int = 0
    mispredictions: int = 0
    stalls: int = 0
    messages: int = 0
    bytes: int = 0
    max_rollback_frames: int = 0


@attrs.frozen(kw_only=True)
class SimulatedPlayer:
    """What one player's match came to.

    Attributes:
        confirmed: every final frame, in order.
        exports: the three documents: ``session``, ``validation``, ``multiplayer``.
        ending: ``frames`` (as many as were asked for), ``ended`` (by the environment), ``left`` (as
            ``leave`` has it), or why the match ended early.
    """

    confirmed: list[ConfirmedFrame]
    exports: Mapping[str, Mapping[str, Any]]
    counters: Counters
    ending: str

    @property
    def total_reward(self) -> float:
        """The sum of this seat's final rewards."""
        return sum(frame.reward for frame in self.confirmed)


@attrs.frozen(kw_only=True)
class Simulation:
    """What a simulated match came to.

    Attributes:
        players: by seat.
        sync: the mode that was played in.
        why: why that one.
        seconds: how long the match took, in virtual time.
        lost: game messages that the network lost.
    """

    players: Mapping[Seat, SimulatedPlayer]
    sync: str
    why: str
    seconds: float
    lost: int


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
        make_env: builds one player's copy: a Gymnasium or PettingZoo environment.
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
    delays = input_delay if isinstance(input_delay, Mapping) else {}
    config = SyncConfig(
        mode=sync,
        input_delay=0 if isinstance(input_delay, Mapping) else input_delay,
        fps=fps,
        **options,
    )
    games = [_game(make_env, len(policies), config) for _ in policies]
    table = _Table(games, policies, config, frames=frames, seed=seed, delays=delays)
    table.leave = dict(leave or {})
    table.drift = dict(clock_drift or {})
    figures = {
        "one_way_ms": one_way_ms,
        "jitter_ms": jitter_ms,
        "loss": loss,
        "reorder": reorder,
        "duplicate": duplicate,
    }
    try:
        return table.run(_paths(games[0].seats, figures), network_seed)
    finally:
        for game in games:
            game.close()


def _game(make_env: Callable[[], Any], seats: int, config: SyncConfig) -> Game:
    env = make_env()
    try:
        game = make_game(env)
    except Exception:
        env.close()
        raise
    if len(game.seats) == 1 and seats > 1:
        game = make_game(env, watchers=seats - 1)
    return isolate_global_random(game) if config.isolate_random else game


def _paths(seats: tuple[Seat, ...], figures: Mapping[str, Figure]) -> dict[tuple[int, int], Path]:
    """Return the directed paths between players, by index."""
    unknown = [
        pair
        for figure in figures.values()
        if isinstance(figure, Mapping)
        for pair in figure
        if not (isinstance(pair, tuple) and len(pair) == 2 and set(pair) <= set(seats))
    ]
    if unknown:
        raise ConfigurationError("one_way_ms", f"{unknown[0]!r} is no pair of the seats {list(seats)}")
    return {
        (i, j): Path(
            **{
                name: float(figure.get((here, there), 0.0)) if isinstance(figure, Mapping) else float(figure)
                for name, figure in figures.items()
            }
        )
        for i, here in enumerate(seats)
        for j, there in enumerate(seats)
        if i != j
    }


class _Table:
    """The players of one match, their clock and their network."""

    def __init__(
        self,
        games: list[Game],
        policies: Mapping[Seat, Policy],
        config: SyncConfig,
        *,
        frames: int,
        seed: int,
        delays: Mapping[Seat, int],
    ) -> None:
        seats = games[0].seats
        if set(policies) != set(seats):
            problem = f"wanted one for each of {list(seats)}, got {list(policies)}"
            raise ConfigurationError("policies", problem)
        if not 2 <= len(seats) <= MAX_PLAYERS:
            raise ConfigurationError("policies", f"a match has 2 to {MAX_PLAYERS} players, got {len(seats)}")
        if frames < 1:
            raise ConfigurationError("frames", f"wanted at least 1, got {frames}")
        self.seats = seats
        self.policies = policies
        self.config = config
        self.frames = frames
        self.seed = seed
        self.delays = delays
        self.leave: dict[Seat, int] = {}
        self.drift: dict[Seat, float] = {}
        self.clock = VirtualClock()
        self.network: MemoryNetwork
        self._games = games

    def run(self, paths: Mapping[tuple[int, int], Path], network_seed: int) -> Simulation:
        """Play the match."""
        unknown = [seat for seat in (*self.leave, *self.drift, *self.delays) if seat not in self.seats]
        if unknown:
            raise ConfigurationError("leave", f"{unknown[0]!r} is none of the seats {list(self.seats)}")
        self.network = MemoryNetwork(self.clock, seed=network_seed, paths=paths)
        choices = self._choices()
        players = [_Player(self, i, game, choices[i]) for i, game in enumerate(self._games)]
        for player in players:
            player.connect(len(players))
        slowest_s = max((path.one_way_ms + path.jitter_ms for path in paths.values()), default=0.0) / 1e3
        limit_s = _GREETING_S + _SLACK * self.frames * (1 / (self.config.fps or 60) + 2 * slowest_s)
        if not self.clock.run_until(limit_s, done=lambda: all(player.ending for player in players)):
            seen = ", ".join(f"{p.seat!r}: {p.progress}" for p in players)
            raise ConnectFailed(
                "the simulated match", waited_s=limit_s, seen=seen, advice="Is the network passable at all?"
            )
        return Simulation(
            players={player.seat: player.result() for player in players},
            sync=choices[0].mode,
            why=choices[0].why,
            seconds=max(player.ended_at for player in players),
            lost=self.network.lost,
        )

    def _choices(self) -> list[SyncChoice]:
        """Let the first player try his game; the others have the same one."""
        offer = make_offer(self._games[0], self.config, real_time=False)
        choice = agree(offer, {})
        if choice.snapshots is None:
            return [choice] * len(self._games)
        hooks = self.config.snapshot_hooks
        others = [snapshots_named(game, choice.snapshots.name, hooks=hooks) for game in self._games[1:]]
        return [choice, *(attrs.evolve(choice, snapshots=other) for other in others)]


class _Frames:
    """Collects one player's final frames."""

    def __init__(self, game: Game, index: int) -> None:
        self.confirmed: list[ConfirmedFrame] = []
        self._game = game
        self._index = index
        self._codecs = [game.codec(seat) for seat in game.seats]
        self._checksum = OutcomeChecksum(len(game.seats))

    def begin_episode(self, seed: int, options: Mapping[str, Any] | None, first_outcome: Outcome) -> None:
        """Nothing is collected of it."""

    def frame(self, by_seat: Sequence[bytes], outcome: Outcome) -> None:
        """Collect a frame."""
        number, seat = len(self.confirmed), self._index
        self._checksum.update(number, by_seat, outcome)
        actions = [codec.to_json(codec.decode(d)) for codec, d in zip(self._codecs, by_seat, strict=True)]
        self.confirmed.append(
            ConfirmedFrame(
                frame=number,
                actions=dict(zip(self._game.seats, actions, strict=True)),
                observation=outcome.observations[seat],
                reward=outcome.rewards[seat],
                terminated=outcome.terminations[seat],
                truncated=outcome.truncations[seat],
                checksum=self._checksum.digest(outcome),
            )
        )

    def checksum(self, frame: int, digest: str) -> None:
        """Every frame has its own here."""

    def end_episode(self, *, completed: bool) -> None:
        """Nothing follows."""


class _Player:
    """One virtual player."""

    def __init__(self, table: _Table, index: int, game: Game, choice: SyncChoice) -> None:
        self.seat = table.seats[index]
        self.ending: str | None = None
        self.ended_at = 0.0
        self._table = table
        self._index = index
        self._game = game
        self._choice = choice
        self._policy = table.policies[self.seat]
        config = table.config
        if self.seat in table.delays:
            config = attrs.evolve(config, input_delay=table.delays[self.seat])
        self._config = config
        self._auto = (
            AutoDelay(fps=config.fps or 60.0, most=config.prediction_window)
            if config.input_delay == "auto"
            else None
        )
        self._recorder = Recorder(
            found=self._found(),
            game=game,
            config=P2PConfig(sync=config, exports=ExportConfig(directory=None, upload=False)),
            clock_ms=self._now_ms,
            exports=False,
        )
        self._recorder.record.sync = choice.to_export()
        self._driver = Driver(
            Match(
                local=index,
                players=len(table.seats),
                description={"must": game.describe(), "about": {}},
                match_seed=table.seed,
                sync=config,
            ),
            clock=table.clock,
            emit=self._on_event,
        )
        stand_in = config.stand_in
        self._stand_in = None if stand_in is None else load_callable("stand_in", stand_in)
        self._playing: Playing | None = None
        self._given_for = -1
        self._stalled = False
        self._pacer = Pacer((config.fps or 60.0) * (1 + table.drift.get(self.seat, 0.0)))
        self._frames = _Frames(game, index)
        self._counters = Counters()

    @property
    def progress(self) -> str:
        """How far it has come, in words."""
        if self._playing is None:
            return "no episode yet"
        return f"frame {self._playing.session.frame}, {self._playing.rollout.final_count} final"

    def connect(self, players: int) -> None:
        """Open the links to everybody."""
        others = [other for other in range(players) if other != self._index]
        for other in others:
            self._wire(other)
        for other in others:
            self._recorder.fold(self._now_ms(), LinkOpened(other, 0.0))
            self._driver.attach(other, self._table.network.link(self._index, other))

    def result(self) -> SimulatedPlayer:
        """Return what it came to."""
        counters = self._counters
        counters.messages = self._driver.game_messages_sent
        counters.bytes = self._driver.game_bytes_sent
        return SimulatedPlayer(
            confirmed=self._frames.confirmed,
            exports=self._recorder.documents(),
            counters=counters,
            ending=self.ending or "unfinished",
        )

    # The network.

    def _wire(self, other: int) -> None:
        link = self._table.network.link(self._index, other)

        def on_message(_channel: Channel, data: bytes | str) -> None:
            self._driver.message(other, data)

        def on_state(state: LinkState) -> None:
            self._driver.link_state(other, state)

        link.on_message, link.on_state = on_message, on_state

    def _on_event(self, event: Event) -> None:
        # The driver is not re-entrant: what follows from its events comes after them, in their order.
        self._later(partial(self._handle, event))

    def _handle(self, event: Event) -> None:
        self._recorder.fold(self._now_ms(), event)
        match event:
            case Connected():
                delay = first_delay(self._config, self._auto)
                self._driver.command(BeginEpisode(self._table.seed, None, delay))
            case EpisodeBegan():
                self._begin(event)
            case Pinged(player, rtt_ms, _):
                self._recorder.fold(
                    self._now_ms(), Polled(player, Poll(self._now_ms(), rtt_ms, PollStatus.FRESH))
                )
        if self._playing is not None:
            self._playing.receive(event)
            if self._stalled:
                self._stalled = False
                self._later(self._tick)
        elif isinstance(event, PlayerGone):
            self._finish(event.reason)

    # The game.

    def _begin(self, began: EpisodeBegan) -> None:
        inputs = SeatInputs(self._game, range(len(self._table.seats)), self._index)
        self._playing = Playing(
            game=self._game,
            inputs=inputs,
            local=self._index,
            began=began,
            config=self._config,
            choice=self._choice,
            delay=self._auto,
            stand_in=self._stand_in,
            record=self._recorder.record,
            sinks=[self._frames],
            command=self._driver.command,
            now_ms=self._now_ms,
        )
        self._later(self._tick)

    def _tick(self) -> None:
        playing = self._playing
        if playing is None or self.ending is not None:
            return
        frame = playing.session.frame
        if frame >= self._table.leave.get(self.seat, self._table.frames + 1):
            self._table.network.sever(self._index)
            self._finish("left")
            return
        if frame < self._table.frames and not (playing.rollout.over or playing.awaits_end([self._index])):
            self._give(playing, frame)
        tick = playing.tick()
        self._count(tick.played_again, tick.stalled is not None, tick.rolled_back)
        if playing.rollout.over:
            self._finish("ended")
        elif tick.over is not None:
            self._finish(tick.over.reason)
        elif playing.rollout.final_count >= self._table.frames:
            self._finish("frames")
        elif tick.advanced:
            now = self._table.clock.time()
            wait_s = self._pacer.wait_s(now, stretch=playing.session.stretch)
            self._table.clock.call_at(now + wait_s, self._tick)
        else:
            self._stalled = True

    def _give(self, playing: Playing, frame: int) -> None:
        if self._given_for == frame:
            playing.session.give(b"")  # stalled: the input of this frame was given before
            return
        self._given_for = frame
        observation = playing.rollout.outcome.observations[self._index]
        action = self._game.codec(self.seat).check(self._policy(observation, frame))
        playing.give({self.seat: action})

    def _count(self, again: int, stalled: bool, rolled_back: list[Any]) -> None:  # noqa: FBT001 - one caller
        counters = self._counters
        counters.resimulated_frames += again
        counters.stalls += stalled
        counters.rollbacks += len(rolled_back)
        for one in rolled_back:
            counters.mispredictions += len(one.mispredictions)
            counters.max_rollback_frames = max(counters.max_rollback_frames, one.depth)

    def _finish(self, ending: str) -> None:
        self.ending = ending
        self.ended_at = self._table.clock.time()
        done = ending in {"frames", "ended"}
        frame = None if self._playing is None else self._playing.rollout.final_count - 1
        self._recorder.record.end_episode(self._now_ms(), completed=ending == "ended")
        self._recorder.record.terminate(
            "normal" if done else ending, partial=not done, frame=frame, now_ms=self._now_ms()
        )

    # Time.

    def _later(self, call: Callable[[], None]) -> None:
        self._table.clock.call_at(self._table.clock.time(), call)

    def _now_ms(self) -> int:
        return EPOCH_MS + round(self._table.clock.time() * 1e3)

    def _found(self) -> MatchFound:
        table = self._table
        players = [
            MatchPlayer(player_id=s, subject_id=f"simulated-{s}", seats=(s,), client=None)
            for s in table.seats
        ]
        return MatchFound(
            match_id=f"simulated-{table.seed}",
            room="simulation",
            player_id=self.seat,
            seats_taken=(self.seat,),
            players=tuple(players),
            seed=table.seed % 2**32,
            ice_servers=(),
            relay_only=False,
            token="simulated",  # noqa: S106 - nothing is uploaded
        )
