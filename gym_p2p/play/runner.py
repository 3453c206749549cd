"""One episode as one player plays it, without waiting: inputs in, commands and final frames out.

What the wrapper's episode and a simulated player have in common. Knows the sync session, the rollout and the
record; refuses to know how time passes, how events arrive, and what is shown to whom.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gym_p2p.core.match.commands import GiveChecksum, GiveInput
from gym_p2p.core.match.events import (
    Desynced,
    EpisodeBegan,
    FramesAhead,
    InputsArrived,
    Pinged,
    PlayerFinished,
    PlayerGone,
    StateArrived,
)
from gym_p2p.core.match.return_events import ActFor, PastEpisode
from gym_p2p.core.record.episode import Actor, Begin
from gym_p2p.core.record.plain import plain
from gym_p2p.core.sync.outputs import RolledBack
from gym_p2p.core.sync.prediction import predictor_named
from gym_p2p.core.sync.session import SyncSession
from gym_p2p.core.sync.time_sync import AutoDelay
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.game.pictures import Pictures
from gym_p2p.game.rollout import FinalFrame, Rollout, Tick
from gym_p2p.play.played_match import PlayedMatch
from gym_p2p.play.standing_in import StandingIn

__all__ = ["EpisodeRunner"]

_AGAIN_FRAMES = 1024
"""Taken up at once: a session keeps what it has not played in a list that is consumed from its beginning."""

_JITTERS = 3.0
"""A message is hardly later than the mean by more than so many mean deviations (as in RFC 6298's timer)."""


class EpisodeRunner:
    """A running episode: begins when made, with the delayed frames' inputs and the game's reset.

    Args:
        again: whether it was played before: then :meth:`play_again` comes first, as often as there is more.
    """

    def __init__(self, match: PlayedMatch, began: EpisodeBegan, *, again: bool = False) -> None:
        self._match = match
        self._inputs = match.inputs
        self._command = match.command
        self._others = match.inputs.players - 1
        self._paths: dict[int, _PathEstimate] = {}
        self._episode = began.episode
        self.session = _sync_session(match, began)
        self.rollout = Rollout(
            game=match.game,
            session=self.session,
            inputs=match.inputs,
            snapshots=match.choice.snapshots,
            checked_every=match.config.checked_every,
            compare_states=match.choice.compares_states,
            left_out=match.choice.left_out,
            stand_in=match.stand_in,
            pictures=_pictures(match) if match.shows else None,
        )
        match.states.begin_episode(began.episode, self.rollout.fields)
        self._began_s = match.monotonic_s()
        self._standing_in = StandingIn(match, began) if match.config.while_away != "pause" else None
        self._record = match.record.begin_episode(_begin(match, began), number=began.episode)
        self._record.input_delay(0, self.session.input_delay)
        for give in () if again else self.session.begin():
            self._send_input(give)
        if not again and match.auto_delay is not None and match.auto_delay.frames != self.session.input_delay:
            self._change_delay(match.auto_delay.frames)  # it changed while the others were waited for
        first = self.rollout.begin(began.seed, dict(began.options) or None)
        for sink in match.sinks:
            sink.begin_episode(began.seed, began.options, first)

    def add_input(self, actions: Mapping[SeatId, Any]) -> None:
        """Give the local seats' canonical actions for the current frame; giving again changes nothing."""
        give = self.session.add_local_input(self._inputs.encode(actions))
        if give is not None:
            self._send_input(give)

    def act_for_others(self) -> None:
        """Give the inputs of the players who are away, where this player is to, up to the current frame."""
        if self._standing_in is not None and self._match.acts_for and not self.rollout.over:
            frame = self.session.frame - self.awaits_end()
            self._standing_in.act(frame, self.rollout.outcome)

    def play_again(self, past: PastEpisode) -> None:
        """Play what was played before, as far as it goes, without waiting for anybody.

        Where the others have gone on to the next episode, all inputs that they tell of were played.
        """
        of_frames = zip(past.start, past.inputs, strict=True)
        last = [start + len(one) if past.frames is None else past.frames for start, one in of_frames]
        counts = [max(0, end - start) for start, end in zip(past.start, last, strict=True)]
        inputs = [one[:count] for one, count in zip(past.inputs, counts, strict=True)]
        if self._standing_in is not None:
            actors = [one[:count] for one, count in zip(past.actors, counts, strict=True)]
            self._standing_in.take_up(past.start, inputs, actors)
        longest = max(map(len, inputs))
        for done in range(0, max(longest, 1), _AGAIN_FRAMES):
            there = [start + done for start in past.start]
            self.session.take_up(there, [one[done : done + _AGAIN_FRAMES] for one in inputs])
            is_last = done + _AGAIN_FRAMES >= longest
            ends = [start + len(one) for start, one in zip(past.start, inputs, strict=True)]
            self.catch_up(up_to=min(ends) if past.frames is not None and is_last else 0)

    def catch_up(self, *, up_to: int = 0) -> None:
        """Play on with the inputs that were given before, as far as the others' are known.

        Args:
            up_to: to this frame also where the player had not played so far, of whose delayed frames the
                inputs were given: others may have gone on meanwhile.
        """
        frame = -1
        while (self.session.was_played or self.session.frame < up_to) and frame < self.session.frame:
            if self.rollout.over or self.awaits_end():
                return
            frame = self.session.frame
            self.session.add_local_input(b"")  # the one of then counts
            self.advance()

    def receive(self, event: object) -> None:
        """Take in an event of the network half; what is not about this episode's frames is ignored."""
        match event:
            case InputsArrived() | PlayerFinished() | PlayerGone() | FramesAhead():
                self.session.receive(event)
                if self._standing_in is not None and isinstance(event, InputsArrived):
                    self._standing_in.learn(event)
            case ActFor(player, True) if self._standing_in is not None:
                self._standing_in.begin(player)
            case Desynced() | StateArrived():
                self._match.states.receive(event)
            case Pinged(player, rtt_ms, _) if self._match.auto_delay is not None:
                self._follow(self._match.auto_delay, player, rtt_ms)

    def advance(self) -> Tick:
        """Play what can be played, once the input was given or to correct what was played; record it.

        Raises:
            ProtocolError: a player's input is no action of their seats.
            UnsupportedEnvironment: something came into the state that cannot be saved.
        """
        tick = self.rollout.tick()
        for rolled_back in tick.rolled_back:
            self._record_rollback(rolled_back)
        if tick.played_again or tick.stalled is not None:
            self._record.corrected(resimulated=tick.played_again, stalls=tick.stalled is not None)
        if tick.advanced or tick.final:
            at_ms = int((self._match.monotonic_s() - self._began_s) * 1e3)
            played = self.session.frame if tick.advanced else tick.final[-1].frame + 1
            self._record.played_up_to(played, at_ms)
            for frame in tick.final:
                self._record_final(frame, at_ms)
        for checked in tick.checked:
            self._record.checksum(checked.frame, checked.digest)
            for sink in self._match.sinks:
                sink.checksum(checked.frame, checked.digest)
            self._command(GiveChecksum(checked.frame, bytes.fromhex(checked.digest), self._episode))
        if self.rollout.over:
            self._record.complete(self._match.now_ms())
            for sink in self._match.sinks:
                sink.end_episode(completed=True)
        return tick

    def awaits_end(self) -> bool:
        """Whether an end of the episode or of a local seat is known but not final.

        Nothing may follow it until it is, or is taken back.
        """
        outcome, final = self.rollout.outcome, self.rollout.final_outcome
        if self.rollout.final_count >= self.session.frame or self.rollout.over:
            return False
        own = self._match.own
        return outcome.ended or any(outcome.over_for(seat) and not final.over_for(seat) for seat in own)

    def _send_input(self, give: GiveInput) -> None:
        self._command(give)
        self._match.record.input_sent(self._others)

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

    def _record_final(self, frame: FinalFrame, at_ms: int) -> None:
        outcome = frame.outcome
        self._record.frame(frame.inputs)
        self._record.outcome(
            at_ms,
            rewards=outcome.rewards,
            terminations=outcome.terminations,
            truncations=outcome.truncations,
            infos=outcome.infos,
            unborn=outcome.unborn,
        )
        gone: Actor = "default" if self._match.stand_in is None else "stand_in"
        acted = [(player, gone) for player in frame.absent]
        if self._standing_in is not None:
            acted += self._standing_in.acted(frame.frame)
        for player, actor in acted:
            for seat, holder in enumerate(self._match.holders):
                if holder == player:
                    self._record.acted_for(seat, frame.frame, actor)
        for sink in self._match.sinks:
            sink.frame(frame.inputs, outcome)

    def _record_rollback(self, rolled_back: RolledBack) -> None:
        wrong = rolled_back.mispredictions
        self._record.corrected(mispredictions=len(wrong))
        for guess in wrong:
            for seat in self._inputs.differing(guess.player, guess.predicted, guess.actual):
                self._record.guessed_wrong(guess.frame, seat)
        first = wrong[0]
        seat, predicted, actual = self._inputs.difference(first.player, first.predicted, first.actual)
        self._record.rollback(
            frame=rolled_back.frame,
            current_frame=rolled_back.current,
            player=self._match.game.seats[seat],
            predicted=predicted,
            actual=actual,
            now_ms=self._match.now_ms(),
        )


def _begin(match: PlayedMatch, began: EpisodeBegan) -> Begin:
    return Begin(
        at_ms=match.now_ms(),
        seed=began.seed,
        options=plain(began.options) or None,
        input_delays=began.delays or None,
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


def _pictures(match: PlayedMatch) -> Pictures | None:
    """Return what draws an episode; ``None`` where what is shown is always where the game is."""
    screen, predicts = match.game.screen, match.choice.window > 0
    behind = predicts and match.config.view == "confirmed" and screen.render_mode is not None
    if not (screen.draws or behind):
        return None
    return Pictures(match.game, match.choice.snapshots if predicts else None)


def _sync_session(match: PlayedMatch, began: EpisodeBegan) -> SyncSession:
    inputs, config, choice = match.inputs, match.config, match.choice
    return SyncSession(
        local=match.local,
        default_inputs=[inputs.default_of(player) for player in range(inputs.players)],
        window=choice.window,
        input_delay=began.delays[match.local] if began.delays else match.input_delay,
        delays=began.delays or None,
        predictor=predictor_named(config.prediction),
        save_every=choice.save_every,
        save_again_every=choice.save_again_every,
        keep_every=config.checked_every if choice.compares_states else None,
        continue_without_leavers=config.on_peer_loss in {"default_action", "stand_in"},
    )
