"""The network process's end of the line to the user's half."""

from __future__ import annotations

import asyncio
import socket

from gym_p2p.net.loop import run_loop
from gym_p2p.net.worker.child import _Pipe
from gym_p2p.net.worker.messages import WorkerStopped
from gym_p2p.net.worker.pipe import pack
from tests.waiting import PATIENCE_S


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
