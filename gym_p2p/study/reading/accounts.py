"""The files of one match: whose documents they are, and which of several counts."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from gym_p2p.core.latency.delta_series import ENCODING
from gym_p2p.study.problems import Problems
from gym_p2p.study.reading import document_parts as parts
from gym_p2p.study.reading import seat_parts
from gym_p2p.study.reading.documents import Document, read_document
from gym_p2p.study.reading.files import Found, Unreadable, unpacked
from gym_p2p.study.reading.journals import read_journal
from gym_p2p.study.reading.series import series_array

__all__ = ["Account", "Names", "Page", "read_accounts"]

_KINDS = ("multiplayer", "session", "validation")


class Names:
    """Players' ids as texts: the id itself; where ``1`` and ``"1"`` both play, the text is quoted."""

    def __init__(self, ids: Sequence[int | str]) -> None:
        numbers = {str(one) for one in ids if isinstance(one, int)}
        self._quoted = {one for one in ids if isinstance(one, str) and one in numbers}

    def __call__(self, one: int | str) -> str:
        """Return the text of an id."""
        return json.dumps(one) if one in self._quoted and isinstance(one, str) else str(one)

    def or_none(self, one: int | str | None) -> str | None:
        """Return the same; of ``None``, that."""
        return None if one is None else self(one)


@attrs.frozen(eq=False)
class Page:
    """What a person's page has drawn of an episode.

    Attributes:
        frames: which frames, in that order.
        t_ms: when each was, from the episode's start.
        unfocused: by seat, the frames whose input was chosen out of sight of the game.
    """

    frames: np.ndarray
    t_ms: np.ndarray
    unfocused: Mapping[str, np.ndarray]


