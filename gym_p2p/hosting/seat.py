"""One seat of the host's while it is taken, a person's or a program's: one process, or several in turn.

A process that dies without a goodbye is started again, and does what the one before did: its match is taken
up where the others wait for that (``rejoin_timeout_s``), and a page that lost its line finds it there. Runs
on the host's event loop; refuses to know who sits where.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Protocol

from gym_p2p.hosting.messages import Dying, End, Ended, Failed, FromProcess, Over, Part, Visit
from gym_p2p.hosting.processes import SeatProcess, SeatProcesses

__all__ = ["Seat", "Sitting"]

_log = logging.getLogger(__name__)

MOST_DEATHS = 3
"""Of one seat: a game that dies at the same frame each time would go on dying."""


class Sitting(Protocol):
    """Who is told what becomes of a seat."""

    def heard(self, code: str, message: FromProcess) -> None:
        """Note what its process says."""

    def died(self, code: str, how: str, *, started_again: bool) -> None:
        """Note that its process has died without a word."""

    def gone(self, seat: Seat, *, crashed: bool) -> None:
        """Note that nobody plays there any more: after its last word, or for too many deaths."""


class Seat:
    """A seat that is taken.

    Args:
        code: whose it is.
        part: what is played there.
        processes: starts them.
        sitting: is told.

    Attributes:
        last: what the page was told last; ``None`` before it is closed.
        spends: whether what was played here spends the link of a person.
        ended: set once nobody plays here any more.

    Raises:
        OSError: no process can be started.
    """

    def __init__(self, code: str, part: Part, processes: SeatProcesses, sitting: Sitting) -> None:
        self.code = code
        self._part = part
        self._processes = processes
        self._sitting = sitting
        self.last: Over | None = None
        self.spends = True
        self.ended = asyncio.Event()
        self._deaths = 0
        self._dying: str | None = None
        """Why its process dies, where that has said so."""
        self._ending = False
        self._said_all = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._process = self._start()

    def visit(self, head: bytes, descriptor: int) -> None:
        """Hand over a connection to its page, with what was read of it."""
        self._process.send(Visit(head), descriptor)

    def end(self, *, closing: bool = False) -> None:
        """Have whoever plays say goodbye and end; should their process die, no other one is started.

        Args:
            closing: whether the whole host ends.
        """
        self._ending = True
        self._process.send(End(closing))

    def kill(self) -> None:
        """Have it die."""
        self._ending = True
        self._process.kill()

    async def let_go(self) -> None:
        """See to it that all of its processes are gone; call it once :attr:`ended` is set, or in vain."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self) -> SeatProcess:
        return self._processes.start(self._part, hear=self._hear, gone=self._gone)

    def _hear(self, message: FromProcess) -> None:
        match message:
            case Over():
                self.last = message
            case Ended(spends=spends):
                self._said_all, self.spends = True, spends
            case Failed():
                self._said_all, self.spends = True, False
            case Dying(why):
                self._dying = why
        self._sitting.heard(self.code, message)

    def _gone(self) -> None:
        before = self._process
        if self._said_all:
            self._keep(before.let_go())
            self._over(crashed=False)
            return
        self._deaths += 1
        comes_back = (
            bool(self._part.options.get("rejoin_timeout_s"))
            and self._deaths < MOST_DEATHS
            and self.last is None  # a page that was told how it ended does not come again
        )
        again = comes_back and not self._ending and self._start_again()
        why, self._dying = self._dying, None
        self._keep(self._tell_death(before, why, started_again=again))
        if not again:
            self._over(crashed=True)

    def _start_again(self) -> bool:
        try:
            self._process = self._start()
        except OSError as error:
            _log.error("no process for a seat could start: %s", error)
            return False
        return True

    def _over(self, *, crashed: bool) -> None:
        self.ended.set()
        self._sitting.gone(self, crashed=crashed)

    async def _tell_death(self, process: SeatProcess, why: str | None, *, started_again: bool) -> None:
        self._sitting.died(self.code, why or await process.ending(), started_again=started_again)
        await process.let_go()

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
