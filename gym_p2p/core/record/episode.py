"""One episode of a match, as it is recorded.

It knows what is worth keeping of frames; it refuses to know what becomes of it and how it came about. Inputs
stay the bytes that they are until a document is built. Frames count from 0, times are Unix milliseconds.

One thread may record while another reads, without a lock: lists only ever grow and are read by one call
into C that runs no Python code, or up to a length that is taken once; the rest are single values that are
replaced whole. The newest frames may be missing from what is read, but what is there is consistent.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal

import attrs
import msgspec

from gym_p2p.core.latency.delta_series import DeltaSeries
from gym_p2p.core.match.events import Disagreement
from gym_p2p.core.record.totals import Totals
from gym_p2p.core.wire.seats import SeatId

__all__ = ["Actor", "ActorRun", "Begin", "Corrections", "Desync", "EpisodeRecord", "Rollback", "StateDump"]


@attrs.frozen
class Desync:
    """A checked frame whose checksums differ."""

    frame: int
    ours: str
    theirs: str
    timestamp_ms: int
    verified_frame: int
    """The newest frame by then of which all had the same checksum; -1 for none."""
    of: Disagreement = Disagreement.OUTCOMES
    """In what they differ."""


@attrs.frozen
class StateDump:
    """Both states after a checked frame whose checksums differ.

    Attributes:
        differences: ``(path, ours, theirs)`` as texts, the shallowest first, not necessarily all.
        ours: every field of the state by path, as JSON: to build it, and to write it again, would hold the
            interpreter for as long as the other player chose. ``None`` where it was not kept.
        theirs: the same of the other player.
    """

    differences: tuple[tuple[str, str, str], ...]
    ours: bytes | None
    theirs: bytes | None


class Rollback(msgspec.Struct, frozen=True):
    """Frames that were simulated again because an input of the first one had been mispredicted."""

    frame: int
    current_frame: int
    player: SeatId
    predicted: bytes
    actual: bytes
    timestamp_ms: int

    @property
    def frames(self) -> int:
        """How many there were."""
        return self.current_frame - self.frame


@attrs.frozen(kw_only=True)
class Begin:
    """How an episode began.

    Attributes:
        at_ms: when everybody was there for it, in Unix milliseconds.
        seed: the agreed one; ``None`` where it is not known.
        options: of the reset, as plain data; ``None`` without any.
        input_delays: every player's, in frames, in the players' order; ``None`` where they are not known.
    """

    at_ms: int
    seed: int | None = None
    options: Mapping[str, Any] | None = None
    input_delays: tuple[int, ...] | None = None


Actor = Literal["default", "stand_in"]
"""Who acts instead of a seat's player: the seat's default action, or the stand-in."""

ActorRun = tuple[int, int, Actor]
"""The first frame, how many there are, and who acted in them instead of the seat's player."""


@attrs.define(eq=False)
class Corrections:
    """What guessing cost in an episode."""

    mispredictions: int = 0
    """Inputs that had been guessed wrong."""
    resimulated: int = 0
    """Frames that were played again."""
    stalls: int = 0
    """Frames that could not be guessed any more and had to be waited for."""


