"""A player of :mod:`benchmarks.rejoin`: ``gym-p2p join``, which notes where it is, and when.

``python -m benchmarks.measured.returning join ...``. Notes go to the file that ``GYM_P2P_REJOIN_MARKS``
names, a line of JSON each: what, the monotonic clock, and the processor time of this process so far.
"""

from __future__ import annotations

import json
import logging
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

__all__ = ["HOLD_AT", "MARKS", "act", "main", "marks"]

MARKS = "GYM_P2P_REJOIN_MARKS"
HOLD_AT = "GYM_P2P_REJOIN_HOLD_AT"
"""In which frame of the match the player stands still, to be killed."""

_KILLED_WITHIN_S = 600.0
_PAUSE_S = 0.5
"""A longer time between two frames is noted."""

_drawn = random.Random(7)
_asked = 0
_asked_at = 0.0


def mark(what: str) -> None:
    """Note that something has just happened."""
    line = {"what": what, "at": time.monotonic(), "cpu_s": time.process_time()}
    with Path(os.environ[MARKS]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def marks(path: Path) -> list[dict[str, Any]]:
    """Return what was noted so far, in order."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def act(_observation: object, _frame: int) -> int:
    """Play at random, and note the first two frames, pauses, and the frame to stand still in."""
    global _asked, _asked_at
    now = time.monotonic()
    if _asked == 1:
        mark("first step")
    if _asked and now - _asked_at > _PAUSE_S:
        mark("went on")
    _asked, _asked_at = _asked + 1, now
    if _asked == int(os.environ.get(HOLD_AT) or 0):
        mark("there")
        time.sleep(_KILLED_WITHIN_S)
    return _drawn.randrange(3)


class _Marks(logging.Handler):
    """Notes what the way back logs."""

    def emit(self, record: logging.LogRecord) -> None:
        mark(record.getMessage())


def main() -> int:
    """Play."""
    mark("started")
    log = logging.getLogger("gym_p2p.play.coming_back")
    log.setLevel(logging.DEBUG)
    log.addHandler(_Marks())
    from gym_p2p.cli import main as command  # noqa: PLC0415 - what it takes to load is measured

    return command(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
