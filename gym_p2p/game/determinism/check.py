"""The report card: can this environment be played by peers, and in which mode?

Knows which runs are needed, and what follows from them. Peers each run their own copy, so that all copies
have to agree whatever else is different: an object that was played before and a fresh one, another process
with other hashes of text and another time of day, other code that draws from the global generators meanwhile.
Whether it can also be rolled back is for :mod:`gym_p2p.game.state.proof` to say.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import P2PError, UsageError
from gym_p2p.game.determinism.comparisons import HASH_SEEDS, equal, from_processes, in_rounds, judged
from gym_p2p.game.determinism.forked import Forked
from gym_p2p.game.determinism.fresh_process import FreshProcess, NoRecipe, in_fresh_process, portable_recipe
from gym_p2p.game.determinism.report_card import PLAYABLE, RANDOM, CardCheck, ReportCard, SyncVerdict
from gym_p2p.game.determinism.rounds import play_rounds
from gym_p2p.game.determinism.settings import MakeEnv, Settings
from gym_p2p.game.determinism.trial import Broke, Run, first_difference, play_trial
from gym_p2p.game.determinism.unlike import Unlike
from gym_p2p.game.determinism.verdict import RATES_HZ, better, verdict_of
from gym_p2p.game.env.describe import split_versions
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.isolation import GlobalRandom
from gym_p2p.game.env.load import own_words
from gym_p2p.game.env.split import SeatsOption, plain_seats
from gym_p2p.game.state.proof import FRAMES, SnapshotChoice, choose_snapshots
from gym_p2p.game.state.snapshot import Hooks, require_hooks

__all__ = ["check_env_determinism"]

_Start = Callable[[list[Run], contextlib.ExitStack], Sequence[FreshProcess | Forked] | str]
"""Starts processes that play runs again, or says why there are none."""

_MORE_SEEDS = 10
"""Of an environment that uses global random state: one that draws seldom shows it in few episodes."""

_LONGER = 20
_LONG_US = 3e6
"""Where infos or states differ, so many times the steps are played, as far as that takes no longer."""

_ROUNDS = 3
_FIXED_ROUNDS = 8
"""In each fresh process, as far as all take no longer than that. What is ordered by addresses is ordered by
chance: it may well come out the same in a single round."""

_ELSEWHERE_FRAMES = 7
"""Periods of environments are seldom multiples of it."""


def check_env_determinism(
    make_env: MakeEnv,
    *,
    env_args: Mapping[str, Any] | None = None,
    steps: int = 100,
    seeds: Sequence[int] = (1, 2),
    snapshots: Hooks | None = None,
    isolate_global_random: bool = False,
    options: dict[str, Any] | None = None,
    default_actions: Any = None,
    seats: SeatsOption = None,
    fresh_process: bool = True,
    on_progress: Callable[[str], None] | None = None,
) -> ReportCard:
    """Find out whether an environment can be played over peers, and how.

    Args:
        make_env: makes one copy: a name as for ``gym-p2p join`` (``CartPole-v1``, ``mpe2.simple_spread_v3``,
            ``module:function``), or a callable. A fresh process can only be tried with a name, or with a
            function of a module.
        env_args: arguments for it.
        steps: how many each run has at most.
        seeds: one run for each. 0 means the time of day to Stella, the emulator of the Atari games.
        snapshots: the user's own way of saving, ``(save, load)``: method names or callables.
        isolate_global_random: let the environment have global random streams of its own.
        options: what ``reset`` gets.
        default_actions: as for :func:`~gym_p2p.game.env.seats.make_game`.
        seats: the same.
        fresh_process: whether to try other processes too. Without, only a fork of this one is asked, where
            all outcomes are the same and infos or states are not.
        on_progress: is called with what is being done.

    Returns:
        The card. Global random state is afterwards what it was before.

    Raises:
        UsageError: the environment cannot be made, or not be played over peers at all.
    """
    if in_fresh_process():  # which would start others that start others
        raise UsageError(
            "a module that calls check_env_determinism() when it is imported cannot be imported by the "
            "check's own processes: put the call below `if __name__ == '__main__':`"
        )
    if steps < 1 or not seeds:
        raise UsageError(f"wanted at least one step and one seed, got {steps} and {list(seeds)}")
    hooks = None if snapshots is None else require_hooks(snapshots)
    settings = Settings(
        make_env,
        dict(env_args or {}),
        steps,
        tuple(seeds),
        hooks,
        isolate_global_random,
        options,
        default_actions,
        plain_seats(seats),
    )
    with GlobalRandom.kept():
        return _Examination(settings, on_progress or (lambda _what: None)).card(fresh_process=fresh_process)


def _rounds(originals: Sequence[Run], most: int) -> int:
    """Return how many times a fresh process plays them."""
    once_us = sum(len(run.actions) * (run.step_us or 0.0) for run in originals)
    return max(1, min(most, int(_LONG_US / max(once_us, 1.0))))


class _Examination:
    """All runs of one environment, and what they show."""

    def __init__(self, settings: Settings, on_progress: Callable[[str], None]) -> None:
        self._settings = settings
        self._report_progress = on_progress
        self._identity: dict[str, str] = {}
        self._seats: tuple[SeatId, ...] = ()
        self._strategy: str | None = None
        self._random_use: list[str] = []

    def card(self, *, fresh_process: bool) -> ReportCard:
        """Run everything."""
        game = self._settings.new_game()
        self._identity, self._seats = game.describe(), tuple(game.seats)
        try:
            self._report_progress("trying how its state can be saved")
            choice = self._choice()
            self._strategy = choice.snapshots.name if choice.snapshots is not None else None
            self._report_progress("playing it")
            originals = [self._play(game, seed) for seed in self._settings.seeds]
            for run in originals:
                self._random_use += [use for use in run.random_use if use not in self._random_use]
            checks, states = self._comparisons(game, originals, fresh_process=fresh_process)
        except Broke as error:
            return self._card([CardCheck(PLAYABLE, passed=False, detail=str(error))], [], None, None)
        finally:
            game.close()
        restored = CardCheck("after a restore", passed=choice.snapshots is not None, detail=choice.reason)
        fit = all(check.passed is not False for check in checks)
        checks += [restored, self._random_check(fit=fit), states]
        return self._card(checks, originals, choice, self._advice(verdict_of(checks, originals, choice)[0]))

    def _choice(self) -> SnapshotChoice:
        """Try all strategies, on a copy of their own: a wrong one may leave it broken."""
        own = self._settings.new_game()
        try:
            return choose_snapshots(
                own,
                hooks=self._settings.hooks,
                options=self._settings.options,
                frames=max(FRAMES, self._settings.steps),
                exhaustive=True,
            )
        except P2PError:
            raise
        except Exception as error:
            raise Broke(f"reset raised {own_words(error)}") from error
        finally:
            own.close()

    def _comparisons(
        self, game: Game, originals: list[Run], *, fresh_process: bool
    ) -> tuple[list[CardCheck], CardCheck]:
        """Play the same again in every other way."""
        with contextlib.ExitStack() as stack:
            others: list[FreshProcess] | str = "not requested"
            if fresh_process:
                self._report_progress("starting fresh processes")
                others = self._started(originals, stack)
            self._report_progress("playing the same again")
            self._play_elsewhere(game, originals)
            same, again = self._play_again("same process", game, originals)
            self._report_progress("playing the same with a fresh object, other global random state")
            fresh = self._made_anew()
            stack.callback(fresh.close)
            object_, anew = self._play_again("fresh object", fresh, originals, disturb=True)
            self._report_progress("waiting for the fresh processes")
            process, far = from_processes(originals, others)
            unlike = Unlike.between(originals, [*again, *anew, *far])
            harmful: Unlike | str | None = None
            if same.passed and object_.passed and process.passed is not False:
                labels = unlike.labels([*originals, *again, *anew, *far])
                rest = unlike.without(labels)
                object_ = self._looked_at_longer(object_, (game, fresh), originals, suspect=bool(rest))
                if object_.passed:
                    harmful = self._harmful(rest, originals, stack, fresh_process=fresh_process)
        infos, states = judged(originals, unlike, harmful, far=bool(far))
        return [same, object_, process, infos], states

    def _made_anew(self) -> Game:
        """Make another game, and see what that draws; the first may have drawn where modules are imported."""
        before = GlobalRandom.now()
        game = self._settings.new_game()
        self._random_use += [f"{name} when made" for name in before.moved()]
        return game

    def _looked_at_longer(
        self, check: CardCheck, games: tuple[Game, Game], originals: list[Run], *, suspect: bool
    ) -> CardCheck:
        """Play on, where something makes it likely that outcomes differ later, or with other seeds."""
        steps, last = self._settings.steps, max(self._settings.seeds)
        plays = []
        if self._random_use and not self._settings.isolate:
            plays += [(seed, steps) for seed in range(last + 1, last + 1 + _MORE_SEEDS)]
        if suspect:
            step_us = max(originals[0].step_us or 0.0, 1.0)
            longer = min(_LONGER * steps, max(steps, int(_LONG_US / step_us)))
            plays += [(seed, longer) for seed in self._settings.seeds]
        if plays:
            self._report_progress("playing it longer")
        for seed, most in plays:
            one = self._play(games[0], seed, steps=most)
            difference = first_difference(one, self._play(games[1], seed, one, disturb=True))
            if difference is not None:
                return attrs.evolve(check, passed=False, detail=difference)
        return check

    def _harmful(
        self, unlike: Unlike, originals: list[Run], stack: contextlib.ExitStack, *, fresh_process: bool
    ) -> Unlike | str:
        """Return what differs between processes that have the same clocks and the same chance.

        A text where there are no such processes, or where they come to other outcomes: it says why.
        """
        if not unlike:
            return unlike
        self._report_progress("playing the same in processes with fixed clocks and chance")
        starts: list[_Start] = [functools.partial(self._started, fixed=True)] if fresh_process else []
        for start in [*starts, self._forked]:
            check, runs = from_processes(originals, start(originals, stack))
            if check.passed:
                one, other = runs[: len(runs) // 2], runs[len(runs) // 2 :]
                pairs = zip(in_rounds(originals, one), in_rounds(originals, other), strict=True)
                return unlike.within(Unlike.of_all(itertools.starmap(Unlike.between, pairs)))
        return (
            f"whether games go another way by it is not known: with fixed clocks and chance, {check.detail}"
        )

    def _forked(self, originals: list[Run], stack: contextlib.ExitStack) -> list[Forked] | str:
        """Start forks of this process, which have the maker that other programs have not."""
        play = functools.partial(
            play_rounds,
            self._settings.new_game,
            [(run.seed, run.actions) for run in originals],
            rounds=_rounds(originals, _FIXED_ROUNDS),
            fixed=True,
            options=self._settings.options,
            strategy=self._strategy,
            hooks=self._settings.hooks,
        )
        started: list[Forked] = []
        try:
            for number in HASH_SEEDS:  # as many, stirred as those are
                started.append(Forked(functools.partial(play, stirred_by=number)))
                stack.callback(started[-1].close)
        except (NoRecipe, OSError) as problem:
            return str(problem)
        return started

    def _started(
        self, originals: list[Run], stack: contextlib.ExitStack, *, fixed: bool = False
    ) -> list[FreshProcess] | str:
        settings = self._settings
        names = settings.hooks is not None and all(isinstance(hook, str) for hook in settings.hooks)
        portable = self._strategy != "hooks" or names
        try:
            recipe = portable_recipe(settings.make_env, settings.env_args)
            job = {
                "options": settings.options,
                "default_actions": settings.default_actions,
                "seats": settings.seats,
                "isolate": settings.isolate,
                "fixed": fixed,
                "rounds": _rounds(originals, _FIXED_ROUNDS if fixed else _ROUNDS),
                "strategy": self._strategy if portable else None,
                "hooks": list(settings.hooks) if settings.hooks is not None and names else None,
            }
            started = [FreshProcess(recipe, originals, hash_seed, job) for hash_seed in HASH_SEEDS]
        except (NoRecipe, TypeError) as problem:
            return str(problem)
        for one in started:
            stack.callback(one.close)
        return started

    def _play(
        self,
        game: Game,
        seed: int,
        like: Run | None = None,
        *,
        disturb: bool = False,
        steps: int | None = None,
    ) -> Run:
        return play_trial(
            game,
            seed=seed,
            steps=steps or self._settings.steps,
            options=self._settings.options,
            actions=None if like is None else like.actions,
            strategy=self._strategy,
            hooks=self._settings.hooks,
            disturb=disturb,
        )

    def _play_elsewhere(self, game: Game, originals: list[Run]) -> None:
        """Play a little of another episode: what a reset leaves as it was has then another past.

        The runs alone would not show a counter that goes round in as many frames as they have.
        """
        with contextlib.suppress(Broke):
            play_trial(
                game, seed=originals[-1].seed + 1, steps=_ELSEWHERE_FRAMES, options=self._settings.options
            )

    def _play_again(
        self, name: str, game: Game, originals: list[Run], *, disturb: bool = False
    ) -> tuple[CardCheck, list[Run]]:
        runs: list[Run] = []
        try:
            for run in originals:
                again = self._play(game, run.seed, run, disturb=disturb)
                runs.append(again)  # those before the one that breaks count too
        except Broke as error:
            return CardCheck(name, passed=False, detail=str(error)), runs
        return equal(name, originals, runs), runs

    def _random_check(self, *, fit: bool) -> CardCheck:
        if self._settings.isolate:
            return CardCheck(RANDOM, passed=True, detail="isolated: it has streams of its own")
        if not self._random_use:
            return CardCheck(RANDOM, passed=True, detail="not used")
        used = f"draws from or seeds {', '.join(self._random_use)}"
        if fit:
            return CardCheck(RANDOM, passed=None, detail=f"{used}, and no outcome depended on it")
        return CardCheck(RANDOM, passed=False, detail=used)

    def _advice(self, verdict: SyncVerdict) -> str | None:
        """Find out whether streams of its own would help, to more than it is fit for without."""
        if not self._random_use or self._settings.isolate or verdict == "rollback":
            return None
        self._report_progress("trying it with global random streams of its own")
        isolated = attrs.evolve(self._settings, isolate=True)
        card = _Examination(isolated, lambda _what: None).card(fresh_process=False)
        if not better(card.verdict, verdict):
            return None
        return f"with its global random state isolated it would be fit for {card.verdict}"

    def _card(
        self, checks: list[CardCheck], originals: list[Run], choice: SnapshotChoice | None, advice: str | None
    ) -> ReportCard:
        step_us = choice.step_us if choice is not None else None
        if step_us is None and originals:
            step_us = originals[0].step_us
        depths = {hz: choice.rollback_depth(hz) for hz in RATES_HZ} if choice is not None else {}
        verdict, why = verdict_of(checks, originals, choice)
        return ReportCard(
            environment=self._identity["environment"],
            versions=split_versions(self._identity)[1],
            seats=self._seats,
            frames=sum(len(run.actions) for run in originals),
            seeds=self._settings.seeds,
            verdict=verdict,
            why=why if advice is None else f"{why}; {advice}",
            checks=tuple(checks),
            strategies=choice.tried if choice is not None else (),
            strategy=self._strategy,
            step_us=step_us,
            rollback_depths=depths,
        )
