"""Two players in one thread wait for each other for ever: noticed before the wait where it can be known.

``reset`` returns once everybody has called it, so whoever calls it for two players one after the other waits
in the first call for the second. Knows who of this process has met nobody yet, and where they want to;
refuses to know how players meet.

It is certain only where no other thread could call for the other player, and both have named different seats
of one room. Everywhere else (a notebook has threads of its own) it is likely, and said in the log while this
player waits, and by the error where the wait is in vain.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import threading
import time
import weakref
from collections.abc import Iterator

import attrs

from gym_p2p.config import P2PConfig
from gym_p2p.config.event_names import EventNames
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConnectFailed, UsageError
from gym_p2p.processes.threads import OwnThread

__all__ = ["Newcomer"]

_log = logging.getLogger(__name__)

_WARN_AFTER_S = 5.0
"""Time for a thread that was started before this wait to call for its own player."""


@attrs.define(eq=False, weakref_slot=True)
class Newcomer:
    """A player who has met nobody yet.

    Attributes:
        place: where they want to meet: what the service calls its events, where it is, the room, the queue.
        seats: that they want; ``None`` for any free one.
        thread: that they were made in.
        process: the same.
        called: whether somebody is inside their ``reset``.
        elsewhere: whether another process may play them: one that was forked, or got them as a pickle.
    """

    place: tuple[EventNames, str, str, str | None]
    seats: tuple[SeatId, ...] | None
    thread: threading.Thread = attrs.field(factory=threading.current_thread)
    process: int = attrs.field(factory=os.getpid)
    called: bool = False
    elsewhere: bool = False
    _warn_at: float = float("inf")

    @classmethod
    def of(cls, config: P2PConfig, seats: tuple[SeatId, ...] | None) -> Newcomer:
        """Return one whom the others of this process see."""
        names = EventNames(config.server_prefix, config.server_namespace)
        newcomer = cls((names, config.server_url, config.room, config.queue), seats)
        with _lock:
            _newcomers.add(newcomer)
        return newcomer

    @contextlib.contextmanager
    def calling(self) -> Iterator[None]:
        """Wait for the others within this block, which raises where nobody is met.

        Raises:
            UsageError: one of them is waited for in vain.
            ConnectFailed: as within; the text names whom it may have been in vain for.
        """
        if _alone() and self._other_seat() is not None:
            gc.collect()  # perhaps nobody holds that one any more
            if (other := self._other_seat()) is not None:
                raise UsageError(self._in_words(other))
        self.called, self._warn_at = True, time.monotonic() + _WARN_AFTER_S
        try:
            yield
            self.gone()
        except ConnectFailed as error:
            for other in self._others()[:1]:
                advice = f"Perhaps they cannot come: {self._in_words(other)}."
                raise ConnectFailed(
                    error.what, waited_s=error.waited_s, seen=error.seen, advice=advice
                ) from error
            raise
        finally:
            self.called, self._warn_at = False, float("inf")

    def waits(self) -> None:
        """Say what may be the cause once they wait for long; call it now and then."""
        if time.monotonic() < self._warn_at:
            return
        self._warn_at = float("inf")
        for other in self._others()[:1]:
            _log.warning("waiting for the other players; %s", self._in_words(other))

    def gone(self) -> None:
        """They have met others, or are closed. Idempotent."""
        with _lock:
            _newcomers.discard(self)

    def _other_seat(self) -> Newcomer | None:
        """Return another one who is certain to be waited for; ``None``: there is nobody."""
        if self.place[-1] is not None or self.seats is None:
            return None
        named = [other for other in self._others() if other.seats is not None]
        return next((other for other in named if set(self.seats).isdisjoint(other.seats or ())), None)

    def _others(self) -> list[Newcomer]:
        """Return whoever was made by this very thread, wants to the same place, and is called nowhere."""
        here = threading.current_thread(), os.getpid(), self.place
        others = [other for other in _everyone() if not (other is self or other.called or other.elsewhere)]
        return [other for other in others if (other.thread, other.process, other.place) == here]

    def _in_words(self, other: Newcomer) -> str:
        _, _, room, queue = self.place
        where = f"room {room!r}" if queue is None else f"queue {queue!r}"
        seats = "any seat" if other.seats is None else f"seat {', '.join(map(repr, other.seats))}"
        return (
            f"another wrapper for {where} ({seats}) was made in this thread, and its reset() is not called: "
            "reset() and step() wait for the other players' calls, so each player needs a thread or process "
            "of their own (P2PParallelEnv plays several agents in one); close() what is not wanted any more"
        )


_newcomers: weakref.WeakSet[Newcomer] = weakref.WeakSet()
_lock = threading.RLock()  # the garbage collector may close a wrapper while its thread holds it


def _everyone() -> list[Newcomer]:
    with _lock:
        return list(_newcomers)


def _after_fork() -> None:
    for newcomer in _everyone():
        newcomer.elsewhere = True
    _lock.release()


os.register_at_fork(before=_lock.acquire, after_in_parent=_after_fork, after_in_child=_lock.release)


def _alone() -> bool:
    """Whether no other thread of the program could call anything."""
    here = threading.current_thread()
    return all(one is here or isinstance(one, OwnThread) for one in threading.enumerate())
