"""One session's documents: a journal while it lasts, written at the end, uploaded or kept for later.

It owns two daemon threads. One adds what is new to the journal every so often, and at last uploads; the other
makes documents of what killed sessions left, and sends what waits in the spool. The final documents
are written by whoever calls :meth:`Exporter.finish`, so that they are on disk when it returns, whatever the
network does.

Where a folder takes no more (its disk is full, or was made read-only), what was played goes to the fallback,
all of it, and is taken away from where only a part of it is; it is in memory until it is somewhere.

From the first entry of the journal on the session has an entry in the spool whose lock it holds. So if the
process is killed, what it played is sent by the next one; see :mod:`gym_p2p.exports.spool`.
"""

from __future__ import annotations

import logging
import shlex
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, cast

import attrs

from gym_p2p.config import ExportConfig
from gym_p2p.config.secret import Secret
from gym_p2p.core.record.documents import KINDS, Document, Kind
from gym_p2p.exports.account import Account
from gym_p2p.exports.encoding import encode
from gym_p2p.exports.place import UPLOADED, Place
from gym_p2p.exports.recovery import recover_all
from gym_p2p.exports.spool import SpoolEntry, flush_spool
from gym_p2p.exports.unwritten import keep_trying
from gym_p2p.exports.upload import Reply, Upload, UploadOutcome, upload
from gym_p2p.exports.upload_status import upload_command, upload_status
from gym_p2p.files.private import check_directory
from gym_p2p.files.problems import disk_problem
from gym_p2p.processes.threads import OwnThread

__all__ = ["Exporter", "Finished"]

