"""The seats of a host while it runs: whose process is where, who plays beside whom, and how all of it ends.

Runs on the host's event loop. Who may sit is :mod:`gym_p2p.hosting.house`'s to say; HTTP is the door's.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

import attrs
import msgspec

from gym_p2p.core.wire.seats import SeatId
from gym_p2p.hosting.house import Enter, House, Refuse, Why
from gym_p2p.hosting.links import Link
from gym_p2p.hosting.messages import Began, End, Ended, Failed, FromProcess, Over, Part
from gym_p2p.hosting.processes import SeatProcess, SeatProcesses

__all__ = ["Hall", "Setting"]

_log = logging.getLogger(__name__)

END_LIMIT_S = 25.0
"""From asking everybody to end until they are killed: goodbyes, documents, an upload."""

KILL_LIMIT_S = 2.0
"""For the line of a killed process to end."""


@attrs.frozen(kw_only=True)
class Setting:
    """What is played here.

    Attributes:
        part: of a person, but for who they are and where they meet.
        seats: of the environment, those that people take first.
        queue: where people meet; ``None`` where programs play beside them.
        people: how many of them play a match with programs.
        policy: what these programs are.
        url: returns the address of a link.
    """

    part: Part
    seats: tuple[SeatId, ...]
    queue: str | None
    people: int
    policy: str
    url: Callable[[Link], str]


class Hall:
    """All seats.

    Args:
        setting: what is played.
        house: who may sit.
        processes: starts them.
        say: is told what happens, in words.
    """

    def __init__(
        self, setting: Setting, house: House, processes: SeatProcesses, say: Callable[[str], None]
    ) -> None:
        self._setting = setting
        self._house = house
        self._processes = processes
        self._say = say
        self._seats: dict[str, SeatProcess] = {}
        self._states: dict[str, Over] = {}
        self._left: set[str] = set()
        """Whose process has said all that it had to say."""
        self._rooms: dict[str, list[SeatProcess]] = {}
        """The programs of each room."""
        self._tasks: set[asyncio.Task[None]] = set()

    def enter(self, link: Link) -> SeatProcess | Refuse:
        """Return the process of a link's seat, which is started if need be; or why there is none."""
        answer = self._house.visit(link, time.time())
        match answer:
            case Refuse():
                return answer
            case Enter(new=False):
                told = self._states.get(link.code)  # its page is closed, and the documents are being written
                return self._seats[link.code] if told is None else Refuse(Why.OVER, told.state)
        try:
            self._seats[link.code] = seat = self._start(link, answer)
            if answer.first and answer.room is not None:
                self._rooms[answer.room] = []
                for place in range(self._setting.people, len(self._setting.seats)):
                    self._rooms[answer.room].append(self._start_program(answer.room, place))
        except OSError as error:
            _log.error("no process for a seat could start: %s", error)
            if link.code in self._seats:  # but a program's could not
                self._seats[link.code].send(End())
            else:
                self._house.ended(link.code)
            raise
        self._say(f"{link.code} took a seat ({self._house.taken} of {self._house.seats})")
        return seat

    async def close(self) -> None:
        """Have everybody end in good order; kill who does not."""
        self._house.closing = True
        running = [*self._seats.values(), *(one for room in self._rooms.values() for one in room)]
        for process in running:
            process.send(End())
        if running:
            ends = [asyncio.create_task(process.ended.wait()) for process in running]
            await asyncio.wait(ends, timeout=END_LIMIT_S)
            for process in running:
                if not process.ended.is_set():
                    _log.error("the process of a seat did not end; killing it")
                    process.kill()
            await asyncio.wait(ends, timeout=KILL_LIMIT_S)
            for end in ends:
                end.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._processes.close()

    def _start(self, link: Link, answer: Enter) -> SeatProcess:
        setting, person = self._setting, self._setting.part.person
        assert person is not None  # noqa: S101 - a person's part
        where = {"queue": setting.queue} if answer.room is None else {"room": answer.room}
        part = msgspec.structs.replace(
            setting.part,
            seat=setting.part.seat if answer.room is None else setting.seats[answer.place],
            options={**setting.part.options, **where, "subject_id": link.code},
            person=msgspec.structs.replace(
                person,
                url=setting.url(link),
                next_url=(person.next_url or "").replace("{code}", link.code) or None,
            ),
        )
        return self._processes.start(
            part, hear=lambda message: self._hear(link.code, message), gone=lambda: self._seat_gone(link.code)
        )

    def _start_program(self, room: str, place: int) -> SeatProcess:
        setting = self._setting
        part = msgspec.structs.replace(
            setting.part,
            seat=setting.seats[place],
            options={**setting.part.options, "room": room, "subject_id": f"{room}.{place}"},
            person=None,
            policy=setting.policy,
        )
        return self._processes.start(part, hear=self._hear_program, gone=lambda: self._program_gone(room))

    # What the processes say.

    def _hear(self, code: str, message: FromProcess) -> None:
        match message:
            case Began(match_id, seat):
                self._house.began(code)
                self._say(f"{code} plays as {seat} in {match_id}")
            case Over():
                self._states[code] = message
            case Ended(ending=ending, problems=problems):
                self._left.add(code)
                self._say(f"{code} has played: {ending}")
                for problem in problems:
                    self._say(f"{code}: {problem}")
            case Failed(problem):
                self._left.add(code)
                self._say(f"{code} did not play: {problem}")

    def _hear_program(self, message: FromProcess) -> None:
        match message:
            case Failed(problem) if problem != "interrupted":
                _log.error("a partner failed: %s", problem)

    def _seat_gone(self, code: str) -> None:
        seat = self._seats.pop(code)
        told = self._states.pop(code, None)
        crashed = code not in self._left
        self._left.discard(code)
        room = self._house.ended(code, None if told is None else told.state, crashed=crashed)
        for program in self._rooms.pop(room, []) if room is not None else []:
            if not program.ended.is_set():
                program.send(End())
            self._keep(program.let_go())
        self._keep(self._say_crash(code, seat) if crashed else seat.let_go())

    async def _say_crash(self, code: str, seat: SeatProcess) -> None:
        self._say(f"{code}: the seat's process has died ({await seat.ending()})")
        await seat.let_go()

    def _program_gone(self, room: str) -> None:
        """See to it that nobody waits for a program that will not come."""
        for code in self._house.waiting_in(room):
            self._seats[code].send(End())

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