@attrs.define(eq=False)
class Account:
    """What one player's documents say.

    Attributes:
        player: whose, as text.
        source: documents or journal.
        documents: by kind.
        names: how ids are written.
    """

    player: str
    source: str
    documents: Mapping[str, Document]
    names: Names

    def part(self, name: str, wanted: Any, *kinds: str) -> Any:
        """Return a part of the first document (of these kinds, or any) that has it; ``None`` if none has."""
        for kind in kinds or _KINDS:
            document = self.documents.get(kind)
            if document is not None and (found := document.part(name, wanted)) is not None:
                return found
        return None

    @property
    def version(self) -> int | None:
        """The lowest schemaVersion; ``None`` of the browser framework's documents."""
        return min((one.version for one in self.documents.values() if one.version is not None), default=None)

    @property
    def multiplayer(self) -> Document | None:
        """The document that all others' are compared with."""
        return self.documents.get("multiplayer")

    @functools.cached_property
    def started_ms(self) -> float | None:
        """When the match was made by their clock."""
        found: float | None = self.part("session_start_time", float, "multiplayer")
        return found

    @functools.cached_property
    def ended_ms(self) -> float | None:
        """When their part ended, or the documents were built."""
        found: float | None = self.part("export_timestamp", float)
        return found

    @functools.cached_property
    def status(self) -> parts.Status:
        """How it ended for them."""
        return self.part("session_status", parts.Status) or parts.Status()

    @functools.cached_property
    def players(self) -> list[seat_parts.Player]:
        """Who played, as they have it."""
        return self.part("players", list[seat_parts.Player]) or []

    @functools.cached_property
    def environment(self) -> dict[str, Any]:
        """What was played."""
        return self.part("environment", dict[str, Any]) or {}

    @functools.cached_property
    def config(self) -> dict[str, Any]:
        """How they had configured it."""
        return self.part("config", dict[str, Any]) or {}

    @functools.cached_property
    def probe(self) -> parts.Probe | None:
        """What was measured before."""
        found = self.part("probe", parts.Probe | list[Any])
        return found if isinstance(found, parts.Probe) else None

    @functools.cached_property
    def episodes(self) -> dict[int, parts.Episode]:
        """Every episode by its number, of version 2."""
        return {one.episode: one for one in self.part("episodes", list[parts.Episode]) or []}

    @functools.cached_property
    def policies(self) -> list[seat_parts.Policy]:
        """The policies that played seats of this player's, as far as they say so."""
        return self.part("policies", list[seat_parts.Policy]) or []

    @functools.cached_property
    def summaries(self) -> dict[int, parts.EpisodeSummary]:
        """Every episode in figures, by its number."""
        if self.multiplayer is None:
            return {}
        found = self.multiplayer.validation("episodes", list[parts.EpisodeSummary])
        return {one.episode_num: one for one in found}

    @functools.cached_property
    def latency(self) -> dict[str, parts.Latency | None]:
        """Every link, by the peer's text."""
        return self.part("latency_by_peer", dict[str, parts.Latency | None]) or {}

    @functools.cached_property
    def clock_offsets(self) -> dict[str, list[parts.ClockOffset]]:
        """How far the peers' clocks were ahead, over time; by the peer's text."""
        return self.part("clock_offsets", dict[str, list[parts.ClockOffset]]) or {}

    @functools.cached_property
    def connection_paths(self) -> dict[str, list[parts.Connection]]:
        """Every path that a link had, the oldest first; by the peer's text."""
        return self.part("connection_paths", dict[str, list[parts.Connection]]) or {}

    @functools.cached_property
    def protocol_errors(self) -> dict[str, int]:
        """What peers sent and the protocol does not allow, counted."""
        return self.part("protocol_errors", dict[str, int]) or {}

    @functools.cached_property
    def upload(self) -> parts.Upload | None:
        """What became of the upload; ``None`` where it is not said."""
        found: parts.Upload | None = self.part("upload", parts.Upload, "session")
        return found

    @functools.cached_property
    def rollbacks(self) -> parts.Rollbacks | None:
        """What guessing cost them; ``None`` without a session document."""
        found: parts.Rollbacks | None = self.part("rollbacks", parts.Rollbacks, "session")
        return found

    @functools.cached_property
    def sync(self) -> parts.Sync | None:
        """How frames were kept together; ``None`` without a session document."""
        found: parts.Sync | None = self.part("sync", parts.Sync, "session")
        return found

    @functools.cached_property
    def desyncs(self) -> list[parts.Desync]:
        """Checked frames that differed."""
        if self.multiplayer is not None:
            return self.multiplayer.validation("all_desync_events", list[parts.Desync])
        return []

    @functools.cached_property
    def reconnection(self) -> parts.Reconnection | None:
        """Links that broke."""
        found: parts.Reconnection | None = self.part(
            "reconnection", parts.Reconnection, "multiplayer", "session"
        )
        return found

    @functools.cached_property
    def timings(self) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """When the frames of each episode were played and confirmed, in ms from its start."""
        document = next((one for one in self.documents.values() if (one.version or 1) > 1), None)
        if document is None:
            return {}
        found = {number: _timing(document, episode) for number, episode in self.episodes.items()}
        return {number: timing for number, timing in found.items() if timing is not None}

    @functools.cached_property
    def human(self) -> seat_parts.Human | None:
        """The person who played; ``None`` where none did, or it is not said."""
        found: seat_parts.Human | None = self.part("human", seat_parts.Human)
        return found

    @functools.cached_property
    def pages(self) -> dict[int, Page]:
        """What their page has drawn of each episode; of those alone of which it is said."""
        document = next((one for one in self.documents.values() if (one.version or 1) > 1), None)
        if document is None:
            return {}
        found = {number: _page(document, episode) for number, episode in self.episodes.items()}
        return {number: page for number, page in found.items() if page is not None}

    @functools.cached_property
    def wrong_guesses(self) -> dict[tuple[int, str], np.ndarray] | None:
        """The frames in which an input had been guessed wrong here, by episode and seat.

        ``None`` where the documents do not say: those of before name the first of each correction alone.
        """
        told = self.rollbacks.wrong_guesses if self.rollbacks is not None else None
        if told is None:
            return None
        found = {}
        for one in told:
            for seat, text in one.frames.items():
                try:
                    if one.encoding != ENCODING:
                        raise ValueError(f"an encoding {one.encoding!r} that is not known")  # noqa: TRY301 - one way
                    found[one.episode, seat] = series_array(text)
                except (ValueError, OverflowError) as error:
                    self.documents["session"].leave_out("rollbacks.wrongGuesses", str(error))
        return found

    @functools.cached_property
    def rollback_episodes(self) -> list[int | None]:
        """The episode of each correction; ``None`` where that is not known.

        The session document does not name them: its events are in the order of the episodes, of which the
        multiplayer document says how many corrections each had.
        """
        events = self.rollbacks.events if self.rollbacks is not None else []
        counts = [(one.episode_num, one.rollback_count or 0) for one in self.summaries.values()]
        in_order = [number for number, count in sorted(counts) for _ in range(min(count, len(events)))]
        return [*in_order] if len(in_order) == len(events) else [None] * len(events)


