"""Which way of saving a game is exact: found out by trying, never by "it did not raise".

A strategy is held to this: the game is played on from a saved moment, and restored to it three times: to
play the same again, to take a wrong turn, and to play the same once more. Each time the state has to be the
saved one and the future has to be the original one, frame by frame. The first restore shows what the
strategy forgets; the others show what it shares with the running game, for a snapshot that aliases live
state is another one by then.
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
from gym_p2p.game.state.snapshot import Hooks, Snapshot, Snapshots, strategies_for
from gym_p2p.game.state.untouched import left_as_it_was

__all__ = ["FRAMES", "SnapshotChoice", "Tried", "choose_snapshots", "rehearse"]

FRAMES = 24  # three windows of 8, the default prediction window
_MOST_FRAMES = 120  # what shows late, most often shows within some seconds
_LONGER_S = 0.5  # a player waits for it, once in a match
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
class SnapshotChoice:
    """How to save a game, and why so.

    Attributes:
        snapshots: what saves and restores; None where only lockstep can play this game.
        tried: every strategy that was tried, in order; the first exact one was chosen.
        step_us: median cost of a step of the game in microseconds; None if no step was made.
        rehearsal: what the play came to by the chosen strategy; None without one, or where the state cannot
            be read.
    """

    snapshots: Snapshots | None
    tried: tuple[Tried, ...]
    step_us: float | None
    rehearsal: Rehearsal | None = None

    @property
    def reason(self) -> str:
        """Why this one, or why none."""
        shown = self.tried if self._chosen is None else [self._chosen]
        return "; ".join(f"{one.name}: {one.reason}" for one in shown)

    @property
    def save_us(self) -> float | None:
        """Median cost of a save."""
        return None if self._chosen is None else self._chosen.save_us

    @property
    def load_us(self) -> float | None:
        """Median cost of a load."""
        return None if self._chosen is None else self._chosen.load_us

    @property
    def _chosen(self) -> Tried | None:
        return next((one for one in self.tried if one.exact), None)

    def rollback_depth(self, hz: float) -> int:
        """Return how many frames can be played again within one frame of this rate, beside its own step.

        A tick that rolls ``n`` frames back makes one load, ``n + 1`` steps and as many saves.
        """
        if self.save_us is None or self.load_us is None or not self.step_us:
            return 0
        return max(0, int((_US / hz - self.load_us) // (self.step_us + self.save_us)) - 1)


def choose_snapshots(
    game: Game,
    *,
    hooks: Hooks | None = None,
    actor: Actor | None = None,
    seed: int = 1,
    options: dict[str, Any] | None = None,
    frames: int = FRAMES,
    longer_s: float = _LONGER_S,
    exhaustive: bool = False,
) -> SnapshotChoice:
    """Find the best way of saving and restoring a game that is exact.

    The game is played; reset it before it is used. What it keeps over a reset is left as it was.

    Args:
        game: the game. Where its environment draws from global generators of random numbers, give it
            through :func:`~gym_p2p.game.env.isolation.isolate_global_random`.
        hooks: the user's own way, tried first.
        actor: who plays; at random by default.
        seed: the seed of the episode, and of random play. Not 0, which means the time of day to Stella, the
            emulator of the Atari games.
        options: what ``reset`` gets.
        frames: how many are played at most, to begin with.
        longer_s: what is exact so far is proved over more frames, up to 120, as far as it takes no longer.
        exhaustive: try all strategies even when one is exact.

    Raises:
        UsageError: the hooks are no methods of this environment.
    """
    tried: list[Tried] = []
    chosen: Snapshots | None = None
    rehearsal: Rehearsal | None = None
    steps_us: list[float] = []
    with left_as_it_was(game):
        game.reset(seed, options)  # some environments have their parts only after it
        for name, strategy in strategies_for(game, hooks):
            if isinstance(strategy, str):
                tried.append(Tried(name, exact=False, reason=strategy))
                continue
            snapshots = Snapshots(game, strategy)
            play = _Play(game, snapshots, actor, seed, options)
            tried.append((proof := _Proof(play, frames)).run(steps_us))
            if tried[-1].exact and (more := proof.more_frames(longer_s)):
                tried[-1] = _proved_longer(play, more, steps_us)
            if tried[-1].exact and chosen is None:
                chosen, rehearsal = snapshots, proof.rehearsal
                if not exhaustive:
                    break
    step_us = statistics.median(steps_us) if steps_us else None
    return SnapshotChoice(chosen, tuple(tried), step_us, rehearsal)


def rehearse(game: Game, snapshots: Snapshots, *, seed: int = 1, frames: int = FRAMES) -> Rehearsal | None:
    """Play what :func:`choose_snapshots` plays with these settings, and return what came of it.

    For another copy of a game whose strategy is known, which is left as it was, too. ``None`` where the state
    cannot be read.
    """
    play = _Play(game, snapshots, None, seed, None)
    with left_as_it_was(game):
        game.reset(seed)
        proof = _Proof(play, frames)
        proof.play_twice()
        if more := proof.more_frames(_LONGER_S):
            before = snapshots.save()
            _Proof(play, more).play_twice()  # for what changes late outside of the environment's objects
            snapshots.load(before)
    return proof.rehearsal


@attrs.frozen
class _Play:
    """What is played, and how; always the same."""

    game: Game
    snapshots: Snapshots
    actor: Actor | None
    seed: int
    options: dict[str, Any] | None

    def new_actor(self) -> Actor:
        """Return who plays it from the reset on."""
        return self.actor or random_actor(self.game, self.seed)


# How many frames fit into the time hangs on the machine, and so differs between players. It must not show in
# their games: what a reset leaves as it was (a counter of all frames) would have another past, where that is
# out of Python's reach. Hence the game goes back to before the longer proof, by the strategy that has been
# proved. Where that is refuted after all, nothing can take it back.


def _proved_longer(play: _Play, frames: int, steps_us: list[float]) -> Tried:
    """Prove what was exact over more frames, and leave the game as it was."""
    before = play.snapshots.save()
    tried = _Proof(play, frames).run(steps_us)
    if tried.exact:
        play.snapshots.load(before)
    play.snapshots.free(before)
    return tried


class _NotExact(Exception):
    """The strategy is refuted; the text says by what."""


@attrs.define(eq=False)
class _Moment:
    """A saved frame of the original play, and what followed it."""

    frame: int
    snapshot: Snapshot
    fields: Fields | None


# What the proof proves. The original is played: states, actions, outcomes. Three of its moments are
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


class _Proof:
    """The trial of one strategy."""

    def __init__(self, play: _Play, frames: int) -> None:
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
