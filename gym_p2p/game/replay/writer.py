"""Recording a match while it is played.

Knows the file and what has to go into it; refuses to know which frames are confirmed: it takes only those,
each once and in order. A match is never ended by its recording: a full disk ends the recording, with a
warning.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import msgspec

from gym_p2p.errors import ConfigurationError, UsageError
from gym_p2p.files.growing import GrowingFile
from gym_p2p.files.private import make_folder, open_private
from gym_p2p.files.problems import disk_problem
from gym_p2p.game.checksum import OutcomeChecksum, checksum
from gym_p2p.game.outcome import Outcome
from gym_p2p.game.replay.header import SUFFIX, ReplayHeader
from gym_p2p.game.replay.partial import PARTIAL, partial_path
from gym_p2p.game.replay.records import (
    FORMAT,
    MAX_PAYLOAD_BYTES,
    Begun,
    Check,
    Closed,
    Ended,
    Frames,
    Record,
    StateCheck,
    digest_of_header,
    encode,
)
from gym_p2p.processes.forks import let_go_in_forks

__all__ = ["ReplayWriter", "check_replay_path", "ends_of"]

_log = logging.getLogger(__name__)

_FLUSH_FRAMES = 256
_FLUSH_S = 1.0
_FLUSH_BYTES = MAX_PAYLOAD_BYTES // 8
"""What a killed process loses at most: a record is written after so many frames, or seconds, or bytes."""


def check_replay_path(path: str | Path) -> Path:
    """Return the absolute path if a match can be recorded there; the folder is made if need be.

    Raises:
        ConfigurationError: there is a file already, or none can be written.
    """
    path = Path(path).absolute()
    if path.suffix != SUFFIX:
        raise ConfigurationError("record", f"wanted a file that ends in {SUFFIX}, got {str(path)!r}")
    for found in (path, partial_path(path)):
        if found.exists():
            raise ConfigurationError("record", f"{str(found)!r} is there already; name another file")
    try:
        make_folder(path.parent)
        open_private(partial_path(path), "xb").close()
        partial_path(path).unlink()
    except OSError as error:
        raise _cannot_record(path, error) from error
    return path


def _cannot_record(path: str | Path, error: OSError) -> ConfigurationError:
    return ConfigurationError("record", f"cannot write {str(path)!r}: {disk_problem(error)}")


def ends_of(outcome: Outcome) -> bytes:
    """Return a byte for each seat: 1 if it terminated, 2 if it was truncated."""
    return bytes(a + 2 * b for a, b in zip(outcome.terminations, outcome.truncations, strict=True))


@attrs.define(eq=False)
class _Episode:
    """The running episode: what has not been written of it yet, and the checksum of it all."""

    digests: OutcomeChecksum
    outcome: Outcome
    frames: int = 0
    waiting: Frames = attrs.field(factory=lambda: Frames.none(0))
    waiting_bytes: int = 0
    digests_by_frame: dict[int, str] = attrs.field(factory=dict)


class ReplayWriter:
    """Records one match into a file that appears under its name once it is finished.

    Until then it is at :func:`~gym_p2p.game.replay.partial.partial_path`, and held. All methods may go on
    being called when the recording has failed; they do nothing then.

    Args:
        path: the file.
        header: what the match is.
        checked_every: frames between two that are checked, as in the match.
        fallback: the folder in which it goes on where its own takes no more; ``None``: nowhere.
        clock: monotonic seconds, for deciding when to write.

    Attributes:
        problem: that the recording ended early, why, and what there is of it; None while all is well.
        fingerprint: the digest of all that has been written, as hex digits.

    Raises:
        ConfigurationError: the file cannot be made, or is there already.
    """

    def __init__(
        self,
        path: str | Path,
        header: ReplayHeader,
        *,
        checked_every: int = 30,
        fallback: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        path = check_replay_path(path)
        self.problem: str | None = None
        self._seats = len(header.seats)
        self._checked_every = checked_every
        self._clock = clock
        self._flushed_s = clock()
        self._episode: _Episode | None = None
        self._episodes = self._frames = 0
        self._closed = False
        fields = {"format": FORMAT, "version": header.version, **attrs.asdict(header)}
        if header.split is None:
            del fields["split"]
        line = msgspec.json.encode(fields) + b"\n"
        self._digest = digest_of_header(line)
        try:
            self._file = GrowingFile(path, PARTIAL, fallback=fallback)
        except OSError as error:
            raise _cannot_record(path, error) from error
        let_go_in_forks(self._file)
        self._append(line)
        self._write(None)

    @property
    def path(self) -> Path:
        """Where it is once it is closed."""
        return self._file.path

    @property
    def moved(self) -> str | None:
        """That it had to go on in another folder, and why, in words; ``None`` where it did not."""
        return self._file.moved

    @property
    def fingerprint(self) -> str:
        """The digest of all that has been written; final after :meth:`close`."""
        return self._digest.hex()

    def begin_episode(self, seed: int, options: Mapping[str, Any] | None, first: Outcome) -> None:
        """Begin an episode with what ``reset`` was given and gave; a running one ends, not completed."""
        self.end_episode(completed=False)
        self._episode = _Episode(OutcomeChecksum(self._seats), first)
        seen = checksum(first.observations).hex()
        self._write(Begun(seed=seed, options=dict(options or {}), observations=seen))

    def frame(self, by_seat: Sequence[bytes], outcome: Outcome) -> None:
        """Take in the next confirmed frame: every seat's encoded action, and what came of them.

        Raises:
            UsageError: no episode is running.
        """
        episode = self._running()
        episode.digests.update(episode.frames, by_seat, outcome)
        waiting = episode.waiting
        waiting.inputs.append(tuple(by_seat))
        waiting.rewards.append(outcome.rewards)
        waiting.ends.append(ends_of(outcome))
        episode.frames += 1
        self._frames += 1
        episode.outcome = outcome
        if outcome.ended or episode.frames % self._checked_every == 0:
            self._check(episode)
        episode.waiting_bytes += sum(map(len, by_seat))
        full = len(waiting.inputs) >= _FLUSH_FRAMES or episode.waiting_bytes >= _FLUSH_BYTES
        if full or self._flushed_s + _FLUSH_S <= self._clock():
            self._write_waiting(episode)

    def checksum(self, frame: int, digest: str) -> None:
        """Take in what the players compared of a checked frame; may come after later frames.

        Args:
            frame: one of those that are checked.
            digest: 16 hex digits of an :class:`OutcomeChecksum` over the episode up to there; if states are
                compared too, 16 more over the state after it, by the header's snapshot strategy.

        Raises:
            UsageError: no episode is running, or this frame is none that is checked.
        """
        episode = self._running()
        own = episode.digests_by_frame.get(frame)
        if own is None:
            raise UsageError(f"frame {frame} is none of those that are checked")
        if not digest.startswith(own):
            self._fail(f"the checksum of frame {frame} is not that of the frames that were recorded")
        state = digest.removeprefix(own)
        if state:
            episode.waiting.states.append(StateCheck(frame=frame, digest=state))

    def end_episode(self, *, completed: bool) -> None:
        """End the running episode, if there is one; its last frame is checked in any case.

        Args:
            completed: whether the environment ended it, and not a reset or a departure.
        """
        episode = self._episode
        if episode is None:
            return
        if episode.frames and episode.frames - 1 not in episode.digests_by_frame:
            self._check(episode)
        if episode.waiting.inputs or episode.waiting.states:
            self._write_waiting(episode)
        self._write(Ended(frames=episode.frames, completed=completed))
        self._episode = None
        self._episodes += 1

    def close(self, reason: str = "normal") -> None:
        """End the recording, with the reason why the match ended, and give the file its name. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self.end_episode(completed=False)
        self._write(Closed(episodes=self._episodes, frames=self._frames, reason=reason))
        if self._file.closed:  # it failed before, or a fork has let go of it
            return
        self._add(self._file.finish)

    def _running(self) -> _Episode:
        if self._episode is None:
            raise UsageError("no episode is being recorded")
        return self._episode

    def _check(self, episode: _Episode) -> None:
        """Note what is known of the newest frame."""
        frame, digest = episode.frames - 1, episode.digests.digest(episode.outcome)
        seen = checksum(episode.outcome.observations).hex()
        episode.waiting.checks.append(Check(frame=frame, digest=digest, observations=seen))
        episode.digests_by_frame[frame] = digest

    def _write_waiting(self, episode: _Episode) -> None:
        self._write(episode.waiting)
        episode.waiting, episode.waiting_bytes = Frames.none(episode.frames), 0

    def _write(self, value: Record) -> None:
        record, self._digest = encode(value, self._digest)
        self._append(record)
        self._flushed_s = self._clock()

    def _append(self, data: bytes) -> None:
        if self._file.closed:  # a fork has let go of it
            return
        self._add(lambda: self._file.append(data))

    def _add(self, add: Callable[[], None]) -> None:
        """Have something done to the file, which may have to move for it."""
        before = self._file.path
        try:
            add()
        except OSError as error:
            self._fail(disk_problem(error))
            return
        if self._file.path != before:
            _log.warning("the recording %s: %s", before, self._file.moved)

    def _fail(self, why: str) -> None:
        """End the recording: what is whole of it stays where it is made, without a record cut in half."""
        self._file.cut()
        lies_in = f"what was recorded before that lies in {self._file.partial}"
        self.problem = f"the recording {self.path} ended early: {why}; {lies_in}"
        _log.warning("%s", self.problem)
