"""A server that forks processes of ours, and what becomes of both, whoever dies first."""

from __future__ import annotations

import contextlib
import errno
import gc
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from gym_p2p.processes.forked import ForkedProcess, ForkServer, OtherProcess, can_fork, socket_pair
from gym_p2p.processes.python import python_command
from gym_p2p.processes.reports import Report, send_report
from tests.waiting import PATIENCE_S, until

pytestmark = pytest.mark.skipif(not can_fork(), reason="no pidfds here, so there is no such server")


@pytest.fixture
def server() -> Iterator[ForkServer]:
    server = ForkServer("tests.processes.forkable", without=("mailbox",))
    yield server
    server.close()


def _ask(server: ForkServer, word: str) -> tuple[OtherProcess, socket.socket, dict[str, Any]]:
    """Have a process forked that does this; return what it says."""
    ours, theirs = socket_pair()
    with theirs:
        process = server.fork(theirs)
    ours.settimeout(PATIENCE_S)
    ours.sendall(word.encode())
    with ours.makefile("r") as lines:
        return process, ours, json.loads(lines.readline())


def _ask_and_end(server: ForkServer) -> None:
    """Have a process forked that does nothing, and see it to its end."""
    process, line, _ = _ask(server, "wait")
    line.close()
    assert process.has_ended(PATIENCE_S)
    assert process.ending() == "exit code 0"  # so the server has reaped it
    process.close()


def test_each_process_is_a_fork_with_one_thread_and_nothing_of_its_siblings(server: ForkServer) -> None:
    asked = [_ask(server, "wait") for _ in range(4)]
    told = [answer for _, _, answer in asked]
    assert len({answer["pid"] for answer in told}) == 4
    assert all(psutil.Process(answer["pid"]).ppid() == server.pid for answer in told)
    assert all(answer["threads"] == [1, 1] for answer in told)
    # The three standard ones, the owner's pidfd, its work, and the folder that it lists them by.
    assert [answer["descriptors"] for answer in told] == [6] * 4
    assert not any(answer["owner ended"] for answer in told)
    assert all(answer["without"] for answer in told)
    for process, line, _ in asked:
        line.close()
        assert process.has_ended(PATIENCE_S)
        assert process.ending() == "exit code 0"
        process.close()


def test_no_random_draw_of_one_is_another_ones(server: ForkServer) -> None:
    drawn = []
    for _ in range(4):
        process, line, told = _ask(server, "draw")
        drawn += told["draws"]
        line.close()
        process.close()
    assert len(set(drawn)) == len(drawn) == 20


@pytest.mark.parametrize(("word", "ending"), [("die", "exit code -9"), ("raise", "exit code 1")])
def test_how_one_ended_is_told(
    word: str, ending: str, server: ForkServer, capfd: pytest.CaptureFixture[str]
) -> None:
    process, line, _ = _ask(server, word)
    assert process.has_ended(PATIENCE_S)
    assert process.ending() == ending
    assert ("ValueError: as it was told to" in capfd.readouterr().err) == (word == "raise")
    line.close()
    process.close()
    process.close()


def test_one_that_does_not_end_is_killed(server: ForkServer) -> None:
    process, line, _ = _ask(server, "sleep")
    assert not process.has_ended(0.05)
    process.kill()
    assert process.has_ended(PATIENCE_S)
    assert process.ending() == "exit code -9"
    process.kill()
    line.close()
    process.close()


def test_what_it_says_on_standard_error_goes_where_the_owners_goes_by_then(
    server: ForkServer, capfd: pytest.CaptureFixture[str]
) -> None:
    with capfd.disabled():
        first, line, _ = _ask(server, "wait")
        line.close()
        assert first.has_ended(PATIENCE_S)
    second, line, _ = _ask(server, "complain")
    assert second.has_ended(PATIENCE_S)
    assert capfd.readouterr().err == "a complaint\n"
    line.close()
    for process in (first, second):
        process.close()


