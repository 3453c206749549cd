"""A small process that has a module imported and forks processes which run it, each within milliseconds.

Nothing but this process is ever forked: it is a fresh interpreter with one thread, without an event loop, and
without anything of the program that owns it. It ends with its owner, however that ends, and not at a signal:
one that goes to everything that runs reaches the owner too. What it has forked lives on without it.

Run by :mod:`gym_p2p.processes.forked`, as ``fork_server FD OWNER MODULE [TOLD ...] -- [WITHOUT ...]``. The
module's ``rehearse(*told)`` is called first. Over the socket FD comes one byte for each process, with four
descriptors (SCM_RIGHTS, unix(7)): the line on which that process is told of, its standard error, the socket
that is its work, and the pidfd of who asks. With the last two the module's ``run(work, owner)`` is called.
Modules that are named after the two dashes cannot be imported.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence

from gym_p2p.processes.name import call_this_process
from gym_p2p.processes.owner import SIGNALS_OF_OWNER, Owner
from gym_p2p.processes.reports import Report, send_report

__all__ = ["Run"]

_DESCRIPTORS = 4
"""That come with a request."""

Run = Callable[[int, Owner], None]
"""What is called in a forked process, with its work and its owner."""


class _ForkServer:
    """Forks when it is asked to, and tells of the ends of what it forked."""

    def __init__(self, requests: socket.socket, owner: Owner, run: Run) -> None:
        self._requests = requests
        self._owner = owner
        self._run = run
        self._children: dict[int, tuple[int, socket.socket]] = {}
        """By pidfd: the process id, and the line on which it is told of."""
        self._poll = select.poll()
        self._poll.register(requests, select.POLLIN)
        self._poll.register(owner.pidfd, select.POLLIN)

    def serve(self) -> None:
        """Go on until the owner has ended, or wants no more."""
        while True:
            for fd, _ in self._poll.poll():
                if fd in self._children:
                    self._reap(fd)
                elif fd == self._owner.pidfd or not self._take_request():
                    return

    def _take_request(self) -> bool:
        """Fork a process; return whether there may be more to fork."""
        request, fds, _, _ = socket.recv_fds(self._requests, 1, _DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
        if len(fds) == _DESCRIPTORS:
            self._fork(*fds)
        else:  # there was no room for them here: the line's end says so to who waits
            _close(*fds)
        return bool(request)

    def _fork(self, line_fd: int, stderr: int, work: int, asker: int) -> None:
        line = socket.socket(fileno=line_fd)
        try:
            process = os.fork()
        except OSError as error:
            _close(stderr, work, asker)
            with line:
                send_report(line, Report.failed(error))
            return
        if process == 0:
            self._be_forked(line, stderr, work, asker)
        _close(stderr, work, asker)
        pidfd = os.pidfd_open(process)  # it is not reaped yet, so it is this one's
        send_report(line, Report.forked(process), pidfd)
        self._children[pidfd] = process, line
        self._poll.register(pidfd, select.POLLIN)

    def _reap(self, pidfd: int) -> None:
        process, line = self._children.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(process, 0)
        with line:
            send_report(line, Report.ended(os.waitstatus_to_exitcode(status)))

    def _be_forked(self, line: socket.socket, stderr: int, work: int, asker: int) -> None:
        """Do a forked process's work; does not return."""
        code = 1
        try:
            os.setpgid(0, 0)
            os.dup2(stderr, 2)
            for held in (line, self._requests, *(of_other for _, of_other in self._children.values())):
                held.close()
            _close(stderr, *self._children)
            self._owner.close()
            self._run(work, Owner.known_by(asker))
            code = 0
        except BaseException:  # noqa: BLE001 - whatever it is: the server's code must not go on here
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stderr.flush()
            os._exit(code)


def _close(*fds: int) -> None:
    for fd in fds:
        os.close(fd)


def _main(fd: int, process: int, module: str, told: Sequence[str], without: Sequence[str]) -> None:
    for number in SIGNALS_OF_OWNER:
        signal.signal(number, signal.SIG_IGN)
    # An owner who ignores the ends of its children has ours ignored, too.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    call_this_process("gym_p2p-warm")
    owner = Owner(process)
    if owner.has_ended():  # before there was anything of it to wait for
        return
    # Python's own way to say that there is no such module (importlib, "The import system").
    sys.modules.update(dict.fromkeys(without))  # type: ignore[arg-type]  # None is no module
    gc.disable()  # what is imported stays, and looking through it again and again takes a tenth of the time
    imported = importlib.import_module(module)
    imported.rehearse(*told)
    gc.freeze()  # a collection in a forked process would copy every page
    gc.enable()
    with socket.socket(fileno=fd) as requests:
        _ForkServer(requests, owner, imported.run).serve()


if __name__ == "__main__":
    dashes = len(sys.argv) - 1 - sys.argv[::-1].index("--")
    _main(
        int(sys.argv[1]),
        int(sys.argv[2]),
        sys.argv[3],
        told=sys.argv[4:dashes],
        without=sys.argv[dashes + 1 :],
    )
