"""Who of a framework's subjects is there, as far as its own look-up tells when it is asked.

The framework announces nobody's leaving to a coordinator: it has one look-up, from a subject to its socket.
So whoever takes part in a probe is looked up again and again, and what has changed is told apart here. It
knows that look-up and no time.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

__all__ = ["Change", "LookedUp"]


class Change(enum.Enum):
    """What a new look at a subject has shown."""

    GONE = "gone"
    MOVED = "moved"
    """It has another socket than before."""


class LookedUp:
    """The subjects of the probes under way, and the socket that each had when it was last looked up.

    Args:
        socket_of: the framework's look-up; ``None`` (or nothing) for one who is not there.
    """

    def __init__(self, socket_of: Callable[[str], str | None]) -> None:
        self._socket_of = socket_of
        self._sockets: dict[str, str | None] = {}
        self._probes = Counter[str]()
        """In how many each takes part."""

    def follow(self, subjects: Iterable[str]) -> None:
        """Look these up from now on, once more for each call; end it with :meth:`let_go`."""
        for subject_id in subjects:
            self._probes[subject_id] += 1
            if subject_id not in self._sockets:
                self._sockets[subject_id] = self._socket_of(subject_id) or None

    def let_go(self, subjects: Iterable[str]) -> None:
        """Undo a :meth:`follow`."""
        for subject_id in subjects:
            self._probes[subject_id] -= 1
            if self._probes[subject_id] <= 0:
                del self._probes[subject_id]
                self._sockets.pop(subject_id, None)

    def look(self) -> Iterator[tuple[str, Change]]:
        """Look everybody up again; yield what has changed."""
        for subject_id, before in tuple(self._sockets.items()):
            socket = self._sockets[subject_id] = self._socket_of(subject_id) or None
            if socket is None and before is not None:
                yield subject_id, Change.GONE
            elif socket != before:
                yield subject_id, Change.MOVED

    def subject_on(self, socket: str) -> str | None:
        """Return whose socket this is, by the last look; ``None``: nobody's who takes part in a probe."""
        return next((subject_id for subject_id, its in self._sockets.items() if its == socket), None)

    def socket_of(self, subject_id: str) -> str | None:
        """Return the socket of one who takes part in a probe, by the last look; ``None``: none."""
        return self._sockets.get(subject_id)

    # ---- what a registry asks

    def is_there(self, subject_id: str) -> bool:
        """Return whether a subject can be reached."""
        return self._sockets.get(subject_id) is not None

    def client_of(self, _subject_id: str) -> None:
        """Everybody here is a browser."""
        return
