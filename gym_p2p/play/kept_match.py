"""What a player keeps of a running match should their process end: with it the next one comes back.

``rejoin/<what was joined>.<match>.<player>.json`` in the user's state folder, readable by its owner alone,
for whoever has it can take this player's seat. Held (``flock``) by the process that plays and touched by it
every few seconds, so that one that nobody holds tells when its process ended; removed at a proper end. A
process that is to play the same (the same service, room or queue, subject, seats and environment) finds it.
What nobody came back with is removed a day later, by whoever looks for their own.

Knows the file; refuses to know how one comes back.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import stat
import time
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, Literal

import attrs
import msgspec

from gym_p2p.config import P2PConfig, Secret
from gym_p2p.core.api.payloads import decode, encode
from gym_p2p.core.api.rooms import MatchFound
from gym_p2p.core.match.catching_up import Comeback
from gym_p2p.core.match.events import EXCLUDED, Connected, Pinged, PlayerGone
from gym_p2p.core.match.return_events import SUPERSEDED, CanReturn, ReturnFailed
from gym_p2p.core.match.seals import SECRET_BYTES
from gym_p2p.core.wire.messages import Cause
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ProtocolError
from gym_p2p.files.held import hold, is_held, open_at_once, stands_for, write_held
from gym_p2p.files.names import path_component
from gym_p2p.files.problems import disk_problem
from gym_p2p.files.state import state_folder
from gym_p2p.net.worker.messages import PlayerPlan, Resumable, ReturnPlan, WorkerEvent
from gym_p2p.play.ending import SUPERSEDED_WORDS
from gym_p2p.processes.clocks import LEAST_SET_S, ClockSetting, clock_setting, set_since
from gym_p2p.processes.forks import let_go_in_forks

__all__ = ["KeptFile", "KeptMatch", "find_kept_match", "is_played", "joined"]

_log = logging.getLogger(__name__)

TOUCH_EVERY_S = 5.0
"""While the match is played: how exactly it is known when a process ended."""

PROCESSES_MOST = 1_000_000
"""The others go by a number that grows with each process of a player's in a match."""

_STEP_MOST = 1000
"""It grows by chance, so that two who come back with copies of one file are two processes for the others, who
take up the match with the higher one, and not one with two paths. Small enough for a thousand processes."""

_MOST_BYTES = 2**24
"""Of a file: eight players, each of whom may state about 64 KiB."""

_LATE_S = 15.0
"""Beyond the time for which the others wait: for clocks that differ, and a process that was slow to touch."""

_SWEPT_AFTER_S = 24 * 3600.0
"""Far above the hour that anybody waits at most (``rejoin_timeout_s``), whatever was done to a clock."""


class _Kept(msgspec.Struct, frozen=True):
    format: Literal["gym_p2p rejoin 1"]
    found: dict[str, Any]
    subject_id: str
    secret: Annotated[bytes, msgspec.Meta(min_length=SECRET_BYTES, max_length=SECRET_BYTES)]
    keys: dict[int, bytes]
    incarnation: Annotated[int, msgspec.Meta(ge=0, lt=PROCESSES_MOST)]
    limit_s: Annotated[float, msgspec.Meta(gt=0)]
    about: list[dict[str, Any] | None]
    resume_token: str | None
    clock: ClockSetting | None = None
    """How the wall clock was set, by which the file's time is: one that is set makes no match old or new."""


_DECODER = msgspec.json.Decoder(_Kept)


@attrs.frozen(kw_only=True)
class KeptMatch:
    """What a process that has ended has kept.

    Attributes:
        path: where.
        subject_id: who it was to the service.
        secret: what it was known by to the others comes from it.
        returns: the match to take up again.
        about: what every player stated beside what they play, in the match's order, this player's too.
        seen_s: how long ago it last showed to be there; it may have ended up to five seconds later.
        limit_s: how long the others wait.
        descriptor: of the file, which is held by it: a :class:`KeptFile` takes it over, or :meth:`let_go`.
    """

    path: Path
    subject_id: str
    secret: bytes = attrs.field(repr=False)
    returns: ReturnPlan = attrs.field(repr=False)
    about: Sequence[Mapping[str, Any] | None] = attrs.field(repr=False)
    seen_s: float
    limit_s: float
    descriptor: int = attrs.field(repr=False)

    def let_go(self) -> None:
        """Let go of the file, as it is: once, and where no :class:`KeptFile` has taken it over."""
        os.close(self.descriptor)