def test_process_after_process_leaves_no_descriptor_and_no_zombie(server: ForkServer) -> None:
    here, there = psutil.Process(), psutil.Process(server.pid)
    _ask_and_end(server)
    before = here.num_fds(), there.num_fds()
    for _ in range(20):
        _ask_and_end(server)
    until(lambda: here.num_fds() <= before[0] and there.num_fds() <= before[1])
    assert there.children() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_everything_ends_neither_server_nor_process(
    number: signal.Signals, server: ForkServer
) -> None:
    process, line, told = _ask(server, "wait")
    for pid in (server.pid, told["pid"]):
        os.kill(pid, number)
    again, line_again, _ = _ask(server, "wait")
    assert server.is_there()
    assert not process.has_ended(0.05)
    for end in (line, line_again):
        end.close()
    for one in (process, again):
        assert one.has_ended(PATIENCE_S)
        assert one.ending() == "exit code 0"
        one.close()


def test_what_a_killed_server_has_forked_goes_on_and_its_end_is_noticed(server: ForkServer) -> None:
    process, line, _ = _ask(server, "wait")
    known: Any = process
    until(lambda: not process.has_ended() and known._pidfd >= 0)  # it answers before the server does
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: not server.is_there())
    assert not process.has_ended(0.05)
    line.close()
    assert process.has_ended(PATIENCE_S)
    assert process.ending() == "exit code unknown"
    process.close()
    ours, theirs = socket_pair()
    with ours, theirs, pytest.raises(ConnectionError):
        server.fork(theirs)


def test_one_that_is_asked_of_a_server_which_dies_at_once_is_not_waited_for(server: ForkServer) -> None:
    os.kill(server.pid, signal.SIGSTOP)
    ours, theirs = socket_pair()
    with theirs:
        process = server.fork(theirs)
    assert not process.has_ended(0.05)
    os.kill(server.pid, signal.SIGKILL)
    assert process.has_ended(PATIENCE_S)
    assert process.ending() == "exit code unknown"
    assert ours.recv(1) == b""
    ours.close()
    process.close()


def test_why_one_could_not_be_forked_is_told() -> None:
    line, theirs = socket_pair()
    process = ForkedProcess(line)
    assert not process.has_ended()
    with theirs:
        send_report(theirs, Report.failed(OSError(errno.EAGAIN, "no more")))
    assert process.has_ended(PATIENCE_S)
    assert process.ending() == f"it could not start: {os.strerror(errno.EAGAIN)}"
    process.kill()
    process.close()


def test_one_for_which_the_server_has_no_room_is_not_waited_for_and_the_next_is_forked(
    server: ForkServer,
) -> None:
    _ask_and_end(server)
    limits = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (4, limits[1]))  # three are the standard ones
    ours, theirs = socket_pair()
    with ours, theirs:
        process = server.fork(theirs)
        assert process.has_ended(PATIENCE_S)
        assert process.ending() == "exit code unknown"
        process.close()
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, limits)
    _ask_and_end(server)


_ASKER = """
import os, socket, sys
from gym_p2p.processes.forked import ForkLine, socket_pair
line = ForkLine(socket.socket(fileno=int(sys.argv[1])))
ours, theirs = socket_pair()
process = line.fork(theirs)
theirs.close()
ours.sendall(b"watch")
print(ours.recv(1000).decode(), flush=True)
sys.stdin.read()
os.kill(os.getpid(), 9)
"""


