"""What the runs of one environment say when they are laid side by side: one check for each question."""

from __future__ import annotations

import attrs

from gym_p2p.game.determinism.fresh_process import FreshProcess, NoRecipe
from gym_p2p.game.determinism.report_card import CardCheck
from gym_p2p.game.determinism.trial import Run, first_difference
from gym_p2p.game.state.fields import differences

__all__ = ["HASH_SEEDS", "compared_infos", "compared_states", "equal", "from_processes"]

HASH_SEEDS = (1, 2)
"""Of the fresh processes. With this process's own, three orders of what is ordered by hashes."""


def equal(name: str, originals: list[Run], runs: list[Run]) -> CardCheck:
    """Say whether runs returned the same as the originals, frame by frame."""
    for one, other in zip(originals, runs, strict=True):
        difference = first_difference(one, other)
        if difference is not None:
            return CardCheck(name, passed=False, detail=difference)
    frames = sum(len(run.actions) for run in originals)
    return CardCheck(name, passed=True, detail=f"the same outcomes over {frames} frames")


def from_processes(originals: list[Run], others: list[FreshProcess] | str) -> tuple[CardCheck, list[Run]]:
    """Say what came back from the fresh processes, or why there were none; return their runs too."""
    name = "fresh process"
    if isinstance(others, str):
        return CardCheck(name, passed=None, detail=f"not tried: {others}"), []
    runs: list[Run] = []
    check = CardCheck(name, passed=None, detail="")
    for other in others:
        try:
            found = other.result()
        except NoRecipe as problem:
            return CardCheck(name, passed=None, detail=f"not tried: {problem}"), runs
        runs += found
        check = equal(name, originals, found)
        if not check.passed:
            detail = f"{check.detail} (PYTHONHASHSEED={other.hash_seed}, clocks ahead)"
            return attrs.evolve(check, detail=detail), runs
    detail = f"{check.detail}, with PYTHONHASHSEED={' and '.join(map(str, HASH_SEEDS))}, clocks ahead"
    return attrs.evolve(check, detail=detail), runs


def compared_infos(originals: list[Run], others: list[Run]) -> CardCheck:
    """Say whether every run gave the same infos. Players do not depend on it; learners may."""
    by_seed = {run.seed: run for run in originals}
    if any(digest is None for run in originals for digest in run.infos):
        return CardCheck("info", passed=None, detail="not compared: it has something other than plain data")
    for run in others:
        for frame, pair in enumerate(zip(by_seed[run.seed].infos, run.infos, strict=False)):
            if pair[0] != pair[1]:
                return CardCheck(
                    "info", passed=False, detail=f"differs at frame {frame} with seed {run.seed}"
                )
    return CardCheck("info", passed=True, detail="the same in every run")


def compared_states(originals: list[Run], near: list[Run], far: list[Run]) -> CardCheck:
    """Say whether two players could compare their states.

    Args:
        originals: the runs.
        near: others of this process.
        far: those of other processes.
    """
    name = "state checksum"
    by_seed = {run.seed: run.state for run in originals}
    if any(state is None for state in by_seed.values()):
        return CardCheck(name, passed=None, detail="none: outcomes are compared instead")
    for run in [*near, *far]:
        ours = by_seed[run.seed]
        found = differences(ours, run.state, most=1) if ours is not None and run.state is not None else []
        if found:
            path, one, other = found[0]
            return CardCheck(name, passed=False, detail=f"players would differ in {path}: {one} and {other}")
    where = "every run" if far else "every run of this process"
    return CardCheck(name, passed=True, detail=f"the same after {where}")
