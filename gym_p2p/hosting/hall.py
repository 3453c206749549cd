"""The seats of a host while it runs: whose seat is where, who plays beside whom, and how all of it ends.

Runs on the host's event loop. Who may sit is :mod:`gym_p2p.hosting.house`'s to say, for how many there is
room :mod:`gym_p2p.hosting.capacity`'s; HTTP is the door's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import msgspec

from gym_p2p.core.wire.seats import SeatId
from gym_p2p.hosting.capacity import Capacity
from gym_p2p.hosting.house import Enter, House, Refuse, Why
from gym_p2p.hosting.links import Link
from gym_p2p.hosting.messages import Began, Ended, Failed, Frames, FromProcess, Over, Part
from gym_p2p.hosting.processes import SeatProcesses
from gym_p2p.hosting.seat import Seat
from gym_p2p.processes.usage import seconds_below

__all__ = ["Hall", "Setting"]

_log = logging.getLogger(__name__)

END_LIMIT_S = 25.0
"""From asking everybody to end until they are killed: goodbyes, documents, an upload."""

KILL_LIMIT_S = 2.0
"""For the line of a killed process to end."""

AGAIN_LIMIT_S = 10.0
"""From a page that tries again until the match before is told to it once more: documents, an upload."""

MEASURE_EVERY_S = 2.0
"""What the processes of the seats have used."""


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

    @property
    def together(self) -> int:
        """How many people play one match."""
        return self.people if self.queue is None else len(self.seats)


@attrs.define(eq=False, kw_only=True)
class Hall:
    """All seats.

    Args:
        setting: what is played.
        house: who may sit.
        capacity: for how many there is room.
        processes: starts them.
        say: is told what happens, in words.
        spent: is told whose link is spent, and what its page was told last.
    """

    _setting: Setting
    _house: House
    _capacity: Capacity
    _processes: SeatProcesses
    say: Callable[[str], None]
    _spent: Callable[[str, Mapping[str, Any]], None]
    _seats: dict[str, Seat] = attrs.field(factory=dict, init=False)
    _programs: dict[str, dict[str, Seat]] = attrs.field(factory=dict, init=False)
    """Of each room, by who they are."""
    _asked_to_wait: set[str] = attrs.field(factory=set, init=False)
    _leaving: set[asyncio.Task[None]] = attrs.field(factory=set, init=False)
    _measuring: asyncio.Task[None] | None = attrs.field(default=None, init=False)

    async def until_free(self, link: Link) -> None:
        """Wait, where a match is over that its person may try again, until its seat is free for them."""
        seat = self._seats.get(link.code)
        if seat is not None and seat.last is not None and seat.last.state.get("again"):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(seat.ended.wait(), AGAIN_LIMIT_S)

    def enter(self, link: Link, *, hears: bool = True) -> Seat | Refuse:
        """Return a link's seat, which is taken if need be; or why there is none.

        Args:
            link: whose.
            hears: whether they are told why there is none.
        """
        now = time.monotonic()
        self._house.seats = self._capacity.seats(self._house.taken, now)
        answer = self._house.visit(link, time.time(), hears=hears)
        match answer:
            case Refuse(why):
                if why is Why.FULL:
                    self._say_full(link.code)
                return answer
            case Enter(new=False):
                seat = self._seats[link.code]  # its page may be closed, and the documents being written
                return seat if seat.last is None else Refuse(Why.OVER, seat.last.state)
        try:
            self._seats[link.code] = seat = Seat(
                link.code, self._persons_part(link, answer), self._processes, self
            )
            if answer.first and answer.room is not None:
                self._programs[answer.room] = {}
                for place in range(self._setting.people, len(self._setting.seats)):
                    self._start_program(answer.room, place)
        except OSError as error:
            _log.error("no process for a seat could start: %s", error)
            if link.code in self._seats:  # but a program's could not
                self._seats[link.code].end()
                self._house.give_up(str(answer.room))
            else:
                self._house.ended(link.code)
            raise
        self._capacity.came(self._house.taken, now)
        self._asked_to_wait.discard(link.code)
        self.say(f"{link.code} took a seat ({self._house.taken} of {self._house.seats})")
        return seat

    def begin_measuring(self) -> None:
        """Measure from now on what the seats cost."""
        self._measuring = asyncio.get_running_loop().create_task(self._keep_measuring())

    async def close(self) -> None:
        """Have everybody end in good order; kill who does not."""
        self._house.closing = True
        if self._measuring is not None:
            self._measuring.cancel()
        running = [*self._seats.values(), *(one for room in self._programs.values() for one in room.values())]
        for seat in running:
            seat.end(closing=True)
        if running:
            ends = [asyncio.create_task(seat.ended.wait()) for seat in running]
            await asyncio.wait(ends, timeout=END_LIMIT_S)
            for seat in running:
                if not seat.ended.is_set():
                    _log.error("the process of a seat did not end; killing it")
                    seat.kill()
            await asyncio.wait(ends, timeout=KILL_LIMIT_S)
            for end in ends:
                end.cancel()
        await asyncio.gather(*self._leaving, return_exceptions=True)
        self._processes.close()

    async def _keep_measuring(self) -> None:
        while True:
            await asyncio.sleep(MEASURE_EVERY_S)
            seconds = await asyncio.to_thread(seconds_below, os.getpid())
            if seconds is not None:
                self._capacity.used(seconds, time.monotonic())

    def _say_full(self, code: str) -> None:
        if code in self._asked_to_wait:
            return  # a page asks every few seconds
        self._asked_to_wait.add(code)
        why, now = f"each takes {100 * self._capacity.cost:.0f} % of a core", time.monotonic()
        if self._capacity.is_late(now):
            why = "and their frames come late: this machine has enough to do"
        elif self._capacity.is_held(now):
            why = "and it is being measured what each costs"
        taken = self._house.taken
        seats = "1 seat is" if taken == 1 else f"{taken} seats are"
        self.say(f"{code} is asked to wait: {seats} taken, {why}")

    # What is played at a seat.

    def _persons_part(self, link: Link, answer: Enter) -> Part:
        setting, person = self._setting, self._setting.part.person
        assert person is not None  # noqa: S101 - a person's part
        where = {"queue": setting.queue} if answer.room is None else {"room": answer.room}
        return msgspec.structs.replace(
            setting.part,
            seat=setting.part.seat if answer.room is None else setting.seats[answer.place],
            options={**setting.part.options, **where, "subject_id": link.code},
            person=msgspec.structs.replace(
                person,
                url=setting.url(link),
                next_url=(person.next_url or "").replace("{code}", link.code) or None,
            ),
        )

    def _start_program(self, room: str, place: int) -> None:
        setting, code = self._setting, f"{room}.{place}"
        part = msgspec.structs.replace(
            setting.part,
            seat=setting.seats[place],
            options={**setting.part.options, "room": room, "subject_id": code},
            person=None,
            policy=setting.policy,
        )
        self._programs[room][code] = Seat(code, part, self._processes, _Beside(self, room))

    # What becomes of the seats; see Sitting.

    def heard(self, code: str, message: FromProcess) -> None:
        """Note what a person's process says."""
        match message:
            case Began(match_id, seat):
                self._house.began(code)
                self._capacity.began(code, time.monotonic())
                self.say(f"{code} plays as {seat} in {match_id}")
            case Frames(count, late):
                self._capacity.played(count, late, time.monotonic())
            case Over():
                self._capacity.ended(code, time.monotonic())  # documents are written, which nobody waits for
            case Ended(ending=ending, problems=problems, spends=spends):
                good = "" if spends else " (the link is still good)"
                self.say(f"{code} has played: {ending}{good}")
                for problem in problems:
                    self.say(f"{code}: {problem}")
            case Failed() if self._house.has_begun(code):
                self.say(f"{code} played until it failed (the link is still good): {message.words}")
            case Failed():
                self.say(f"{code} did not play: {message.words}")

    def died(self, code: str, how: str, *, started_again: bool) -> None:
        """Note that a process has died."""
        again = "; it is started again" if started_again else ""
        self.say(f"{code}: the seat's process has died ({how}){again}")

    def gone(self, seat: Seat, *, crashed: bool) -> None:
        """Note that a person's seat is free."""
        code = seat.code
        del self._seats[code]
        self._capacity.ended(code, time.monotonic())
        state = None if seat.last is None else seat.last.state
        spends = seat.spends and not crashed
        if self._house.has_begun(code) and spends and state is not None:
            self._spent(code, state)
        room = self._house.ended(code, state, crashed=crashed, spends=spends)
        if room is not None:
            for program in self._programs.get(room, {}).values():
                program.end()
        self._let_go(seat)

    def program_gone(self, room: str, seat: Seat) -> None:
        """See to it that nobody waits for a program that will not come."""
        self._programs[room].pop(seat.code, None)
        if not self._programs[room]:
            del self._programs[room]
        for code in self._house.give_up(room):
            self._seats[code].end()
        self._let_go(seat)

    def _let_go(self, seat: Seat) -> None:
        task = asyncio.get_running_loop().create_task(seat.let_go())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


@attrs.frozen
class _Beside:
    """Is told what becomes of a program beside people.

    Attributes:
        hall: whose it is.
        room: where they play.
    """

    hall: Hall
    room: str

    def heard(self, code: str, message: FromProcess) -> None:
        """Note what its process says."""
        match message:
            case Failed() if message.problem != "interrupted":
                self.hall.say(f"{code}: the program failed: {message.words}")
            case Ended(ending="network_failed"):
                self.hall.say(f"{code}: the program's network process has ended")

    def died(self, code: str, how: str, *, started_again: bool) -> None:
        """Note that a process has died."""
        self.hall.died(code, how, started_again=started_again)

    def gone(self, seat: Seat, *, crashed: bool) -> None:
        """Note that it plays no more."""
        del crashed
        self.hall.program_gone(self.room, seat)