def test_whoever_asks_a_server_owns_what_it_forks(server: ForkServer) -> None:
    with server.lend() as lent:
        asker = subprocess.Popen(
            [sys.executable, "-c", _ASKER, str(lent.fileno())],
            pass_fds=[lent.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    assert asker.stdin is not None
    assert asker.stdout is not None
    with asker:
        told = json.loads(asker.stdout.readline())
        assert told["owner ended"] is False
        assert psutil.Process(told["pid"]).ppid() == server.pid
        asker.stdin.close()
    until(lambda: not psutil.pid_exists(told["pid"]))
    assert server.is_there()  # its own owner lives
    _ask_and_end(server)


_OWNER = """
import os, signal, socket, sys, time
from gym_p2p.processes.forked import ForkServer, socket_pair
if sys.argv[1] == "ignores its children":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
server = ForkServer("tests.processes.forkable")
ours, theirs = socket_pair()
process = server.fork(theirs)
theirs.close()
ours.sendall(b"wait")
assert ours.recv(1000)
if sys.argv[1] == "ignores its children":
    ours.close()
    assert process.has_ended(20)
    assert process.ending() == "exit code 0", process.ending()
heir = os.fork() if sys.argv[1] == "heir" else 1
if heir == 0:
    time.sleep(60)
print(server.pid, heir, flush=True)
time.sleep(60 if sys.argv[1] != "ends" else 0)
"""


_WITHOUT_STREAMS = """
import os, sys
for fd in range(3):
    os.close(fd)
if sys.argv[1] == "taken":
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(3)]  # as Python opens files: not to be inherited
    assert held == [0, 1, 2]
from gym_p2p.processes.forked import ForkServer, socket_pair
server = ForkServer("tests.processes.forkable")
ours, theirs = socket_pair()
process = server.fork(theirs)
theirs.close()
ours.sendall(b"wait")
told = ours.recv(1000)
ours.close()
os._exit(0 if b'"owner ended": false' in told and process.has_ended(20) and "0" in process.ending() else 1)
"""


@pytest.mark.parametrize("numbers", ["taken", "free"])
def test_an_owner_without_standard_streams_has_processes_forked_all_the_same(numbers: str) -> None:
    command = [sys.executable, "-c", _WITHOUT_STREAMS, numbers]
    assert subprocess.run(command, check=False, timeout=PATIENCE_S).returncode == 0


@pytest.mark.parametrize("how", ["alone", "heir", "ignores its children", "ends"])
def test_a_server_is_gone_with_its_owner(how: str) -> None:
    owner = subprocess.Popen([sys.executable, "-c", _OWNER, how], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    with owner.stdout:
        pid, heir = map(int, owner.stdout.readline().split())
        server = None
        with contextlib.suppress(psutil.NoSuchProcess):
            server = psutil.Process(pid)
        if how != "ends":
            owner.kill()
        owner.wait(PATIENCE_S)
    assert server is None or psutil.wait_procs([server], timeout=PATIENCE_S)[1] == []
    if how == "heir":
        os.kill(heir, signal.SIGKILL)


def test_a_server_whose_owner_has_ended_before_it_looks_ends_without_a_word() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(PATIENCE_S)  # so there is no such process any more
    ours, theirs = socket_pair()
    with ours, theirs:
        told = str(theirs.fileno()), str(gone.pid), "tests.processes.forkable", "--"
        command = python_command("gym_p2p.processes.fork_server", *told)
        server = subprocess.run(
            command, pass_fds=[theirs.fileno()], capture_output=True, check=False, timeout=PATIENCE_S
        )
    assert (server.returncode, server.stderr) == (0, b"")


def test_a_server_that_cannot_be_started_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/interpreter")
    gc.collect()  # what others have left open is not told here
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with pytest.raises(OSError, match="No such file"):
            ForkServer("tests.processes.forkable")
        gc.collect()
    assert [one for warning in warned if "socket" in (one := str(warning.message))] == []


def test_a_module_that_cannot_be_imported_is_an_end_and_no_wait(capfd: pytest.CaptureFixture[str]) -> None:
    server = ForkServer("tests.processes.no_such_module")
    ours, theirs = socket_pair()
    with ours, theirs:
        process = server.fork(theirs)
        assert process.has_ended(PATIENCE_S)
    assert "no_such_module" in capfd.readouterr().err
    process.close()
    server.close()
    server.close()


def test_a_server_ends_without_a_word_though_its_owner_wants_every_warning(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHONWARNINGS", "default")
    server = ForkServer("tests.processes.forkable", without=("mailbox",))
    _ask_and_end(server)
    warm = psutil.Process(server.pid)
    server.close()
    warm.wait(PATIENCE_S)
    assert "ResourceWarning" not in capfd.readouterr().err
