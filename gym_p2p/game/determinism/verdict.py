"""What follows from the checks of a report card."""

from __future__ import annotations

from collections.abc import Sequence

from gym_p2p.game.determinism.report_card import (
    ELSEWHERE,
    INFO_AND_STATE,
    NEEDED,
    RANDOM,
    CardCheck,
    SyncVerdict,
)
from gym_p2p.game.determinism.trial import Run
from gym_p2p.game.state.proof import SnapshotChoice

__all__ = ["RATES_HZ", "better", "verdict_of"]

RATES_HZ = (30, 60)

_ORDER: tuple[SyncVerdict, ...] = ("unfit", "lockstep", "rollback")


def better(one: SyncVerdict, other: SyncVerdict) -> bool:
    """Whether a verdict allows more than another one."""
    return _ORDER.index(one) > _ORDER.index(other)


def verdict_of(
    checks: Sequence[CardCheck], originals: Sequence[Run], choice: SnapshotChoice | None
) -> tuple[SyncVerdict, str]:
    """Return the verdict, and why."""
    for check in checks:
        if check.passed is False and check.name in NEEDED:
            uses = [f"; it {one.detail}" for one in checks if one.name == RANDOM and one.passed is False]
            return "unfit", "".join([f"{check.name}: {check.detail}", *uses])
    harmful = [
        f"{one.name}: {one.detail}" for one in checks if one.name in INFO_AND_STATE and one.passed is False
    ]
    if harmful:
        # No outcome has shown it. But a state that goes another way is what the next outcomes come from.
        return "unfit", "; ".join(harmful)
    if len({frozenset(frame.items()) for run in originals for frame in run.frames}) < 2:
        return "unfit", "nothing changed while it was played, so that nothing was shown"
    alone = [one.detail for one in checks if one.name == ELSEWHERE and one.passed is None]
    reserve = f"; other processes, where text hashes otherwise: {alone[0]}" if alone else ""
    if choice is None or choice.snapshots is None:
        return "lockstep", f"no exact way was found to save and restore its state{reserve}"
    if choice.rollback_depth(RATES_HZ[0]) < 1:
        why = f"its state can be restored, but no frame can be played again in 1/{RATES_HZ[0]} s"
        return "lockstep", f"{why}{reserve}"
    return "rollback", f"deterministic, and exactly restored by {choice.snapshots.name}{reserve}"
