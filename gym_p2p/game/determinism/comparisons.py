"""What the runs of one environment say when they are laid side by side: one check for each question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from gym_p2p.game.determinism.forked import Forked
from gym_p2p.game.determinism.fresh_process import FreshProcess, NoRecipe
from gym_p2p.game.determinism.report_card import ELSEWHERE, STATE, CardCheck
from gym_p2p.game.determinism.trial import Run, first_difference
from gym_p2p.game.determinism.unlike import Unlike
from gym_p2p.game.state.rehearsal import listed

__all__ = ["HASH_SEEDS", "equal", "from_processes", "in_rounds", "judged"]

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


def from_processes(
    originals: list[Run], others: Sequence[FreshProcess | Forked] | str
) -> tuple[CardCheck, list[Run]]:
    """Say what came back from the other processes, or why there were none; return their runs too."""
    name = ELSEWHERE
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
        for one in in_rounds(originals, found):
            check = equal(name, originals, one)
            if not check.passed:
                return attrs.evolve(check, detail=f"{check.detail} ({other.how})"), runs
    detail = f"{check.detail}, with PYTHONHASHSEED={' and '.join(map(str, HASH_SEEDS))}, clocks ahead"
    return attrs.evolve(check, detail=detail), runs


def in_rounds(originals: list[Run], runs: list[Run]) -> list[list[Run]]:
    """Return what a process has played, round by round."""
    return [runs[at : at + len(originals)] for at in range(0, len(runs), len(originals))]


def judged(
    originals: list[Run], unlike: Unlike, harmful: Unlike | str | None, *, far: bool
) -> tuple[CardCheck, CardCheck]:
    """Say whether the infos and the states of all runs are alike.

    Args:
        originals: the runs that others were compared with.
        unlike: in what those differ.
        harmful: what of that is a game that goes another way; ``None`` where outcomes differ too; a text
            where that could not be found out, which says why.
        far: whether other processes are among them.
    """
    where = "every run" if far else "every run of this process"
    given = [item for run in originals for info in run.infos for item in info.items()]
    opaque = {key for key, digest in given if digest is None}
    if opaque and not unlike.infos:
        detail = f"not compared: {listed(sorted(opaque))} is something other than plain data"
        infos = CardCheck("info", passed=None, detail=detail)
    else:
        worse = harmful.infos if isinstance(harmful, Unlike) else harmful
        infos = _judged("info", unlike.infos, worse, f"the same in {where}")
    if any(run.state is None for run in originals):
        return infos, CardCheck(STATE, passed=None, detail="none: outcomes are compared instead")
    states = harmful.states if isinstance(harmful, Unlike) else harmful
    return infos, _judged(STATE, unlike.states, states, f"the same after {where}")


def _judged(
    name: str, unlike: Mapping[str, str], harmful: Mapping[str, str] | str | None, same: str
) -> CardCheck:
    if not unlike:
        return CardCheck(name, passed=True, detail=same)
    differ = f"players would differ in {listed(sorted(unlike))} ({next(iter(unlike.values()))})"
    if harmful is None:
        return CardCheck(name, passed=False, detail=differ)
    if isinstance(harmful, str):
        return CardCheck(name, passed=False, detail=f"not judged: {differ}, and no outcome did; {harmful}")
    if harmful:
        key, example = next(iter(harmful.items()))
        where = example if example.startswith("at frame") else f"({example})"
        detail = (
            f"players would differ in {key} {where}, which hangs neither on clocks nor on chance: "
            "on an order by hashes or by addresses, perhaps"
        )
        return CardCheck(name, passed=False, detail=detail)
    detail = f"{differ}, and no outcome did: it is left out of the comparison"
    return CardCheck(name, passed=None, detail=detail)
