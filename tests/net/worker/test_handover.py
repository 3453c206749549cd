"""The two threads of a player hand each other commands and events."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from gym_p2p.net.loop import run_loop
from gym_p2p.net.worker.handover import Handover
from gym_p2p.processes.threads import OwnThread
from tests.waiting import in_time, until

LONG_S = 20.0


class _LoopThread:
    """An event loop in a thread, at which a handover is attached."""

    def __init__(self, handover: Handover[object, object], carry_out: Callable[[object], None]) -> None:
        self._handover, self._carry_out = handover, carry_out
        self.began = threading.Event()
        self.errors: list[str] = []
        self._thread = OwnThread(target=lambda: run_loop(self._main()), name="loop", daemon=True)
        self._thread.start()
        assert self.began.wait(LONG_S)

    async def _main(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: self.errors.append(str(context["exception"])))
        self._handover.attach(loop, self._carry_out)
        self._loop, self._over = loop, asyncio.Event()
        self.began.set()
        await self._over.wait()
        self._handover.detach()

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(LONG_S)
        assert not self._thread.is_alive()


@pytest.fixture
def handover() -> Iterator[Handover[object, object]]:
    made: Handover[object, object] = Handover()
    yield made
    made.close()


@contextlib.contextmanager
def at_loop(handover: Handover[object, object], carry_out: Callable[[object], None]) -> Iterator[_LoopThread]:
    thread = _LoopThread(handover, carry_out)
    try:
        yield thread
    finally:
        thread.end()


def test_commands_and_their_answers_come_in_order(handover: Handover[object, object]) -> None:
    taken = []
    with at_loop(handover, handover.put):
        for number in range(2_000):
            handover.give(number)
            if number % 3:  # so that now and then more than one is under way
                taken.append(handover.take(LONG_S))
        taken += [handover.take(LONG_S) for _ in range(2_000 - len(taken))]
        assert handover.take(0) is None
    assert taken == list(range(2_000))


def test_what_is_given_before_the_loop_runs_is_carried_out_first(handover: Handover[object, object]) -> None:
    handover.give("early")
    with at_loop(handover, handover.put):
        handover.give("late")
        assert [handover.take(LONG_S), handover.take(LONG_S)] == ["early", "late"]


def test_many_threads_give_and_nothing_is_lost(handover: Handover[object, object]) -> None:
    threads, each = 4, 500

    def give_all(thread: int) -> None:
        for number in range(each):
            handover.give((thread, number))

    with at_loop(handover, handover.put):
        givers = [threading.Thread(target=give_all, args=(thread,)) for thread in range(threads)]
        for giver in givers:
            giver.start()
        taken = [handover.take(LONG_S) for _ in range(threads * each)]
        for giver in givers:
            giver.join(LONG_S)
    for thread in range(threads):
        assert [one for one in taken if isinstance(one, tuple) and one[0] == thread] == [
            (thread, number) for number in range(each)
        ]


def test_a_command_that_fails_costs_those_behind_it_nothing(handover: Handover[object, object]) -> None:
    def carry_out(command: object) -> None:
        if command == "bad":
            raise ValueError("a bad command")
        handover.put(command)

    for command in ("one", "bad", "bad", "two"):
        handover.give(command)
    with at_loop(handover, carry_out) as thread:
        assert [handover.take(LONG_S), handover.take(LONG_S)] == ["one", "two"]
        handover.give("three")
        assert handover.take(LONG_S) == "three"
    assert thread.errors == ["a bad command"] * 2


def test_a_wait_without_an_event_ends_in_time(handover: Handover[object, object]) -> None:
    began = time.monotonic()
    assert handover.take(0.1) is None
    assert handover.take(0) is None
    with in_time():
        assert 0.09 <= time.monotonic() - began < 2.0


def test_a_wake_up_that_comes_late_neither_ends_a_wait_nor_begins_it_anew_nor_costs_the_next_one(
    handover: Handover[object, object],
) -> None:
    began = time.monotonic()
    late = threading.Timer(0.4, handover._wake, args=(handover._loop_end,))  # as of an event that was taken
    late.start()
    assert handover.take(0.5) is None
    with in_time():
        assert 0.49 <= time.monotonic() - began < 0.8
    late.join(LONG_S)
    handover._wake(handover._loop_end)
    following = threading.Timer(0.1, handover.put, args=("what follows",))
    following.start()
    began = time.monotonic()
    assert handover.take(LONG_S) == "what follows"
    with in_time():
        assert time.monotonic() - began < 2.0
    following.join(LONG_S)


@pytest.mark.parametrize("sent", [True, False])
def test_an_interrupt_while_a_command_is_given_leaves_nobody_deaf(
    handover: Handover[object, object], monkeypatch: pytest.MonkeyPatch, *, sent: bool
) -> None:
    wake = handover._wake

    def interrupted(end: socket.socket) -> None:
        if sent:
            wake(end)
        raise KeyboardInterrupt

    with at_loop(handover, handover.put):
        handover.give("first")
        assert handover.take(LONG_S) == "first"
        until(lambda: handover._loop_waits)
        with monkeypatch.context() as patched:
            patched.setattr(handover, "_wake", interrupted)
            with pytest.raises(KeyboardInterrupt):
                handover.give("interrupted")
        handover.give("goodbye")
        assert [handover.take(LONG_S), handover.take(LONG_S)] == ["interrupted", "goodbye"]


def test_signals_that_come_again_and_again_do_not_make_a_wait_longer(
    handover: Handover[object, object],
) -> None:
    before = signal.signal(signal.SIGALRM, lambda _number, _frame: None)
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    try:
        began = time.monotonic()
        assert handover.take(0.3) is None
        with in_time():
            assert 0.29 <= time.monotonic() - began < 2.0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def test_an_event_ends_a_wait_at_once(handover: Handover[object, object]) -> None:
    handover.put("here already")
    assert handover.take(0) == "here already"
    later = threading.Timer(0.1, handover.put, args=("came",))
    later.start()
    began = time.monotonic()
    assert handover.take(LONG_S) == "came"
    with in_time():
        assert time.monotonic() - began < 2.0
    later.join(LONG_S)


def test_the_end_of_the_loop_and_closing_are_quiet(handover: Handover[object, object]) -> None:
    carried_out: list[object] = []
    with at_loop(handover, carried_out.append):
        handover.give("seen")
        until(lambda: carried_out == ["seen"])
    for number in range(5_000):  # more than the sockets hold wake-ups
        handover.give(number)
    handover.put("the last word")
    assert handover.take(LONG_S) == "the last word"
    handover.close()
    handover.close()
    handover.give("nobody is there")
    handover.put("nor here")
    assert carried_out == ["seen"]


def test_closing_leaves_no_descriptor_and_a_fork_has_none() -> None:
    handover: Handover[object, object] = Handover()
    ends = {end.fileno() for end in (handover._user_end, handover._loop_end)}
    with at_loop(handover, handover.put):
        child = os.fork()
        if child == 0:
            began, used_s = time.monotonic(), time.process_time()
            still_open = sum(map(_is_open, ends))
            waited = handover.take(0.3) is None and time.monotonic() - began >= 0.29
            os._exit(still_open + 10 * (not waited) + 20 * (time.process_time() - used_s > 0.2))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert all(map(_is_open, ends))
    handover.close()
    assert not any(map(_is_open, ends))


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
