"""Plays one episode of a game as a session asks for it, and hands out what is final, in order.

Knows the game, its snapshots and the checksums; refuses to know where inputs come from and where what is
final goes. The same for a player on the network and for one of a simulation.

Three kinds of frames::

    played     the newest one's outcome is :attr:`Rollout.outcome`; provisional where inputs were guessed
    corrected  played again with other inputs; reported as :class:`Correction`
    final      confirmed by the session, in order and once; reported as :class:`FinalFrame`

An end of the environment may be provisional too. Behind it nothing is played: the frames that the session
advances by then leave the game as it is, and a load of a state before the end takes the end back.

Where states are saved sparsely, a load may go back behind what is final. Final frames are then played again
with the actions that they had, and stay what they were.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from gym_p2p.core.sync.outputs import Advance, FramesConfirmed, Load, Over, RolledBack, Save, Stalled
from gym_p2p.core.sync.session import SyncSession
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.game.checksum import OutcomeChecksum
from gym_p2p.game.env.game import Game
from gym_p2p.game.inputs import SeatInputs
from gym_p2p.game.outcome import Outcome
from gym_p2p.game.pictures import Pictures
from gym_p2p.game.stand_ins import StandIn, legal_default, stand_in_action
from gym_p2p.game.state.fields import Fields
from gym_p2p.game.state.rehearsal import without
from gym_p2p.game.state.snapshot import Snapshot, Snapshots

__all__ = ["CheckedFrame", "Correction", "FinalFrame", "Rollout", "Tick"]

_STATES_KEPT = 8
"""States of compared frames that are kept for a difference, which comes to light within a few of them."""


class Correction(msgspec.Struct, frozen=True, gc=False):
    """A frame that had been played on wrong guesses.

    Attributes:
        before: what it had given; ``None`` if the episode had seemed to end before it.
        after: what it gives; ``None`` if the episode seems to end before it.
    """

    frame: int
    before: Outcome | None
    after: Outcome | None

    def handed_out(self) -> Correction:
        """Return a copy for somebody who may change what is in it."""
        before, after = self.before, self.after
        return Correction(self.frame, before and before.handed_out(), after and after.handed_out())


class FinalFrame(msgspec.Struct, frozen=True, gc=False):
    """A frame that will not change any more.

    Attributes:
        inputs: every seat's encoded action.
        absent: the players who were gone: their seats' actions are the default ones, or the stand-in's.
    """

    frame: int
    inputs: tuple[bytes, ...]
    outcome: Outcome
    absent: tuple[int, ...] = ()


class CheckedFrame(msgspec.Struct, frozen=True):
    """A final frame whose digest is compared between the players.

    Attributes:
        digest: hex digits over all that was played up to it; then, where states are compared, over the
            state after it.
    """

    frame: int
    digest: str


class Tick(msgspec.Struct):
    """What one tick came to.

    Attributes:
        advanced: whether a frame was played for the first time.
        played_again: how many frames were played a second time.
    """

    advanced: bool = False
    played_again: int = 0
    rolled_back: list[RolledBack] = []
    corrections: list[Correction] = []
    final: list[FinalFrame] = []
    checked: list[CheckedFrame] = []
    stalled: Stalled | None = None
    over: Over | None = None


# What holds between two ticks.
#
# * ``_played[f]`` is what frame f came to with the newest inputs, for every frame that was played from
#   ``_played_from`` on. ``_saved[f]`` is the state before frame f; ``None`` stands for one behind the
#   environment's end, where nothing is played and so nothing changes.
# * Frames below ``final_count`` are as they will stay. Where a load goes back behind them (states are saved
#   sparsely), they are played again with the inputs that are in ``_played``, not with those of the request,
#   and a state that was saved at or before ``final_count`` is not saved again: it is the same one.
# * ``ended_at`` is the frame in which the environment ended, as far as is known. No frame behind it is
#   played: an environment must not be stepped after its end. If it is not final, a load may take it back; a
#   frame that had been played and now lies behind the end is in ``_taken_back``, so that it counts as
#   played again, not as new, if the end moves on.
# * A digest of states needs the outcome, which is there when a frame becomes final, and the state after it,
#   which is there when the next save is carried out. Either may come first: ``_check_state`` is called for
#   both, and ``_pending`` holds the frames that wait for their state.
#
# A session's requests are carried out in its order, and its ``FramesConfirmed`` come after the requests
# that play those frames with the confirmed inputs. So a frame is finalised with the outcome that everybody
# has.
#
# One frame below ``needed_from`` stays in ``_played``: after a load of frame f the outcome to be shown is
# that of f - 1.


class Rollout:
    """One episode of one game.

    Args:
        game: the game; :meth:`begin` resets it.
        session: whose requests are carried out.
        inputs: of the match's players.
        snapshots: how the game is saved; may be ``None`` where the session never asks for it.
        checked_every: frames between two that are compared.
        compare_states: whether the digests cover the states as well; needs ``snapshots``, and a session
            that keeps every ``checked_every``-th state.
        left_out: what of the states is not compared, as paths without their indices.
        stand_in: plays the seats of players who are gone; ``None`` leaves them their default actions, or such
            as their action masks allow.
        pictures: draws what is shown; ``None`` where nothing is drawn.

    Attributes:
        outcome: what the newest played frame gave, at first what ``reset`` gave.
        final_outcome: what the newest final frame gave.
        final_count: how many frames are final.
        ended_at: the frame after which the episode is over for every seat, provisionally as long as it is
            not final; ``None`` while it is not.
        over: whether the episode has ended for good: its last frame is final.
        broken: whether a tick was broken off, by an exception of the environment or a Ctrl-C: the game is
            somewhere within a frame, and nothing is played or final any more.
    """

    def __init__(
        self,
        *,
        game: Game,
        session: SyncSession,
        inputs: SeatInputs,
        snapshots: Snapshots | None,
        checked_every: int,
        compare_states: bool = False,
        left_out: tuple[str, ...] = (),
        stand_in: StandIn | None = None,
        pictures: Pictures | None = None,
    ) -> None:
        self._game = game
        self._session = session
        self._inputs = inputs
        self._snapshots = snapshots
        self._checked_every = checked_every
        self._compares = snapshots if compare_states else None
        self._left_out = left_out
        self._stand_in = stand_in
        self.pictures = pictures
        self._played: dict[int, tuple[tuple[bytes, ...], Outcome]] = {}  # what may be loaded, and since
        self._played_from = 0
        self._wrong_from: int | None = None  # the first frame that this tick corrects
        self._taken_back: set[int] = set()  # frames that had been played, behind what seems to be the end
        self._saved: dict[int, Snapshot | None] = {}
        self._checksum = OutcomeChecksum(len(game.seats))
        self._pending: dict[int, str] = {}  # digests of outcomes by frame, whose states are not there yet
        self._compared: dict[int, Snapshot] = {}
        self.final_outcome: Outcome
        self.final_count = 0
        self.ended_at: int | None = None
        self.over = False
        self.broken = False
        self.outcome: Outcome
        self._first: Outcome

    def begin(self, seed: int, options: dict[str, Any] | None) -> Outcome:
        """Reset the game."""
        reset = self._game.reset if self.pictures is None else self.pictures.reset
        self.outcome = self.final_outcome = self._first = reset(seed, options)
        return self.outcome

    def tick(self) -> Tick:
        """Carry out what the session asks for now; nothing, once a tick was :attr:`broken` off.

        Raises:
            ProtocolError: a player's input is no action of their seats.
            UnsupportedEnvironment: something came into the state that cannot be saved.
        """
        tick = Tick()
        if self.broken:
            return tick
        self.broken, self._wrong_from = True, None
        self._carry_out(tick)
        self.broken = False
        return tick

    def _carry_out(self, tick: Tick) -> None:
        # What comes in every tick is asked for first; a match statement takes several times as long.
        for output in iter(self._session.poll, None):
            if isinstance(output, Advance):
                self._advance(output, tick)
            elif isinstance(output, Save):
                self._save(output.frame, tick)
            elif isinstance(output, FramesConfirmed):
                for frame in range(output.start, output.start + len(output.inputs)):
                    self._finalise(frame, tick)
            elif isinstance(output, Load):
                self._load(output.frame)
            elif isinstance(output, RolledBack):
                self._wrong_from = output.frame
                tick.rolled_back.append(output)
            elif isinstance(output, Stalled):
                tick.stalled = output
            elif isinstance(output, Over):
                tick.over = output
        if self._pending and self.final_count == self._session.frame:
            self._save(self.final_count, tick)  # perhaps nothing is played after it
        self._free_below(self._session.needed_from)

    def fields(self, frame: int) -> Fields | None:
        """Return the state after a compared frame as plain data; ``None`` if it is not kept (any more)."""
        snapshot = self._compared.get(frame)
        fields = None if snapshot is None or self._compares is None else self._compares.fields(snapshot)
        return None if fields is None else without(fields, self._left_out)

    # Requests.

    def _advance(self, advance: Advance, tick: Tick) -> None:
        frame, played = advance.frame, self._played
        before = played.get(frame)
        if self.ended_at is not None and self.ended_at < frame:
            if before is not None:
                del played[frame]
                self._taken_back.add(frame)
                tick.corrections.append(Correction(frame, before[1], None))
            return
        if before is not None and frame < self.final_count:
            by_seat = before[0]
        else:
            by_seat = self._inputs.by_seat(advance.inputs)
            if advance.absent:
                by_seat = self._without_absent(by_seat, advance)
        actions = self._inputs.decode(by_seat)
        if self.pictures is None:
            self.outcome = outcome = self._game.step(actions)
        else:
            self.outcome = outcome = self.pictures.step(frame, actions, self._saved.get(frame))
        played[frame] = (by_seat, outcome)
        if outcome.ended:
            self._end_at(frame)
        if before is None and frame not in self._taken_back:
            tick.advanced = True
            return
        if self._taken_back:
            self._taken_back.discard(frame)
        tick.played_again += 1
        if self._wrong_from is not None and self._wrong_from <= frame:
            tick.corrections.append(Correction(frame, None if before is None else before[1], outcome))

    def _without_absent(self, by_seat: tuple[bytes, ...], advance: Advance) -> tuple[bytes, ...]:
        """Return every seat's action bytes; those of players who are gone as it goes on without them."""
        stand_in, game, seen = self._stand_in, self._game, self.outcome

        def act(seat: SeatId) -> Any:
            if stand_in is None:
                return legal_default(game, seat, seen)
            return stand_in_action(stand_in, game, seat, seen, advance.frame)

        return self._inputs.replaced(by_seat, advance.absent, act)

    def _save(self, frame: int, tick: Tick) -> None:
        saved = self._saved.get(frame)
        if frame > self.final_count or saved is None:
            snapshots = self._require_snapshots()
            if saved is not None:
                snapshots.free(saved)
            ended = self.ended_at is not None and self.ended_at < frame
            self._saved[frame] = None if ended else snapshots.save()
        if self._pending:
            self._check_state(frame - 1, tick)

    def _load(self, frame: int) -> None:
        snapshot = self._saved[frame]
        self._free([number for number in self._saved if number > frame])
        if snapshot is None:
            return  # behind the end, where nothing has changed
        self._require_snapshots().load(snapshot)
        if self.ended_at is not None and self.ended_at >= frame:
            self._end_at(None)
        self.outcome = self._played[frame - 1][1] if frame else self._first

    def _end_at(self, frame: int | None) -> None:
        self.ended_at = frame
        self.over = frame is not None and frame < self.final_count

    def _require_snapshots(self) -> Snapshots:
        assert self._snapshots is not None  # noqa: S101 - a session without window and kept states asks for none
        return self._snapshots

    # What is final.

    def _finalise(self, frame: int, tick: Tick) -> None:
        if self.over:
            return
        inputs, outcome = self._played[frame]
        self.final_count = frame + 1
        self.over = self.ended_at is not None and self.ended_at <= frame
        self.final_outcome = outcome
        self._checksum.update(frame, inputs, outcome)
        if True in outcome.terminations or True in outcome.truncations:
            for player in self._inputs.players_over(outcome):
                self._session.endings.seats_over(player, frame + 1)
        tick.final.append(FinalFrame(frame, inputs, outcome, self._session.absent_in(frame)))
        if not (outcome.ended or (frame + 1) % self._checked_every == 0):
            return
        digest = self._checksum.digest(outcome)
        if self._compares is None:
            tick.checked.append(CheckedFrame(frame, digest))
            return
        self._pending[frame] = digest
        if outcome.ended and self._saved.get(frame + 1) is None:
            self._saved[frame + 1] = self._compares.save()
        self._check_state(frame, tick)

    def _check_state(self, frame: int, tick: Tick) -> None:
        """Complete the digest of a final frame once the state after it was saved."""
        digest, snapshot = self._pending.get(frame), self._saved.get(frame + 1)
        if digest is None or snapshot is None or self._compares is None:
            return
        del self._pending[frame]
        state = self._compares.checksum(snapshot, left_out=self._left_out)
        self._compared[frame] = self._compares.another(snapshot)
        if len(self._compared) > _STATES_KEPT:
            self._compares.free(self._compared.pop(next(iter(self._compared))))
        digest += state or ""
        tick.checked.append(CheckedFrame(frame, digest))

    # Snapshots.

    def _free_below(self, needed_from: int) -> None:
        if self._saved:
            pending = self._pending
            self._free([n for n in self._saved if n < needed_from and n - 1 not in pending])
        while self._played_from < min(needed_from, self.final_count) - 1:
            self._played.pop(self._played_from, None)
            self._played_from += 1

    def _free(self, frames: Iterable[int]) -> None:
        saved, snapshots = self._saved, self._snapshots
        for frame in frames:
            snapshot = saved.pop(frame)
            if snapshot is not None and snapshots is not None:
                snapshots.free(snapshot)
