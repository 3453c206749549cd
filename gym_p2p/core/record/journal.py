"""A record as a journal: what was added to it since the last entry, and the record that entries fold into.

A document of a match of hours is large, what ten seconds add to it is not. So while a match is played only
what is new is written down, a line of JSON at a time; and who is killed leaves lines of which the documents
are made as they are made of the record itself.

What there is to write down of a record stands in tables here (``_MATCH``, ``_EPISODE``, ``_LINK``), a line
for each of its attributes. It refuses to know files. Reading goes on while another thread records: see
:mod:`gym_p2p.core.record.episode`, whose order of reading the tables keep (what stands for frames before the
frames).

Actions are written as JSON, for whoever reads a journal may not have the environment: the folded record has
each input as that text, and :func:`decode_input` reads it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
import msgspec

from gym_p2p.core.record.absences import ClockJump, Departure, Pause, Rejoin, ServiceOutage
from gym_p2p.core.record.building import Decode
from gym_p2p.core.record.clock_offsets import ClockOffsetAt
from gym_p2p.core.record.episode import Corrections, Desync, StateDump
from gym_p2p.core.record.growth import (
    Actors,
    Entries,
    Episodes,
    Inputs,
    Links,
    Mark,
    Node,
    Numbers,
    Rollbacks,
    Rows,
    SeatDecode,
    SeatTotals,
    Series,
    Whole,
)
from gym_p2p.core.record.human import HumanFacts
from gym_p2p.core.record.link import Health
from gym_p2p.core.record.match_record import MatchRecord, Termination
from gym_p2p.core.record.parts import Connection, Disconnection, ReconnectionAttempt, UploadStatus
from gym_p2p.core.record.plain import plain
from gym_p2p.core.record.player_identity import PlayerIdentity
from gym_p2p.core.record.policy import PolicyRecord
from gym_p2p.core.record.ways_taken import PassedOn, WayTaken
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ProtocolError

__all__ = ["FORMAT", "KILLED", "JournalWriter", "Mark", "decode_input", "fold"]

FORMAT = "gym_p2p journal 1"
"""Stands in a journal's first line."""

KILLED = "killed"
"""Why a match ended whose journal does not say that it ended: the process that wrote it did before."""


