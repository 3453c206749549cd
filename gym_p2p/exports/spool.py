"""What could not be uploaded yet, on disk: nothing is lost and nothing is sent twice at a time.

An entry is a small file beside the documents: where one of them has to go, and the token (so it is readable
by its owner only). Whoever sends it holds a lock on the entry meanwhile; the lock ends with the process,
however that ends. An entry is written *before* the upload begins and removed once the service has the
document, so a process that is killed in between leaves it for the next one, also where a fork of it lives on.

The lock is on the file, not on its name, hence the check after taking it that the name still stands for it.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import attrs
import msgspec

from gym_p2p.config import Secret
from gym_p2p.core.wire.foreign_text import printable
from gym_p2p.exports.documents import find_document, packed_path, player_of, read_document
from gym_p2p.exports.journal import SUFFIX
from gym_p2p.exports.recovery import recover
from gym_p2p.exports.upload import Reply, Upload, UploadOutcome, upload
from gym_p2p.exports.upload_status import note_upload, upload_command
from gym_p2p.files.held import hold, stands_for, write_held
from gym_p2p.files.names import path_component
from gym_p2p.files.private import make_folder
from gym_p2p.files.problems import disk_problem
from gym_p2p.files.whole import write_bytes
from gym_p2p.processes.forks import let_go_in_forks

__all__ = ["SPOOL", "FlushResult", "SpoolEntry", "flush_spool", "waiting"]

_log = logging.getLogger(__name__)

SPOOL = ".spool"
_REFUSED = "refused"

_MOST_FAILURES = 3
"""One document may be the service's problem; three are a service that is away."""


_MAX_ENTRY_BYTES = 2**16
"""An address, a path, a token and a name."""
_LONGEST_WAIT_S = 30 * 24 * 3600.0
"""As long as a service's tokens last unless it is told otherwise."""


class _Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """An entry as it lies on disk."""

    server_url: str
    url_path: str
    token: str
    document: str
    kind: str


_DECODER = msgspec.json.Decoder(_Written)
"""Made on import, for exporters' threads: see :func:`gym_p2p.core.api.payloads.prepare`."""


class _Claims(msgspec.Struct, frozen=True):
    """What a token says of itself to whoever has it, beside what only the service can check."""

    expires_at: float


_CLAIMS = msgspec.json.Decoder(_Claims)


@attrs.frozen
class FlushResult:
    """What a flush did, by the documents' paths; the rest is still waiting, or being sent by another."""

    stored: tuple[Path, ...] = ()
    refused: tuple[Path, ...] = ()
    waiting: int = 0


