"""One session's documents: a journal while it lasts, written at the end, uploaded or kept for later.

It owns two daemon threads. One adds what is new to the journal every so often, and at last uploads; the other
makes documents of what killed sessions left, and sends what waits in the spool. The final documents
are written by whoever calls :meth:`Exporter.finish`, so that they are on disk when it returns, whatever the
network does.

From the first entry of the journal on the session has an entry in the spool whose lock it holds. So if the
process is killed, what it played is sent by the next one; see :mod:`gym_p2p.exports.spool`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import attrs

from gym_p2p.config import ExportConfig
from gym_p2p.config.secret import Secret
from gym_p2p.core.record.documents import KINDS, Document, Kind
from gym_p2p.core.record.index import index_entry
from gym_p2p.exports.account import Account
from gym_p2p.exports.documents import document_path, write_document
from gym_p2p.exports.encoding import encode
from gym_p2p.exports.index import append_to_index
from gym_p2p.exports.journal import Journal, journal_path
from gym_p2p.exports.recovery import recover_all
from gym_p2p.exports.spool import SpoolEntry, flush_spool
from gym_p2p.exports.upload import Reply, Upload, UploadOutcome, upload
from gym_p2p.exports.upload_status import upload_command, upload_status
from gym_p2p.files.private import check_directory
from gym_p2p.files.problems import disk_problem
from gym_p2p.processes.threads import OwnThread

__all__ = ["Exporter", "Finished"]

_log = logging.getLogger(__name__)

_UPLOADED: Kind = "multiplayer"
"""The document that the service stores and compares; the other two are views of the same record."""

_FLUSH_DEADLINE_S = 30.0
_LATE_S = 2.0
"""More than twice the interval and this: a busy machine is that late now and then, with a short interval."""


@attrs.frozen
class Finished:
    """What became of a session's documents."""

    paths: Mapping[str, Path]
    """By kind, where a document lies."""
    uploaded: bool
    """Whether the service has stored the multiplayer document."""
    spooled: bool
    """Whether it waits on disk for the next chance."""
    problems: tuple[str, ...]
    """What went wrong, in words; each was logged."""
    lost: bool = False
    """Whether a document that was wanted is nowhere whole: not in its folder, or at neither the service nor
    in the spool. A journal may hold what it can be recovered from."""


