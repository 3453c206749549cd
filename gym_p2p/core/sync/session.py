"""The user's half of a match: which frame can be played, with which inputs, and what has to be played again.

Inputs in; requests and events out. Knows every player's inputs of the running episode; refuses to know the
network (it is known by events) and the environment (inputs are bytes, states are frame numbers; whoever
polls carries out what is requested).

Frames: state S(f) is the one before frame f's inputs. An input given at frame ``f`` with delay ``d`` takes
effect at ``f + d``; the first ``d`` frames have the player's default input. Three bounds, each at most the
next::

    confirmed  every present player holds every input below it: public, in exports and checksums
    known      every input below it is here: no rollback reaches below it
    frame      the next one to play; it is at most ``window`` above known

With a window of 0 this is lockstep: a frame is played once every input of it is here, and is final as soon as
it is played (those who are left share what only one of them holds, so nobody takes it back). With a longer
window the missing inputs are guessed; when a guess proves wrong, the state before it is loaded and the frames
since are played again: once in a tick, and only as the next frame can be played. Right guesses cost nothing.

A tick::

    session.add_local_input(data)                          # its GiveInput goes to the network half
    while (output := session.poll()) is not None:
        ...                                     # carry out the requests, in order
    session.receive(event)                      # whatever the network half emitted meanwhile

Without :class:`Advance` of the next frame among the outputs the tick was stalled: it consumed no frame, and
doing it again changes nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from gym_p2p.core.match.commands import GiveInput, SetInputDelay
from gym_p2p.core.match.events import FramesAhead, InputsArrived, PlayerFinished, PlayerGone
from gym_p2p.core.sync.endings import Endings
from gym_p2p.core.sync.input_track import InputTrack, Misprediction
from gym_p2p.core.sync.outputs import (
    Advance,
    FramesConfirmed,
    Load,
    Over,
    RolledBack,
    Save,
    Stalled,
    SyncOutput,
)
from gym_p2p.core.sync.prediction import Predictor, repeat_last
from gym_p2p.core.sync.saved_states import SavedStates
from gym_p2p.core.sync.time_sync import Pace
from gym_p2p.core.sync.window import Window

__all__ = ["SyncSession"]


class SyncSession:
    """One player's session of one episode.

    Args:
        local: the local player's index.
        default_inputs: every player's input where there is none of theirs: in the first frames of a delay,
            and after they are gone. The same on all sides, or players who play on without a leaver differ.
        window: how many frames beyond the known inputs are played on guesses; 0 is lockstep.
        input_delay: frames between giving an input and its effect.
        delays: every player's input delay as the episode began, where it is known. The inputs of a
            player's delayed frames are the default ones, so that waiting for them would be in vain: they
            do not count against the window.
        predictor: makes the guesses.
        save_every: frames between two states saved for the sake of guesses. 1 is right where saving is
            cheaper than playing a frame; with more, fewer states are saved and a rollback begins up to
            ``save_every - 1`` frames further back.
        save_again_every: the same for frames that are played again, of whose states few are ever loaded: the
            next rollback mostly begins behind them. ``None`` is ``save_every``.
        keep_every: additionally save every state whose number is a multiple of this, for the caller (to
            compare checksums of); ``None`` for none.
        continue_without_leavers: whether players who left or were lost are played on with their default
            input. Otherwise the episode is over after their last one, unless their seats were by then.

    Attributes:
        frame: the next one to be played: the state is the one before its inputs.
        confirmed: how many frames are final, and were emitted as such.
        input_delay: the local player's, in frames.
        has_news: whether there may be something to poll; ``False`` while nothing new has come since the last
            time that everything was.
        over: why the episode cannot go on, once :class:`Over` was polled.
    """

    def __init__(
        self,
        *,
        local: int,
        default_inputs: Sequence[bytes],
        window: int = 0,
        input_delay: int = 0,
        delays: Sequence[int] | None = None,
        predictor: Predictor = repeat_last,
        save_every: int = 1,
        save_again_every: int | None = None,
        keep_every: int | None = None,
        continue_without_leavers: bool = False,
    ) -> None:
        self._tracks = [
            InputTrack(player=player, default=default, predictor=predictor)
            for player, default in enumerate(default_inputs)
        ]
        self._own = self._tracks[local]
        self._default = default_inputs[local]
        self._window = Window(self._tracks, size=window, delays=delays)
        self._delays = tuple(delays or [0] * len(self._tracks))
        self.input_delay = input_delay
        self._states = SavedStates(
            save_every=save_every, save_again_every=save_again_every or save_every, keep_every=keep_every
        )
        self.endings = Endings(self._tracks, continues=continue_without_leavers)
        """To be told whose seats are over as final frames are carried out."""
        self.frame = 0
        self._given_at = -1
        self._stalled_at = -1
        self.has_news = True
        self._held_by_all = 0
        self.confirmed = 0
        self._outputs: deque[SyncOutput] = deque()
        self._pace = Pace()
        self.over: Over | None = None

    @property
    def needed_from(self) -> int:
        """Saved states below this frame are not loaded any more, once everything was polled."""
        frames = self._states.frames
        return frames[0] if frames else self.confirmed

    @property
    def stretch(self) -> float:
        """By what a frame's time is to be multiplied, so that the others can keep up: 1 to 1.1."""
        return self._pace.stretch

    def waits_for(self) -> tuple[int, ...]:
        """Return the players for want of whose inputs nothing goes on.

        That of the current frame if it was given, or else of those that were played and are not final.
        """
        known = min([track.count for track in self._tracks])
        if self._given_at != self.frame or self._window.reaches(self.frame, known):
            return tuple([track.player for track in self._tracks if track.count < self.frame])
        return self._window.missing(self.frame)

    def have_yet_to_act(self, players: Sequence[int]) -> bool:
        """Return whether there are such players, and none of them has given an input of this episode so far.

        Those of the frames of a delay, which are given as it begins, are nobody's.
        """
        return bool(players) and all(self._tracks[one].count <= self._delays[one] for one in players)

    def absent_in(self, frame: int) -> tuple[int, ...]:
        """Return the players who are known to be gone in a frame."""
        return self.endings.absent_in(frame) if self.endings.vacant else ()

    def begin(self) -> Sequence[GiveInput]:
        """Start the episode: return the inputs of the delayed frames, to be given first."""
        return [self._give(self._default) for _ in range(self.input_delay)]

    def take_up(self, start: Sequence[int], inputs: Sequence[Sequence[bytes]]) -> None:
        """Take every player's inputs, from a frame of each on, of an episode that was played before.

        In the place of :meth:`begin`, and as often as there are more. Everybody has them.
        """
        for track, first, known in zip(self._tracks, start, inputs, strict=True):
            track.learn(first, known)
        self._held_by_all = min([track.count for track in self._tracks])
        self.has_news = True

    @property
    def was_played(self) -> bool:
        """Whether the input that is to be given next was given before: there is nothing to decide."""
        return self._own.count > self.frame + self.input_delay

    def add_local_input(self, data: bytes) -> GiveInput | None:
        """Give the local input for the current frame, before polling.

        Returns:
            What goes to the network half; ``None`` if the input was given before (giving again while
            stalled changes nothing), or if the delay was shortened and the frame of its effect has an
            input already.
        """
        if self._given_at == self.frame:
            return None
        self._given_at = self.frame
        give = None if self._own.count > self.frame + self.input_delay else self._give(data)
        self._note_input()
        return give

    def set_input_delay(self, frames: int) -> Sequence[SetInputDelay | GiveInput]:
        """Change the local input delay from the next input on; return what goes to the network half.

        No frame is without an input and none has two: where the delay grows, the newest input is repeated
        for the frames between; where it shrinks, as many of the next inputs have no effect.
        """
        self.input_delay = frames
        self.has_news = True
        reached = self.frame + frames + (self._given_at == self.frame)
        repeated = self._own.newest
        return [SetInputDelay(frames)] + [self._give(repeated) for _ in range(self._own.count, reached)]

    def receive(self, event: InputsArrived | PlayerFinished | PlayerGone | FramesAhead) -> None:
        """Take in an event of the network half."""
        if isinstance(event, InputsArrived):
            self._tracks[event.player].learn(event.start, event.inputs)
            self._held_by_all = max(self._held_by_all, event.confirmed)
            self._note_input()
            return
        self.has_news = True
        match event:
            case PlayerFinished():
                self.endings.finished(event)
            case PlayerGone():
                self.endings.gone(event)
            case FramesAhead(frames):
                self._pace.observe(frames, self.frame)

    def poll(self) -> SyncOutput | None:
        """Return the next request or event; ``None`` if there is nothing to do now."""
        outputs = self._outputs
        if outputs:
            return outputs.popleft()
        if self.has_news:
            self._plan()
        return outputs.popleft() if outputs else None

    def _note_input(self) -> None:
        """Take note of an input, of whomever: in lockstep nothing comes of it before everybody's is here."""
        if not (self._window.size or self.endings.told):
            for track in self._tracks:
                if track.count <= self.frame:
                    return
        self.has_news = True

    def _give(self, data: bytes) -> GiveInput:
        own = self._own
        own.add(data)
        return GiveInput(own.count - 1, data)

    # One tick.

    # What there is to do now, in four steps. It is planned anew once everything was polled and something is
    # new: an input, an event.
    #
    # Invariants. confirmed <= known and confirmed <= frame: nothing that is public is ever played again.
    # Every frame from ``confirmed`` up to ``frame`` was played with the inputs that the tracks hold, but
    # for those in ``wrong``. S(f) is saved for an f at most the first frame that was guessed, so a rollback
    # finds its state.
    #
    # 1. The end, once it is reached and all inputs up to it are known. It comes first, for nothing may be
    #    played past it; and what was guessed before it is corrected and final first, so that every player
    #    stops in the same state. By then it is known whether the seats of whoever is gone were over: all
    #    players who are left have the same final frames, so all of them go on, or none does.
    # 2. The rollback, at most one a tick: together with the frame that it makes way for, or between ticks,
    #    before the input of the frame is here. Not while stalled: every late input would play the same
    #    frames again, to no use, as the next frame that is shown depends on the last of them.
    # 3. The frame: after the rollback, for it begins in the corrected state. Or the stall, once.
    # 4. What is final: last, as it may be stated only of frames whose correction was requested before. A
    #    wrong guess that step 2 has left standing holds it back.
    #
    # Why it comes to rest: step 2 leaves no wrong guesses, step 3 uses up the input that it needs or marks
    # the stall as reported, and step 4 moves up to a bound that only new inputs move. So without news a
    # second plan finds nothing, but for an end that the frame of the first has reached.
    def _plan(self) -> None:
        if self.over is not None:
            self.has_news = False
            return
        if not (self._window.size or self.endings.told):
            self._play_known()
            return
        known = min([track.count for track in self._tracks])
        by, end = self.endings.first() if self.endings.told else (None, None)
        self.has_news = end is not None
        frame = self.frame
        if by is not None and end is not None and end.frame <= frame and end.frame <= known:
            self._reach(end, by)
            return
        given = self._given_at == frame
        wrong = [track for track in self._tracks if track.wrong]
        goes_on = end is None or frame < end.frame
        advances = given and goes_on and self._window.reaches(frame, known)
        if wrong and (advances or not given):
            self._roll_back(wrong)
        if advances:
            self._play_next()
        elif given and self._window.size and self._stalled_at != frame:
            self._stalled_at = frame
            missing = tuple([track.player for track in self._tracks if track.count == known])
            self._outputs.append(Stalled(frame, missing))
        corrected = min([track.wrong[0].frame for track in wrong if track.wrong], default=self.frame)
        held_by_all = self._held_by_all if self._window.size else known
        self._confirm(min(held_by_all, known, corrected))

    def _play_known(self) -> None:
        """Steps 3 and 4 in lockstep, where nothing is guessed, as long as no end is known."""
        self.has_news = False
        frame, tracks = self.frame, self._tracks
        if self._given_at != frame:
            return
        for track in tracks:
            if track.count <= frame:
                return
        inputs = tuple([track.take(frame) for track in tracks])
        states = self._states
        if states.keep_every is not None and frame % states.keep_every == 0:
            states.add(frame, guessing=False)
            self._outputs.append(Save(frame))
        self._outputs.append(Advance(frame, inputs, absent=self.absent_in(frame)))
        self._outputs.append(FramesConfirmed(frame, (inputs,)))
        self.frame = self.confirmed = frame + 1
        if states.frames:
            states.drop(frame + 1)

    def _play_next(self) -> None:
        frame, tracks = self.frame, self._tracks
        inputs = tuple([track.at(frame) for track in tracks])
        predicted = tuple([track.player for track in tracks if track.count <= frame])
        if self._states.add(frame, guessing=bool(predicted)):
            self._outputs.append(Save(frame))
        absent = self.absent_in(frame)
        self._outputs.append(Advance(frame, inputs, predicted, absent=absent))
        self.frame = frame + 1

    def _play_again(self, start: int, end: int) -> None:
        tracks, states, request = self._tracks, self._states, self._outputs.append
        predicted: tuple[int, ...] = ()
        absent: tuple[int, ...] = ()
        others_from = start  # from here on other players are guessed than in the frames before
        spans = [track.span(start, end) for track in tracks]
        for frame, inputs in enumerate(zip(*spans, strict=True), start):
            if frame == others_from:
                predicted = tuple([track.player for track in tracks if track.count <= frame])
                others_from = min([track.count for track in tracks if track.count > frame], default=end)
            if frame > start and states.add(frame, guessing=bool(predicted), again=True):  # S(start) is there
                request(Save(frame))
            if self.endings.vacant:
                absent = self.endings.absent_in(frame)
            request(Advance(frame, inputs, predicted, again=True, absent=absent))
        self.frame = end

    # Going back.

    def _roll_back(self, wrong: Sequence[InputTrack]) -> None:
        found = [one for track in wrong for one in track.wrong]
        if len(found) > 1:
            found.sort(key=lambda one: one.frame)
        self._rewind(found[0].frame, self.frame, tuple(found))

    def _rewind(self, frame: int, end: int, found: tuple[Misprediction, ...]) -> None:
        """Take back what was played from ``frame`` on, and play up to ``end`` again."""
        loaded = self._states.back_to(frame)
        if found:
            self._outputs.append(RolledBack(frame, self.frame, loaded, found))
        self._outputs.append(Load(loaded))
        for track in self._tracks:
            track.rewind(frame)
        self._play_again(loaded, end)

    # What is final, and the end.

    def _confirm(self, end: int) -> None:
        start = self.confirmed
        if end <= start:
            return
        columns = [track.known(start, end) for track in self._tracks]
        self._outputs.append(FramesConfirmed(start, tuple(zip(*columns, strict=True))))
        self.confirmed = end
        self._states.drop(end)
        needed_from = min(end, self.needed_from)
        for track in self._tracks:
            track.forget(needed_from)

    def _reach(self, end: Over, by: int) -> None:
        """Make final what comes before an end; then end there, or go on if that player's seats were over."""
        if self.confirmed < end.frame:
            wrong = [track for track in self._tracks if track.wrong]
            if any(track.wrong[0].frame < end.frame for track in wrong):
                self._roll_back(wrong)
            self._confirm(end.frame)
        elif self.endings.taken_back(by, end):
            self._plan()
        else:
            self._finish(end)

    def _finish(self, over: Over) -> None:
        """End the episode in the last state that all players can reach, before which all is final."""
        if over.frame < self.frame:
            self._rewind(over.frame, over.frame, ())
        self.over = over
        self._outputs.append(over)
