"""Several things done at the same time of which all are needed: the first failure ends them.

Which error is raised does not hang on the order in which the event loop runs what fails at one moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from gym_p2p.errors import P2PError, PeerLost

__all__ = ["all_of"]

SAME_MOMENT_S = 0.1
"""For the others to fail as well where all have one deadline: far more than an event loop takes from the
first to the last of them, and nothing beside the seconds that were waited."""


async def all_of(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Do all of this; cancel the rest soon after one has failed. Leaves nothing running.

    Raises:
        Exception: of those that failed at the same moment a fault of ours (no ``P2PError``) before a
            ``PeerLost``, which says most, before any other; among equals the first in their order.
    """
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        if tasks:
            _, still = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            if still:
                await asyncio.wait(still, timeout=SAME_MOMENT_S)
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    failed = [end for end in ends if isinstance(end, Exception)]
    if failed:
        raise min(failed, key=_rank) from None


def _rank(error: Exception) -> int:
    match error:
        case PeerLost():
            return 1
        case P2PError():
            return 2
        case _:
            return 0
