"""The network process's end of the line to the user's half."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from gym_p2p.core.match.commands import GiveInput
from gym_p2p.core.match.events import InputsArrived, Pinged
from gym_p2p.net.loop import run_loop
from gym_p2p.net.worker.child import WAITING_BYTES, _Pipe
from gym_p2p.net.worker.messages import StampedEvent, Surroundings, WorkerStopped
from gym_p2p.net.worker.pipe import FrameReader, pack
from tests.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from gym_p2p.net.worker.worker import NetworkWorker


def test_nothing_is_written_once_it_has_hung_up() -> None:
    users, networks = socket.socketpair()

    async def main() -> None:
        _, pipe = await asyncio.get_running_loop().create_connection(_Pipe, sock=networks)
        pipe.emit((1, WorkerStopped()))
        pipe.owner_ended()
        pipe.emit((2, WorkerStopped()))
        await asyncio.wait_for(pipe._closed.wait(), PATIENCE_S)
        pipe.emit((3, WorkerStopped()))

    run_loop(main())
    with users:
        users.settimeout(PATIENCE_S)
        said = b""
        while piece := users.recv(1000):
            said += piece
    assert said == pack((1, WorkerStopped()))


def test_it_stays_awake_for_the_next_input(monkeypatch: pytest.MonkeyPatch) -> None:
    users, networks = socket.socketpair()
    given: list[GiveInput] = []
    offered: list[int] = []
    monkeypatch.setattr(os, "sched_yield", lambda: offered.append(len(given)))

    class Worker:
        command = given.append

    async def main() -> None:
        _, pipe = await asyncio.get_running_loop().create_connection(_Pipe, sock=networks)
        pipe._worker = cast("NetworkWorker", Worker)
        users.send(pack(GiveInput(0, b"a")))
        await eventually(lambda: 1 in offered)

    with users:
        run_loop(main())
    assert 0 not in offered


def test_what_a_busy_program_has_not_read_is_kept_and_comes_whole_and_in_order() -> None:
    users, networks = socket.socketpair()
    sizes = [1_000_000, *[600] * 1_999]  # of the first, a part is written at once
    sent: list[StampedEvent] = [(n, InputsArrived(1, n, (bytes(size),), n)) for n, size in enumerate(sizes)]
    came: list[StampedEvent] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        _, pipe = await loop.create_connection(_Pipe, sock=networks)
        for event in sent[:1_500]:
            pipe.emit(event)
        assert pipe._transport is not None
        assert pipe._transport.get_write_buffer_size() > 0  # the line takes no more
        users.setblocking(False)  # noqa: FBT003 - the signature is the standard library's
        reader = FrameReader()
        for event in sent[1_500:]:
            pipe.emit(event)
            came.extend(reader.feed(await loop.sock_recv(users, 3_000)))
        await asyncio.gather(pipe.finish(), read_on(reader))

    async def read_on(reader: FrameReader) -> None:
        while data := await asyncio.get_running_loop().sock_recv(users, 100_000):
            came.extend(reader.feed(data))

    with users:
        run_loop(main())
    assert came == sent


def test_what_is_measured_while_the_program_stands_still_is_bounded_and_all_else_is_kept() -> None:
    users, networks = socket.socketpair()
    pinged = Pinged(1, 20.0, None)
    bulk: StampedEvent = (0, InputsArrived(1, 0, (bytes(200_000),), 0))

    async def main() -> None:
        _, pipe = await asyncio.get_running_loop().create_connection(_Pipe, sock=networks)
        transport = pipe._transport
        assert transport is not None
        for _ in range(1 + WAITING_BYTES // 100_000):
            pipe.emit(bulk)
        before = transport.get_write_buffer_size()
        assert before > WAITING_BYTES
        for number in range(10_000):
            pipe.emit((number, pinged))
        assert transport.get_write_buffer_size() == before
        pipe.emit(bulk)
        assert transport.get_write_buffer_size() > before
        pipe.owner_ended()

    with users:
        run_loop(main())


def test_it_takes_on_the_variables_and_the_folder_of_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users, networks = socket.socketpair()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GYM_P2P_KEPT", "as it was")
    monkeypatch.setenv("GYM_P2P_SET_SINCE", "now")
    surroundings = Surroundings.of_this_process()
    monkeypatch.chdir("/")
    monkeypatch.delenv("GYM_P2P_SET_SINCE")
    monkeypatch.setenv("GYM_P2P_DELETED_SINCE", "before")

    async def main() -> None:
        _, pipe = await asyncio.get_running_loop().create_connection(_Pipe, sock=networks)
        users.sendall(pack(surroundings))
        await eventually(lambda: "GYM_P2P_SET_SINCE" in os.environ)
        assert dict(os.environ) == surroundings.environment
        assert Path.cwd() == tmp_path
        pipe.owner_ended()

    with users:
        run_loop(main())
