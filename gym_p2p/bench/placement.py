"""Which processors the two ends of a wire run on.

A message to another processor costs an interrupt and a wake-up there, as much as all that is sent and read.
The system places two processes as it likes, and leaves them there for a while: so figures are comparable only
where somebody says how. Two processors may be two threads of one core: nothing here looks.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

__all__ = ["Processors", "named", "placements"]

Processors = tuple[int | None, int | None]
"""The processor of each end; ``None`` is wherever the system puts it."""


def placements() -> Mapping[str, Processors]:
    """Return the ways to place two ends, by what they are called in a report.

    Where the system keeps no process on a processor (macOS), there is one, without a name.
    """
    if not hasattr(os, "sched_getaffinity"):
        return {"": (None, None)}
    first, *others = sorted(os.sched_getaffinity(0))
    found: dict[str, Processors] = {"one processor": (first, first)}
    if others:
        found["two processors"] = (first, others[0])
    return found


def named(what: str, place: str) -> str:
    """Return what is measured, with the place where it is; that may have no name.

    >>> named("echo p50", "one processor"), named("echo p50", "")
    ('echo p50, one processor', 'echo p50')
    """
    return f"{what}, {place}" if place else what
