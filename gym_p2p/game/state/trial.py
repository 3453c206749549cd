"""The trial of one way of saving a game: it is played, restored, and played again.

A strategy is held to this: the game is played on from a saved moment, and restored to it three times: to
play the same again, to take a wrong turn, and to play the same once more. Each time the state has to be the
saved one and the future has to be the original one, frame by frame. The first restore shows what the
strategy forgets; the others show what it shares with the running game, for a snapshot that aliases live
state is another one by then.

Knows one strategy and one play; refuses to know which others there are, and which is chosen.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import attrs

from gym_p2p.core.wire.foreign_text import printable
from gym_p2p.game.env.game import Game
from gym_p2p.game.outcome import Outcome
from gym_p2p.game.state.fields import Fields, differences, fields_checksum
from gym_p2p.game.state.plays import Actor, outcome_digests, random_actor
from gym_p2p.game.state.rehearsal import Rehearsal, unlike, without
from gym_p2p.game.state.snapshot import Snapshot, Snapshots

__all__ = ["Play", "Trial", "Tried"]

_MOST_FRAMES = 120  # what shows late, most often shows within some seconds
_WRONG_TURN = 3  # frames

_US = 1e6

_T = TypeVar("_T")


@attrs.frozen
class Tried:
    """What came of trying one strategy.

    Attributes:
        name: the strategy.
        exact: whether every restored future was the original one.
        reason: what it did, or what was wrong.
        save_us: median cost of a save in microseconds; None if it did not come to that.
        load_us: median cost of a load.
    """

    name: str
    exact: bool
    reason: str
    save_us: float | None = None
    load_us: float | None = None


@attrs.frozen
class Play:
    """What is played, and how; always the same."""

    game: Game
    snapshots: Snapshots
    actor: Actor | None
    seed: int
    options: dict[str, Any] | None

    def new_actor(self) -> Actor:
        """Return who plays it from the reset on."""
        return self.actor or random_actor(self.game, self.seed)


class _NotExact(Exception):
    """The strategy is refuted; the text says by what."""


@attrs.define(eq=False)
class _Moment:
    """A saved frame of the original play, and what followed it."""

    frame: int
    snapshot: Snapshot
    fields: Fields | None


# What the trial proves. The original is played: states, actions, outcomes. Three of its moments are
# kept, as snapshots and, where a strategy can be read, as fields. Each moment is then restored three times:
#
# 1. *Load, and follow the original.* What the strategy forgets is at this time as the end of the original
#    left it: the state is a mixture of two moments, and its fields or its future are others.
# 2. *Load, and take a wrong turn*, by other actions than the original's. What a load hands to the game from
#    the snapshot itself, and not from a copy, is written into by the play that follows.
# 3. *Load, and follow again.* A snapshot that was written into is another state by now. The first restore
#    cannot show this, for until then nobody had loaded it.
#
# Both the fields and the future are compared, as neither sees everything: a state may be out of Python's
# reach, and a future of a few frames may not depend on all of the state.
#
# A state that comes another way to its end in an equal play anyhow (it holds the time of day, or draws from
# an unseeded generator) proves nothing against a strategy. So the same is played before the original, and
# what differs then is not compared at the ends of futures. A restored moment has to be the saved one in all.
#
# The latest moment comes first, so that every load goes back in time. This is how a session loads; no
# strategy has to be able to go *forward* to a moment of a future that was given up.
#
# A play in which no outcome ever changes would prove nothing, and so is refused (``_changed``). What is not
# proved: states that were not met in the play, and what another process makes of them; the report card goes
# on there.


class Trial:
    """The trial of one strategy."""

    def __init__(self, play: Play, frames: int) -> None:
        self._game = play.game
        self._snapshots = play.snapshots
        self._actor = play.new_actor()
        self._seed, self._options, self._frames = play.seed, play.options, frames
        self._started_s = time.perf_counter()
        self._actions: list[Sequence[Any]] = []
        self._digests: list[dict[str, str]] = []
        self._last_fields: Fields | None = None
        self._saves_us: list[float] = []
        self._loads_us: list[float] = []
        self._steps_us: list[float] = []
        self._changed = False
        self._moments: list[_Moment] = []
        self._noise: tuple[str, ...] = ()

    def run(self, steps_us: list[float]) -> Tried:
        """Try the strategy; add what steps cost to a list."""
        name = self._snapshots.name
        try:
            if (stuck := self.play_twice()) is not None:
                return Tried(name, exact=False, reason=stuck)
            for moment in reversed(self._moments):
                self._restore(moment)
        except _NotExact as refutation:
            return Tried(name, exact=False, reason=str(refutation))
        except Exception as error:  # noqa: BLE001 whatever an environment or a hook may raise
            return Tried(name, exact=False, reason=printable(f"raised {type(error).__name__}: {error}", 200))
        finally:
            steps_us += self._steps_us
            self._free()
        if not self._changed:
            return Tried(name, exact=False, reason="nothing was proved: nothing changed while it was played")
        times = f"{len(self._loads_us)} restores over {len(self._digests)} frames"
        costs = {"save_us": statistics.median(self._saves_us), "load_us": statistics.median(self._loads_us)}
        return Tried(name, exact=True, reason=f"every future after {times} was the original one", **costs)

    @property
    def rehearsal(self) -> Rehearsal | None:
        """What the original came to, as it may travel."""
        whole = Rehearsal.of(self._digests, self._last_fields)
        return None if whole is None else whole.small()

    def more_frames(self, longer_s: float) -> int | None:
        """Return how many frames could be proved in so many seconds; ``None`` if no more than here."""
        played = len(self._digests)
        most = min(_MOST_FRAMES, int(played * longer_s / (time.perf_counter() - self._started_s)))
        return most if most > played == self._frames else None

    def _free(self) -> None:
        for moment in self._moments:
            self._snapshots.free(moment.snapshot)

    def play_twice(self) -> str | None:
        """Play, and play the same again: it is the original. In what their ends differ, no restore counts.

        The first time shows, too, what changes outside of the environment's objects; what of it cannot be put
        back is returned, in words.
        """
        outcome = self._game.reset(self._seed, self._options)
        digests: list[dict[str, str]] = []
        outside = self._snapshots.kept_outside
        moments = [outside.marks()]
        for frame in range(self._frames):
            if frame in {1, self._frames // 2}:
                moments.append(outside.marks())
            self._actions.append(self._actor(outcome, frame))
            outcome = self._step(self._actions[-1])
            digests.append(outcome_digests(self._game, outcome))
            if outcome.ended:
                break
        stuck = outside.keep_moved([*moments, outside.marks()])
        first = Rehearsal.of(digests, self._snapshots.fields_now())
        self._play_original()
        self._noise = unlike([first, Rehearsal.of(self._digests, self._last_fields)])
        return stuck

    def _play_original(self) -> None:
        """Play the original, and keep some moments of it."""
        count = len(self._actions)  # fewer than were wanted where the episode ends
        marks = {0, count // 3, 2 * count // 3}
        outcome = self._game.reset(self._seed, self._options)
        before = outcome_digests(self._game, outcome)
        for frame, actions in enumerate(self._actions):
            snapshot = _timed(self._saves_us, self._snapshots.save)
            if frame in marks:
                self._moments.append(_Moment(frame, snapshot, self._snapshots.fields(snapshot)))
            else:
                self._snapshots.free(snapshot)
            outcome = self._step(actions)
            self._digests.append(outcome_digests(self._game, outcome))
            self._changed |= self._digests[-1] != before
            if outcome.ended:
                break
        self._last_fields = self._snapshots.fields_now()

    def _restore(self, moment: _Moment) -> None:
        """Go back for the future, for a wrong turn, and for the future again."""
        self._load(moment, "")
        self._follow(moment, "")
        self._load(moment, " the second time")
        self._turn_wrong(moment.frame)
        self._load(moment, " the third time")
        self._follow(moment, " the third time")

    def _load(self, moment: _Moment, when: str) -> None:
        _timed(self._loads_us, self._snapshots.load, moment.snapshot)
        self._compare_fields(moment.fields, f"frame {moment.frame} restored{when} is another one")

    def _follow(self, moment: _Moment, when: str) -> None:
        """Play the original's actions again, and compare."""
        for frame in range(moment.frame, len(self._digests)):
            outcome = self._step(self._actions[frame])
            digests = outcome_digests(self._game, outcome)
            wanted = self._digests[frame]
            if digests != wanted:
                what = next(what for what, digest in wanted.items() if digests[what] != digest)
                raise _NotExact(
                    f"after frame {moment.frame} was restored{when}, {what} at frame {frame} was another one"
                )
        self._compare_fields(
            self._last_fields,
            f"the state at the end, after frame {moment.frame} was restored{when}",
            self._noise,
        )

    def _turn_wrong(self, frame: int) -> None:
        actions = [self._game.default_action(seat) for seat in self._game.seats]
        for _ in range(min(_WRONG_TURN, len(self._actions) - frame)):
            if self._step(actions).ended:
                return

    def _step(self, actions: Sequence[Any]) -> Outcome:
        return _timed(self._steps_us, self._game.step, actions)

    def _compare_fields(self, wanted: Fields | None, what: str, noise: Sequence[str] = ()) -> None:
        now = None if wanted is None else self._snapshots.fields_now()
        if wanted is None or now is None:
            return
        wanted, now = without(wanted, noise), without(now, noise)
        if fields_checksum(now) == fields_checksum(wanted):
            return
        ((path, was, is_now),) = differences(wanted, now, most=1)
        raise _NotExact(f"{what}: {path} was {was}, and is {is_now}")


def _timed(costs_us: list[float], call: Callable[..., _T], *arguments: Any) -> _T:
    """Call something, and note what it cost."""
    started = time.perf_counter()
    result = call(*arguments)
    costs_us.append((time.perf_counter() - started) * _US)
    return result