class Exporter:
    """Writes and uploads one session's documents: from :meth:`begin` on, until :meth:`finish`.

    Apart, for an interruption may come while it begins: whoever finishes has to know of it by then.

    Args:
        config: the interval, whether there is a folder, and whether to upload.
        account: of the match; read from several threads.
        folder: the match's folder; it is made when there is something to write. ``None`` writes no files.
        server_url: the service; ``None`` uploads nothing.
        token: the right to upload; ``None`` uploads nothing.

    Raises:
        ConfigurationError: no file can be written into the exports' folder.
    """

    def __init__(
        self,
        config: ExportConfig,
        *,
        account: Account,
        folder: Path | None,
        server_url: str | None = None,
        token: str | Secret | None = None,
    ) -> None:
        self._folder = folder
        self._interval_s = config.checkpoint_interval_s
        self._account = account
        self._player_id = account.record.player_id
        self._journal: Journal | None = None
        if folder is not None:
            check_directory(folder.parent)
            path = journal_path(folder, self._player_id)
            self._journal = Journal(path, account.journal(), account.now_ms)
        self._target: Upload | None = None
        if config.upload and server_url is not None and token is not None:
            self._target = Upload.of_document(
                server_url=server_url,
                match_id=account.record.game_id,
                player_id=self._player_id,
                kind=_UPLOADED,
                token=token,
            )
        self._writing = threading.Lock()
        self._closing = threading.Lock()
        self._ending = threading.Event()
        self._ended = threading.Event()
        self._paths: dict[str, Path] = {}
        self._problems: list[str] = []
        self._told: set[str] = set()
        self._entry: SpoolEntry | None = None
        self._final: Document | None = None
        self._upload_until = 0.0
        self._reply: Reply | None = None
        self._finished: Finished | None = None
        self._threads = [
            OwnThread(target=target, name=f"gym_p2p exporter {name}", daemon=True)
            for name, target in (("journal", self._run), ("spool", self._send_earlier))
        ]

    def begin(self) -> None:
        """Begin the journal, and to send what earlier matches have left."""
        for thread in self._threads:
            thread.start()

    def finish(self, deadline_s: float) -> Finished:
        """Write the final documents, then upload within the deadline, or leave it to the spool.

        Never raises for a disk or a network; idempotent: the second call returns what the first did. Where it
        had not begun, the documents are written and the upload is left to the spool.
        """
        with self._closing:
            if self._finished is None:
                self._finished = self._finish(deadline_s)
            return self._finished

    def _finish(self, deadline_s: float) -> Finished:
        self._upload_until = time.monotonic() + deadline_s
        self._ending.set()
        with self._writing:
            self._problems.clear()  # what a checkpoint could not write may be on disk by now
            self._write_final()
        self._ended.set()
        for thread in filter(OwnThread.is_alive, self._threads):
            thread.join(max(0.0, self._upload_until - time.monotonic()))
        reply = self._reply
        uploaded = reply is not None and reply.outcome is UploadOutcome.STORED
        refused = reply is not None and reply.outcome is UploadOutcome.REFUSED
        detail = reply.detail if reply is not None and reply.detail else "no answer in time"
        if self._target is not None and not uploaded:
            self._problem("the upload", detail + self._way_on("refused" if refused else "kept"))
        spooled = self._entry is not None and not uploaded and not refused
        if self._target is not None:
            self._tell_upload("stored" if uploaded else "refused" if refused else "kept", detail)
        unwritten = self._folder is not None and len(self._paths) < len(KINDS)
        lost = unwritten or not (self._target is None or uploaded or spooled)
        return Finished(dict(self._paths), uploaded, spooled, tuple(self._problems), lost)

    def _tell_upload(self, state: Literal["stored", "kept", "refused"], detail: str) -> None:
        """Say in the session document what became of the upload."""
        self._account.record.upload = upload_status(state, detail, self._paths.get(_UPLOADED))
        if "session" in self._paths and self._folder is not None:
            self._write(self._folder, "session", self._account.document("session"))

    def _way_on(self, state: Literal["kept", "refused"]) -> str:
        path = self._paths.get(_UPLOADED)
        return "" if path is None else f"; '{upload_command(path, state)}' hands it in later"

    # The threads.

    def _run(self) -> None:
        try:
            began = time.monotonic()
            self._checkpoint()
            while not self._ending.wait(self._interval_s):
                last, began = began, time.monotonic()
                self._note_lateness(began - last)
                self._checkpoint()
            self._ended.wait()
            self._upload()
        except Exception as error:  # noqa: BLE001 - a thread has nobody to raise to
            _log.exception("the exporter's thread failed")
            self._problems.append(f"the exporter's thread: {error!r}")
        finally:
            if self._entry is not None:
                self._entry.close()

    def _send_earlier(self) -> None:
        if self._folder is None:
            return
        directory = self._folder.parent
        try:
            recover_all(directory, give_up=self._ending.is_set)
        except OSError as error:
            _log.warning("%s: cannot look for what killed players left: %s", directory, disk_problem(error))
        if self._target is not None:
            flush_spool(
                directory, self._target.server_url, deadline_s=_FLUSH_DEADLINE_S, give_up=self._ending.is_set
            )

    def _checkpoint(self) -> None:
        with self._writing:
            if self._journal is not None and not self._ending.is_set():
                self._append(self._journal)

    def _note_lateness(self, apart_s: float) -> None:
        """Count a checkpoint that comes late, and say the first: it may concern who runs the study."""
        record = self._account.record
        if self._journal is None or apart_s <= 2 * self._interval_s + _LATE_S:
            return
        record.checkpoints_late += 1
        if record.checkpoints_late == 1:
            _log.warning(
                "a checkpoint came after %.0f s instead of %g: the machine or its disk is slow",
                apart_s,
                self._interval_s,
            )

    def _upload(self) -> None:
        if self._target is None or self._final is None:
            return
        left_s = self._upload_until - time.monotonic()
        if self._entry is not None:
            self._reply = self._entry.send(encode(self._final), deadline_s=left_s)
        else:
            self._reply = upload(self._target, encode(self._final), deadline_s=left_s)

    # Writing, under its lock.

    def _append(self, journal: Journal) -> None:
        """Add what is new to the journal; what fails is noted, and the match goes on."""
        try:
            journal.append()
        except Exception as error:  # noqa: BLE001 - a full disk, or what cannot be JSON
            self._problem(f"writing {journal.path}", disk_problem(error))
            return
        self._enter_spool()

    def _write_final(self) -> None:
        """Build and write the documents; what fails is noted, and the others are written all the same."""
        for kind in KINDS:
            try:
                document = self._account.document(kind)
            except Exception as error:  # noqa: BLE001 - a session must be able to end whatever the record is
                self._problem(f"building the {kind} document", repr(error))
                continue
            if kind == _UPLOADED:
                self._final = document
            if self._folder is not None:
                self._write(self._folder, kind, document)
        if self._folder is None or self._journal is None:
            return
        if len(self._paths) == len(KINDS):
            self._enter_spool()
            self._close_account(self._folder, self._journal)
        else:
            self._append(self._journal)  # the end, too, for whoever recovers it
        self._journal.close()

    def _write(self, folder: Path, kind: Kind, document: Document) -> None:
        path = document_path(folder, self._player_id, kind)
        try:
            self._paths[kind] = write_document(path, document)
        except Exception as error:  # noqa: BLE001 - a full disk, or what cannot be JSON
            self._problem(f"writing {path}", f"{disk_problem(error)}; {self._left(folder)}")

    def _left(self, folder: Path) -> str:
        if self._journal is None or not self._journal.exists:
            return "nothing lies there"
        return f"what was played is in the journal: 'gym-p2p exports recover {folder}' makes it of that"

    def _close_account(self, folder: Path, journal: Journal) -> None:
        """Enter the match into the index, and remove the journal, which nobody needs any more."""
        try:
            append_to_index(folder.parent, index_entry(self._account.record, folder.name))
        except OSError as error:
            self._problem("the index", disk_problem(error))
        try:
            journal.discard()
        except OSError as error:
            self._problem(f"removing {journal.path}", disk_problem(error))

    def _enter_spool(self) -> None:
        folder = self._folder
        there = self._paths or (self._journal is not None and self._journal.exists)
        if folder is None or self._target is None or self._entry is not None or not there:
            return
        try:
            self._entry = SpoolEntry.create(
                folder.parent,
                self._account.record.game_id,
                self._player_id,
                kind=_UPLOADED,
                target=self._target,
                document=document_path(folder, self._player_id, _UPLOADED),
            )
        except OSError as error:
            self._problem("the spool", disk_problem(error))

    def _problem(self, what: str, detail: str) -> None:
        problem = f"{what}: {detail}"
        self._problems.append(problem)
        if problem not in self._told:  # a full disk is full at every checkpoint
            self._told.add(problem)
            _log.warning("exports: %s failed: %s", what, detail)
