"""Functions that wait, called from an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from gym_p2p.server.thread_calls import call_on_thread
from tests.waiting import PATIENCE_S


def call(function: Callable[[], object]) -> object:
    async def bounded() -> object:
        async with asyncio.timeout(PATIENCE_S):
            return await call_on_thread(function, name="of a test")

    return asyncio.run(bounded())


def test_it_returns_what_the_function_does_on_a_thread_of_its_own() -> None:
    assert call(threading.get_ident) != threading.get_ident()


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (ValueError("no"), "no"),
        (StopIteration(), "StopIteration"),
        (SystemExit(3), "SystemExit"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (asyncio.CancelledError(), "CancelledError"),
    ],
)
def test_whatever_the_function_raises_is_told_and_neither_ends_the_loop_nor_cancels_the_caller(
    raised: BaseException, told: str
) -> None:
    def function() -> None:
        raise raised

    with pytest.raises((ValueError, RuntimeError)) as error:
        call(function)
    assert told in str(error.value)


def test_a_caller_that_gives_up_leaves_the_function_to_itself() -> None:
    asked, released = threading.Event(), threading.Event()

    def function() -> None:
        asked.set()
        released.wait(PATIENCE_S)

    async def give_up() -> None:
        calling = asyncio.create_task(call_on_thread(function, name="of a test"))
        await asyncio.to_thread(asked.wait, PATIENCE_S)
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        assert calling.cancelled()

    asyncio.run(give_up())
    released.set()
    for thread in threading.enumerate():
        if thread.name == "of a test":
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
