"""Recordings that are not finished: being made, and held by whoever makes them, or left by who was killed."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import attrs

from gym_p2p.errors import P2PError, UsageError
from gym_p2p.files.held import stands_for
from gym_p2p.files.problems import disk_problem
from gym_p2p.game.replay.header import SUFFIX
from gym_p2p.game.replay.reader import Replay, read_replay
from gym_p2p.game.replay.records import Closed, Ended, Record, encode

__all__ = [
    "PARTIAL",
    "UNFINISHED",
    "FinishedRecording",
    "finish_recording",
    "partial_path",
    "partial_recordings",
]

UNFINISHED = "unfinished"
"""The reason of an end that whoever made the recording did not write: killed, or unable to go on."""

PARTIAL = ".part"
"""What the name of a recording ends in while it is made."""


def partial_path(path: str | Path) -> Path:
    """Return where a recording is while it is made; what a killed process leaves stays there."""
    return Path(f"{path}{PARTIAL}")


def _hold(file: IO[bytes]) -> None:
    """Hold a file until it is closed, or the process ends however it may.

    Raises:
        BlockingIOError: somebody else holds it.
        OSError: it cannot be held.
    """
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@attrs.frozen
class FinishedRecording:
    """What became of a recording that was left.

    Attributes:
        partial: where it was, or is.
        path: where it is now; ``None`` where it was not finished.
        problem: why not; ``None`` if there is no fault.
        played: whether it is still being made, so that nothing is to be done.
    """

    partial: Path
    path: Path | None = None
    problem: str | None = None
    played: bool = False


def partial_recordings(path: Path) -> Iterator[Path]:
    """Yield the recordings without an end of a folder of matches, of a match, or the one that this is.

    Raises:
        OSError: the folder cannot be read.
    """
    if path.name.endswith(f"{SUFFIX}{PARTIAL}"):
        yield path
        return
    yield from sorted(path.glob(f"*{SUFFIX}{PARTIAL}"))
    yield from sorted(path.glob(f"*/*{SUFFIX}{PARTIAL}"))


def finish_recording(partial: Path) -> FinishedRecording:
    """End a recording that was left, and give it its name.

    What is whole of it stays as it is, a record that was cut goes, and the end says :data:`UNFINISHED`. Never
    raises for a disk or for what the file says.
    """
    try:
        return FinishedRecording(partial, _finished(partial))
    except BlockingIOError:
        return FinishedRecording(partial, played=True)
    except OSError as error:
        return FinishedRecording(partial, problem=disk_problem(error))
    except (P2PError, ValueError, MemoryError) as error:
        return FinishedRecording(partial, problem=str(error) or type(error).__name__)


def _finished(partial: Path) -> Path | None:
    """Return where it is now; ``None`` where somebody else was quicker."""
    path = partial.with_name(partial.name.removesuffix(PARTIAL))
    try:
        file = partial.open("r+b")
    except FileNotFoundError:
        return None
    with file:
        _hold(file)
        if not stands_for(partial, file.fileno()):
            return None
        if path.exists():
            raise UsageError(f"{path} is there already: move one of the two")
        _end(file, read_replay(partial))
        partial.replace(path)
    return path


def _end(file: IO[bytes], replay: Replay) -> None:
    if replay.reason is not None:  # it was killed between its last record and its name
        return
    file.truncate(replay.whole_bytes)
    file.seek(replay.whole_bytes)
    ends: list[Record] = []
    if replay.episodes and replay.episodes[-1].completed is None:
        ends.append(Ended(frames=replay.episodes[-1].frames, completed=False))
    ends.append(Closed(episodes=len(replay.episodes), frames=replay.frames, reason=UNFINISHED))
    digest = bytes.fromhex(replay.fingerprint)
    for record in ends:
        written, digest = encode(record, digest)
        file.write(written)
    file.flush()
    os.fsync(file.fileno())