@attrs.define(eq=False)
class SpoolEntry:
    """An entry whose lock this process holds: call :meth:`send` as often as wanted, then :meth:`close`."""

    target: Upload
    document: Path
    kind: str
    _path: Path
    _descriptor: int

    def __attrs_post_init__(self) -> None:
        """See that no fork shares the lock."""
        let_go_in_forks(self)

    @classmethod
    def create(
        cls, directory: Path, game_id: str, player_id: str | int, *, kind: str, target: Upload, document: Path
    ) -> SpoolEntry:
        """Write the entry of a player's document, locked; one of an earlier attempt is replaced.

        Raises:
            OSError: it could not be written.
        """
        spool = directory / SPOOL
        make_folder(spool)
        path = spool / f"{path_component(game_id)}.{path_component(player_id)}.{kind}.json"
        path = _short_enough(path)
        entry = _encoded(target, document=os.path.relpath(document, directory), kind=kind)
        descriptor = write_held(path, entry)
        return cls(target, document, kind, path, descriptor)

    @classmethod
    def claim(cls, path: Path, directory: Path) -> SpoolEntry | None:
        """Lock an entry that lies in the spool; ``None`` if another one has it, or it is done.

        Raises:
            OSError, ValueError, RecursionError: it cannot be read.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would never open
        except FileNotFoundError:
            return None
        try:
            if hold(descriptor) and stands_for(path, descriptor):
                return cls._read(path, directory, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None

    @classmethod
    def _read(cls, path: Path, directory: Path, descriptor: int) -> SpoolEntry:
        written = _DECODER.decode(_read_entry(path))
        document = (directory / written.document).resolve()
        if not document.is_relative_to(directory.resolve()):
            raise ValueError("the document lies outside the exports' folder")
        target = Upload(written.server_url, written.url_path, written.token)
        return cls(target, document, written.kind, path, descriptor)

    def send(
        self,
        body: Iterable[bytes] | None = None,
        *,
        deadline_s: float,
        give_up: Callable[[], bool] = lambda: False,
        instead: Upload | None = None,
    ) -> Reply:
        """Upload the document; remove the entry if it is stored, set it aside if it is refused for good.

        Args:
            body: the JSON in pieces; ``None`` sends what lies on disk, and says in the session document
                beside it what became of it.
            instead: another address or token than the entry's own; what is refused there still waits here.
            deadline_s: as for :func:`~gym_p2p.exports.upload.upload`.
            give_up: likewise.
        """
        own = instead in {None, self.target}
        try:
            sent = [self._read_document()] if body is None else body
            reply = upload(instead or self.target, sent, deadline_s=deadline_s, give_up=give_up)
        except OSError as error:
            reply = Reply(UploadOutcome.REFUSED, f"the document cannot be read: {error}")
        if reply.outcome is UploadOutcome.UNAUTHENTICATED and own:
            reply = self._judged(reply)
        if reply.outcome is UploadOutcome.STORED:
            self._remove()
            if body is None:
                note_upload(self.document, "stored")
        elif reply.outcome is UploadOutcome.REFUSED and own and self._is_there():
            _log.warning("upload of %s refused: %s", self.document.name, reply.detail)
            _set_aside(self._path, reply.detail)
            if body is None:
                note_upload(self.document, "refused", reply.detail)
        elif reply.outcome is not UploadOutcome.UNREACHABLE:
            _log.warning("%s was not taken and waits for the next chance: %s", self.lies_at, reply.detail)
        return reply

    def withdraw(self) -> None:
        """Remove the entry: the document waits elsewhere. Idempotent, and never raises."""
        self._remove()

    def close(self) -> None:
        """Let go of the lock: an entry that is still there may be sent by anyone. Idempotent."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _read_document(self) -> bytes:
        """Return the document; of a killed player who has left only a journal, made of that."""
        if find_document(self.document) is None:
            player = player_of(self.document, self.kind)
            recover(self.document.with_name(f"{player}{SUFFIX}"))
        return read_document(self.document)

    @property
    def lies_at(self) -> Path:
        """Where the document lies: by another name than :attr:`document` where it is compressed."""
        return find_document(self.document) or self.document

    @property
    def expired(self) -> bool:
        """Whether the token is beyond its time, by this machine's clock."""
        expires_at = _expiry(self.target.token)
        if expires_at is None:  # not one of ours as it is now: then the entry's own age has to do
            expires_at = os.fstat(self._descriptor).st_mtime + _LONGEST_WAIT_S
        return expires_at <= time.time()

    def _judged(self, reply: Reply) -> Reply:
        """Say what helps where a token is not taken any more: it may be given another one."""
        if not self.expired:  # a clock or a secret may be wrong
            return reply
        way = (
            f"with another one, `{upload_command(self.lies_at, 'kept')} --token TOKEN` hands it in; "
            "whoever runs the service makes it: gym-p2p exports token"
        )
        return Reply(reply.outcome, f"its upload token has expired ({reply.detail}); {way}")

    def _remove(self) -> None:
        with contextlib.suppress(OSError):
            if self._is_there():
                self._path.unlink()

    def _is_there(self) -> bool:
        """Whether it is this entry that lies there, and none by which its player has replaced it since."""
        try:
            return stands_for(self._path, self._descriptor)
        except OSError:
            return False


