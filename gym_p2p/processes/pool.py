"""Calls a function of a module in several other Python processes at once.

As ``concurrent.futures`` does with processes, but without the caller's main module (which a program that does
not guard its main part would run again), without a word of them when there is a Ctrl-C, and with nothing that
outlives the caller.

Run as a program it is one of these processes: it reads pickled calls and answers each with a pickled result.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import pickle
import queue
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar

from gym_p2p.errors import P2PError
from gym_p2p.processes.python import python_command

__all__ = ["map_in_processes"]

_T = TypeVar("_T")
_R = TypeVar("_R")

END_TIMEOUT_S = 5.0
"""For a process that has nothing more to do to end; then it is killed."""


def map_in_processes(
    function: Callable[[_T], _R], arguments: Sequence[_T], *, processes: int
) -> Generator[_R, None, None]:
    """Yield what the function returns for each argument, in order. Close it: this ends the processes.

    Args:
        function: of a module, not of the main one.
        arguments: can be pickled, as what is returned can.
        processes: how many calls there are at the same time.

    Raises:
        P2PError: a process could not start or was killed.
        Exception: what the function raised.
    """
    workers: list[subprocess.Popen[bytes]] = []
    idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()

    def call(argument: _T) -> _R:
        worker = idle.get()
        try:
            result: _R = _call(worker, function, argument)
            return result
        finally:
            idle.put(worker)

    try:
        for _ in range(processes):
            workers.append(_start())
            idle.put(workers[-1])
        with concurrent.futures.ThreadPoolExecutor(processes) as threads:
            try:
                yield from threads.map(call, arguments)
            except BaseException:
                for worker in workers:
                    worker.kill()  # nobody waits for what they do; the threads end with them
                raise
    finally:
        for worker in workers:
            _end(worker)


def _start() -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            python_command("gym_p2p.processes.pool"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,  # a Ctrl-C is the caller's to handle
        )
    except OSError as error:
        raise P2PError(f"no process to play it could start: {error}") from error


def _call(worker: subprocess.Popen[bytes], function: Callable[[Any], Any], argument: Any) -> Any:
    assert worker.stdin is not None  # noqa: S101 - a pipe, see above
    assert worker.stdout is not None  # noqa: S101 - the same
    try:
        pickle.dump((function, argument), worker.stdin)
        worker.stdin.flush()
        returned, result = pickle.load(worker.stdout)  # noqa: S301 - from our own process
    except (EOFError, OSError, pickle.UnpicklingError):
        raise P2PError("a process that played it ended by itself, or was killed") from None
    if not returned:
        raise result
    return result


def _end(worker: subprocess.Popen[bytes]) -> None:
    for pipe in (worker.stdin, worker.stdout):
        with contextlib.suppress(OSError):
            pipe.close()  # type: ignore[union-attr]  # pipes, see above
    try:
        worker.wait(END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def _answer(calls: Any, results: Any) -> None:
    """Answer until there are no more calls: the caller has closed the pipe, or has ended."""
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            function, argument = pickle.load(calls)  # noqa: S301 - from our own other half
            try:
                answer = pickle.dumps((True, function(argument)))
            except Exception as error:  # noqa: BLE001 - raised where it was called
                answer = _failure(error)
            results.write(answer)
            results.flush()


def _failure(error: Exception) -> bytes:
    try:
        answer = pickle.dumps((False, error))
        pickle.loads(answer)  # noqa: S301 - what another one's error class makes of its own pickle
    except Exception:  # noqa: BLE001 - whatever an error class may do
        return pickle.dumps((False, P2PError(f"{type(error).__name__}: {error}")))
    return answer


def _main() -> None:
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what an environment prints is no result
    _answer(sys.stdin.buffer, results)


if __name__ == "__main__":
    _main()