class _Head(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A journal's first line: what is known of a match from its begin on."""

    format: str
    game_id: str
    player_id: SeatId
    players: list[SeatId]
    peers: list[SeatId]
    session_start_ms: int
    environment: dict[str, Any]
    config: dict[str, Any]
    max_samples: int


class _Entry(msgspec.Struct, frozen=True, rename="camel"):
    """Any other line: what is new by then."""

    at_ms: int
    added: dict[str, Any]


_HEAD = msgspec.json.Decoder(_Head)
_ENTRY = msgspec.json.Decoder(_Entry)
"""Made on import, for several threads decode: see :func:`gym_p2p.core.api.payloads.prepare`."""


_LINK = Node(
    {
        "series": Series(),
        "connection": Whole(Connection),
        "paths": Whole(list[Connection]),
        "health": Whole(Health | None),
        "open": Whole(bool),
        "packets_received": Whole(int),
        "gap_count": Whole(int),
        "clock": Node({"offsets": Rows(ClockOffsetAt)}),
    }
)

_EPISODE = Node(
    {
        "verified_frame": Whole(int),
        "completed": Whole(bool),
        "ended_by": Whole(str | None),
        "confirmed_frame": Whole(int),
        "checksums": Rows(tuple[int, str]),
        "desyncs": Rows(Desync),
        "state_problems": Rows(tuple[int, str]),
        "dumps": Entries(int, StateDump),
        "rollbacks": Rollbacks(),
        "corrections": Whole(Corrections),
        "input_delays": Rows(tuple[int, int]),
        "unfocused": Numbers(),
        "shown_at": Numbers(),
        "shown_frames": Numbers(),
        "ended_ms": Whole(int | None),
        "totals": SeatTotals(),
        "actors": Actors(),
        "confirmed_at": Numbers(),
        "played": Numbers(),
        "wrong_guesses": Numbers(),
        "seat_inputs": Inputs(),
    }
)

_HUMAN = Node(
    {
        "facts": Whole(HumanFacts | None),
        "action_latencies": Rows(float),
        "rtt": Series(),
        "away": Rows(tuple[float, float]),
        "away_beyond": Whole(tuple[int, float]),
        "away_since": Whole(float | None),
        "hold_ms": Whole(float),
        "lost": Whole(bool),
    }
)

_MATCH = Node(
    {
        "termination": Whole(Termination | None),
        "identities": Whole(tuple[PlayerIdentity, ...]),
        "upload": Whole(UploadStatus | None),
        "links": Links(_LINK),
        "disconnections": Rows(Disconnection),
        "attempts": Rows(ReconnectionAttempt),
        "unlisted_pause_ms": Whole(float),
        "departures": Rows(Departure),
        "pauses": Rows(Pause),
        "rejoins": Rows(Rejoin),
        "service_outages": Rows(ServiceOutage),
        "clock_jumps": Rows(ClockJump),
        "service_away_ms": Whole(int | None),
        "protocol_errors": Whole(dict[str, int]),
        "checkpoints_late": Whole(int),
        "inputs_sent": Whole(int),
        "inputs_received": Whole(int),
        "ways_taken": Rows(WayTaken),
        "passed_on": Rows(PassedOn),
        "inputs_sent_by_service": Whole(int),
        "inputs_received_by_service": Whole(int),
        "peers_by_service": Whole(int),
        "probe": Whole(Any),
        "sync": Whole(Any),
        "human": _HUMAN,
        "policies": Whole(list[PolicyRecord]),
        "episodes": Episodes(_EPISODE),
    }
)


@attrs.frozen
class JournalWriter:
    """Writes a record down, a line at a time; knows how far by the marks that its caller keeps.

    Args:
        record: of the match; it may go on growing in another thread.
        decode: turns a seat's input into JSON.
    """

    _record: MatchRecord
    _decode: Decode

    def head(self) -> bytes:
        """Return the first line."""
        record = self._record
        series = next((link.series for link in record.links.values()), None)
        head = _Head(
            format=FORMAT,
            game_id=record.game_id,
            player_id=record.player_id,
            players=list(record.players),
            peers=list(record.links),
            session_start_ms=record.session_start_ms,
            environment=plain(record.environment),
            config=plain(record.config),
            max_samples=600 if series is None else series.max_samples,
        )
        return msgspec.json.encode(head) + b"\n"

    def entry(self, mark: Mark, now_ms: int) -> tuple[bytes, Mark]:
        """Return the next line, and the mark of what is written down with it; ``{}`` is the first mark."""
        record = self._record
        added, after = _MATCH.since(record, mark, SeatDecode(self._decode, record.players))
        return msgspec.json.encode(_Entry(record.time(now_ms), plain(added or {}))) + b"\n", after


def fold(lines: Iterable[bytes]) -> MatchRecord:
    """Return the record that the whole lines of a journal describe; what follows a line that is none is lost.

    A match that had not ended by then ends with them, as :data:`KILLED`; its documents are read with
    :func:`decode_input`.

    Raises:
        ProtocolError: its first line is none of a journal, or not of this version.
    """
    lines = iter(lines)
    head = _whole(next(lines, b""), _HEAD)
    if head is None or head.format != FORMAT:
        raise ProtocolError(f"no journal: wanted a first line with {FORMAT!r}")
    try:
        record = MatchRecord(
            game_id=head.game_id,
            player_id=head.player_id,
            players=head.players,
            peers=head.peers,
            session_start_ms=head.session_start_ms,
            environment=head.environment,
            config=head.config,
            max_samples=head.max_samples,
        )
    except (ValueError, TypeError, ArithmeticError) as error:
        raise ProtocolError(f"no journal: its first line tells of no match ({error})") from error
    at_ms = head.session_start_ms
    for line in lines:
        entry = _whole(line, _ENTRY)
        if entry is None:
            break
        try:
            _MATCH.grow_all(record, entry.added)
        except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError):
            break  # a line that somebody else wrote, or changed
        at_ms = entry.at_ms
    record.terminate(KILLED, partial=True, now_ms=at_ms)
    return record


def decode_input(_seat: int, data: bytes) -> Any:
    """Return the action of a folded record's input."""
    return msgspec.json.decode(data)


def _whole(line: bytes, decoder: Any) -> Any:
    """Return a line's content; ``None`` for one that was cut, or is none."""
    if not line.endswith(b"\n"):
        return None
    try:
        return decoder.decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
