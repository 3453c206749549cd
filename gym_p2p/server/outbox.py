"""Which stored documents the host has yet to be handed.

A marker on the disk for each, written before the document is, and removed once the host's function has
returned: so that neither a failure nor a restart loses one. What was handed over just when the process died
is handed over again. It knows files; when and how the function is called is its callers' business.

Blocking: call it from a worker thread.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import msgspec

from gym_p2p.core.record.documents import Kind
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.exports.documents import document_path, find_document, open_document, read_document
from gym_p2p.files.private import make_folder
from gym_p2p.files.problems import disk_problem
from gym_p2p.files.whole import write_bytes
from gym_p2p.server.guard.client_log import client_log
from gym_p2p.server.storage import HostStorage, StorageError

__all__ = ["OnDocument", "Outbox", "Waiting"]

_LOG = client_log(__name__)

OnDocument = Callable[[str, SeatId, Kind, dict[str, Any]], object]
"""Called with the match, the player, the kind and the document itself; may be a coroutine function."""

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
"""Between two attempts with one document."""
_PIECE_BYTES = 2**16


@attrs.frozen
class _Marker:
    """A document that is, or will be, on the disk.

    Attributes:
        folder: the match's, below the data directory.
        before: the digest of the file that was there before, which is not to be handed over (again).
    """

    match_id: str
    player_id: SeatId
    kind: Kind
    folder: str
    before: str | None

    @property
    def key(self) -> tuple[str, SeatId, str]:
        return self.folder, self.player_id, self.kind


_MARKER = msgspec.json.Decoder(_Marker)
_DOCUMENT = msgspec.json.Decoder(dict[str, Any])


@attrs.frozen
class Waiting:
    """A document that is to be handed over.

    Attributes:
        load: reads it.
        digest: of what it says.
        markers: to be removed with it.
    """

    marker: _Marker
    load: Callable[[], bytes]
    digest: str
    markers: tuple[Path, ...]

    def read(self) -> dict[str, Any]:
        """Return the document.

        Raises:
            OSError: it cannot be read.
            StorageError: the host's storage does not give it.
        """
        return _DOCUMENT.decode(self.load())

    def arguments(self) -> tuple[str, SeatId, Kind, dict[str, Any]]:
        """Return what the host's function takes; as :meth:`read`."""
        return self.marker.match_id, self.marker.player_id, self.marker.kind, self.read()

    def __str__(self) -> str:
        marker = self.marker
        return f"the {marker.kind} document of {marker.player_id!r} in match {marker.match_id}"