def joined(config: P2PConfig, environment: str, take: Sequence[SeatId] | None) -> str:
    """Return what stands for that which a player joins: equal where they would join the same again."""
    place = [config.server_url, config.room, config.queue, config.subject_id, environment]
    wanted = [*place, None if take is None else list(take)]
    return blake2b(json.dumps(wanted).encode(), digest_size=8).hexdigest()


class KeptFile:
    """The file of the match that this process plays; for one thread at a time.

    Args:
        name: of what was joined (:func:`joined`).
        plan: of this player.
        kept: the file of the process before, which this one takes over: at once, for should it end before
            it has learnt anything, the next one is still another process than it.
    """

    def __init__(self, name: str, plan: PlayerPlan, kept: KeptMatch | None = None) -> None:
        self._name = name
        self._plan = plan
        self._found: MatchFound | None = None
        self._about: list[dict[str, Any] | None] = []
        self._can: CanReturn | None = None
        self._resume_token: Secret | None = None
        self._path = None if kept is None else kept.path
        self._descriptor = -1 if kept is None else kept.descriptor
        self._touched_at = 0.0
        self._clock: ClockSetting | None = None
        self._awaited = False
        let_go_in_forks(self)
        if kept is not None:
            self._take_over(kept)

    def _take_over(self, kept: KeptMatch) -> None:
        returns = kept.returns
        self._about = [None if one is None else dict(one) for one in kept.about]
        self._found, self._can = returns.found, CanReturn(kept.limit_s, returns.comeback.keys)
        self._resume_token = returns.resume_token
        self._write()

    def fold(self, event: WorkerEvent) -> None:
        """Take in an event of the network half."""
        match event:
            case Pinged():
                self._touch()
            case Resumable(token) if token != self._resume_token:
                self._resume_token = token
                self._write()
            case MatchFound():
                self._found = event
            case Connected(about) if not self._about:
                ours = self._plan.description["about"]
                self._about = [dict(ours) if one is None else dict(one) for one in about]
            case CanReturn():
                self._can = event
                self._write()
            case ReturnFailed():
                self.remove()
            case PlayerGone(_, reason) if reason == SUPERSEDED:
                _log.error("%s; this one ends", SUPERSEDED_WORDS)
                self.remove()  # its own copy, with which it would take the seat back
            case PlayerGone(_, reason, _, stated_reason) if reason == EXCLUDED:
                if stated_reason == Cause.AWAY:
                    self._awaited = True  # others have played for this one, and wait for another process
                else:
                    self.remove()  # nobody does

    def end(self, *, network_failed: bool = False) -> None:
        """Remove it as the match ends for this process, unless another one is waited for.

        Args:
            network_failed: the network half has ended by itself: the others know of no end.
        """
        if network_failed and self._path is not None and self._can is not None:
            _log.warning(
                "the others wait %g s for another process of this player: start the same program again",
                self._can.limit_s,
            )
            self.close()
        elif self._awaited:
            self.close()
        else:
            self.remove()

    def remove(self) -> None:
        """Remove it: the match is over for this player. Idempotent; what fails is logged."""
        path, self._path, self._can = self._path, None, None
        if path is not None:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                _log.warning("%s stays there: %s", path, disk_problem(error))
        self.close()

    def close(self) -> None:
        """Let go of it. Idempotent."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _touch(self) -> None:
        now = time.monotonic()
        if self._descriptor >= 0 and self._touched_at + TOUCH_EVERY_S <= now:
            self._touched_at = now
            if abs(set_since(self._clock)) >= LEAST_SET_S:
                self._write()
            _stamp(self._descriptor)

    def _write(self) -> None:
        found, can, folder = self._found, self._can, _folder()
        if found is None or can is None or folder is None:
            return
        self._clock = clock_setting()
        kept = _Kept(
            format="gym_p2p rejoin 1",
            found=encode(found),
            subject_id=self._plan.subject_id,
            secret=self._plan.secret,
            keys=dict(can.keys),
            incarnation=0 if self._plan.returns is None else self._plan.returns.comeback.incarnation,
            limit_s=can.limit_s,
            about=self._about,
            resume_token=None if self._resume_token is None else self._resume_token.reveal(),
            clock=self._clock,
        )
        name = f"{self._name}.{path_component(found.match_id)}.{path_component(found.player_id)}.json"
        path = folder / name
        try:
            descriptor = write_held(path, msgspec.json.encode(kept))
        except OSError as error:
            told = disk_problem(error)
            _log.warning("nobody could come back to this match: %s cannot be written: %s", path, told)
            return
        _stamp(descriptor)
        self.close()  # the one before: only now, so that one is held all the time
        self._descriptor, self._path = descriptor, path


def _stamp(descriptor: int) -> None:
    """Let a file's time be now, by the clock that it is compared with; where that fails it stays."""
    with contextlib.suppress(OSError):
        os.utime(descriptor, (time.time(), time.time()))


