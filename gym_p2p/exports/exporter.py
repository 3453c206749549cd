"""One session's documents: checkpointed while it lasts, written at the end, uploaded or kept for later.

It owns one daemon thread. The thread first sends what earlier sessions left in the spool, then writes
a checkpoint every so often, and at last uploads. The final documents are written by whoever calls
:meth:`Exporter.finish`, so that they are on disk when it returns, whatever the network does.

From the first checkpoint on the session has an entry in the spool whose lock it holds. So if the process is
killed, the checkpoint is sent by the next one; see :mod:`gym_p2p.exports.spool`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import msgspec

from gym_p2p.config import ExportConfig
from gym_p2p.config.secret import Secret
from gym_p2p.core.record.documents import Kind
from gym_p2p.exports.documents import document_path, write_document
from gym_p2p.exports.encoding import dismantle, encode
from gym_p2p.exports.spool import SpoolEntry, flush_spool
from gym_p2p.exports.upload import Reply, Upload, UploadOutcome, upload
from gym_p2p.files.private import check_directory
from gym_p2p.files.problems import disk_problem
from gym_p2p.processes.threads import OwnThread

__all__ = ["Exporter", "Finished"]

_log = logging.getLogger(__name__)

_UPLOADED: Kind = "multiplayer"
"""The document that the service stores and compares; the other two are views of the same record."""

_FLUSH_DEADLINE_S = 30.0

_CHECKPOINT_SHARE = 0.05
"""The share of time that checkpoints may take at most: in a very long match they grow rarer."""


AnyDocument = Mapping[str, Any] | msgspec.Struct
"""What becomes an object of JSON's."""


@attrs.frozen
class Finished:
    """What became of a session's documents."""

    paths: Mapping[str, Path]
    """By kind, where a whole document lies: the final one, unless ``problems`` names it."""
    uploaded: bool
    """Whether the service has stored the multiplayer document."""
    spooled: bool
    """Whether it waits on disk for the next chance."""
    problems: tuple[str, ...]
    """What went wrong, in words; each was logged."""
    lost: bool = False
    """Whether something that was wanted is nowhere whole: not in its folder, or at neither the service nor in
    the spool."""


