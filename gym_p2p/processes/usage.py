"""How much processor time the processes below one of ours have used, where ``/proc`` says so."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["seconds_below"]

_PROC = Path("/proc")
_PARENT, _USER, _SYSTEM = 1, 11, 12
"""Places in ``/proc/PID/stat`` behind the name (proc(5))."""


def seconds_below(process: int) -> dict[int, float] | None:
    """Return the processor time of every process that this one has started, they included who those have.

    By process id, in seconds since each began; ``None`` where nobody says.
    """
    try:
        numbers = [int(path.name) for path in _PROC.iterdir() if path.name.isdecimal()]
        tick_s = 1 / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError):
        return None
    seconds: dict[int, float] = {}
    below: dict[int, list[int]] = {}
    for number in numbers:
        try:
            fields = (_PROC / str(number) / "stat").read_bytes().rpartition(b")")[2].split()
            below.setdefault(int(fields[_PARENT]), []).append(number)
            seconds[number] = (int(fields[_USER]) + int(fields[_SYSTEM])) * tick_s
        except (OSError, IndexError, ValueError):
            continue  # it has ended meanwhile
    found: dict[int, float] = {}
    unseen = list(below.get(process, ()))
    while unseen:
        one = unseen.pop()
        found[one] = seconds[one]
        unseen += below.get(one, ())
    return found
