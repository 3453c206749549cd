"""Faults, and how they are drawn: which of a kind strikes when, and whom.

Everything is drawn from the generator that is passed in, so that a run can be repeated.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Literal

import attrs

__all__ = [
    "EPISODE_FRAMES",
    "FPS",
    "Draw",
    "Fault",
    "at",
    "at_barrier",
    "at_once",
    "blackouts",
    "clocks",
    "coming_back",
    "frames_during",
    "medley",
    "once",
    "path",
    "several",
]

FPS = 30
EPISODE_FRAMES = 100
"""A barrier every three seconds of play."""

_FIRST_FRAME = 40

When = Literal["starting", "meeting", "playing", "returning", "closing"]
"""From which moment a fault's delay counts: the start of the struck player's process, its first socket to
another player, the frame, the first socket of the process that came after it (or after ``awaits``), or the
last frame."""


@attrs.frozen(kw_only=True)
class Fault:
    """One fault.

    Attributes:
        what: the act, of :data:`tests.faults.acts.ACTS`.
        hosts: a pair of nodes, in its order, whose path is meant, or whom it strikes.
        amount: a share, milliseconds, or seconds, as the act has it.
        seconds: after which it is undone; ``None`` stays.
        when: what it waits for.
        frame: for which frame of the whole match, if it waits for one.
        delay_s: how long after that.
        of: the kind as which it is to be named; ``None`` is that of the run.
        awaits: whose process comes back, where that is waited for; ``None``: the struck one's.
    """

    what: str
    hosts: tuple[str, ...]
    amount: float = 0.0
    seconds: float | None = None
    when: When = "playing"
    frame: int = 0
    delay_s: float = 0.0
    of: str | None = None
    awaits: str | None = None


Draw = Callable[[random.Random, Sequence[str]], list[Fault]]

_PLAYED_THROUGH = {"loss", "jitter", "clock", "service killed", "service stopped", "line cut"}


def frames_during(fault: Fault) -> int:
    """Return how many frames are played before it is over: none while nothing gets through."""
    goes_on = fault.what in _PLAYED_THROUGH
    return round((fault.seconds or 0.0) * FPS) if goes_on else 0


def in_a_row(
    rng: random.Random, count: int, make: Callable[[int], Fault], *, first: int = _FIRST_FRAME
) -> list[Fault]:
    """Return faults one after the other, with a second or two of play between them."""
    faults, frame = [], first + rng.randrange(FPS)
    for _ in range(count):
        fault = make(frame)
        faults.append(fault)
        frame = fault.frame + frames_during(fault) + FPS + rng.randrange(FPS)
    return faults


def pair(rng: random.Random, hosts: Sequence[str]) -> tuple[str, str]:
    one, other = rng.sample(list(hosts), 2)
    return one, other


def path(
    what: str, amounts: Sequence[float], seconds: float, count: int, *, first: int = _FIRST_FRAME
) -> Draw:
    def draw(rng: random.Random, hosts: Sequence[str]) -> list[Fault]:
        left = list(amounts)
        rng.shuffle(left)

        def make(frame: int) -> Fault:
            amount = left[len(faults) % len(left)]
            faults.append(frame)
            return Fault(what=what, hosts=pair(rng, hosts), amount=amount, seconds=seconds, frame=frame)

        faults: list[int] = []
        return in_a_row(rng, count, make, first=first)

    return draw


def blackouts(seconds: float, count: int, *, first: int = _FIRST_FRAME) -> Draw:
    return path("blackout", [0.0], seconds, count, first=first)


def several(rng: random.Random, hosts: Sequence[str]) -> list[Fault]:
    """Two cuts at once, of two pairs where there are three players, around a barrier; then a third."""
    first, frame = pair(rng, hosts), EPISODE_FRAMES - rng.randrange(6)
    second = pair(rng, hosts)
    return [
        Fault(what="blackout", hosts=first, seconds=rng.uniform(1.0, 3.0), frame=frame),
        Fault(what="blackout", hosts=second, seconds=rng.uniform(1.0, 3.0), frame=frame, delay_s=0.3),
        Fault(what="one way", hosts=pair(rng, hosts), seconds=2.0, frame=2 * EPISODE_FRAMES - 10),
    ]


def once(
    what: str, *, seconds: float | None = None, first: bool = False, count: int = 1, later: int = 0
) -> Draw:
    """In the middle of play; ``first`` strikes the first player always, ``later`` so many frames later."""

    def draw(rng: random.Random, hosts: Sequence[str]) -> list[Fault]:
        struck = hosts[0] if first else rng.choice(list(hosts))
        return in_a_row(
            rng,
            count,
            lambda frame: Fault(
                what=what, hosts=(struck,), seconds=seconds, frame=frame, delay_s=rng.uniform(0, 0.2)
            ),
            first=_FIRST_FRAME + later,
        )

    return draw


def at(when: When, what: Sequence[str], within_s: float, *, seconds: float | None = None) -> Draw:
    """Strike one of these once, at another moment than in play."""

    def draw(rng: random.Random, hosts: Sequence[str]) -> list[Fault]:
        struck, delay_s = rng.choice(list(hosts)), rng.uniform(0, within_s)
        return [Fault(what=rng.choice(what), hosts=(struck,), seconds=seconds, when=when, delay_s=delay_s)]

    return draw


def at_barrier(*what: str, seconds: float | None = None) -> Draw:
    """Strike one of these once, around the end of the first episode."""

    def draw(rng: random.Random, hosts: Sequence[str]) -> list[Fault]:
        struck, delay_s = rng.choice(list(hosts)), rng.uniform(0, 0.15)
        return [
            Fault(
                what=rng.choice(what), hosts=(struck,), seconds=seconds, frame=EPISODE_FRAMES, delay_s=delay_s
            )
        ]

    return draw


def at_once(what: str, *, seconds: float) -> Draw:
    """Strike two players in the middle of play; they are back one after the other."""

    def draw(rng: random.Random, hosts: Sequence[str]) -> list[Fault]:
        frame = _FIRST_FRAME + rng.randrange(FPS)
        return [
            Fault(what=what, hosts=(host,), seconds=seconds + rng.uniform(0, 1.5), frame=frame)
            for host in rng.sample(list(hosts), 2)
        ]

    return draw


def coming_back(what: str, *, seconds: float, another: bool = False) -> Draw:
    """Strike a player in the middle of play, and the process that comes after it on its way back.

    Args:
        what: the act.
        seconds: after which each is undone.
        another: whether another player is struck then, and not the one who comes back.
    """

    def draw(rng: random.Random, hosts: Sequence[str]) -> list[Fault]:
        first, second = rng.sample(list(hosts), 2) if another else [rng.choice(list(hosts))] * 2
        frame = _FIRST_FRAME + rng.randrange(FPS)
        return [
            Fault(what=what, hosts=(first,), seconds=seconds, frame=frame),
            Fault(
                what=what,
                hosts=(second,),
                seconds=seconds,
                frame=frame,
                when="returning",
                delay_s=rng.uniform(0, 0.8),
                awaits=first if another else None,
            ),
        ]

    return draw


def medley(*parts: tuple[str, Draw]) -> Draw:
    """One after the other, each as it is drawn for a kind of its own, which is named with it."""

    def draw(rng: random.Random, hosts: Sequence[str]) -> list[Fault]:
        faults: list[Fault] = []
        begin = _FIRST_FRAME
        for kind, part in parts:
            drawn = part(rng, hosts)
            later = begin - drawn[0].frame
            if drawn[0].frame >= _FIRST_FRAME + FPS:  # one of a barrier's, which stays one
                later = -(-later // EPISODE_FRAMES) * EPISODE_FRAMES
            moved = [attrs.evolve(one, frame=one.frame + later, of=kind) for one in drawn]
            begin = max(one.frame + frames_during(one) for one in moved) + FPS
            faults += moved
        return faults

    return draw


def clocks(rng: random.Random, hosts: Sequence[str]) -> list[Fault]:
    offsets = iter([rng.choice([-3600.0, 3600.0]), 0.0])
    return in_a_row(
        rng, 2, lambda frame: Fault(what="clock", hosts=(hosts[0],), amount=next(offsets), frame=frame)
    )
