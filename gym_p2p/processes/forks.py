"""What a forked process must not share with the one that forked it.

A fork has every descriptor of its parent, and lives on when that is killed: a line that it holds does not
end, and a lock does not open. So it lets go of them first thing. Whatever forks without telling the
interpreter (a C library) is not covered; hence :mod:`gym_p2p.processes.owner` besides.
"""

from __future__ import annotations

import contextlib
import os
import weakref
from typing import Protocol

__all__ = ["let_go_in_forks"]


class Held(Protocol):
    """What holds a descriptor; closing it must not touch what is behind it."""

    def close(self) -> None:
        """Close the descriptor."""


_held: weakref.WeakSet[Held] = weakref.WeakSet()


def let_go_in_forks(held: Held) -> None:
    """Close this in every process that is forked from now on; it is held weakly."""
    _held.add(held)


def _let_go() -> None:
    for held in list(_held):
        with contextlib.suppress(OSError):
            held.close()
    _held.clear()


os.register_at_fork(after_in_child=_let_go)
