"""The hall, with processes that do what a test says: who is let in, what becomes of a process that dies."""

from __future__ import annotations

import asyncio
import errno
import re
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import attrs
import pytest

from gym_p2p.hosting.capacity import Capacity
from gym_p2p.hosting.hall import Hall, Setting
from gym_p2p.hosting.house import House, Refuse, Why
from gym_p2p.hosting.links import Link
from gym_p2p.hosting.messages import (
    Began,
    Dying,
    End,
    Ended,
    Failed,
    Frames,
    FromProcess,
    Over,
    Part,
    PersonsPart,
    ToProcess,
)
from gym_p2p.hosting.processes import SeatProcess, SeatProcesses
from gym_p2p.hosting.seat import MOST_DEATHS, Seat

GONE = {"phase": "over", "code": "c0de"}


class FakeProcess(SeatProcess):
    """Says what the test has it say, and ends when the test wants."""

    def __init__(self, part: Part, hear: Callable[[FromProcess], None], gone: Callable[[], None]) -> None:
        self.part = part
        self.say, self.end = hear, gone
        self.told: list[ToProcess] = []

    def send(self, message: ToProcess, descriptor: int | None = None) -> None:
        del descriptor
        self.told.append(message)

    def kill(self) -> None:
        self.end()

    async def ending(self) -> str:
        return "exit code -9"

    async def let_go(self) -> None:
        pass


class FakeProcesses(SeatProcesses):
    """Remembers what it has started."""

    def __init__(self) -> None:
        self.started: list[FakeProcess] = []
        self.most: int | None = None

    def start(
        self, first: Any, *, hear: Callable[[FromProcess], None], gone: Callable[[], None]
    ) -> FakeProcess:
        if len(self.started) == self.most:
            raise OSError(errno.EAGAIN, "no process")
        self.started.append(FakeProcess(first, hear, gone))
        return self.started[-1]

    def close(self) -> None:
        pass


@attrs.define
class Scene:
    hall: Hall
    processes: FakeProcesses
    lines: list[str]
    spent: dict[str, Mapping[str, Any]]

    def enter(self, code: str) -> Seat | Refuse:
        return self.hall.enter(Link(code=code, token=f"token-of-{code}"))

    def of(self, subject: str) -> list[FakeProcess]:
        """Return the processes of somebody, the oldest first."""
        return [one for one in self.processes.started if one.part.options["subject_id"] == subject]

    def partner_of(self, code: str) -> FakeProcess:
        """Return the program beside somebody."""
        room = self.of(code)[0].part.options["room"]
        return self.of(f"{room}.1")[-1]

    def said(self, pattern: str) -> bool:
        return any(re.fullmatch(pattern, line) for line in self.lines)


def scene(
    *,
    partner: bool = False,
    people: int = 1,
    rejoin_s: float = 30.0,
    cores: int = 1,
    expected: float = 0.4,
    together: int = 1,
) -> Scene:
    lines: list[str] = []
    spent: dict[str, Mapping[str, Any]] = {}
    processes = FakeProcesses()
    options = {"fps": 30.0, "rejoin_timeout_s": rejoin_s}
    setting = Setting(
        part=Part(env="x", env_args={}, options=options, person=PersonsPart(url="")),
        seats=("left", "right", "third")[: people + 1],
        queue=None if partner else "lab",
        people=people,
        policy="random",
        url=lambda link: f"http://x/{link.token}/",
    )
    hall = Hall(
        setting=setting,
        house=House(seats=1, people=people if partner else None),
        capacity=Capacity(cores=cores, fps=30.0, expected=expected, together=together),
        processes=processes,
        say=lines.append,
        spent=spent.__setitem__,
    )
    return Scene(hall, processes, lines, spent)