def flush_spool(
    directory: str | Path, server_url: str, *, deadline_s: float, give_up: Callable[[], bool] = lambda: False
) -> FlushResult:
    """Send what waits for this service, each once; stop when it seems to be away.

    Entries for another service stay: their tokens are none of this one's business.

    Args:
        directory: the exports' folder.
        server_url: the service's address, as it was when the entries were written.
        deadline_s: no attempt begins after this many seconds.
        give_up: called between two entries.
    """
    directory = Path(directory)
    ends_at = time.monotonic() + deadline_s
    stored: list[Path] = []
    refused: list[Path] = []
    failures = 0
    entries = _entries(directory)
    random.shuffle(entries)  # those that the service chokes on must not stand before the others for ever
    for path, expired in [*((path, False) for path in entries), *((path, True) for path in entries)]:
        if failures >= _MOST_FAILURES or give_up() or ends_at <= time.monotonic():
            break
        entry = _claimed(path, directory)
        if entry is None:
            continue
        try:
            if entry.target.server_url != server_url.rstrip("/") or entry.expired is not expired:
                continue
            reply = entry.send(deadline_s=max(0.0, ends_at - time.monotonic()), give_up=lambda: True)
        finally:
            entry.close()
        match reply.outcome:
            case UploadOutcome.STORED:
                stored.append(entry.document)
            case UploadOutcome.REFUSED:
                refused.append(entry.document)
            case UploadOutcome.UNREACHABLE | UploadOutcome.DEFERRED | UploadOutcome.UNAUTHENTICATED:
                failures += 1
                _log.info("%s waits for the next chance: %s", entry.document.name, reply.detail)
    return FlushResult(tuple(stored), tuple(refused), len(_entries(directory)))


def waiting(directory: Path, below: Path) -> Iterator[SpoolEntry]:
    """Yield what waits for any service and lies at a path or below it, locked; each is closed after its turn.

    Args:
        directory: the exports' folder.
        below: that folder, a match's folder in it, or a document; absolute.
    """
    for path in _entries(directory):
        entry = _claimed(path, directory)
        if entry is None:
            continue
        try:
            if below.resolve() in {entry.document, packed_path(entry.document), *entry.document.parents}:
                yield entry
        finally:
            entry.close()


def _entries(directory: Path) -> list[Path]:
    try:
        return sorted(path for path in (directory / SPOOL).glob("*.json") if path.is_file())
    except OSError:
        return []


def _claimed(path: Path, directory: Path) -> SpoolEntry | None:
    try:
        return SpoolEntry.claim(path, directory)
    except OSError as error:
        _log.warning("cannot read %s: %s", path, error.strerror or error)
    except (ValueError, RecursionError) as error:
        problem = printable(str(error))
        _log.warning("%s is no entry of ours: %s", path, problem)
        _set_aside(path, problem)
    return None


def _read_entry(path: Path) -> bytes:
    """Return what an entry says, of whoever's making it is; raises ``OSError`` or ``ValueError``."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
        data = file.read(_MAX_ENTRY_BYTES + 1)
    if len(data) > _MAX_ENTRY_BYTES:
        raise ValueError(f"longer than {_MAX_ENTRY_BYTES} bytes")
    return data


def _set_aside(path: Path, reason: str) -> None:
    """Move an entry to the refused ones, without its token and with the reason."""
    aside = path.parent / _REFUSED / path.name
    try:
        written = msgspec.json.decode(_read_entry(path))
    except (OSError, ValueError, RecursionError):
        written = None
    kept = (
        {key: value for key, value in written.items() if key != "token"} if isinstance(written, dict) else {}
    )
    try:
        write_bytes(aside, [msgspec.json.encode({**kept, "reason": reason})])
        path.unlink(missing_ok=True)
    except OSError as error:
        _log.warning("cannot set %s aside, so it stays: %s", path, disk_problem(error))


def _expiry(token: Secret) -> float | None:
    """Return when a token expires, in Unix seconds; ``None`` if it does not say so in our way."""
    body = token.reveal().partition(".")[0]
    try:
        return _CLAIMS.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))).expires_at
    except (ValueError, RecursionError):  # binascii's and msgspec's errors are ValueErrors
        return None


def _encoded(target: Upload, *, document: str, kind: str) -> bytes:
    return msgspec.json.encode(
        _Written(target.server_url, target.path, target.token.reveal(), document, kind)
    )


def _short_enough(path: Path) -> Path:
    """Return the path; its name is made of two ids, and with both long too long for a file system."""
    return path if len(path.name) <= 200 else path.with_name(f"{path_component(path.stem)}.json")