class Exporter:
    """Writes and uploads one session's documents.

    Args:
        config: the folder, the interval, and whether to upload.
        game_id: the match's id, also at the service.
        player_id: whose documents these are.
        build: makes new documents as of now, by kind; called from several threads, one at a time. Those of
            a checkpoint are taken apart once they are written.
        server_url: the service; ``None`` uploads nothing.
        token: the right to upload; ``None`` uploads nothing.

    Raises:
        ConfigurationError: no file can be written into the folder.
    """

    def __init__(
        self,
        config: ExportConfig,
        *,
        game_id: str,
        player_id: str | int,
        build: Callable[[], Mapping[str, AnyDocument]],
        server_url: str | None = None,
        token: str | Secret | None = None,
    ) -> None:
        self._directory = None if config.directory is None else check_directory(config.directory)
        self._interval_s = config.checkpoint_interval_s
        self._game_id = game_id
        self._player_id = player_id
        self._build = build
        self._target: Upload | None = None
        if config.upload and server_url is not None and token is not None:
            self._target = Upload.of_document(
                server_url=server_url, match_id=game_id, player_id=player_id, kind=_UPLOADED, token=token
            )
        self._writing = threading.Lock()
        self._closing = threading.Lock()
        self._ending = threading.Event()
        self._ended = threading.Event()
        self._paths: dict[str, Path] = {}
        self._problems: list[str] = []
        self._told: set[str] = set()
        self._entry: SpoolEntry | None = None
        self._final: AnyDocument | None = None
        self._upload_until = 0.0
        self._reply: Reply | None = None
        self._finished: Finished | None = None
        self._unwritten = False
        self._thread = OwnThread(target=self._run, name="gym_p2p exporter", daemon=True)
        self._thread.start()

    def finish(self, deadline_s: float) -> Finished:
        """Write the final documents, then upload within the deadline, or leave it to the spool.

        Never raises for a disk or a network; idempotent: the second call returns what the first did.
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
            self._unwritten = False
            documents = self._write()
            self._final = documents.get(_UPLOADED)
        self._ended.set()
        self._thread.join(max(0.0, self._upload_until - time.monotonic()))
        reply = self._reply
        uploaded = reply is not None and reply.outcome is UploadOutcome.STORED
        refused = reply is not None and reply.outcome is UploadOutcome.REFUSED
        if self._target is not None and not uploaded:
            self._problem(
                "the upload", reply.detail if reply is not None and reply.detail else "no answer in time"
            )
        spooled = self._entry is not None and not uploaded and not refused
        lost = self._unwritten or not (self._target is None or uploaded or spooled)
        return Finished(dict(self._paths), uploaded, spooled, tuple(self._problems), lost)

    # The thread.

    def _run(self) -> None:
        try:
            self._flush()
            pause_s = self._interval_s
            while not self._ending.wait(pause_s):
                began = time.monotonic()
                self._checkpoint()
                took_s = time.monotonic() - began
                pause_s = max(self._interval_s - took_s, took_s / _CHECKPOINT_SHARE)
            self._ended.wait()
            self._upload()
        except Exception as error:  # noqa: BLE001 - a thread has nobody to raise to
            _log.exception("the exporter's thread failed")
            self._problems.append(f"the exporter's thread: {error!r}")
        finally:
            if self._entry is not None:
                self._entry.close()

    def _flush(self) -> None:
        if self._directory is not None and self._target is not None:
            flush_spool(
                self._directory,
                self._target.server_url,
                deadline_s=_FLUSH_DEADLINE_S,
                give_up=self._ending.is_set,
            )

    def _checkpoint(self) -> None:
        with self._writing:
            if not self._ending.is_set():
                dismantle(self._write())

    def _upload(self) -> None:
        if self._target is None or self._final is None:
            return
        left_s = self._upload_until - time.monotonic()
        if self._entry is not None:
            self._reply = self._entry.send(encode(self._final), deadline_s=left_s)
        else:
            self._reply = upload(self._target, encode(self._final), deadline_s=left_s)

    # Writing, under its lock.

    def _write(self) -> Mapping[str, AnyDocument]:
        """Build and write the documents; what fails is noted, and the others are written all the same."""
        try:
            documents = self._build()
        except Exception as error:  # noqa: BLE001 - a session must be able to end whatever the record is
            self._problem("building the documents", repr(error))
            self._unwritten = True
            return {}
        if self._directory is None:
            return documents
        for kind, document in documents.items():
            path = document_path(self._directory, self._game_id, self._player_id, kind)
            try:
                write_document(path, document)
                self._paths[kind] = path
            except Exception as error:  # noqa: BLE001 - a full disk, or what cannot be JSON
                there = "what lies there is a checkpoint" if kind in self._paths else "nothing lies there"
                self._problem(f"writing {path}", f"{disk_problem(error)}; {there}")
                self._unwritten = True
        self._enter_spool(self._directory)
        return documents

    def _enter_spool(self, directory: Path) -> None:
        document = self._paths.get(_UPLOADED)
        if self._target is None or self._entry is not None or document is None:
            return
        try:
            self._entry = SpoolEntry.create(
                directory,
                self._game_id,
                self._player_id,
                kind=_UPLOADED,
                target=self._target,
                document=document,
            )
        except OSError as error:
            self._problem("the spool", disk_problem(error))

    def _problem(self, what: str, detail: str) -> None:
        problem = f"{what}: {detail}"
        self._problems.append(problem)
        if problem not in self._told:  # a full disk is full at every checkpoint
            self._told.add(problem)
            _log.warning("exports: %s failed: %s", what, detail)
