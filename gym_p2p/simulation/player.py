"""One virtual player of a simulated match: policy, game and match machine on virtual time.

Knows his own part; refuses to know how the match is set up and what becomes of its results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import attrs

from gym_p2p.config import ExportConfig, P2PConfig, SyncConfig
from gym_p2p.config.names import load_callable
from gym_p2p.core.api.rooms import MatchFound, MatchPlayer
from gym_p2p.core.latency.series import Poll
from gym_p2p.core.latency.webrtc_stats import PollStatus
from gym_p2p.core.match.events import BeginEpisode, Connected, EpisodeBegan, Event, Pinged, PlayerGone
from gym_p2p.core.match.match import Match
from gym_p2p.core.record.documents import KINDS
from gym_p2p.core.sync.pacing import Pacer
from gym_p2p.core.sync.time_sync import AutoDelay
from gym_p2p.core.wire.messages import Channel
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.game.checksum import OutcomeChecksum
from gym_p2p.game.env.game import Game
from gym_p2p.game.inputs import SeatInputs
from gym_p2p.game.outcome import Outcome
from gym_p2p.net.links.driver import Driver
from gym_p2p.net.links.memory import MemoryNetwork, VirtualClock
from gym_p2p.net.links.transport import LinkState
from gym_p2p.net.worker.messages import LinkOpened, Polled
from gym_p2p.play.recorder import Recorder
from gym_p2p.play.runner import Playing, first_delay
from gym_p2p.play.state_exchange import StateExchange
from gym_p2p.play.sync_mode import SyncChoice
from gym_p2p.simulation.results import ConfirmedFrame, Counters, SimulatedPlayer

__all__ = ["Policy", "Setting", "VirtualPlayer"]

Policy = Callable[[Any, int], Any]
"""``policy(observation, frame) -> action``."""

EPOCH_MS = 1_750_000_000_000
"""The Unix time at which every simulation begins, so that equal arguments give equal documents."""


@attrs.frozen(kw_only=True)
class Setting:
    """What the players of a simulated match have in common.

    Attributes:
        seats: every seat, one a player.
        policies: by seat.
        config: how frames are kept together.
        frames: after so many the match ends.
        seed: of the episode.
        delays: input delays of seats that differ from ``config``'s.
        leave: the frame at which the player of a seat vanishes.
        drift: by how much the clock of a seat's player is faster.
    """

    seats: tuple[SeatId, ...]
    policies: Mapping[SeatId, Policy]
    config: SyncConfig
    frames: int
    seed: int
    delays: Mapping[SeatId, int]
    leave: Mapping[SeatId, int]
    drift: Mapping[SeatId, float]
    clock: VirtualClock
    network: MemoryNetwork


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


class VirtualPlayer:
    """One virtual player.

    Args:
        setting: of the match.
        index: which one he is.
        game: his copy.
        choice: how frames are kept together.

    Attributes:
        seat: his.
        ending: how it ended for him; ``None`` while it has not.
        ended_at: the virtual time of that.
    """

    def __init__(self, setting: Setting, index: int, game: Game, choice: SyncChoice) -> None:
        self.seat = setting.seats[index]
        self.ending: str | None = None
        self.ended_at = 0.0
        self._setting = setting
        self._index = index
        self._game = game
        self._choice = choice
        self._policy = setting.policies[self.seat]
        config = setting.config
        if self.seat in setting.delays:
            config = attrs.evolve(config, input_delay=setting.delays[self.seat])
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
                players=len(setting.seats),
                description={"must": game.describe(), "about": {}},
                match_seed=setting.seed,
                sync=config,
            ),
            clock=setting.clock,
            emit=self._on_event,
        )
        stand_in = config.stand_in
        self._stand_in = None if stand_in is None else load_callable("stand_in", stand_in)
        self._playing: Playing | None = None
        self._given_for = -1
        self._stalled = False
        self._pacer = Pacer((config.fps or 60.0) * (1 + setting.drift.get(self.seat, 0.0)))
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
            self._driver.attach(other, self._setting.network.link(self._index, other))

    def result(self) -> SimulatedPlayer:
        """Return what it came to."""
        counters = self._counters
        counters.messages = self._driver.game_messages_sent
        counters.bytes = self._driver.game_bytes_sent
        return SimulatedPlayer(
            confirmed=self._frames.confirmed,
            exports={kind: self._recorder.document(kind) for kind in KINDS},
            counters=counters,
            ending=self.ending or "unfinished",
        )

    # The network.

    def _wire(self, other: int) -> None:
        link = self._setting.network.link(self._index, other)

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
                self._driver.command(BeginEpisode(self._setting.seed, None, delay))
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
        inputs = SeatInputs(self._game, range(len(self._setting.seats)), self._index)
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
            states=StateExchange(self._recorder.record, self._driver.command),
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
        if frame >= self._setting.leave.get(self.seat, self._setting.frames + 1):
            self._setting.network.sever(self._index)
            self._finish("left")
            return
        if frame < self._setting.frames and not (playing.rollout.over or playing.awaits_end([self._index])):
            self._give(playing, frame)
        tick = playing.tick()
        self._count(tick.played_again, tick.stalled is not None, tick.rolled_back)
        if playing.rollout.over:
            self._finish("ended")
        elif tick.over is not None:
            self._finish(tick.over.reason)
        elif playing.rollout.final_count >= self._setting.frames:
            self._finish("frames")
        elif tick.advanced:
            now = self._setting.clock.time()
            wait_s = self._pacer.wait_s(now, stretch=playing.session.stretch)
            self._setting.clock.call_at(now + wait_s, self._tick)
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
        self.ended_at = self._setting.clock.time()
        done = ending in {"frames", "ended"}
        frame = None if self._playing is None else self._playing.rollout.final_count - 1
        self._recorder.record.end_episode(self._now_ms(), completed=ending == "ended")
        self._recorder.record.terminate(
            "normal" if done else ending, partial=not done, frame=frame, now_ms=self._now_ms()
        )

    # Time.

    def _later(self, call: Callable[[], None]) -> None:
        self._setting.clock.call_at(self._setting.clock.time(), call)

    def _now_ms(self) -> int:
        return EPOCH_MS + round(self._setting.clock.time() * 1e3)

    def _found(self) -> MatchFound:
        setting = self._setting
        players = [
            MatchPlayer(player_id=s, subject_id=f"simulated-{s}", seats=(s,), client=None)
            for s in setting.seats
        ]
        return MatchFound(
            match_id=f"simulated-{setting.seed}",
            room="simulation",
            player_id=self.seat,
            seats_taken=(self.seat,),
            players=tuple(players),
            seed=setting.seed % 2**32,
            ice_servers=(),
            relay_only=False,
            token="simulated",  # noqa: S106 - nothing is uploaded
        )
