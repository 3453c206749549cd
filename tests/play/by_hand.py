"""A player whose network half is moved by hand: in the same thread, at the other end of the real pipe.

Whatever the user's half gives is carried out at once by a match machine, and answered by another one, who is
the peer. So a step is the same calls every time, and they can be counted.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from gym_p2p.core.api.rooms import JoinAck, MatchFound, MatchPlayer
from gym_p2p.core.match.commands import BeginEpisode, Command, GiveChecksum, GiveInput, Leave
from gym_p2p.core.match.events import Event
from gym_p2p.core.match.match import Match, Transmit
from gym_p2p.net.links.driver import Driver, Timer
from gym_p2p.net.links.transport import Channel, LinkState
from gym_p2p.net.worker import backends, process_bridge
from gym_p2p.net.worker.messages import PlayerPlan, WorkerEvent, WorkerStopped
from gym_p2p.net.worker.pipe import FrameReader, pack

__all__ = ["Calls", "NetworkByHand", "network_by_hand"]


class Calls:
    """Counts the calls of one part of the program: of Python's functions by file and name, of C's by name."""

    def __init__(self) -> None:
        self.python: Counter[tuple[str, str]] = Counter()
        self.native: Counter[str] = Counter()

    def of(self, file: str, name: str) -> int:
        """Return how often a function was called, by the end of its file's path."""
        return sum(n for (path, called), n in self.python.items() if called == name and path.endswith(file))

    def _note(self, frame: Any, event: str, argument: Any) -> None:
        if event == "call":
            self.python[frame.f_code.co_filename, frame.f_code.co_name] += 1
        elif event == "c_call":
            self.native[getattr(argument, "__qualname__", str(argument))] += 1

    def __enter__(self) -> None:
        sys.setprofile(self._note)

    def __exit__(self, *_error: object) -> None:
        sys.setprofile(None)


class _Never:
    """A timer that does not run."""

    def cancel(self) -> None: ...


class _Clock:
    """Time that nobody waits for: what is done later is not part of a step.

    It goes on by as much with every look, so that a machine which stands still makes nothing due.
    """

    def __init__(self) -> None:
        # No function of Python's, which would be counted.
        self.time: Callable[[], float] = partial(next, itertools.count(time.monotonic(), 1e-5))

    def call_at(self, _when: float, _callback: Any, /) -> Timer:
        return _Never()


class _Link:
    state = LinkState.OPEN
    binding = b""

    def __init__(self) -> None:
        self.sent: deque[tuple[Channel, bytes]] = deque()

    def send(self, channel: Channel, data: bytes | str) -> bool:
        assert isinstance(data, bytes)
        self.sent.append((channel, data))
        return True

    async def close(self) -> None: ...


class _Process:
    """What stands for the process at the other end."""

    def has_ended(self, timeout_s: float = 0.0) -> bool:
        return timeout_s > 0

    def close(self) -> None: ...


class NetworkByHand:
    """One player's network half, the first of two, and their peer: moved by one thread at a time.

    Attributes:
        given: counts what a command costs here, from the pipe to the link.
        arrived: counts what a message costs here, from the link to the pipe.
        messages: how many on the game channel the player sent, and was sent.
        dark: whether the path to the peer carries nothing now; what is sent arrives later.
    """

    def __init__(self, theirs: socket.socket) -> None:
        self.given: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
        self.arrived: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
        self.messages = [0, 0]
        self.dark = False
        self._theirs = theirs
        self._reader = FrameReader()
        self._link = _Link()
        self._moved = threading.Lock()

    def turn(self) -> None:
        """Carry out what was given, and bring both matches to rest."""
        with self._moved:
            self._turn()

    def _turn(self) -> None:
        for value in self._reader.feed(self._theirs.recv(1 << 20)):
            if isinstance(value, PlayerPlan):
                self._begin(value)
            elif isinstance(value, Command):
                with self.given:
                    self._driver.command(value)
                self._peer_does(value)
                if isinstance(value, Leave):
                    self.tell(WorkerStopped())
        self._settle()

    def _begin(self, plan: PlayerPlan) -> None:
        mine = plan.seats[0]
        players = [
            MatchPlayer(player_id=s, subject_id=f"of {s}", seats=(s,), client=None) for s in plan.seats
        ]
        match, self._peer = (
            Match(
                local=index,
                players=2,
                description=plan.description,
                match_seed=1,
                sync=plan.config.sync,
                secret=bytes([index]),
            )
            for index in (0, 1)
        )
        self._driver = Driver(match, clock=_Clock(), emit=self.tell)
        self.tell(JoinAck(room="by-hand", player_id=mine, seats_taken=(mine,), seats_free=()))
        found = MatchFound(
            match_id="by-hand",
            room="by-hand",
            player_id=mine,
            seats_taken=(mine,),
            players=tuple(players),
            seed=1,
            ice_servers=(),
            relay_only=False,
            token="by-hand",  # noqa: S106 - nothing is uploaded
            uploads=False,
        )
        self.tell(found)
        self._driver.attach(1, self._link)
        self._peer.opened(0, time.monotonic())

    def tell(self, event: WorkerEvent | Event) -> None:
        """Tell the user's half of something."""
        self._theirs.send(pack((time.time_ns() // 1_000_000, event)))

    def _peer_does(self, command: Any) -> None:
        """Let the peer do what the player did."""
        if isinstance(command, GiveInput | GiveChecksum | BeginEpisode):
            self._peer.command(command, time.monotonic())

    def brighten(self) -> None:
        """Let the path carry again, and all that was sent meanwhile arrive, and be acknowledged."""
        with self._moved:
            self.dark = False
            self._settle()
            self._peer.next_timeout()
            self._peer.handle_timeout(time.monotonic() + 0.3)  # when it would repeat what was not
            self._settle()

    def _settle(self) -> None:
        while not self.dark and (self._link.sent or self._receive()):
            while self._link.sent:
                channel, data = self._link.sent.popleft()
                self.messages[0] += channel is Channel.GAME
                self._peer.receive(0, data, time.monotonic())

    def _receive(self) -> bool:
        """Hand the player what the peer sent; return whether it was something."""
        received = False
        while (output := self._peer.poll()) is not None:
            if isinstance(output, Transmit):
                received = True
                self.messages[1] += output.channel is Channel.GAME
                with self.arrived:
                    self._driver.message(1, output.data)
        return received


class _Line:
    """The user's end of the pipe; behind it the network half moves whenever something was sent."""

    def __init__(self, ours: socket.socket, network: NetworkByHand) -> None:
        self._socket = ours
        self._network = network
        self.recv = ours.recv
        self.settimeout = ours.settimeout
        self.setsockopt = ours.setsockopt
        self.fileno = ours.fileno
        self.close = ours.close

    def send(self, data: bytes, flags: int = 0) -> int:
        sent = self._socket.send(data, flags)
        counting = sys.getprofile()
        sys.setprofile(None)
        self._network.turn()
        sys.setprofile(counting)
        return sent


@contextlib.contextmanager
def network_by_hand(patch: pytest.MonkeyPatch) -> Iterator[NetworkByHand]:
    """Let the next network process be moved by hand."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        network = NetworkByHand(theirs)
        patch.setattr(backends, "prepare_process", lambda: None)
        patch.setattr(process_bridge, "take_process", lambda: (_Line(ours, network), _Process()))
        yield network