def read_accounts(
    files: Sequence[Found], match: str, problems: Problems
) -> tuple[list[Account], list[Document]]:
    """Return what the players' documents say, in the order of the players' texts, and the aggregates."""
    chosen: dict[tuple[Any, str], Document] = {}
    aggregates: list[Document] = []
    for document in _documents(files, match, problems):
        if document.kind == "aggregate":
            aggregates.append(document)
            continue
        key = (document.player_id, document.kind)
        there = chosen.get(key)
        if there is not None:
            newer, older = (document, there) if _newer(document, there) else (there, document)
            chosen[key] = newer
            problems.add("duplicate", f"says otherwise than {newer.name}, which was taken", path=older.name)
        else:
            chosen[key] = document
    names = Names([document.player_id for document in chosen.values() if document.player_id is not None])
    by_player: dict[Any, dict[str, Document]] = {}
    for (player, kind), document in chosen.items():
        by_player.setdefault(player, {})[kind] = document
    accounts = [Account(names(player), "documents", own, names) for player, own in by_player.items()]
    for account in _journals(files, names, match, problems):
        written = next((one for one in accounts if one.player == account.player), None)
        if written is not None and written.status.termination_reason is not None:
            continue  # killed after its documents were written
        accounts = [one for one in accounts if one is not written] + [account]
    return sorted(accounts, key=lambda account: account.player), aggregates


def _documents(files: Sequence[Found], match: str, problems: Problems) -> Iterator[Document]:
    seen: dict[int, list[bytes]] = {}
    for file in sorted(files, key=lambda file: file.changed_ns):
        if file.kind != "document":
            continue
        try:
            data = unpacked(file.path)
            alike = seen.setdefault(len(data), [])
            if data in alike:  # the service's copy of a player's own
                continue
            alike.append(data)  # in memory anyway: the documents are read of it part by part
            yield _of_match(read_document(data, file.name, problems), match)
        except Unreadable as error:
            problems.add(error.kind, error.problem, path=file.name)


def _journals(files: Sequence[Found], names: Names, match: str, problems: Problems) -> Iterator[Account]:
    for file in files:
        if file.kind != "journal":
            continue
        try:
            documents = read_journal(file, problems)
            owner = _of_match(documents["multiplayer"], match).player_id
        except Unreadable as error:
            problems.add(error.kind, error.problem, path=file.name)
            continue
        if owner is not None:
            yield Account(names(owner), "journal", documents, names)


def _of_match(document: Document, match: str) -> Document:
    if document.match != match:
        raise Unreadable("foreign", f"names two matches: {match!r}, {document.match!r}")
    return document


def _newer(one: Document, other: Document) -> bool:
    return _age(one) >= _age(other)


def _age(document: Document) -> tuple[bool, float]:
    """Return what grows with what a document knows: the end of the match, then its own time."""
    status: parts.Status | None = document.part("session_status", parts.Status)
    over = status is not None and status.termination_reason is not None
    return over, document.part("export_timestamp", float) or 0.0


def _timing(document: Document, episode: parts.Episode) -> tuple[np.ndarray, np.ndarray] | None:
    """Return when an episode's frames were played and confirmed; ``None`` where it is not said."""
    timing = document.decoded("episodes.timing", episode.timing, parts.Timing)
    if timing is None:
        return None
    if timing.encoding != ENCODING:
        document.leave_out("episodes.timing", f"an encoding {timing.encoding!r} that is not known")
        return None
    try:
        t, confirmed = (series_array(text) for text in (timing.t, timing.confirmed))
    except (ValueError, OverflowError) as error:
        document.leave_out("episodes.timing", str(error))
        return None
    return t, confirmed


def _page(document: Document, episode: parts.Episode) -> Page | None:
    """Return what a page has drawn of an episode; ``None`` where it is not said."""
    told = document.decoded("episodes.page", episode.page, seat_parts.PageTimes)
    if told is None:
        return None
    try:
        if told.encoding != ENCODING:
            raise ValueError(f"an encoding {told.encoding!r} that is not known")  # noqa: TRY301 - one way
        frames, t_ms = series_array(told.frames), series_array(told.t)
        if len(frames) != len(t_ms):
            raise ValueError(f"{len(t_ms)} times of {len(frames)} frames")  # noqa: TRY301 - the same
        unfocused = {seat: series_array(text) for seat, text in told.unfocused.items()}
    except (ValueError, OverflowError) as error:
        document.leave_out("episodes.page", str(error))
        return None
    return Page(frames, t_ms, unfocused)
