"""Which way of saving a game is exact: found out by trying, never by "it did not raise".

Strategies are tried one after the other (:mod:`gym_p2p.game.state.trial`); the first that is exact is chosen.
"""

from __future__ import annotations

import statistics
from typing import Any

import attrs

from gym_p2p.game.env.game import Game
from gym_p2p.game.state.plays import Actor
from gym_p2p.game.state.rehearsal import Rehearsal
from gym_p2p.game.state.snapshot import Hooks, Snapshots, strategies_for
from gym_p2p.game.state.trial import Play, Trial, Tried
from gym_p2p.game.state.untouched import left_as_it_was

__all__ = ["FRAMES", "SnapshotChoice", "choose_snapshots", "rehearse"]

FRAMES = 24  # three windows of 8, the default prediction window
_LONGER_S = 0.5  # a player waits for it, once in a match


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
        return max(0, int((1e6 / hz - self.load_us) // (self.step_us + self.save_us)) - 1)


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
            play = Play(game, snapshots, actor, seed, options)
            tried.append((trial := Trial(play, frames)).run(steps_us))
            if tried[-1].exact and (more := trial.more_frames(longer_s)):
                tried[-1] = _proved_longer(play, more, steps_us)
            if tried[-1].exact and chosen is None:
                chosen, rehearsal = snapshots, trial.rehearsal
                if not exhaustive:
                    break
    step_us = statistics.median(steps_us) if steps_us else None
    return SnapshotChoice(chosen, tuple(tried), step_us, rehearsal)


def rehearse(game: Game, snapshots: Snapshots, *, seed: int = 1, frames: int = FRAMES) -> Rehearsal | None:
    """Play what :func:`choose_snapshots` plays with these settings, and return what came of it.

    For another copy of a game whose strategy is known, which is left as it was, too. ``None`` where the state
    cannot be read.
    """
    play = Play(game, snapshots, None, seed, None)
    with left_as_it_was(game):
        game.reset(seed)
        trial = Trial(play, frames)
        trial.play_twice()
        if more := trial.more_frames(_LONGER_S):
            before = snapshots.save()
            Trial(play, more).play_twice()  # for what changes late outside of the environment's objects
            snapshots.load(before)
    return trial.rehearsal


# How many frames fit into the time hangs on the machine, and so differs between players. It must not show in
# their games: what a reset leaves as it was (a counter of all frames) would have another past, where that is
# out of Python's reach. Hence the game goes back to before the longer proof, by the strategy that has been
# proved. Where that is refuted after all, nothing can take it back.


def _proved_longer(play: Play, frames: int, steps_us: list[float]) -> Tried:
    """Prove what was exact over more frames, and leave the game as it was."""
    before = play.snapshots.save()
    tried = Trial(play, frames).run(steps_us)
    if tried.exact:
        play.snapshots.load(before)
    play.snapshots.free(before)
    return tried
