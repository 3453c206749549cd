"""What the host of seats and the process of one seat tell each other, and how it travels.

A message is four bytes of length and JSON, on a socket pair; a descriptor may come with it (SCM_RIGHTS,
unix(7)). Both ends are ours. Refuses to know what is done with any of it.
"""

from __future__ import annotations

import socket
import struct
from typing import Any

import msgspec

__all__ = [
    "Began",
    "Dying",
    "End",
    "Ended",
    "Failed",
    "Frames",
    "FromProcess",
    "Inbox",
    "Measure",
    "Measured",
    "Over",
    "Part",
    "PersonsPart",
    "ToProcess",
    "Visit",
    "pack",
    "receive",
    "send",
]

_LENGTH = struct.Struct("!I")

MAX_BYTES = 1 << 20
"""Of one message: the head of a request and its body are the longest."""


class PersonsPart(msgspec.Struct, frozen=True, kw_only=True):
    """A person plays, at a page.

    Attributes:
        keys: the file of the table of their keys; ``None`` takes what the environment offers.
        title: stands above the game; ``None`` is the environment's name.
        url: their link.
        hold_s: how long the seat of a page that was closed is held.
        countdown_s: before the first frame.
        next_url: where the page leads when it is over; ``None`` is nowhere.
    """

    url: str
    keys: str | None = None
    title: str | None = None
    hold_s: float = 60.0
    countdown_s: float = 3.0
    next_url: str | None = None


class Part(msgspec.Struct, frozen=True, kw_only=True, tag="part"):
    """What a process plays; with it comes the line over which network processes are forked, if there is one.

    Attributes:
        env: the environment's name.
        env_args: its constructor's arguments.
        seat: to take; ``None`` is any free one.
        split: how a joint action splits; see ``seats`` of :class:`~gym_p2p.P2PEnv`.
        watchers: seats of a Gymnasium environment that only watch.
        options: of the wrapper.
        episodes: to play; ``None`` plays on.
        frames: to play at most.
        seed: to insist on.
        person: who plays, if that is a person.
        policy: which program plays else.
        reaction_ms: of that program, see :class:`~gym_p2p.PolicySeat`.
        actions_per_s: the same.
        stand_in: which program plays for players who are away, if one does.
    """

    env: str
    env_args: dict[str, Any]
    options: dict[str, Any]
    seat: str | int | None = None
    split: int | dict[str, Any] | None = None
    watchers: int = 0
    episodes: int | None = None
    frames: int | None = None
    seed: int | None = None
    person: PersonsPart | None = None
    policy: str = "random"
    reaction_ms: float = 0.0
    actions_per_s: float | None = None
    stand_in: str | None = None


class Measure(msgspec.Struct, frozen=True, tag="measure"):
    """Try out whether such a part can be played, and what it costs."""

    part: Part
    seconds: float = 1.0


class Visit(msgspec.Struct, frozen=True, tag="visit"):
    """A connection to the page, which comes with it; ``head`` is what was read of it."""

    head: bytes


class End(msgspec.Struct, frozen=True, tag="end"):
    """Say goodbye and end.

    Attributes:
        closing: whether the whole host ends, so that no link is good for another try now.
    """

    closing: bool = False


class Measured(msgspec.Struct, frozen=True, kw_only=True, tag="measured"):
    """What was found.

    Attributes:
        seats: of the environment.
        fps: at which people play it.
        person_share: processor time of a person's seat, as a share of one core.
        policy_share: the same of a program's.
        modules: that were loaded while it was tried.
    """

    seats: list[str | int]
    fps: float
    person_share: float
    policy_share: float
    modules: list[str]


class Began(msgspec.Struct, frozen=True, tag="began"):
    """The match has begun."""

    match_id: str
    seat: str | int


class Frames(msgspec.Struct, frozen=True, tag="frames"):
    """So many frames were played since the last time, and so many of them came late."""

    count: int
    late: int


class Over(msgspec.Struct, frozen=True, tag="over"):
    """The page is closed; it was told this last."""

    state: dict[str, Any]


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag="ended"):
    """The documents are written.

    Attributes:
        ending: ``done``, ``interrupted``, or why the match ended early.
        problems: what went wrong with the documents.
        spends: whether the person's link is spent: not by a match that this host has broken off.
    """

    ending: str
    problems: list[str]
    spends: bool = True


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """There was no match.

    Attributes:
        problem: why, in words.
        usage: whether what was wanted cannot be.
        option: of the wrapper or the seat, where the problem is one's.
    """

    problem: str
    usage: bool = False
    option: str | None = None

    @property
    def words(self) -> str:
        """The problem, with the option's name."""
        return self.problem if self.option is None else f"{self.option}: {self.problem}"


class Dying(msgspec.Struct, frozen=True, tag="dying"):
    """The process ends without a goodbye: another one is to take up the match, for which the others wait.

    Attributes:
        why: in words.
    """

    why: str


ToProcess = Part | Measure | Visit | End
FromProcess = Measured | Began | Frames | Over | Ended | Failed | Dying

_TO_PROCESS = msgspec.json.Decoder(ToProcess)
_FROM_PROCESS = msgspec.json.Decoder(FromProcess)
"""Made on import: see :func:`gym_p2p.core.api.payloads.prepare`."""


def pack(message: ToProcess | FromProcess) -> bytes:
    """Return a message as it travels."""
    body = msgspec.json.encode(message)
    return _LENGTH.pack(len(body)) + body


def send(line: socket.socket, message: ToProcess | FromProcess, descriptor: int | None = None) -> None:
    """Send a message, and a descriptor with it.

    Raises:
        OSError: the other end is gone, or takes nothing.
    """
    data = pack(message)
    sent = socket.send_fds(line, [data], [] if descriptor is None else [descriptor])
    if sent < len(data):
        line.sendall(data[sent:])


def receive(line: socket.socket) -> tuple[ToProcess, int | None] | None:
    """Wait for a message to a process; return it and what came with it. ``None``: there are no more."""
    try:
        head, descriptors, _, _ = socket.recv_fds(line, _LENGTH.size, 1, _CLOEXEC)
        descriptor = descriptors[0] if descriptors else None
        head += _exactly(line, _LENGTH.size - len(head)) if head else b""
        if len(head) < _LENGTH.size:
            return None
        return _TO_PROCESS.decode(_exactly(line, *_LENGTH.unpack(head))), descriptor
    except (ConnectionError, EOFError):
        return None


_CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


def _exactly(line: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = line.recv(count - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


class Inbox:
    """Puts together what comes from a process."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[FromProcess]:
        """Return the messages that are whole now.

        Raises:
            msgspec.MsgspecError, ValueError: no process of ours sends that.
        """
        self._data += data
        found: list[FromProcess] = []
        while len(self._data) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._data)
            if length > MAX_BYTES:
                raise ValueError(f"a message of {length} bytes")
            end = _LENGTH.size + length
            if len(self._data) < end:
                break
            found.append(_FROM_PROCESS.decode(self._data[_LENGTH.size : end]))
            del self._data[:end]
        return found
