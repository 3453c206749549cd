"""Documents as they are read, part by part.

A reader meets older versions, other writers and damage; so a part that is not as it should be is left out and
said, and the rest of the document counts.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gym_p2p.study.problems import Problems
from gym_p2p.study.reading.document_parts import NOTHING, Id
from gym_p2p.study.reading.files import Unreadable
from gym_p2p.study.reading.framework_documents import in_our_words, plain

__all__ = ["NEWEST_VERSION", "Document", "read_document"]

NEWEST_VERSION = 2

_DECODERS: dict[Any, msgspec.json.Decoder[Any]] = {}


class _Validation(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    episodes: msgspec.Raw = NOTHING
    all_hashes: msgspec.Raw = NOTHING
    all_actions: msgspec.Raw = NOTHING
    all_desync_events: msgspec.Raw = NOTHING


class _Whole(msgspec.Struct, frozen=True, gc=False, rename="camel", kw_only=True):
    """Any of the documents: every part as it stands."""

    schema_version: int | None = None
    game_id: Id
    player_id: Id | None = None
    aggregated_at: msgspec.Raw = NOTHING
    export_timestamp: msgspec.Raw = NOTHING
    session_start_time: msgspec.Raw = NOTHING
    session_duration_ms: msgspec.Raw = NOTHING
    players: msgspec.Raw = NOTHING
    environment: msgspec.Raw = NOTHING
    config: msgspec.Raw = NOTHING
    probe: msgspec.Raw = NOTHING
    episodes: msgspec.Raw = NOTHING
    latency: msgspec.Raw = NOTHING
    latency_by_peer: msgspec.Raw = NOTHING
    clock_offsets: msgspec.Raw = NOTHING
    validation: msgspec.Raw = NOTHING
    session_status: msgspec.Raw = NOTHING
    connection: msgspec.Raw = NOTHING
    connection_paths: msgspec.Raw = NOTHING
    input_delivery: msgspec.Raw = NOTHING
    inputs: msgspec.Raw = NOTHING
    reconnection: msgspec.Raw = NOTHING
    rollbacks: msgspec.Raw = NOTHING
    sync: msgspec.Raw = NOTHING
    focus_loss: msgspec.Raw = NOTHING
    human: msgspec.Raw = NOTHING
    policies: msgspec.Raw = NOTHING
    protocol_errors: msgspec.Raw = NOTHING
    upload: msgspec.Raw = NOTHING
    departures: msgspec.Raw = NOTHING
    pauses: msgspec.Raw = NOTHING
    confirmed_hashes: msgspec.Raw = NOTHING
    summary: msgspec.Raw = NOTHING
    participants: msgspec.Raw = NOTHING


class Document:
    """A document, of which parts are read when they are wanted.

    Attributes:
        name: its file, relative to what was loaded.
        version: its schemaVersion; ``None`` of the browser framework's.
        match: the match's id, as text.
        player_id: whose it is, as it stands there.
        kind: session, validation, multiplayer or aggregate: what it holds says so, not its name.
        left_out: how many parts have been left out of what was read so far.
    """

    def __init__(self, whole: _Whole, name: str, problems: Problems) -> None:
        self._whole = whole
        self._problems = problems
        self.name = name
        self.version = whole.schema_version
        self.match = str(whole.game_id)
        self.player_id = whole.player_id
        self.kind = _kind(whole)
        self.left_out = 0
        self._validation = self._part("validation", whole.validation, _Validation) or _Validation()

    def part(self, name: str, wanted: Any) -> Any:
        """Return a part of the document; ``None`` where it is not there, null, or left out and said."""
        return self._part(name, getattr(self._whole, name), wanted)

    def validation(self, name: str, wanted: Any) -> list[Any]:
        """Return a list of the validation part; empty where it is not there."""
        return self._part(f"validation.{name}", getattr(self._validation, name), wanted) or []

    def written(self, name: str) -> bytes:
        """Return a list of the validation part as it is written."""
        return bytes(getattr(self._validation, name))

    def decoded(self, name: str, raw: msgspec.Raw, wanted: Any) -> Any:
        """Return a part of a part, as :meth:`part` does."""
        return self._part(name, raw, wanted)

    def leave_out(self, name: str, problem: str) -> None:
        """Say that a part is not as it should be."""
        self.left_out += 1
        self._problems.add(
            "partial", f"{name}: {problem}: left out", path=self.name, player=str(self.player_id)
        )

    def _part(self, name: str, raw: msgspec.Raw, wanted: Any) -> Any:
        decoder = _DECODERS.get(wanted)
        if decoder is None:
            decoder = _DECODERS[wanted] = msgspec.json.Decoder(wanted | None)
        try:
            return decoder.decode(raw)
        except (ValueError, RecursionError) as error:
            self.leave_out(name, str(error) or type(error).__name__)
            return None


_WHOLE = msgspec.json.Decoder(_Whole)


def read_document(data: bytes, name: str, problems: Problems) -> Document:
    """Return what a document's bytes say.

    Raises:
        Unreadable: they are none, or of a newer version than this one reads.
    """
    try:
        whole = _WHOLE.decode(data)
    except msgspec.ValidationError as error:
        raise Unreadable("foreign", f"is no document of a match ({error})") from error
    except (ValueError, RecursionError) as error:
        raise Unreadable("unreadable", f"is no whole JSON ({str(error) or 'nested too deeply'})") from error
    if whole.schema_version is None:
        whole = _theirs(data, name)
    elif not 1 <= whole.schema_version <= NEWEST_VERSION:
        raise Unreadable(
            "foreign",
            f"has schemaVersion {whole.schema_version}, and this gym_p2p reads 1 to {NEWEST_VERSION}",
        )
    return Document(whole, name, problems)


def _theirs(data: bytes, name: str) -> _Whole:
    ours = in_our_words(plain(data), name)
    if ours is None:
        raise Unreadable("foreign", "is no document of a match (it has no schemaVersion)")
    try:
        return _WHOLE.decode(msgspec.json.encode(ours))
    except (ValueError, OverflowError, RecursionError) as error:  # a number beyond 64 bits
        raise Unreadable("unreadable", f"cannot be read ({error})") from error


def _kind(whole: _Whole) -> str:
    if bytes(whole.aggregated_at) != b"null":
        return "aggregate"
    if whole.player_id is None:
        raise Unreadable("foreign", "is no document of a match: it has no playerId")
    if bytes(whole.session_status) != b"null":
        return "multiplayer"
    if bytes(whole.confirmed_hashes) != b"null":
        return "validation"
    if bytes(whole.rollbacks) != b"null" and bytes(whole.inputs) != b"null":
        return "session"
    raise Unreadable("foreign", "is no session, validation or multiplayer document, by what it holds")
