from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from gym_p2p.core.api.queues import Verdict
from gym_p2p.core.matchmaking.commands import ProposedMatch
from gym_p2p.server.handlers.hooks import MAX_THREADS, HookCaller
from tests.waiting import PATIENCE_S

PROPOSED = ProposedMatch("lab", 1, (), ())


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    for thread in threading.enumerate():
        if thread.name == "gym_p2p pre-match hook":
            thread.join(PATIENCE_S)
            assert not thread.is_alive()


def ask(hook: Callable[[ProposedMatch], object], *, timeout_s: float = 5.0) -> tuple[Verdict, str]:
    return asyncio.run(HookCaller(hook, timeout_s).decide(PROPOSED))


async def agrees(proposed: ProposedMatch) -> bool:
    await asyncio.sleep(0)
    return proposed.queue == "lab"


def agrees_later(proposed: ProposedMatch) -> object:
    return agrees(proposed)


class Agreeable:
    async def __call__(self, proposed: ProposedMatch) -> bool:
        return await agrees(proposed)


@pytest.mark.parametrize(
    "hook", [agrees, Agreeable(), agrees_later, lambda _match: np.bool_(1), lambda _match: "accept"]
)
def test_a_hook_may_be_any_callable_async_or_not(hook: Callable[[ProposedMatch], object]) -> None:
    assert ask(hook) == (Verdict.ACCEPT, "hook")


def raises(error: BaseException) -> Callable[[ProposedMatch], object]:
    def hook(_match: ProposedMatch) -> object:
        raise error

    return hook


@pytest.mark.parametrize(
    "hook",
    [
        raises(RuntimeError("no idea")),
        raises(TimeoutError("of its own")),
        raises(StopIteration()),
        raises(SystemExit(3)),
        lambda _match: None,
        lambda _match: "maybe",
        lambda _match: np.zeros(2),
    ],
)
def test_a_hook_that_raises_or_answers_nonsense_has_rejected(hook: Callable[[ProposedMatch], object]) -> None:
    assert ask(hook) == (Verdict.REJECT, "hook_raised")


def test_what_is_no_verdict_is_an_error_in_the_operators_log(caplog: pytest.LogCaptureFixture) -> None:
    ask(lambda _match: "maybe")
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert "'maybe'" in record.getMessage()


def test_a_hook_that_sleeps_has_rejected_in_time_and_holds_nobody_up() -> None:
    released, turns = threading.Event(), 0

    async def turn() -> tuple[Verdict, str]:
        nonlocal turns
        caller = HookCaller(lambda _match: released.wait(2 * PATIENCE_S), 0.3)
        asking = asyncio.create_task(caller.decide(PROPOSED))
        while not asking.done():
            await asyncio.sleep(0.01)
            turns += 1
        return await asking

    try:
        assert asyncio.run(asyncio.wait_for(turn(), PATIENCE_S)) == (Verdict.REJECT, "hook_timeout")
        assert turns > 1
    finally:
        released.set()


def test_hooks_that_never_return_do_not_pile_up() -> None:
    released = threading.Event()

    async def ask_often() -> list[str]:
        caller = HookCaller(lambda _match: released.wait(20.0), 0.2)
        answers = await asyncio.gather(*(caller.decide(PROPOSED) for _ in range(MAX_THREADS + 3)))
        return [reason for _verdict, reason in answers]

    try:
        reasons = asyncio.run(ask_often())
    finally:
        released.set()
    assert reasons.count("hook_timeout") == MAX_THREADS
    assert reasons.count("hook_busy") == 3
