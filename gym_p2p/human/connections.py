"""The connections of one person's pages: what comes is handed over, what is wanted is sent.

On the server's loop. Knows numbers, carriers and the lock; who is at the page is
:mod:`gym_p2p.human.person`'s to know.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from gym_p2p.human.carriers import Carrier
from gym_p2p.human.person import ClosePage, Person
from gym_p2p.net.loop import LoopTimer

__all__ = ["Connections"]

_C = TypeVar("_C", bound=Carrier)

MOST_CONNECTIONS = 8
"""Tabs that are open at once, and offers that are looked at; each but the newest is told so and closed."""


class Connections:
    """The connections of the pages of a person, who is shared with the thread that plays.

    Args:
        person: used under the lock alone.
        changed: notified, with its lock, after anything came from a page.
    """

    def __init__(self, person: Person, changed: threading.Condition) -> None:
        self._person = person
        self._changed = changed
        self._numbers = itertools.count(1)
        self._carriers: dict[int, Carrier] = {}
        self._timer = LoopTimer(self._timed)

    @property
    def full(self) -> bool:
        """Whether there are as many as there may be."""
        return len(self._carriers) >= MOST_CONNECTIONS

    def add(self, make: Callable[[int], _C]) -> tuple[int, _C]:
        """Make a connection that has a number, and a place, from now on; return both."""
        number = next(self._numbers)
        carrier = make(number)
        self._carriers[number] = carrier
        return number, carrier

    def opened(self, number: int) -> None:
        """Note that a connection carries."""
        link = self._carriers[number].link
        self._with(lambda person, _now: person.connected(number, link))

    def hear(self, number: int, data: str | bytes) -> None:
        """Take in a message."""
        self._with(lambda person, now: person.receive(number, data, now))

    def free(self, number: int) -> None:
        """Go on with frames: the line has room again."""
        self._with(lambda person, now: person.line_free(number, now))

    def closed(self, number: int) -> None:
        """Note that a connection is closed. Idempotent."""
        if self._carriers.pop(number, None) is not None:
            self._with(lambda person, now: person.disconnected(number, now))

    def carry_out(self) -> None:
        """Have what the person's machine wants done."""
        with self._changed:
            while (output := self._person.poll()) is not None:
                carrier = self._carriers.get(output.connection)
                if carrier is not None and not carrier.take(output):
                    self._person.line_full(output.connection)
            due = self._person.next_timeout()
        self._timer.set(due)

    async def close(self, limit_s: float) -> None:
        """Let what was wanted go, for a moment: the page's last state; close all."""
        self.carry_out()
        self._timer.set(None)
        for number, carrier in self._carriers.items():
            carrier.take(ClosePage(number, "over"))
        await asyncio.gather(*(carrier.close(limit_s) for carrier in list(self._carriers.values())))

    def _with(self, do: Callable[[Person, float], None]) -> None:
        with self._changed:
            do(self._person, time.monotonic())
            self._changed.notify_all()
        self.carry_out()

    def _timed(self) -> None:
        self._with(lambda person, now: person.handle_timeout(now))
