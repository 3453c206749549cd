"""The process of one seat: a player at the end of a socket pair.

Forked by a server that has imported all of this and the environment's modules, or run as a program,
``process FD OWNER ENV``. It ends with its owner, and not at a signal: one that goes to everything that runs
reaches the owner too, who tells each process to say goodbye.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gym_p2p.errors import ConfigurationError, P2PError, UsageError
from gym_p2p.hosting.messages import End, Failed, FromProcess, Measure, Part, Visit, receive, send
from gym_p2p.processes.name import call_this_process
from gym_p2p.processes.owner import SIGNALS_OF_OWNER, Owner
from gym_p2p.processes.threads import OwnThread

if TYPE_CHECKING:
    from gym_p2p.hosting.visitors import HandedOver

__all__ = ["main", "rehearse", "run"]

_log = logging.getLogger(__name__)

ALONE_LIMIT_S = 15.0
"""For a goodbye and the documents, once the owner is gone; then it ends, whatever it is at."""

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
"""Libraries would start a thread for each core, in every seat; and a fork has none of its parent's."""


def rehearse(env: str, *modules: str) -> None:
    """Have loaded what a seat needs.

    Args:
        env: the name of the environment.
        modules: what else is known to be loaded while it is played.
    """
    for name in _ONE_THREAD:
        os.environ.setdefault(name, "1")
    import gym_p2p.hosting.player  # noqa: PLC0415 - only now are these variables read
    import gym_p2p.human.data_channel  # noqa: PLC0415 - the same
    from gym_p2p.game.env.load import import_environment, import_module  # noqa: PLC0415 - the same
    from gym_p2p.net.webrtc.rehearsal import rehearse as rehearse_connection  # noqa: PLC0415 - the same

    del gym_p2p
    rehearse_connection()
    with contextlib.suppress(UsageError):  # told when it is tried
        import_environment(env)
    for module in modules:
        with contextlib.suppress(UsageError):
            import_module(module)


class _Orders:
    """Hears what the host wants, on a thread of its own.

    Args:
        line: to the host.
        entrance: where a person's page comes from; ``None`` where a program plays.
    """

    def __init__(self, line: socket.socket, entrance: HandedOver | None) -> None:
        self._line = line
        self._entrance = entrance
        self._sending = threading.Lock()
        self._over = False
        self._main = threading.main_thread()
        self._thread = OwnThread(target=self._hear, name="gym_p2p orders", daemon=True)

    def begin(self) -> None:
        """Hear from now on."""
        self._thread.start()

    def tell(self, message: FromProcess) -> None:
        """Tell the host; who is gone hears nothing."""
        with self._sending, contextlib.suppress(OSError):
            send(self._line, message)

    def _hear(self) -> None:
        while (heard := receive(self._line)) is not None:
            match heard:
                case Visit(head), int(descriptor) if self._entrance is not None:
                    self._entrance.take(socket.socket(fileno=descriptor), head)
                case End(closing), _:
                    if self._entrance is not None and closing:
                        self._entrance.lasts = False
                    self._interrupt()
                case _, int(descriptor):
                    os.close(descriptor)
        self._interrupt()
        threading.Event().wait(ALONE_LIMIT_S)
        os._exit(1)

    def _interrupt(self) -> None:
        if not self._over and self._main.ident is not None:
            self._over = True
            signal.pthread_kill(self._main.ident, signal.SIGINT)


@contextlib.contextmanager
def _interrupted_once() -> Iterator[None]:
    """Let SIGINT, which nobody but this process sends, raise ``KeyboardInterrupt`` once within the block."""

    def interrupt(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def run(work: int, owner: Owner) -> None:
    """Do what the owner sends first, at the end of this socket."""
    call_this_process("gym_p2p-seat")
    owner.close()  # the line ends with it
    line = socket.socket(fileno=work)
    first = receive(line)
    if first is None:
        return
    from gym_p2p.hosting.visitors import HandedOver  # noqa: PLC0415 - see rehearse

    wanted, lent = first
    if isinstance(wanted, Part):
        _log_as(str(wanted.options.get("subject_id")))
    entrance = None
    if isinstance(wanted, Part) and wanted.person is not None:
        entrance = HandedOver(wanted.person.url)
    orders = _Orders(line, entrance)
    try:
        with _interrupted_once():
            _do(wanted, lent, entrance, orders)
    except KeyboardInterrupt:
        orders.tell(Failed("interrupted"))
    except ConfigurationError as error:
        orders.tell(Failed(error.problem, usage=True, option=error.option))
    except P2PError as error:
        orders.tell(Failed(str(error), usage=isinstance(error, UsageError)))
    except Exception as error:  # noqa: BLE001 - the environment's, or a bug of ours: told, and the process ends
        from gym_p2p.game.env.load import own_words  # noqa: PLC0415 - loaded, or there is nothing to say

        _log.exception("a seat failed")
        orders.tell(Failed(own_words(error)))


def _log_as(code: str) -> None:
    """Say in every line of the log whose seat it is of."""
    logging.basicConfig(format=f"{code}: %(message)s", level=logging.WARNING)
    # That a program waits for a person who gets ready, or who thinks, is no news to who hosts them.
    logging.getLogger("gym_p2p.play.waits").setLevel(logging.ERROR)


def _do(wanted: object, lent: int | None, entrance: HandedOver | None, orders: _Orders) -> None:
    from gym_p2p.hosting.cost import measure  # noqa: PLC0415 - see rehearse
    from gym_p2p.hosting.player import Player  # noqa: PLC0415 - the same
    from gym_p2p.net.worker.warm import borrow_processes  # noqa: PLC0415 - the same

    if lent is not None:
        borrow_processes(socket.socket(fileno=lent))
    orders.begin()
    match wanted:
        case Measure(part, seconds):
            orders.tell(measure(part, seconds))
        case Part():
            Player(wanted, entrance, orders.tell).play()


def main() -> None:
    """Be the process of one seat for the parent process."""
    for number in SIGNALS_OF_OWNER:
        signal.signal(number, signal.SIG_IGN)
    fd, owner, env = sys.argv[1:4]
    rehearse(env)
    run(int(fd), Owner(int(owner)))


if __name__ == "__main__":
    main()
