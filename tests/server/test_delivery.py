"""A host's function that does not return: it keeps few threads, and loses no document."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import socketio

from gym_p2p.core.wire.seats import SeatId
from gym_p2p.server import outbox as outbox_module
from gym_p2p.server.delivery import AsyncDelivery, SyncDelivery
from gym_p2p.server.document_calls import CALLS_OF_ONE, MOST_CALLS
from gym_p2p.server.outbox import Outbox, Waiting
from tests.server.documents import store_documents
from tests.waiting import PATIENCE_S, until


@pytest.fixture(autouse=True)
def _tries_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(outbox_module, "_LONGEST_PAUSE_S", 0.02)


class Hanging:
    """A host's function that returns when it is let go."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.may_return = threading.Event()
        self.raises = False
        self.got: list[Any] = []

    def __call__(self, _match: str, player: Any, *_rest: Any) -> None:
        self.calls.append(player)
        self.may_return.wait(PATIENCE_S)
        if self.raises:
            raise RuntimeError("the database is gone")
        self.got.append(player)


def failures(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> list[SeatId]:
    """Return whose documents could not be handed over, each time, from now on."""
    tried: list[SeatId] = []
    failed = outbox.failed

    def note(waiting: Waiting, now: float) -> float:
        tried.append(waiting.marker.player_id)
        return failed(waiting, now)

    monkeypatch.setattr(outbox, "failed", note)
    return tried


@contextlib.contextmanager
def delivering(
    outbox: Outbox, host: Callable[..., Any], *, is_async: bool, timeout_s: float = 0.02
) -> Iterator[None]:
    """Have documents handed over, on an event loop or without; a call is given up after so long."""
    if not is_async:
        server = socketio.Server(async_mode="threading")
        tasks, event = server.start_background_task, server.eio.create_event
        sync = SyncDelivery(
            outbox, host, start_background_task=tasks, create_event=event, timeout_s=timeout_s
        )
        sync.start()
        try:
            yield
        finally:
            sync.stop()
        return
    ended = threading.Event()

    async def story() -> None:
        delivery = AsyncDelivery(outbox, host, timeout_s=timeout_s)
        delivery.start()
        await asyncio.to_thread(ended.wait, PATIENCE_S)
        await delivery.stop()

    thread = threading.Thread(target=lambda: asyncio.run(story()))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(PATIENCE_S)


@pytest.mark.parametrize("is_async", [True, False])
def test_one_that_never_returns_keeps_few_threads_and_its_document_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, *, is_async: bool
) -> None:
    host, outbox = Hanging(), Outbox(tmp_path)
    tried = failures(outbox, monkeypatch)
    store_documents(tmp_path, outbox, "a")
    with delivering(outbox, host, is_async=is_async):
        until(lambda: len(tried) > 2 * CALLS_OF_ONE + 2)
        assert host.calls == ["a"] * CALLS_OF_ONE
        assert list((tmp_path / ".undelivered").iterdir())
        assert caplog.text.count("on_document is not called any more for the session document of 'a'") == 1
        host.may_return.set()
        until(lambda: not list((tmp_path / ".undelivered").iterdir()))
    until(lambda: host.got == ["a"] * CALLS_OF_ONE)  # the calls return each in its own time
    assert outbox.next(float("inf")) is None, "what was taken late is not handed over again"


@pytest.mark.parametrize("is_async", [True, False])
def test_one_that_fails_late_is_called_again(tmp_path: Path, *, is_async: bool) -> None:
    host, outbox = Hanging(), Outbox(tmp_path)
    host.raises = True
    store_documents(tmp_path, outbox, "a")
    with delivering(outbox, host, is_async=is_async):
        until(lambda: len(host.calls) == CALLS_OF_ONE)
        host.may_return.set()
        until(lambda: len(host.calls) > CALLS_OF_ONE)
        host.raises = False
        until(lambda: not list((tmp_path / ".undelivered").iterdir()))


@pytest.mark.parametrize("is_async", [True, False])
def test_one_that_returns_for_no_document_keeps_a_bounded_number_of_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_async: bool
) -> None:
    host, outbox = Hanging(), Outbox(tmp_path)
    players = {f"player{number}" for number in range(MOST_CALLS + 4)}
    tried = failures(outbox, monkeypatch)
    store_documents(tmp_path, outbox, players)
    with delivering(outbox, host, is_async=is_async):
        until(lambda: set(tried) == players)
        assert len(host.calls) == MOST_CALLS
        host.may_return.set()
        until(lambda: not list((tmp_path / ".undelivered").iterdir()))
    assert set(host.got) == players


def test_a_document_that_is_long_in_being_read_leaves_its_function_the_time_that_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one of a storage at the other end of a line is."""
    outbox, got = Outbox(tmp_path), list[Any]()
    arguments = Waiting.arguments
    store_documents(tmp_path, outbox, "a")

    def slowly(waiting: Waiting) -> Any:
        time.sleep(0.1)
        return arguments(waiting)

    async def take(_match: str, player: Any, *_rest: Any) -> None:
        await asyncio.sleep(0)
        got.append(player)

    monkeypatch.setattr(Waiting, "arguments", slowly)
    with delivering(outbox, take, is_async=True):
        until(lambda: bool(got))


@pytest.mark.parametrize("is_async", [True, False])
def test_where_no_thread_can_be_started_there_is_no_call_that_could_have_returned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_async: bool
) -> None:
    outbox, got = Outbox(tmp_path), list[Any]()
    refusals, start = iter(range(CALLS_OF_ONE + 1)), threading.Thread.start
    store_documents(tmp_path, outbox, "a")

    def refuse_some(thread: threading.Thread) -> None:
        if thread._target.__name__ == "work" and next(refusals, None) is not None:  # type: ignore[attr-defined]  # what it is to call
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse_some)

    def take(*document: Any) -> None:
        got.append(document[1])

    with delivering(outbox, take, is_async=is_async, timeout_s=PATIENCE_S):
        until(lambda: not list((tmp_path / ".undelivered").iterdir()))
    assert got == ["a"]
    assert next(refusals, None) is None, "no thread was refused"