_log = logging.getLogger(__name__)

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
        fallback: where it is instead once that one takes no more; ``None``: nowhere.
        server_url: the service; ``None`` uploads nothing.
        token: the right to upload; ``None`` uploads nothing.

    Raises:
        ConfigurationError: no file can be written into the exports' folder, and there is no fallback.
    """

    def __init__(
        self,
        config: ExportConfig,
        *,
        account: Account,
        folder: Path | None,
        fallback: Path | None = None,
        server_url: str | None = None,
        token: str | Secret | None = None,
    ) -> None:
        self._interval_s = config.checkpoint_interval_s
        self._account = account
        if folder is not None and fallback is None:
            check_directory(folder.parent)
        self._target: Upload | None = None
        if config.upload and server_url is not None and token is not None:
            self._target = Upload.of_document(
                server_url=server_url,
                match_id=account.record.game_id,
                player_id=account.record.player_id,
                kind=UPLOADED,
                token=token,
            )
        folders = [] if folder is None else [folder, *([] if fallback in {None, folder} else [fallback])]
        self._places = [Place(one, account, self._target) for one in folders if one is not None]
        """The one that is wanted, then the fallback."""
        self._journals_in = 0
        """In which of them the journal goes on."""
        self._writing = threading.Lock()
        self._closing = threading.Lock()
        self._ending = threading.Event()
        self._ended = threading.Event()
        self._problems: list[str] = []
        self._told: set[str] = set()
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
        had not begun, the documents are written and the upload is left to the spool. Documents that could be
        written nowhere are tried again for as long as the process lives. Who interrupts it (a Ctrl-C) before
        they are written has all that was played in the journal.
        """
        with self._closing:
            if self._finished is None:
                try:
                    self._finished = self._finish(deadline_s)
                except BaseException:
                    self._leave_journal()
                    raise
                if self._places and not self._paths.keys() >= set(KINDS):
                    keep_trying(self._places[0].folder, self._write_after_all)
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
        paths = self._paths
        unwritten = bool(self._places) and len(paths) < len(KINDS)
        lost = unwritten or not (self._target is None or uploaded or spooled)
        return Finished(cast("Mapping[str, Path]", paths), uploaded, spooled, tuple(self._problems), lost)

    def _leave_journal(self) -> None:
        """Have the journal hold everything, unless the documents are whole: they are not written any more."""
        with self._writing:
            if not self._places or self._paths.keys() >= set(KINDS):
                return
            self._append()
            place = self._places[self._journals_in]
            if place.journal.exists:
                recover = f"`{_recover_command(place.folder)}` makes the documents of it"
                _log.error("exports: broken off; what was played is in %s: %s", place.journal.path, recover)
            place.journal.close()

    @property
    def _paths(self) -> dict[Kind, Path]:
        """Where the documents are that are somewhere."""
        found: dict[Kind, Path] = {}
        for place in reversed(self._places):
            found |= place.paths
        return found

    @property
    def _entry(self) -> SpoolEntry | None:
        return next((place.entry for place in self._places if place.entry is not None), None)

    def _tell_upload(self, state: Literal["stored", "kept", "refused"], detail: str) -> None:
        """Say in the session document what became of the upload."""
        self._account.record.upload = upload_status(state, detail, self._paths.get(UPLOADED))
        place = next((place for place in self._places if "session" in place.paths), None)
        if place is not None:
            self._write(place, "session", self._account.document("session"))

    def _way_on(self, state: Literal["kept", "refused"]) -> str:
        path = self._paths.get(UPLOADED)
        return "" if path is None else f"; `{upload_command(path, state)}` hands it in later"

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
            for place in self._places:
                if place.entry is not None:
                    place.entry.close()

    def _send_earlier(self) -> None:
        for directory in (place.folder.parent for place in self._places):
            try:
                recover_all(directory, give_up=self._ending.is_set)
            except OSError as error:
                told = disk_problem(error)
                _log.warning("%s: cannot look for what killed players left: %s", directory, told)
            if self._target is not None:
                url = self._target.server_url
                flush_spool(directory, url, deadline_s=_FLUSH_DEADLINE_S, give_up=self._ending.is_set)

    def _checkpoint(self) -> None:
        with self._writing:
            if not self._ending.is_set():
                self._append()

    def _note_lateness(self, apart_s: float) -> None:
        """Count a checkpoint that comes late, and say the first: it may concern who runs the study."""
        record = self._account.record
        if not self._places or apart_s <= 2 * self._interval_s + _LATE_S:
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

    def _append(self) -> None:
        """Add what is new to the journal; what fails is noted, and the match goes on.

        It goes on in the fallback from the first time on that the folder does not take it.
        """
        failed: list[tuple[str, str]] = []
        for number, place in enumerate(self._places[self._journals_in :], self._journals_in):
            try:
                place.journal.append()
            except Exception as error:  # noqa: BLE001 - a full disk, or what cannot be JSON
                failed.append((f"writing {place.journal.path}", disk_problem(error)))
                continue
            if number > self._journals_in:
                told = f"{'; '.join(map(' failed: '.join, failed))}; what is played is kept in {place.folder}"
                _log.error("exports: %s from now on", told)
                self._places[self._journals_in].leave()
                self._journals_in = number
            self._enter_spool(place)
            return
        for what, detail in failed:
            self._problem(what, detail)

    def _write_final(self) -> None:
        """Build and write the documents: all in one folder, the first that takes them."""
        for place in self._places:
            self._write_all(place, or_none=place is not self._places[-1])
            if place.whole:
                self._settle(place)
                break
        else:
            self._append()  # the end, too, for whoever recovers it
        if not self._places and self._target is not None:
            self._final = self._built(UPLOADED)
        for place in self._places:
            place.journal.close()

    def _write_all(self, place: Place, *, or_none: bool) -> None:
        """Write the documents to a place; what fails is noted, and the others are written all the same.

        Args:
            place: where to.
            or_none: stop at the first that cannot be written.
        """
        for kind in KINDS:
            document = self._built(kind)
            if document is None:
                continue
            if kind == UPLOADED:
                self._final = document
            if not self._write(place, kind, document) and or_none:
                return

    def _built(self, kind: Kind) -> Document | None:
        try:
            return self._account.document(kind)
        except Exception as error:  # noqa: BLE001 - a session must be able to end whatever the record is
            self._problem(f"building the {kind} document", repr(error))
            return None

    def _write(self, place: Place, kind: Kind, document: Document) -> bool:
        try:
            place.write(kind, document)
        except Exception as error:  # noqa: BLE001 - a full disk, or what cannot be JSON
            self._problem(f"writing {place.path(kind)}", f"{disk_problem(error)}; {self._left(place, kind)}")
            return False
        return True

    def _left(self, place: Place, kind: Kind) -> str:
        if kind in place.paths:
            return "the one before is still there"
        later = self._places[self._places.index(place) + 1 :]
        if later:
            return f"the documents go to {later[0].folder}"
        journaled = self._places[self._journals_in]
        if not journaled.journal.exists:
            return "nothing lies there"
        recover = f"`{_recover_command(journaled.folder)}` makes it of that"
        return f"what could be written of what was played is in the journal: {recover}"

    def _settle(self, place: Place) -> None:
        """Note on the disk what lies whole at a place, and take away what nobody needs any more."""
        self._enter_spool(place)
        try:
            place.enter_index()
        except OSError as error:
            self._problem("the index", disk_problem(error))
        try:
            place.journal.discard()
        except OSError as error:
            self._problem(f"removing {place.journal.path}", disk_problem(error))
        others = [other for other in self._places if other is not place]
        for other in others:
            other.leave()
        if self._target is None or place.entry is not None or self._final is None:
            return
        for other in others:  # so that it is handed in all the same
            if self._write(other, UPLOADED, self._final):
                self._enter_spool(other)

    def _enter_spool(self, place: Place) -> None:
        try:
            place.enter_spool()
        except OSError as error:
            self._problem("the spool", disk_problem(error))

    def _write_after_all(self) -> bool:
        """Try once more to write what could be written nowhere; return whether it is somewhere now."""
        with self._writing:
            self._problems.clear()
            self._write_final()
        for place in self._places:
            if place.entry is not None:
                place.entry.close()
        if not self._paths.keys() >= set(KINDS):
            return False
        _log.warning("exports: the documents are in %s after all", self._paths[UPLOADED].parent)
        return True

    def _problem(self, what: str, detail: str) -> None:
        problem = f"{what}: {detail}"
        self._problems.append(problem)
        if problem not in self._told and not self._journals_in:  # a full disk is full at every checkpoint
            self._told.add(problem)
            _log.warning("exports: %s failed: %s", what, detail)


def _recover_command(folder: Path) -> str:
    """Return the command that makes documents of a folder's journals, as a shell takes it."""
    return f"gym-p2p exports recover {shlex.quote(str(folder))}"
