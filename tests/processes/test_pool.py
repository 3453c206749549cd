from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from gym_p2p import P2PError
from gym_p2p.processes.pool import map_in_processes


def twice(number: int) -> tuple[int, int]:
    sys.stdout.write("what a function prints is no result\n")
    return 2 * number, os.getpid()


def fails(number: int) -> int:
    if number == 3:
        raise LookupError("no such number", number)
    return number


class _Stubborn(Exception):
    """It cannot be made from its own text."""

    def __init__(self, one: int, other: int) -> None:
        super().__init__(f"{one} and {other}")


def fails_stubbornly(number: int) -> int:
    raise _Stubborn(number, number)


def ends(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def sleeps(path: str) -> None:
    Path(path).write_text(str(os.getpid()))
    time.sleep(60)


def test_results_come_in_order_from_other_processes_each_used_more_than_once() -> None:
    results = list(map_in_processes(twice, range(8), processes=2))
    assert [number for number, _ in results] == [2 * number for number in range(8)]
    processes = {process for _, process in results}
    assert os.getpid() not in processes
    assert 1 <= len(processes) <= 2
    assert not any(psutil.pid_exists(process) for process in processes)


def test_what_the_function_raises_is_raised_here() -> None:
    with pytest.raises(LookupError, match="no such number"):
        list(map_in_processes(fails, range(5), processes=2))
    with pytest.raises(P2PError, match="_Stubborn: 1 and 1"):
        list(map_in_processes(fails_stubbornly, [1], processes=1))


def test_a_process_that_is_killed_is_an_error_in_words() -> None:
    with pytest.raises(P2PError, match="ended by itself, or was killed"):
        list(map_in_processes(ends, [1], processes=1))


def test_closing_ends_what_is_in_the_middle_of_a_call(tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in "ab"]
    began = threading.Event()

    def interrupt() -> None:
        while not all(Path(file).exists() and Path(file).read_text() for file in files):
            time.sleep(0.01)
        began.set()
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with (
        pytest.raises(KeyboardInterrupt),
        contextlib.closing(map_in_processes(sleeps, files, processes=2)) as results,
    ):
        list(results)
    assert began.is_set()
    assert not any(psutil.pid_exists(int(Path(file).read_text())) for file in files)
