"""How a recorded match is laid out in its file.

The first line is the header, as JSON. Records follow::

    kind (1 byte) | length (4, big-endian) | payload (MessagePack, deflated) | digest (16)

A record's digest is BLAKE2b over the digest before it, the kind, the length and the payload; the header
line's digest stands before the first record. So nothing can be changed, taken out or put in without the
first digest after it being wrong, and the newest digest stands for all that came before. Whoever rewrites
everything from there on makes another file with another last digest (its *fingerprint*), and has to have
played another match for its outcomes to fit. A file is only ever appended to: what a killed process leaves is
a prefix that can be read.

``H`` follows the header and is empty. ``B`` begins an episode, ``F`` holds some of its frames in order, ``E``
ends it, and ``Z`` is the last record of a file that was finished.

Knows bytes; refuses to know what makes sense in a match.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator
from typing import IO, Any

import attrs
import msgspec

from gym_p2p.core.wire.messages import MAX_OPTIONS_BYTES
from gym_p2p.errors import DamagedReplay

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "MAX_HEADER_BYTES",
    "MAX_PAYLOAD_BYTES",
    "READ_VERSIONS",
    "Begun",
    "Check",
    "Closed",
    "Ended",
    "Frames",
    "RawRecord",
    "Record",
    "StateCheck",
    "decode",
    "digest_of_header",
    "encode",
    "inflate",
    "raw_records",
]

FORMAT = "gym_p2p replay"
FORMAT_VERSION = 2
"""What is written. Version 1 has digests of states by their fields, and else the same."""

READ_VERSIONS = (1, 2)
"""Recordings are kept for years."""

MAX_HEADER_BYTES = 2**20
MAX_PAYLOAD_BYTES = 4 * 2**20
"""Of one record, inflated; the writer's hold some hundred frames and an eighth of this."""
_MAX_BEGUN_BYTES = 5 * MAX_OPTIONS_BYTES
"""Options travel as JSON, where a number has three characters and a comma, and nine bytes here."""
_MAX_FRAMES = 4096
"""In one record."""

_DIGEST_BYTES = 16
_head = struct.Struct(">cI")


@attrs.frozen(kw_only=True)
class Begun:
    """An episode begins: what it was reset with, and a digest of the observations that came of it."""

    seed: int
    options: dict[str, Any]
    observations: str


@attrs.frozen(kw_only=True)
class Check:
    """What is known of one frame beyond its rewards and ends, as hex digits.

    Attributes:
        frame: its number.
        digest: :class:`~gym_p2p.game.checksum.OutcomeChecksum` over everything up to there.
        observations: over this frame's observations alone.
    """

    frame: int
    digest: str
    observations: str


@attrs.frozen(kw_only=True)
class StateCheck:
    """A digest of the state after a frame, in hex digits; known a while after the frame."""

    frame: int
    digest: str


@attrs.define(kw_only=True)
class Frames:
    """Consecutive frames: for each of them, and in each for every seat. Grows while a file is made.

    Attributes:
        first: the number of the first one.
        inputs: the actions' bytes.
        rewards: the rewards.
        ends: a byte a seat: 1 if it terminated, 2 if it was truncated.
        checks: of some of these frames.
        states: of some frames that were checked, up to the last of these.
    """

    first: int
    inputs: list[tuple[bytes, ...]]
    rewards: list[tuple[float, ...]]
    ends: list[bytes]
    checks: list[Check]
    states: list[StateCheck] = attrs.field(factory=list)

    @classmethod
    def none(cls, first: int) -> Frames:
        """Return no frames yet, from this one on."""
        return cls(first=first, inputs=[], rewards=[], ends=[], checks=[])


@attrs.frozen(kw_only=True)
class Ended:
    """An episode ends, after so many frames; ``completed`` if the environment ended it."""

    frames: int
    completed: bool


@attrs.frozen(kw_only=True)
class Closed:
    """The recording ends, after so many episodes with so many frames in all."""

    episodes: int
    frames: int
    reason: str


_KINDS: dict[bytes, type[Any]] = {b"B": Begun, b"F": Frames, b"E": Ended, b"Z": Closed}
_KIND_OF = {cls: kind for kind, cls in _KINDS.items()}


