"""What one player's document records of each frame, in as little room as it takes to compare it with others'.

A match of hours has millions of recorded actions, and a document that was read whole takes a hundred times
what it takes on the disk. So of every document there is kept, for each acting player, which frames are
recorded, and a code of each value: eight bytes each. Equal values have equal codes; that two different ones
have the same is as likely as it is with 63 bits of BLAKE2b.

Nothing in a document is trusted to have the right shape.
"""

from __future__ import annotations

import hashlib
import json
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

import attrs
import msgspec

from gym_p2p.core.wire.seats import SeatId, is_seat_id
from gym_p2p.errors import ProtocolError

__all__ = ["Account", "Comparison", "Track", "compare"]

_FRAME_BITS = 40
_MAX_EPISODE = 2**22
_CODES = 2**32
"""A whole number below it is its own code; all others' are above."""
_MANY = 2**63


class _Hash(msgspec.Struct, frozen=True, gc=False):
    episode: int
    frame: int
    hash: int | float | str | bool | list[Any] | dict[str, Any]


class _Action(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    episode: int
    frame: int
    player_id: int | str
    action: Any = None


class _Validation(msgspec.Struct, rename="camel"):
    all_hashes: msgspec.Raw
    all_actions: msgspec.Raw
    all_desync_events: list[dict[str, Any]]
    all_rollbacks: list[dict[str, Any]]


class _Document(msgspec.Struct, rename="camel"):
    """Of a multiplayer document, what an aggregate is made of."""

    validation: _Validation
    connection: Any = None
    input_delivery: Any = None
    session_status: Any = None
    departures: Any = None
    session_duration_ms: Any = None
    latency: Any = None
    players: Any = msgspec.UNSET
    episodes: Any = msgspec.UNSET


_DOCUMENT = msgspec.json.Decoder(_Document)
_HASHES = msgspec.json.Decoder(list[_Hash])
_ACTIONS = msgspec.json.Decoder(list[_Action])
"""Made on import, for documents are read by threads: see :func:`gym_p2p.core.api.payloads.prepare`."""

_PIECE_BYTES = 2**20
_BETWEEN = re.compile(rb'\},\{"episode":')
"""Between two entries, as players write them. It is in no text, for there its quotation marks are escaped;
where it is deeper down, the piece that it ends is no list, and all is read at once."""


_Entry = TypeVar("_Entry", _Hash, _Action)


@attrs.frozen
class Track:
    """Values by frame.

    Attributes:
        frames: episode and frame in one number each, ascending, each once.
        codes: of their values.
    """

    frames: array[int] = attrs.field(factory=lambda: array("q"))
    codes: array[int] = attrs.field(factory=lambda: array("Q"))

    def add(self, episode: int, frame: int, value: object) -> None:
        """Add a value; :meth:`in_order` comes when all are there."""
        if not (0 <= episode < _MAX_EPISODE and 0 <= frame < 2**_FRAME_BITS):
            raise ProtocolError("malformed frame")
        self.frames.append(episode << _FRAME_BITS | frame)
        self.codes.append(_code(value))

    def in_order(self) -> Track:
        """Return the same with its frames in order; of one that is there twice the later value counts."""
        if all(map(int.__lt__, self.frames, memoryview(self.frames)[1:])):
            return self
        by_frame = dict(zip(self.frames, self.codes, strict=True))
        frames = sorted(by_frame)
        return Track(array("q", frames), array("Q", map(by_frame.__getitem__, frames)))


@attrs.frozen
class Account:
    """A player's document, as small as it can be compared.

    Attributes:
        hashes: of states.
        actions: by the player who acted.
        desync_events: as they stand in it.
        rollbacks: likewise.
        rest: everything else that an aggregate has, by the document's keys.
    """

    hashes: Track
    actions: Mapping[SeatId, Track]
    desync_events: list[dict[str, Any]]
    rollbacks: list[dict[str, Any]]
    rest: Mapping[str, Any]

    @classmethod
    def of(cls, document: bytes) -> Account:
        """Read a multiplayer document.

        Args:
            document: its JSON.

        Raises:
            ProtocolError: it has not the shape of one.
        """
        hashes, actions = Track(), dict[SeatId, Track]()
        try:
            read = _DOCUMENT.decode(document)
            validation = read.validation
            for entry in _entries(validation.all_hashes, _HASHES):
                hashes.add(entry.episode, entry.frame, entry.hash)
            for action in _entries(validation.all_actions, _ACTIONS):
                track = actions.get(action.player_id)
                if track is None:
                    track = actions[_seat(action.player_id)] = Track()
                track.add(action.episode, action.frame, action.action)
        except msgspec.DecodeError:
            raise ProtocolError("malformed document") from None
        rest = {key: value for key, value in _rest(read) if value is not msgspec.UNSET}
        return cls(
            hashes.in_order(),
            {player: track.in_order() for player, track in actions.items()},
            validation.all_desync_events,
            validation.all_rollbacks,
            rest,
        )


def _entries(raw: msgspec.Raw, decoder: msgspec.json.Decoder[list[_Entry]]) -> Iterator[_Entry]:
    """Yield the entries of a list, of which never more than a piece is built at once."""
    text = memoryview(raw)
    begin, last = 1, len(text) - 1
    if len(text) <= _PIECE_BYTES or text[0] != ord("[") or text[last] != ord("]"):
        yield from decoder.decode(text)
        return
    while begin < last:
        between = _BETWEEN.search(text, min(begin + _PIECE_BYTES, last))
        end = last if between is None else between.start() + 1
        try:
            piece = decoder.decode(b"[" + text[begin:end] + b"]")
        except msgspec.DecodeError:  # what was yielded of it is added once more, which changes nothing
            yield from decoder.decode(text)
            return
        yield from piece
        begin = end + 1


def _seat(player_id: int | str) -> SeatId:
    if not is_seat_id(player_id):
        raise ProtocolError("malformed allActions")
    return player_id


def _rest(document: _Document) -> Iterator[tuple[str, Any]]:
    for name, key in zip(_Document.__struct_fields__, _Document.__struct_encode_fields__, strict=True):
        if name != "validation":
            yield key, getattr(document, name)


@attrs.frozen
class Comparison:
    """What came of laying the players' tracks of one kind side by side.

    Attributes:
        matching: frames that at least two have, and all of those alike.
        mismatching: those of which two accounts differ, ascending.
        only_in: frames that one player alone has, by their name.
    """

    matching: int
    mismatching: array[int]
    only_in: Mapping[str, int]

    @property
    def compared(self) -> int:
        """Frames that at least two have."""
        return self.matching + len(self.mismatching)

    @staticmethod
    def divergences(mismatching: Iterable[int]) -> list[tuple[int, int]]:
        """Return frames as episode and frame, each once, in order."""
        return [(one >> _FRAME_BITS, one & (2**_FRAME_BITS - 1)) for one in sorted(set(mismatching))]


def compare(tracks: Mapping[str, Track]) -> Comparison:
    """Compare the tracks of all players, by their names; who recorded nothing has an empty one."""
    mismatching = array("q")
    only_in = dict.fromkeys(tracks, 0)
    first, *others = tracks.values()
    if others and all(track == first for track in others):
        return Comparison(len(first.frames), mismatching, only_in)
    matching = 0
    places = dict.fromkeys(tracks, 0)
    while True:
        heads = {n: t.frames[places[n]] for n, t in tracks.items() if places[n] < len(t.frames)}
        if not heads:
            return Comparison(matching, mismatching, only_in)
        frame = min(heads.values())
        having = [name for name, head in heads.items() if head == frame]
        if len(having) == 1:
            only_in[having[0]] += 1
        elif len({tracks[name].codes[places[name]] for name in having}) == 1:
            matching += 1
        else:
            mismatching.append(frame)
        for name in having:
            places[name] += 1


def _code(value: object) -> int:
    """Return the code of a JSON value; ``1`` and ``1.0`` have one, ``true`` another."""
    if type(value) is int and 0 <= value < _CODES:
        return value
    canonical = _canonical(value)
    if type(canonical) is int and 0 <= canonical < _CODES:
        return canonical
    try:
        text = msgspec.json.encode(canonical, order="deterministic")
    except (OverflowError, UnicodeError):  # beyond 64 bits, or half a letter
        text = json.dumps(canonical, sort_keys=True).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) | _MANY


def _canonical(value: Any) -> Any:
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [_canonical(one) for one in value]
        case Mapping():
            return {key: _canonical(one) for key, one in value.items()}
        case _:
            return value