def played(play: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(play())


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_who_comes_when_seats_cost_too_much_is_asked_to_wait_with_the_reason_and_let_in_later() -> None:
    async def play() -> None:
        one = scene(expected=0.4)  # of one core, of which two thirds are for seats
        assert isinstance(one.enter("a"), Seat)
        assert one.enter("b") == one.enter("b") == Refuse(Why.FULL)
        assert one.lines[1:] == ["b is asked to wait: 1 seat is taken, each takes 40 % of a core"]
        assert len(one.processes.started) == 1
        one.of("a")[0].say(Failed("they left"))
        one.of("a")[0].end()
        assert isinstance(one.enter("b"), Seat)

    played(play)


def test_while_frames_of_those_who_play_come_late_nobody_else_is_let_in() -> None:
    async def play() -> None:
        one = scene(cores=8)
        one.enter("a")
        one.of("a")[0].say(Began("match-1", "left"))
        one.of("a")[0].say(Frames(300, 30))
        assert one.enter("b") == Refuse(Why.FULL)
        assert one.said("b is asked to wait: .* their frames come late.*")
        one.of("a")[0].say(Frames(9000, 0))
        assert isinstance(one.enter("b"), Seat)

    played(play)


def test_frames_of_a_match_that_is_over_keep_nobody_waiting_while_its_documents_are_written() -> None:
    async def play() -> None:
        one = scene(cores=8)
        one.enter("a")
        one.of("a")[0].say(Began("match-1", "left"))
        one.of("a")[0].say(Frames(300, 30))
        assert one.enter("b") == Refuse(Why.FULL)
        one.of("a")[0].say(Over(GONE))
        assert isinstance(one.enter("b"), Seat)

    played(play)


def test_half_of_those_who_come_at_once_wait_until_it_is_measured_what_a_seat_costs() -> None:
    async def play() -> None:
        one = scene(cores=4, together=2)  # room for six
        assert all(isinstance(one.enter(code), Seat) for code in "abcd")
        assert one.enter("e") == Refuse(Why.FULL)
        assert one.said("e is asked to wait: 4 seats are taken, and it is being measured what each costs")

    played(play)


def test_nobody_else_is_let_into_a_room_whose_program_could_not_be_started() -> None:
    async def play() -> None:
        one = scene(partner=True, people=2, cores=8)
        one.processes.most = 1
        with pytest.raises(OSError, match="no process"):
            one.enter("a")
        one.processes.most = None
        assert isinstance(one.enter("b"), Seat)
        assert one.of("a")[0].part.options["room"] != one.of("b")[0].part.options["room"]
        assert End() in one.of("a")[0].told

    played(play)


@pytest.mark.parametrize("begun", [False, True], ids=["waiting", "playing"])
def test_a_process_that_dies_is_started_again_and_its_page_finds_it_where_it_was(*, begun: bool) -> None:
    async def play() -> None:
        one = scene()
        seat = one.enter("a")
        assert isinstance(seat, Seat)
        if begun:
            one.of("a")[0].say(Began("match-1", "left"))
        one.of("a")[0].end()
        await settled()
        assert one.said(r"a: the seat's process has died \(exit code -9\); it is started again")
        assert one.enter("a") is seat
        first, second = one.of("a")
        assert first.part == second.part
        seat.visit(b"GET", 1)
        assert len(second.told) == 1
        assert not seat.ended.is_set()
        second.say(Began("match-1", "left"))
        second.say(Over(GONE))
        second.say(Ended(ending="done", problems=[]))
        second.end()
        assert one.spent == {"a": GONE}
        assert one.enter("a") == Refuse(Why.OVER, GONE)

    played(play)


def test_a_process_that_dies_again_and_again_stays_dead_and_spends_no_link() -> None:
    async def play() -> None:
        one = scene()
        one.enter("a")
        for _ in range(MOST_DEATHS):
            one.of("a")[-1].say(Began("match-1", "left"))
            one.of("a")[-1].end()
            await settled()
        assert len(one.of("a")) == MOST_DEATHS
        assert one.lines[-1] == "a: the seat's process has died (exit code -9)"
        assert one.spent == {}
        assert one.enter("a") == Refuse(Why.CRASHED, {"phase": "over", "again": True})
        assert isinstance(one.enter("a"), Seat)

    played(play)


def test_a_process_that_dies_after_its_page_was_told_the_end_is_not_started_again() -> None:
    async def play() -> None:
        one = scene()
        one.enter("a")
        one.of("a")[0].say(Began("match-1", "left"))
        one.of("a")[0].say(Over(GONE))
        one.of("a")[0].end()
        await settled()
        assert len(one.of("a")) == 1
        assert one.lines[-1] == "a: the seat's process has died (exit code -9)"
        assert one.enter("a") == Refuse(Why.CRASHED, {"phase": "over", "again": True})

    played(play)


def test_where_nobody_waits_for_who_died_none_is_started_again() -> None:
    async def play() -> None:
        one = scene(rejoin_s=0.0)
        one.enter("a")
        one.of("a")[0].end()
        await settled()
        assert len(one.of("a")) == 1
        assert one.enter("a") == Refuse(Why.CRASHED, {"phase": "over", "again": True})

    played(play)


def test_a_program_that_dies_is_started_again_too_and_one_that_fails_is_not() -> None:
    async def play() -> None:
        one = scene(partner=True)
        one.enter("a")
        one.partner_of("a").end()
        await settled()
        assert one.lines[-1].endswith("has died (exit code -9); it is started again")
        assert len(one.processes.started) == 3
        one.partner_of("a").say(Failed("no such move"))
        one.partner_of("a").end()
        await settled()
        assert len(one.processes.started) == 3
        assert one.said("room.1.1: the program failed: no such move")
        assert one.of("a")[0].told == [End()]  # nobody will come

    played(play)


@pytest.mark.parametrize("begun", [False, True], ids=["waiting", "playing"])
def test_who_failed_in_the_middle_of_a_match_is_not_said_to_have_played_none(*, begun: bool) -> None:
    async def play() -> None:
        one = scene()
        one.enter("a")
        person = one.of("a")[0]
        if begun:
            person.say(Began("match-1", "left"))
        person.say(Failed("no such move"))
        person.end()
        good = "a played until it failed (the link is still good): no such move"
        assert one.lines[-1] == (good if begun else "a did not play: no such move")
        assert isinstance(one.enter("a"), Seat)

    played(play)


def test_a_process_that_dies_for_its_network_process_is_started_again_and_the_host_says_why() -> None:
    async def play() -> None:
        one = scene(partner=True)
        one.enter("a")
        one.partner_of("a").say(Dying("its network process has ended"))
        one.partner_of("a").end()
        await settled()
        assert one.said(
            r"room.1.1: the seat's process has died \(its network process has ended\); it is started again"
        )
        one.partner_of("a").end()
        await settled()
        assert one.said(r"room.1.1: the seat's process has died \(exit code -9\); it is started again")
        assert len(one.of(one.partner_of("a").part.options["subject_id"])) == 3

    played(play)


def test_a_program_without_its_network_is_told() -> None:
    async def play() -> None:
        one = scene(partner=True)
        one.enter("a")
        one.partner_of("a").say(Ended(ending="network_failed", problems=[], spends=False))
        assert one.lines[-1] == "room.1.1: the program's network process has ended"

    played(play)


def test_a_match_that_a_program_broke_off_leaves_the_link_good() -> None:
    async def play() -> None:
        one = scene(partner=True)
        one.enter("a")
        person = one.of("a")[0]
        person.say(Began("match-1", "left"))
        person.say(Over(GONE))
        person.say(Ended(ending="peer_left", problems=[], spends=False))
        person.end()
        assert one.said(r"a has played: peer_left \(the link is still good\)")
        assert one.spent == {}
        assert one.partner_of("a").told == [End()]
        assert isinstance(one.enter("a"), Seat)

    played(play)


@pytest.mark.parametrize("again", [True, False])
def test_who_tries_again_has_a_seat_as_soon_as_the_match_before_is_written(*, again: bool) -> None:
    async def play() -> None:
        one = scene()
        link = Link(code="a", token="token-of-a")  # noqa: S106 - nobody's
        await one.hall.until_free(link)
        one.enter("a")
        person = one.of("a")[0]
        person.say(Began("match-1", "left"))
        person.say(Over({**GONE, "again": again}))
        coming = asyncio.create_task(one.hall.until_free(link))
        await settled()
        assert coming.done() == (not again)
        person.say(Ended(ending="environment_failed", problems=[], spends=False))
        person.end()
        await coming
        assert isinstance(one.enter("a"), Seat)

    played(play)


def test_a_hall_that_closes_starts_nothing_again() -> None:
    async def play() -> None:
        one = scene(partner=True)
        one.enter("a")
        closing = asyncio.create_task(one.hall.close())
        await settled()
        processes = list(one.processes.started)
        assert [process.told for process in processes] == [[End(closing=True)], [End(closing=True)]]
        for process in processes:
            process.end()
        await closing
        assert one.processes.started == processes

    played(play)