@attrs.define(eq=False)
class EpisodeRecord:
    """One episode: for every seat the inputs as they were applied, one a frame, from frame 0 on.

    Attributes:
        number: of the episodes that were begun here, from 1 on.
        called: its number among the players, who count those that did not begin too.
        checksums: ``(frame, digest)``, in any order; the newest of a frame counts.
        dumps: by frame, of the first difference with some player.
        state_problems: ``(frame, why there is no dump of it)``; the newest of a frame counts.
        input_delays: ``(frame, delay)``: the local player's input delay from that frame on.
        begin: how it began.
        played: when each frame was played first, in milliseconds from the begin, on a monotonic clock.
        confirmed_at: when each became final, likewise.
        wrong_guesses: the frame times the number of seats, plus the seat's index, of every input that was
            guessed wrong, in the order in which that was found.
        unfocused: likewise, of every input that a person chose whose page was in the background.
        shown_frames: the frames that the page of this player's person has drawn, in that order.
        shown_at: when, in milliseconds from the begin.
        totals: what it has come to by the newest confirmed frame.
        actors: by seat's index, who acted in which frames, where that was not the seat's player.
        ended_ms: ``None`` while it is played.
        completed: whether the environment ended it, and not a reset or a departure.
        ended_by: what did; ``None`` while it is played.
    """

    number: int
    seat_inputs: tuple[list[bytes], ...]
    called: int = attrs.field(default=0, kw_only=True)
    begin: Begin = attrs.field(default=Begin(at_ms=0), kw_only=True)
    played: DeltaSeries = attrs.field(factory=DeltaSeries, init=False)
    confirmed_at: DeltaSeries = attrs.field(factory=DeltaSeries, init=False)
    wrong_guesses: DeltaSeries = attrs.field(factory=DeltaSeries, init=False)
    totals: Totals = attrs.field(init=False)
    actors: dict[int, list[ActorRun]] = attrs.field(factory=dict, init=False)
    checksums: list[tuple[int, str]] = attrs.field(factory=list, init=False)
    desyncs: list[Desync] = attrs.field(factory=list, init=False)
    dumps: dict[int, StateDump] = attrs.field(factory=dict, init=False)
    state_problems: list[tuple[int, str]] = attrs.field(factory=list, init=False)
    rollbacks: list[Rollback] = attrs.field(factory=list, init=False)
    corrections: Corrections = attrs.field(factory=Corrections, init=False)
    input_delays: list[tuple[int, int]] = attrs.field(factory=list, init=False)
    unfocused: DeltaSeries = attrs.field(factory=DeltaSeries, init=False)
    shown_frames: DeltaSeries = attrs.field(factory=DeltaSeries, init=False)
    shown_at: DeltaSeries = attrs.field(factory=DeltaSeries, init=False)
    confirmed_frame: int = attrs.field(default=-1, init=False)
    verified_frame: int = attrs.field(default=-1, init=False)
    ended_ms: int | None = attrs.field(default=None, init=False)
    completed: bool = attrs.field(default=False, init=False)
    ended_by: str | None = attrs.field(default=None, init=False)
    _appends: tuple[Callable[[bytes], None], ...] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._appends = tuple(inputs.append for inputs in self.seat_inputs)
        self.totals = Totals.of(len(self.seat_inputs))

    @property
    def frames(self) -> int:
        """How many frames every seat's input is recorded of.

        Seats are appended to in their order, so that it is the last one's count that is whole.
        """
        return len(self.seat_inputs[-1])

    @property
    def extent(self) -> tuple[int | None, ...]:
        """How far it is recorded: what may still be learnt of an episode that has ended changes it."""
        counted = (self.checksums, self.desyncs, self.dumps, self.state_problems, self.rollbacks)
        lengths = [len(rows) for rows in (*counted, self.input_delays)] + [
            self.unfocused.count,
            self.shown_at.count,
        ]
        times = (self.played.count, self.confirmed_at.count, self.totals.frames, self.ended_ms)
        costs = attrs.astuple(self.corrections)
        return (self.frames, self.confirmed_frame, self.verified_frame, *times, *costs, *lengths)

    def frame(self, inputs: Sequence[bytes]) -> None:
        """Record a confirmed frame: every seat's input as it was applied, in the order of the seats.

        This is the hot path: one append a seat. Frames are recorded once and in order, hence with rollback
        only when nothing can change them any more.
        """
        for append, data in zip(self._appends, inputs, strict=True):
            append(data)

    def outcome(
        self,
        at_ms: int,
        *,
        rewards: Sequence[float],
        terminations: Sequence[bool],
        truncations: Sequence[bool],
        infos: Sequence[Mapping[Any, Any]],
        unborn: Collection[int] = (),
    ) -> None:
        """Record what a confirmed frame gave every seat, right after :meth:`frame`.

        Args:
            at_ms: when it became final, in whole milliseconds from the begin.
            rewards: of the frame, by seat.
            terminations: whether the seat has terminated by now.
            truncations: whether it was truncated by now.
            infos: what the environment said of it; kept, and not changed.
            unborn: the seats, by index, whose agent has not appeared.
        """
        self.confirmed_at.append(at_ms)
        self.totals = self.totals.after(rewards, terminations, truncations, infos, unborn)

    def played_up_to(self, frames: int, at_ms: int) -> None:
        """Note that so many frames have been played at least once, the newest of them at this time.

        Args:
            frames: how many.
            at_ms: whole milliseconds from the begin.
        """
        while self.played.count < frames:
            self.played.append(at_ms)

    def acted_for(self, seat: int, frame: int, actor: Actor) -> None:
        """Note who acted in a confirmed frame instead of a seat's player. Frames come in order."""
        runs = self.actors.setdefault(seat, [])
        if runs:
            first, count, who = runs[-1]
            if who == actor and first + count == frame:
                runs[-1] = first, count + 1, who
                return
        runs.append((frame, 1, actor))

    def checksum(self, frame: int, digest: str) -> None:
        """Record the local checksum of a confirmed frame."""
        self.checksums.append((frame, digest))

    def confirmed(self, frame: int) -> None:
        """Note that the inputs up to this frame are everybody's, where that is ahead of :meth:`frame`."""
        self.confirmed_frame = max(self.confirmed_frame, frame)

    def verified(self, frame: int) -> None:
        """Note that all players have the same checksum of this frame."""
        self.verified_frame = max(self.verified_frame, frame)

    def desync(
        self, frame: int, ours: str, theirs: str, now_ms: int, of: Disagreement = Disagreement.OUTCOMES
    ) -> None:
        """Record that a player's checksum of a frame differs from ours."""
        self.desyncs.append(Desync(frame, ours, theirs, now_ms, self.verified_frame, of))

    def state_difference(
        self,
        frame: int,
        differences: Sequence[tuple[str, str, str]],
        *,
        ours: bytes | None,
        theirs: bytes | None,
    ) -> None:
        """Record both states of a frame at which they differ, as JSON, and in which fields."""
        self.dumps.setdefault(frame, StateDump(tuple(differences), ours, theirs))

    def state_problem(self, frame: int, problem: str) -> None:
        """Record why the states of a frame at which they differ are not compared, or not yet."""
        self.state_problems.append((frame, problem))

    def rollback(
        self, *, frame: int, current_frame: int, player: SeatId, predicted: bytes, actual: bytes, now_ms: int
    ) -> None:
        """Record that ``frame`` to ``current_frame`` were simulated again for a mispredicted input."""
        self.rollbacks.append(Rollback(frame, current_frame, player, predicted, actual, now_ms))

    def guessed_wrong(self, frame: int, seat: int) -> None:
        """Record that a seat's input of a frame had been guessed wrong."""
        self.wrong_guesses.append(frame * len(self.seat_inputs) + seat)

    def out_of_focus(self, frame: int, seat: int) -> None:
        """Record that a seat's person did not see the game when they chose the input of a frame."""
        self.unfocused.append(frame * len(self.seat_inputs) + seat)

    def shown(self, frame: int, at_ms: float) -> None:
        """Record that a person's page has drawn a frame; what ``reset`` gave is none.

        Args:
            frame: of this episode.
            at_ms: when, in Unix milliseconds by this process's clock.
        """
        if frame >= 0:
            self.shown_at.append(max(0, round(at_ms) - self.begin.at_ms))
            self.shown_frames.append(frame)

    def corrected(self, *, mispredictions: int = 0, resimulated: int = 0, stalls: int = 0) -> None:
        """Count what guessing cost: wrong guesses, frames played again, frames that had to be waited for."""
        self.corrections.mispredictions += mispredictions
        self.corrections.resimulated += resimulated
        self.corrections.stalls += stalls

    def input_delay(self, frame: int, delay: int) -> None:
        """Record the local player's input delay from a frame on."""
        self.input_delays.append((frame, delay))

    def complete(self, now_ms: int) -> None:
        """Note that the environment ended it; the first end counts."""
        if self.ended_ms is None:
            self.completed = True
            self.ended_by = self.totals.ended_by or "truncated"  # all seats gone, and none was told an end
            self.ended_ms = now_ms

    def break_off(self, now_ms: int, reason: str) -> None:
        """Note that something else ended it; the first end counts.

        Args:
            now_ms: Unix milliseconds.
            reason: as for the end of a match; ``reset`` where the local player began another one,
                ``peer_reset`` where somebody else did.
        """
        if self.ended_ms is None:
            self.ended_by = reason
            self.ended_ms = now_ms
