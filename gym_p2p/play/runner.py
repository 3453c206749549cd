"""One episode as one player plays it, without waiting: inputs in, commands and final frames out.

What the wrapper's episode and a simulated player have in common. Knows the session, the rollout and the
record; refuses to know how time passes, how news arrives, and what is shown to whom.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.events import (
    Command,
    Desynced,
    EpisodeBegan,
    FramesAhead,
    GiveChecksum,
    GiveInput,
    InputsArrived,
    Pinged,
    PlayerFinished,
    PlayerGone,
    StateArrived,
)
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.core.sync.prediction import predictor_named
from gym_p2p.core.sync.session import RolledBack, SyncSession
from gym_p2p.core.sync.time_sync import AutoDelay
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.game.env.game import Game
from gym_p2p.game.inputs import SeatInputs
from gym_p2p.game.outcome import Outcome
from gym_p2p.game.rollout import Rollout, StandIn, Tick
from gym_p2p.play.state_exchange import StateExchange
from gym_p2p.play.sync_mode import SyncChoice

__all__ = ["Playing", "Sink", "first_delay"]

_JITTERS = 3.0
"""A message is hardly later than the mean by more than so many mean deviations (as in RFC 6298's timer)."""


class Sink(Protocol):
    """Takes an episode as it becomes final; a :class:`~gym_p2p.game.replay.writer.ReplayWriter` is one."""

    def begin_episode(self, seed: int, options: Mapping[str, Any] | None, first_outcome: Outcome) -> None:
        """An episode begins, with what ``reset`` gave."""

    def frame(self, by_seat: Sequence[bytes], outcome: Outcome) -> None:
        """The next frame is final: every seat's encoded action, and what came of them."""

    def checksum(self, frame: int, digest: str) -> None:
        """The digest of a compared frame, which may be an earlier one."""

    def end_episode(self, *, completed: bool) -> None:
        """The environment has ended it. May be told more than once."""


class Playing:
    """A running episode: begins when made, with the delayed frames' inputs and the game's reset.

    Args:
        game: the local copy.
        inputs: of the match's players.
        local: the local player's index.
        began: what the players agreed on.
        config: how frames are kept together, as configured.
        choice: the same, as agreed.
        delay: follows the measured path; ``None`` where the input delay is fixed.
        stand_in: plays for players who are gone, where the match goes on without them.
        record: of the match; this episode is begun in it.
        states: the match's exchange of states at a desync.
        sinks: take what is final: recordings.
        command: takes what goes to the network half.
        now_ms: the Unix time in milliseconds.
    """

    def __init__(
        self,
        *,
        game: Game,
        inputs: SeatInputs,
        local: int,
        began: EpisodeBegan,
        config: SyncConfig,
        choice: SyncChoice,
        delay: AutoDelay | None,
        stand_in: StandIn | None,
        record: MatchRecord,
        states: StateExchange,
        sinks: Sequence[Sink],
        command: Callable[[Command], None],
        now_ms: Callable[[], int],
    ) -> None:
        self._inputs = inputs
        self._auto_delay = delay
        self._match_record = record
        self._command = command
        self._now_ms = now_ms
        self._others = inputs.players - 1
        self._paths: dict[int, _PathEstimate] = {}
        self._seats = game.seats
        self._sinks = tuple(sinks)
        self.session = SyncSession(
            local=local,
            default_inputs=[inputs.default_of(player) for player in range(inputs.players)],
            window=choice.window,
            input_delay=began.delays[local] if began.delays else first_delay(config, delay),
            delays=began.delays or None,
            predictor=predictor_named(config.prediction),
            save_every=choice.save_every,
            keep_every=config.checked_every if choice.compares_states else None,
            continue_without_leavers=config.on_peer_loss in {"default_action", "stand_in"},
        )
        self._episode = began.episode
        self.rollout = Rollout(
            game=game,
            session=self.session,
            inputs=inputs,
            snapshots=choice.snapshots,
            checked_every=config.checked_every,
            compare_states=choice.compares_states,
            stand_in=stand_in,
        )
        self._states = states
        states.begin_episode(began.episode, self.rollout.fields)
        self._record = record.begin_episode(now_ms(), number=began.episode)
        self._record.input_delay(0, self.session.input_delay)
        for give in self.session.begin():
            self._give(give)
        if delay is not None and delay.frames != self.session.input_delay:
            self._change_delay(delay.frames)  # it changed while the others were waited for
        first = self.rollout.begin(began.seed, dict(began.options) or None)
        for sink in self._sinks:
            sink.begin_episode(began.seed, began.options, first)

    def give(self, actions: Mapping[SeatId, Any]) -> None:
        """Give the local seats' canonical actions for the current frame; giving again changes nothing."""
        give = self.session.give(self._inputs.encode(actions))
        if give is not None:
            self._give(give)

    def receive(self, event: object) -> None:
        """Take in what the network half tells; what is not about this episode's frames is ignored."""
        match event:
            case InputsArrived() | PlayerFinished() | PlayerGone() | FramesAhead():
                self.session.receive(event)
            case Desynced() | StateArrived():
                self._states.receive(event)
            case Pinged(player, rtt_ms, _) if self._auto_delay is not None:
                self._follow(self._auto_delay, player, rtt_ms)

    def tick(self) -> Tick:
        """Play what can be played, once the input was given or to correct what was played; record it.

        Raises:
            ProtocolError: a player's input is no action of his seats.
            UnsupportedEnvironment: something came into the state that cannot be saved.
        """
        tick = self.rollout.tick()
        for rolled_back in tick.rolled_back:
            self._record_rollback(rolled_back)
        if tick.played_again or tick.stalled is not None:
            self._record.corrected(resimulated=tick.played_again, stalls=tick.stalled is not None)
        for frame in tick.final:
            self._record.frame(frame.inputs)
            for sink in self._sinks:
                sink.frame(frame.inputs, frame.outcome)
        for checked in tick.checked:
            self._record.checksum(checked.frame, checked.digest)
            for sink in self._sinks:
                sink.checksum(checked.frame, checked.digest)
            self._command(GiveChecksum(checked.frame, bytes.fromhex(checked.digest), self._episode))
        if self.rollout.over:
            self._record.end(self._now_ms())
            for sink in self._sinks:
                sink.end_episode(completed=True)
        return tick

    def awaits_end(self, own: Sequence[int]) -> bool:
        """Whether an end of the episode or of one of these seats (by index) is known but not final.

        Nothing may follow it until it is, or is taken back.
        """
        outcome, final = self.rollout.outcome, self.rollout.final_outcome
        if self.rollout.final_count >= self.session.frame or self.rollout.over:
            return False
        return outcome.ended or any(_ended(outcome, seat) and not _ended(final, seat) for seat in own)

    def _give(self, give: GiveInput) -> None:
        self._command(give)
        self._match_record.inputs_sent += self._others

    def _follow(self, delay: AutoDelay, player: int, rtt_ms: float) -> None:
        """Set the input delay by the path to the farthest player."""
        self._paths.setdefault(player, _PathEstimate()).observe(rtt_ms)
        farthest = max(self._paths.values(), key=lambda path: path.one_way_ms + path.jitter_ms)
        changed = delay.observe(farthest.one_way_ms, farthest.jitter_ms)
        if changed is not None:
            self._change_delay(changed)

    def _change_delay(self, frames: int) -> None:
        self._record.input_delay(self.session.frame, frames)
        for command in self.session.set_input_delay(frames):
            self._command(command)

    def _record_rollback(self, rolled_back: RolledBack) -> None:
        wrong = rolled_back.mispredictions
        self._record.corrected(mispredictions=len(wrong))
        first = wrong[0]
        seat, predicted, actual = self._inputs.difference(first.player, first.predicted, first.actual)
        self._record.rollback(
            frame=rolled_back.frame,
            current_frame=rolled_back.current,
            player=self._seats[seat],
            predicted=predicted,
            actual=actual,
            now_ms=self._now_ms(),
        )


class _PathEstimate:
    """The delay of a path and its variation, smoothed as in RFC 6298."""

    def __init__(self) -> None:
        self._rtt_ms: float | None = None
        self._deviation_ms = 0.0

    def observe(self, rtt_ms: float) -> None:
        if self._rtt_ms is None:
            self._rtt_ms = rtt_ms
            return
        self._deviation_ms += (abs(rtt_ms - self._rtt_ms) - self._deviation_ms) / 4
        self._rtt_ms += (rtt_ms - self._rtt_ms) / 8

    @property
    def one_way_ms(self) -> float:
        return (self._rtt_ms or 0.0) / 2

    @property
    def jitter_ms(self) -> float:
        return _JITTERS * self._deviation_ms / 2


def _ended(outcome: Outcome, seat: int) -> bool:
    return outcome.terminations[seat] or outcome.truncations[seat]


def first_delay(config: SyncConfig, delay: AutoDelay | None) -> int:
    """Return the input delay with which an episode begins, in frames."""
    if delay is not None:
        return delay.frames
    assert isinstance(config.input_delay, int)  # noqa: S101 - "auto" comes with a delay that follows
    return config.input_delay