@attrs.frozen
class RawRecord:
    """A record whose digest was right.

    Attributes:
        number: its number; that of the header is 0.
        offset: where it begins in the file.
        kind: its kind.
        payload: still deflated.
        before: the digest before it.
        digest: its digest.
        end: where the next one begins.
    """

    number: int
    offset: int
    kind: bytes
    payload: bytes
    before: bytes
    digest: bytes
    end: int

    @property
    def where(self) -> str:
        """Where it is, in words."""
        return _where(self.number, self.offset)


Record = Begun | Frames | Ended | Closed | None
"""What a record says; None is the header's."""


def digest_of_header(line: bytes) -> bytes:
    """Return the digest that the header line has."""
    return hashlib.blake2b(line, digest_size=_DIGEST_BYTES).digest()


def encode(value: Record, before: bytes) -> tuple[bytes, bytes]:
    """Return a record as it stands in the file behind a digest, and its own digest."""
    kind = b"H" if value is None else _KIND_OF[type(value)]
    payload = b"" if value is None else zlib.compress(msgspec.msgpack.encode(value))
    digest = _chained(before, kind, payload)
    return _head.pack(kind, len(payload)) + payload + digest, digest


def raw_records(file: IO[bytes], before: bytes, path: object, *, number: int = 0) -> Iterator[RawRecord]:
    """Yield the records from where a file stands on, up to its end or to where it is cut.

    Args:
        file: holds one record at a time in memory.
        before: the digest of what stands before.
        path: the file's name for errors.
        number: that of the first record.

    Raises:
        DamagedReplay: a digest is wrong, or a record is larger than any is written.
    """
    offset = file.tell()
    while len(head := file.read(_head.size)) == _head.size:
        kind, length = _head.unpack(head)
        if length > MAX_PAYLOAD_BYTES:
            raise DamagedReplay(
                path, _where(number, offset), f"it would have {length} bytes: none has so many"
            )
        payload, written = file.read(length), file.read(_DIGEST_BYTES)
        if len(written) < _DIGEST_BYTES:
            return
        digest = _chained(before, kind, payload)
        if digest != written:
            raise DamagedReplay(
                path, _where(number, offset), "its digest is wrong: it, or what stood before it, was changed"
            )
        end = offset + len(head) + length + _DIGEST_BYTES
        yield RawRecord(number, offset, kind, payload, before, digest, end)
        number, offset, before = number + 1, end, digest


def inflate(record: RawRecord, path: object) -> bytes:
    """Return a record's payload as it was before it was deflated; of the header's, nothing.

    Raises:
        DamagedReplay: it is not whole, or larger than any that is written.
    """
    if not record.payload:
        return b""
    stream = zlib.decompressobj()
    try:
        packed = stream.decompress(
            record.payload, _MAX_BEGUN_BYTES if record.kind == b"B" else MAX_PAYLOAD_BYTES
        )
    except zlib.error as error:
        raise DamagedReplay(path, record.where, f"it cannot be read ({error})") from error
    if not stream.eof:
        raise DamagedReplay(path, record.where, "it is not whole, or too large")
    return packed


def decode(record: RawRecord, packed: bytes, path: object) -> Record:
    """Return what a record says.

    Args:
        record: the record.
        packed: its payload, inflated.
        path: the file's name for errors.

    Raises:
        DamagedReplay: nothing that this version writes.
    """
    if record.kind == b"H" and record.number == 0:
        return None
    cls = _KINDS.get(record.kind)
    if cls is None:
        raise DamagedReplay(path, record.where, f"there are no records of the kind {record.kind!r}")
    try:
        found: Record = msgspec.msgpack.decode(packed, type=cls)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DamagedReplay(path, record.where, f"it cannot be read ({error})") from error
    if isinstance(found, Frames) and len(found.inputs) > _MAX_FRAMES:
        raise DamagedReplay(path, record.where, f"it holds {len(found.inputs)} frames: none holds so many")
    return found


def _where(number: int, offset: int) -> str:
    return f"record {number} at byte {offset}" if number else "the header"


def _chained(before: bytes, kind: bytes, payload: bytes) -> bytes:
    return hashlib.blake2b(
        before + _head.pack(kind, len(payload)) + payload, digest_size=_DIGEST_BYTES
    ).digest()