class Outbox:
    """The markers below one data directory.

    Args:
        directory: exists and is writable.
        storage: where the documents are, the host's own; ``None``: they are in the directory.
    """

    def __init__(self, directory: Path, storage: HostStorage | None = None) -> None:
        self._directory = directory.absolute()
        self._storage = storage
        self._markers = self._directory / ".undelivered"
        self._lock = threading.Lock()
        self._being_stored: set[Path] = set()
        self._handed_over: dict[tuple[str, SeatId, str], str] = {}
        """By document, the digest of its newest version that the host has had, in this process."""
        self._not_before: dict[tuple[str, SeatId, str], tuple[float, int]] = {}
        """By document, when to try again, and how often it has failed."""
        self._found: deque[list[tuple[Path, _Marker]]] = deque()
        """What the last look at the markers has found and was not looked at since, a document each."""

    @contextlib.contextmanager
    def storing(self, match_id: str, player_id: SeatId, kind: Kind, folder: Path) -> Iterator[None]:
        """Mark a document for the length of its storing; it waits afterwards, unless it is the one before.

        Raises:
            OSError: it cannot be marked: then it must not be stored.
            StorageError: the same, or it is not known whether it has been stored: then it waits.
        """
        make_folder(self._markers)
        marker = _Marker(match_id, player_id, kind, folder.name, None)
        marker = attrs.evolve(marker, before=self._digest(marker))
        name = self._markers / f"{secrets.token_hex(8)}.json"
        with self._lock:
            self._being_stored.add(name)
        try:
            write_bytes(name, [msgspec.json.encode(attrs.asdict(marker))])
            yield
        finally:
            try:
                if self._digest(marker) == marker.before:
                    name.unlink(missing_ok=True)
            finally:
                with self._lock:
                    self._being_stored.discard(name)

    def next(self, now: float) -> Waiting | None:
        """Return a document that is to be handed over by ``now`` (monotonic seconds), or ``None``.

        All markers are looked at once for all that they name, and again when that has been returned: what
        has come meanwhile is found then.
        """
        has_looked = False
        while True:
            while self._found:
                waiting = self._if_due(self._found.popleft(), now)
                if waiting is not None:
                    return waiting
            if has_looked:
                return None
            self._look()
            has_looked = True

    def _look(self) -> None:
        by_document: dict[tuple[str, SeatId, str], list[tuple[Path, _Marker]]] = {}
        for path in sorted(self._markers.glob("*.json")):
            with self._lock:
                if path in self._being_stored:
                    continue
            with contextlib.suppress(OSError):
                try:
                    marker = _MARKER.decode(path.read_bytes())
                except ValueError:
                    _LOG.error("%s is damaged, and left alone", path)
                    continue
                by_document.setdefault(marker.key, []).append((path, marker))
        self._found.extend(by_document.values())
        # What was taken away meanwhile, or handed over by another process, is due no more.
        self._not_before = {key: when for key, when in self._not_before.items() if key in by_document}

    def _if_due(self, marked: list[tuple[Path, _Marker]], now: float) -> Waiting | None:
        """Return a document that has been found, if it is to be handed over by now."""
        marker = marked[0][1]
        if self._not_before.get(marker.key, (now, 0))[0] > now:
            return None
        there = [(path, one) for path, one in marked if path.exists()]
        try:
            # None is there any more where another process has handed it over meanwhile.
            waiting = self._waiting(there) if there else None
        except StorageError:  # it is logged there
            self._later(marker.key, now)
            return None
        except OSError as error:  # the others do not wait for it
            pause_s = self._later(marker.key, now)
            _LOG.error(
                "the %s document of %r in match %s cannot be handed over: %s; again in %g s",
                *(marker.kind, marker.player_id, marker.match_id),
                *(disk_problem(error), pause_s),
            )
            return None
        if waiting is None:
            self._not_before.pop(marker.key, None)
        return waiting

    def due(self) -> float | None:
        """Return when a document that has failed is to be tried again, in monotonic seconds, or ``None``."""
        return min((at for at, _ in self._not_before.values()), default=None)

    def done(self, waiting: Waiting) -> None:
        """Note that the host has had a document."""
        self._handed_over[waiting.marker.key] = waiting.digest
        self._not_before.pop(waiting.marker.key, None)
        with contextlib.suppress(OSError):  # those that are left are found, and told of, at the next look
            for path in waiting.markers:
                path.unlink(missing_ok=True)

    def failed(self, waiting: Waiting, now: float) -> float:
        """Note that the host could not take a document; return after how many seconds it is tried again."""
        return self._later(waiting.marker.key, now)

    def _later(self, key: tuple[str, SeatId, str], now: float) -> float:
        _, attempts = self._not_before.get(key, (now, 0))
        pause_s = min(_FIRST_PAUSE_S * 2.0**attempts, _LONGEST_PAUSE_S)
        self._not_before[key] = now + pause_s, attempts + 1
        return pause_s

    def _waiting(self, marked: list[tuple[Path, _Marker]]) -> Waiting | None:
        markers, marker = tuple(path for path, _ in marked), marked[0][1]
        digest = self._digest(marker)
        old = {marker.before for _, marker in marked} if len(marked) == 1 else set()
        if digest is None or digest == self._handed_over.get(marker.key) or digest in old:
            for one in markers:  # it was never stored, or handed over already
                one.unlink(missing_ok=True)
            return None
        return Waiting(marker, partial(self._load, marker), digest, markers)

    def _path(self, marker: _Marker) -> Path:
        return document_path(self._directory / marker.folder, marker.player_id, marker.kind)

    def _digest(self, marker: _Marker) -> str | None:
        """Return what tells a document's versions apart; ``None`` where there is none."""
        if self._storage is None:
            return _digest(self._path(marker))
        document = self._storage.get(marker.match_id, marker.player_id, marker.kind)
        return None if document is None else hashlib.sha256(document).hexdigest()

    def _load(self, marker: _Marker) -> bytes:
        if self._storage is None:
            return read_document(self._path(marker))
        document = self._storage.get(marker.match_id, marker.player_id, marker.kind)
        if document is None:
            raise StorageError("it is there no more")
        return document


def _digest(path: Path) -> str | None:
    """Return what tells a document's versions apart; ``None`` where there is none."""
    found = find_document(path)
    if found is None:
        return None
    try:
        with open_document(found) as file:
            digest = hashlib.sha256()
            for piece in iter(lambda: file.read(_PIECE_BYTES), b""):
                digest.update(piece)
            return digest.hexdigest()
    except FileNotFoundError:  # it has just become a large one, or is no more
        return None
