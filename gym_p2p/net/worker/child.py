"""The network process: one network half at the end of a socket pair.

Forked by a server that has imported this (:mod:`gym_p2p.net.worker.warm`), or run as a program,
``child FD OWNER``. It ends with its owner, and not at a signal: one that goes to everything that runs (a
service manager's, a terminal's that hangs up) reaches the owner too, who says goodbye through it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
from typing import cast

from gym_p2p.core.match.commands import GiveInput, Leave
from gym_p2p.core.match.events import Pinged
from gym_p2p.core.wire.messages import Cause
from gym_p2p.net.loop import run_loop
from gym_p2p.net.webrtc.rehearsal import rehearse as rehearse_connection
from gym_p2p.net.worker.busy_loop import BusyLoop
from gym_p2p.net.worker.factory import make_worker
from gym_p2p.net.worker.messages import (
    AfterOwner,
    PlayerPlan,
    Polled,
    SpectatorPlan,
    StampedEvent,
    Surroundings,
)
from gym_p2p.net.worker.pipe import FrameReader, pack
from gym_p2p.net.worker.worker import NetworkWorker
from gym_p2p.processes.name import call_this_process
from gym_p2p.processes.owner import SIGNALS_OF_OWNER, Owner
from gym_p2p.processes.owner_watch import OwnerWatch

__all__ = ["main", "rehearse", "run"]

_log = logging.getLogger(__name__)

FLUSH_TIMEOUT_S = 2.0
"""The user's process may be busy or gone; it has this long to take the last events."""

WAITING_BYTES = 4 * 2**20
"""Of events that a user's process which stands still has not taken. Beyond it what is measured again and
again is left out. All else ends by itself: nobody plays without this player, nor waits for them for ever."""

_MEASURED = (Polled, Pinged)

_LOOK_AGAIN_S = 0.05
_LOOKS = 20
"""A process that dies closes its files before it is gone: for so long, at most, a second."""


class _Pipe(asyncio.Protocol):
    """The child's end: a plan first, then commands; the stream's end is the user's half's end."""

    def __init__(self) -> None:
        self.planned: asyncio.Future[NetworkWorker] = asyncio.get_running_loop().create_future()
        self._worker: NetworkWorker | None = None
        self._reader = FrameReader()
        self._busy = BusyLoop(asyncio.get_running_loop())
        self._transport: asyncio.WriteTransport | None = None
        self._closed = asyncio.Event()
        self.after_owner: tuple[str, ...] = ()
        """What runs if the user's process ends without saying so."""

    @property
    def broke_off(self) -> bool:
        """Whether the line was ended from the other side."""
        return self._closed.is_set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's are no subclass of it
        self._fd: int = transport.get_extra_info("socket").fileno()

    def data_received(self, data: bytes) -> None:
        for value in self._reader.feed(data):
            if type(value) is GiveInput and self._worker is not None:  # nearly always; somebody waits for it
                self._worker.command(value)
                self._busy.expect_another()
            elif isinstance(value, PlayerPlan | SpectatorPlan):
                # At once: the next command may have come with it, and it may be to leave.
                self._worker = make_worker(value, self.emit)
                self.planned.set_result(self._worker)
            elif isinstance(value, Surroundings):
                value.take_on()
            elif isinstance(value, AfterOwner):
                self.after_owner = value.command
            elif self._worker is not None:
                self._worker.command(value)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        self._transport = None
        self._closed.set()
        if self._worker is None:
            self.planned.cancel()
        else:
            # The user's process died: the peers need not wait for a time-out to learn of it.
            self._worker.command(Leave("crashed", cause=Cause.CRASHED))

    def owner_ended(self) -> None:
        """Hang up: whoever may hold the other end now, it is not the user's half."""
        if self._transport is not None:
            self._transport.abort()

    def emit(self, stamped: StampedEvent) -> None:
        """Pass on an event."""
        transport = self._transport
        if transport is None or transport.is_closing():  # then its descriptor may be another one's already
            return
        waiting_bytes = transport.get_write_buffer_size()
        if waiting_bytes > WAITING_BYTES and isinstance(stamped[1], _MEASURED):
            return
        frame = pack(stamped)
        if waiting_bytes == 0:
            # At once: uvloop's transport would write when the loop turns, after all else that is to be done.
            try:
                frame = frame[os.write(self._fd, frame) :]
            except OSError as error:
                _log.debug("the transport tries again: %s", error)
        if frame:
            transport.write(frame)

    async def finish(self) -> None:
        """Deliver every event, and close."""
        if self._transport is not None:
            self._transport.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), FLUSH_TIMEOUT_S)


async def _run(fd: int, owner: Owner) -> None:
    loop = asyncio.get_running_loop()
    _, pipe = await loop.create_connection(_Pipe, sock=socket.socket(fileno=fd))
    watch = OwnerWatch(owner, pipe.owner_ended)
    try:
        worker = await pipe.planned
        await worker.run()
        if pipe.broke_off:
            await _run_after_owner(pipe.after_owner, owner)
        await pipe.finish()
    except asyncio.CancelledError:  # the user's half ended before it had planned anything
        return
    finally:
        watch.stop()


async def _run_after_owner(command: tuple[str, ...], owner: Owner) -> None:
    """Start what is to run if the owner is dead; one that has hung up may need a moment to be."""
    for _ in range(_LOOKS if command else 0):
        if owner.has_ended():
            try:
                subprocess.Popen(  # noqa: ASYNC220, S603 - nothing else is to be done; a command of our own
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            except OSError as error:
                _log.warning("what was to run after the user's process could not start: %s", error)
            return
        await asyncio.sleep(_LOOK_AGAIN_S)


def rehearse() -> None:
    """Have loaded all that :func:`run` needs; it starts no thread, and keeps no socket."""
    rehearse_connection()


def run(work: int, owner: Owner) -> None:
    """Run the network half that the owner plans, at the end of this socket."""
    call_this_process("gym_p2p-network")
    run_loop(_run(work, owner))


def main() -> None:
    """Run the network half that the parent process plans."""
    for number in SIGNALS_OF_OWNER:
        signal.signal(number, signal.SIG_IGN)
    run(int(sys.argv[1]), Owner(int(sys.argv[2])))


if __name__ == "__main__":
    main()