def find_kept_match(name: str) -> KeptMatch | None:
    """Return what a process that joined the same has kept, and ended without a word; ``None`` without one.

    One that is too old goes; of one that is not ours, or makes no sense, the log says so, and it stays. Give
    it to a :class:`KeptFile`, or let go of it: nobody else finds it meanwhile.
    """
    folder = _folder()
    if folder is None:
        return None
    _sweep(folder, but=name)
    for path in sorted(folder.glob(f"{name}.*.json")):
        descriptor = _held(path)
        if descriptor is None:
            continue
        kept = None
        try:
            kept = _read(path, descriptor)
        except OSError as error:
            _log.warning("%s is left alone: %s", path, disk_problem(error))
        if kept is not None:
            return kept
        os.close(descriptor)
    return None


def _sweep(folder: Path, *, but: str) -> None:
    """Remove what nobody holds, nor can come back with: of who never joined the same again; halves of files.

    What cannot be removed stays.

    Args:
        folder: where they are.
        but: what stands for that which is joined now: of this the log says what becomes of it.
    """
    left = [path for path in folder.glob("*.json") if not path.name.startswith(f"{but}.")]
    for path in (*left, *folder.glob(".*.tmp")):
        with contextlib.suppress(OSError):
            if path.lstat().st_mtime + _SWEPT_AFTER_S <= time.time() and not is_held(path):
                path.unlink(missing_ok=True)


def is_played(name: str) -> bool:
    """Whether a process that joined the same is alive, and plays a match that it would come back to."""
    folder = _folder()
    return any(map(is_held, [] if folder is None else folder.glob(f"{name}.*.json")))


def _held(path: Path) -> int | None:
    """Open a file and hold it; ``None`` where its process is alive, or it is gone.

    One that another took the place of meanwhile is gone: its process has written a new one.
    """
    try:
        descriptor = open_at_once(path, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as error:
        _log.warning("%s is left alone: %s", path, disk_problem(error))
        return None
    try:
        if hold(descriptor) and stands_for(path, descriptor):
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def _read(path: Path, descriptor: int) -> KeptMatch | None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        _log.warning("%s is left alone: it is no file", path)
        return None
    data = os.pread(descriptor, _MOST_BYTES, 0)
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        _log.warning("%s is left alone: it is not yours alone (chmod 600 it, or remove it)", path)
        return None
    try:
        kept = _DECODER.decode(data)
        found = decode(MatchFound, kept.found)
        _check(kept, found)
    except (msgspec.DecodeError, ProtocolError) as error:
        _log.warning("%s is left alone: no match can be taken up with it (%s); remove it", path, error)
        return None
    seen_s = max(0.0, time.time() - set_since(kept.clock) - status.st_mtime)
    if seen_s > kept.limit_s + _LATE_S:
        _log.warning(
            "the match %s is over: it was played %.0f s ago, and the others waited %g s; joining anew",
            found.match_id,
            seen_s,
            kept.limit_s,
        )
        path.unlink(missing_ok=True)
        return None
    token = kept.resume_token
    return KeptMatch(
        path=path,
        subject_id=kept.subject_id,
        secret=kept.secret,
        returns=ReturnPlan(
            found=found,
            comeback=Comeback(kept.incarnation + 1 + secrets.randbelow(_STEP_MOST), kept.keys),
            resume_token=None if token is None else Secret(token),
        ),
        about=kept.about,
        seen_s=seen_s,
        limit_s=kept.limit_s,
        descriptor=descriptor,
    )


def _check(kept: _Kept, found: MatchFound) -> None:
    """Raise a :class:`ProtocolError` where what is kept of the players is not of those of the match."""
    ids = [player.player_id for player in found.players]
    if found.player_id not in ids:
        raise ProtocolError("a match without this player")
    if len(kept.about) != len(ids) or kept.keys.keys() != set(range(len(ids))) - {ids.index(found.player_id)}:
        raise ProtocolError("other players than those of the match")


def _folder() -> Path | None:
    state = state_folder()
    return None if state is None else state / "rejoin"
