"""What is known of an environment's fitness to be played by peers: a value, for people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import attrs

from gym_p2p.core.wire.seats import SeatId
from gym_p2p.game.state.trial import Tried

__all__ = [
    "ELSEWHERE",
    "INFO_AND_STATE",
    "NEEDED",
    "PLAYABLE",
    "RANDOM",
    "STATE",
    "CardCheck",
    "ReportCard",
    "SyncVerdict",
]

SyncVerdict = Literal["rollback", "lockstep", "unfit"]

PLAYABLE = "it can be played"
"""The check that is there only if the environment raised an error."""

ELSEWHERE = "fresh process"
"""The check of whether other processes, where text hashes otherwise, come to the same."""

NEEDED = (PLAYABLE, "same process", "fresh object", ELSEWHERE)
"""The checks without which no mode is possible."""

RANDOM = "global random state"
"""The check of whether it draws from the global generators."""

STATE = "state checksum"
"""The check of whether two players could compare their states."""

INFO_AND_STATE = ("info", STATE)
"""Where a no means that games go another way which has not shown in an outcome yet."""

_MARKS = {True: "yes", False: "NO", None: "-"}


@attrs.frozen
class CardCheck:
    """One question and its answer.

    Attributes:
        name: what was looked at.
        passed: None if it could not be found out.
        detail: what was seen.
    """

    name: str
    passed: bool | None
    detail: str


@attrs.frozen
class ReportCard:
    """Whether and how an environment can be played by peers.

    Attributes:
        environment: what it calls itself.
        versions: of the packages that it consists of.
        seats: their ids, as players take them; a single one needs watchers.
        frames: how many frames the runs had that everything was compared with.
        seeds: their seeds.
        verdict: ``"rollback"``, ``"lockstep"`` (it is deterministic, and its state cannot be restored, or not
            in time), or ``"unfit"`` (copies of it do not stay equal, or it was not found out whether they
            do).
        why: in words, with what would help.
        checks: the questions, in order.
        strategies: every way of saving that was tried, with what it costs.
        strategy: the one to be used; None without one.
        step_us: median cost of a step, in microseconds.
        rollback_depths: by frames a second, how many frames can be played again within one frame.
    """

    environment: str
    versions: dict[str, str]
    seats: tuple[SeatId, ...]
    frames: int
    seeds: tuple[int, ...]
    verdict: SyncVerdict
    why: str
    checks: tuple[CardCheck, ...]
    strategies: tuple[Tried, ...]
    strategy: str | None
    step_us: float | None
    rollback_depths: dict[int, int]

    def check(self, name: str) -> CardCheck:
        """Return the check of that name."""
        return next(check for check in self.checks if check.name == name)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        data = attrs.asdict(self, value_serializer=_rounded)
        return {**data, "rollback_depths": {str(hz): depth for hz, depth in self.rollback_depths.items()}}

    def __str__(self) -> str:
        lines = [self.environment, f"  verdict: {self.verdict.upper()} - {self.why}"]
        lines += [f"  seats:   {_seats_in_words(self.seats)}", ""]
        width = max(len(check.name) for check in self.checks)
        lines += [f"  {_MARKS[c.passed]:>4}  {c.name:<{width}}  {c.detail}" for c in self.checks]
        if self.strategies:
            lines += ["", "  ways to save its state       exact   save us   load us"]
            lines += [_row(tried) for tried in self.strategies]
        if self.step_us is not None:
            depths = ", ".join(f"{n} frames at {hz} Hz" for hz, n in self.rollback_depths.items())
            lines += ["", f"  a step takes {self.step_us:.0f} us; rollback depth: {depths or 'none'}"]
        return "\n".join(lines)


def _seats_in_words(seats: Sequence[SeatId]) -> str:
    if len(seats) == 1:
        return f"{seats[0]}, and as many as look on: --watchers N, the same for all players"
    return ", ".join(map(str, seats))


def _row(tried: Tried) -> str:
    costs = "".join(
        "         -" if cost is None else f"{cost:10.0f}" for cost in (tried.save_us, tried.load_us)
    )
    row = f"    {tried.name:<26} {_MARKS[tried.exact]:<4}{costs}"
    return row if tried.exact else f"{row}  {tried.reason}"


def _rounded(_instance: Any, _attribute: Any, value: Any) -> Any:
    return round(value, 2) if isinstance(value, float) else value
