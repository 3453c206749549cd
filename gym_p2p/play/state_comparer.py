"""Compares two packed states in a process of its own, within bounds of time and memory.

What another player packed may take seconds to read, of an interpreter lock that this process's steps need.
Run as a program it is that process: it reads two states from its standard input, answers, and ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import subprocess
import sys
import threading
from typing import BinaryIO

from gym_p2p.game.state.dumps import Comparison, NoStateError, compare
from gym_p2p.processes.limits import limit_memory
from gym_p2p.processes.python import can_start_python, python_command

__all__ = ["MEMORY_BYTES", "StateComparer"]

MEMORY_BYTES = 2**28
"""Of which it needs a part: what can be read has at most so many values. NumPy reserves some, too."""

_SIZES = struct.Struct("<II")

_ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Nothing is multiplied here, and every thread of those libraries takes memory of its own."""


_OVER = "given up, as the match ended before it was"


class StateComparer:
    """Compares states, one after the other; :meth:`stop` may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def compare(self, ours: bytes, theirs: bytes, *, limit_s: float) -> Comparison:
        """Compare two packed states, of which the second may be anything.

        Raises:
            NoStateError: it is none, or could not be compared; its text says why.
        """
        if not can_start_python():
            raise NoStateError("there is no Python interpreter to compare it with")
        process = self._start()
        try:
            answer, _ = process.communicate(_SIZES.pack(len(ours), len(theirs)) + ours + theirs, limit_s)
        except subprocess.TimeoutExpired:
            raise NoStateError(f"to compare it takes more than {limit_s:g} s") from None
        finally:
            _end(process)
        if self._stopped:
            raise NoStateError(_OVER)
        return _read(answer)

    def stop(self) -> None:
        """Give up what is being compared, and compare nothing more. Idempotent."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._process.kill()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._stopped:
                raise NoStateError(_OVER)
            try:
                self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                    python_command(__name__),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env={**os.environ, **_ONE_THREAD},
                    process_group=0,  # a Ctrl-C is the player's
                )
            except OSError as error:
                raise NoStateError(f"no process to compare it could start: {error.strerror}") from None
            return self._process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            pipe.close()  # type: ignore[union-attr]  # pipes, see above
    process.wait()


def _read(answer: bytes) -> Comparison:
    head, _, states = answer.partition(b"\n")
    try:
        said = json.loads(head)
    except ValueError:
        raise NoStateError("the process that compared it ended") from None
    if said["problem"] is not None:
        raise NoStateError(said["problem"])
    size_bytes = said["ours_bytes"]
    found = [(path, ours, theirs) for path, ours, theirs in said["differences"]]
    return Comparison(found, states[:size_bytes], states[size_bytes:])


def _answer(wanted: BinaryIO) -> list[bytes]:
    """Return what there is to say about the two states that can be read there."""
    ours_bytes, theirs_bytes = _SIZES.unpack(wanted.read(_SIZES.size))
    ours, theirs = wanted.read(ours_bytes), wanted.read(theirs_bytes)
    try:
        found = compare(ours, theirs)
    except NoStateError as error:
        return [json.dumps({"problem": str(error)}).encode()]
    except MemoryError:
        return [json.dumps({"problem": "to compare it takes too much memory"}).encode()]
    head = {"problem": None, "differences": found.differences, "ours_bytes": len(found.ours)}
    return [json.dumps(head).encode(), b"\n", found.ours, found.theirs]


def _main() -> None:
    limit_memory(MEMORY_BYTES)
    for piece in _answer(sys.stdin.buffer):
        sys.stdout.buffer.write(piece)


if __name__ == "__main__":
    _main()
