"""One virtual player of a simulated match: policy, game and match machine on virtual time.

Knows the player's own part; refuses to know how the match is set up and what becomes of its results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from gym_p2p.config import ExportConfig, P2PConfig
from gym_p2p.core.latency.series import Poll
from gym_p2p.core.latency.webrtc_stats import PollStatus
from gym_p2p.core.match.commands import BeginEpisode
from gym_p2p.core.match.events import Connected, EpisodeBegan, Event, Interrupted, Pinged, PlayerGone, Resumed
from gym_p2p.core.match.match import Match
from gym_p2p.core.record.documents import KINDS
from gym_p2p.core.sync.pacing import Pacer
from gym_p2p.core.sync.patience import Patience
from gym_p2p.core.wire.messages import Channel
from gym_p2p.game.checksum import OutcomeChecksum
from gym_p2p.game.env.game import Game
from gym_p2p.game.outcome import Outcome, fresh
from gym_p2p.game.rollout import Tick
from gym_p2p.game.stand_ins import stand_in_for
from gym_p2p.net.links.driver import Driver
from gym_p2p.net.links.memory import MemoryNetwork, VirtualClock
from gym_p2p.net.worker.messages import LinkOpened, Polled
from gym_p2p.play.exported import introduction
from gym_p2p.play.match_client import WAIT_SLICE_S
from gym_p2p.play.played_match import PlayedMatch
from gym_p2p.play.recorder import Recorder
from gym_p2p.play.runner import EpisodeRunner
from gym_p2p.play.sync_mode import SyncChoice
from gym_p2p.policies.seat_policy import action_of
from gym_p2p.simulation.arguments import Setting
from gym_p2p.simulation.results import ConfirmedFrame, Counters, SimulatedPlayer

__all__ = ["VirtualPlayer"]

EPOCH_MS = 1_750_000_000_000
"""The Unix time at which every simulation begins, so that equal arguments give equal documents."""


class VirtualPlayer:
    """One virtual player.

    Args:
        network: of the match; :meth:`connect` joins it.

    Attributes:
        seat: the player's.
        ending: how it ended for this player; ``None`` while it has not.
        ended_at: the virtual time of that.
    """

    def __init__(
        self,
        setting: Setting,
        index: int,
        game: Game,
        choice: SyncChoice,
        *,
        clock: VirtualClock,
        network: MemoryNetwork,
    ) -> None:
        self.seat = setting.seats[index]
        self.ending: str | None = None
        self.ended_at = 0.0
        self._setting = setting
        self._clock = clock
        self._network = network
        self._index = index
        self._game = game
        self._policy = setting.policies[self.seat]
        config = setting.config_of(self.seat)
        about = introduction(clock_base_ms=EPOCH_MS)
        self._recorder = Recorder(
            found=setting.found_by(self.seat),
            game=game,
            config=P2PConfig(sync=config, exports=ExportConfig(directory=None, upload=False)),
            about=about,
            clock_ms=self._now_ms,
            exports=False,
        )
        self._recorder.record.sync = choice.to_export()
        match = Match(
            local=index,
            players=len(setting.seats),
            description={"must": game.describe(), "about": about},
            match_seed=setting.seed,
            sync=config,
            secret=bytes([index]),
        )
        self._driver = Driver(match, clock=clock, emit=self._on_event)
        self._frames = _FrameCollector(game, index)
        self._played = PlayedMatch(
            game=game,
            holders=range(len(setting.seats)),
            local=index,
            config=config,
            choice=choice,
            stand_in=stand_in_for(game, config.stand_in) if config.on_peer_loss == "stand_in" else None,
            record=self._recorder.record,
            sinks=[self._frames],
            command=self._driver.command,
            now_ms=self._now_ms,
            monotonic_s=clock.time,
        )
        self._runner: EpisodeRunner | None = None
        self._input_given_for = -1
        self._stalled = False
        self._silent: set[int] = set()  # players from whom nothing arrives: the network half judges of them
        self._patience = Patience.for_inputs(config, takes_turns=game.takes_turns)
        fps = (config.fps or 60.0) * (1 + setting.by_seat.clock_drift.get(self.seat, 0.0))
        self._pacer = Pacer(fps, even=config.fps is not None and self._played.waits_for_all)
        self._given_at = 0.0
        self._counters = Counters()
        self._looking = False

    @property
    def progress(self) -> str:
        """How far it has come, in words."""
        if self._runner is None:
            return "no episode yet"
        return f"frame {self._runner.session.frame}, {self._runner.rollout.final_count} final"

    def connect(self) -> None:
        """Open the links to everybody."""
        others = [other for other in range(len(self._setting.seats)) if other != self._index]
        for other in others:
            link = self._network.link(self._index, other)
            link.on_message = partial(self._on_message, other)
            link.on_state = partial(self._driver.link_state, other)
        for other in others:
            self._recorder.fold(self._now_ms(), LinkOpened(other, 0.0))
            self._driver.attach(other, self._network.link(self._index, other))

    def count_messages(self) -> None:
        """Take note of what was sent until all had ended."""
        self._counters.messages = self._driver.game_messages_sent
        self._counters.bytes = self._driver.game_bytes_sent

    def result(self) -> SimulatedPlayer:
        """Return what it came to."""
        return SimulatedPlayer(
            confirmed=self._frames.confirmed,
            exports={kind: self._recorder.document(kind) for kind in KINDS},
            counters=self._counters,
            ending=self.ending or "unfinished",
        )

    # The network.

    def _on_message(self, other: int, _channel: Channel, data: bytes | str) -> None:
        self._driver.message(other, data)

    def _on_event(self, event: Event) -> None:
        # The driver is not re-entrant: what follows from its events comes after them, in their order.
        self._later(partial(self._handle, event))

    def _handle(self, event: Event) -> None:
        self._recorder.fold(self._now_ms(), event)
        match event:
            case Connected():
                self._driver.command(BeginEpisode(self._setting.seed, None, self._played.input_delay))
            case Interrupted(player):
                self._silent.add(player)
            case Resumed(player):
                self._silent.discard(player)
            case EpisodeBegan():
                self._runner = EpisodeRunner(self._played, event)
                self._later(self._play)
            case Pinged(player, rtt_ms, _):
                self._recorder.fold(
                    self._now_ms(), Polled(player, Poll(self._now_ms(), rtt_ms, PollStatus.FRESH))
                )
        if self._runner is not None:
            self._runner.receive(event)
            if isinstance(event, PlayerGone):
                self._patience.excuse(self._clock.time())
            if self._stalled and self._runner.session.has_news:
                self._stalled = False
                self._later(self._play)
        elif isinstance(event, PlayerGone):
            self._finish(event.reason)

    # The game.

    def _play(self) -> None:
        runner = self._runner
        if runner is None or self.ending is not None:
            return
        frame = runner.session.frame
        if frame >= self._setting.by_seat.leave.get(self.seat, self._setting.frames + 1):
            self._network.sever(self._index)
            self._finish("left")
            return
        if frame < self._setting.frames and not (runner.rollout.over or runner.awaits_end()):
            self._add_input(runner, frame)
        tick = runner.advance()
        self._count(tick)
        if runner.rollout.over:
            self._finish("ended")
        elif tick.over is not None:
            self._finish(tick.over.reason)
        elif runner.rollout.final_count >= self._setting.frames:
            self._finish("frames")
        elif tick.advanced:
            now = self._clock.time()
            self._patience.play(now)
            wait_s = self._pacer.wait_s(
                now,
                stretch=runner.session.stretch,
                awaited_s=now - self._given_at,
                round_trip_s=self._recorder.longest_rtt_s,
            )
            self._clock.call_at(now + wait_s, self._play)
        else:
            self._stalled = True
            self._bear(runner)

    def _bear(self, runner: EpisodeRunner) -> None:
        """Give up whoever is waited for in vain, and look again later."""
        now = self._clock.time()
        heard = [player for player in runner.session.waits_for() if player not in self._silent]
        for give_up in self._patience.wait(heard, now):
            self._driver.command(give_up)
        if not self._looking:
            self._looking = True
            self._clock.call_at(now + WAIT_SLICE_S, self._look)

    def _look(self) -> None:
        self._looking = False
        if self._stalled and self._runner is not None and self.ending is None:
            self._bear(self._runner)

    def _add_input(self, runner: EpisodeRunner, frame: int) -> None:
        if self._input_given_for == frame:
            runner.session.add_local_input(b"")  # stalled: the input of this frame was given before
            return
        self._input_given_for, self._given_at = frame, self._clock.time()
        outcome, index = runner.rollout.outcome, self._index
        seen = fresh(outcome.observations[index])
        action = action_of(self._policy, seen, outcome.infos[index], frame)
        runner.add_input({self.seat: self._game.codec(self.seat).check(action)})

    def _count(self, tick: Tick) -> None:
        counters = self._counters
        counters.resimulated_frames += tick.played_again
        counters.stalls += tick.stalled is not None
        counters.rollbacks += len(tick.rolled_back)
        for rolled_back in tick.rolled_back:
            counters.mispredictions += len(rolled_back.mispredictions)
            counters.max_rollback_frames = max(counters.max_rollback_frames, rolled_back.depth)

    def _finish(self, ending: str) -> None:
        self.ending = ending
        self.ended_at = self._clock.time()
        done = ending in {"frames", "ended"}
        self._recorder.record.terminate("normal" if done else ending, partial=not done, now_ms=self._now_ms())

    # Time.

    def _later(self, call: Callable[[], None]) -> None:
        self._clock.call_at(self._clock.time(), call)

    def _now_ms(self) -> int:
        return EPOCH_MS + round(self._clock.time() * 1e3)


class _FrameCollector:
    """Collects the player's final frames as the results show them; one of the match's sinks."""

    def __init__(self, game: Game, index: int) -> None:
        self.confirmed: list[ConfirmedFrame] = []
        self._game = game
        self._index = index
        self._checksum = OutcomeChecksum(len(game.seats))

    def begin_episode(self, seed: int, options: Mapping[str, Any] | None, first_outcome: Outcome) -> None:
        """Nothing is collected of it."""

    def checksum(self, frame: int, digest: str) -> None:
        """Every frame has its own here."""

    def end_episode(self, *, completed: bool) -> None:
        """Nothing follows."""

    def frame(self, by_seat: Sequence[bytes], outcome: Outcome) -> None:
        number, seat = len(self.confirmed), self._index
        self._checksum.update(number, by_seat, outcome)
        codecs = map(self._game.codec, self._game.seats)
        actions = [codec.to_json(codec.decode(data)) for codec, data in zip(codecs, by_seat, strict=True)]
        self.confirmed.append(
            ConfirmedFrame(
                frame=number,
                actions=dict(zip(self._game.seats, actions, strict=True)),
                observation=fresh(outcome.observations[seat]),
                reward=outcome.rewards[seat],
                terminated=outcome.terminations[seat],
                truncated=outcome.truncations[seat],
                checksum=self._checksum.digest(outcome),
            )
        )
