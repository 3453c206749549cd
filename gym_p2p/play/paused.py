"""What a match stands for, as people are told of it: at the players and at who looks on.

Knows reasons and times; refuses to know how somebody comes to be waited for.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal

import attrs

from gym_p2p.core.spectating.messages import Standing
from gym_p2p.core.wire.seats import SeatId

__all__ = ["PauseReason", "Paused", "shown_pause", "told_pause"]

PauseReason = Literal["input", "silent", "reset", "away"]


@attrs.frozen
class Paused:
    """The match stands. Where it does for several reasons, this is the one that may last the longest.

    Attributes:
        players: who is waited for.
        why: ``input`` (they are connected and do not play), ``silent`` (nothing arrives from them),
            ``reset`` (they have not called it), or ``away`` (their process has ended, and another may come).
        since: since when, on ``time.monotonic``'s clock.
        limit_s: how long they are waited for at most.
        also: what it stands for besides.
    """

    players: tuple[SeatId, ...]
    why: PauseReason
    since: float
    limit_s: float
    also: tuple[Paused, ...] = ()

    def __str__(self) -> str:
        return "; ".join(map(_in_words, (self, *self.also)))

    @property
    def left_s(self) -> float:
        """For how long it may last still; below 0 while what follows is agreed on."""
        return self.since + self.limit_s - time.monotonic()

    @classmethod
    def of(cls, waits: Sequence[Paused]) -> Paused | None:
        """Return several as one, whatever they also were; ``None`` for none."""
        longest = max(waits, key=lambda one: one.since + one.limit_s, default=None)
        if longest is None:
            return None
        return attrs.evolve(longest, also=tuple(one for one in waits if one is not longest))


def _in_words(paused: Paused) -> str:
    names = ", ".join(map(repr, paused.players))
    since_s, left_s = time.monotonic() - paused.since, max(0.0, paused.left_s)
    if paused.why == "away":
        return f"waiting for {names} to come back, {since_s:.1f} s by now, {left_s:.1f} s left"
    if paused.why == "silent":
        return f"path to {names} lost {since_s:.1f} s ago, {left_s:.1f} s left"
    what = "to call reset()" if paused.why == "reset" else "to play"
    return f"waiting for {names} {what}, up to {round(paused.limit_s, 1):g} s"


def told_pause(paused: Paused | None) -> Standing:
    """Return what spectators are told."""
    now = time.monotonic()
    waits = () if paused is None else (paused, *paused.also)
    return Standing(
        tuple(
            (one.players, one.why, round(1e3 * max(0.0, now - one.since)), round(1e3 * one.limit_s))
            for one in waits
        )
    )


def shown_pause(standing: Standing) -> Paused | None:
    """Return what a player tells of it; ``None`` where the match goes on."""
    now = time.monotonic()
    return Paused.of(
        [
            Paused(players, why, now - stood_ms / 1e3, limit_ms / 1e3)
            for players, why, stood_ms, limit_ms in standing.waits
        ]
    )
