"""Sockets that a host had before our service was mounted on it.

Some of them the host has yet to answer: its ``connect`` handler had begun to, and ours is not asked any more.
Whom it refuses then leaves the library's tables without a word. It knows these tables, and neither what it
means to be let in nor how time passes.
"""

from __future__ import annotations

from typing import Any

__all__ = ["LOOK_AGAIN_S", "TakenOver"]

LOOK_AGAIN_S = 0.2


class TakenOver:
    """The sockets that were there; none until :meth:`begin`.

    Args:
        sio: the server, of either kind.
        namespace: ours.
    """

    def __init__(self, sio: Any, namespace: str) -> None:
        self._sio = sio
        self._namespace = namespace
        self._unanswered: set[str] = set()
        self._perhaps_unanswered: set[str] = set()
        """With ``always_connect`` all are connected before the host is asked."""

    def __bool__(self) -> bool:
        """Whether there are any of which the host may yet say something."""
        return bool(self._unanswered or self._perhaps_unanswered)

    def begin(self) -> list[str]:
        """Return who is connected now."""
        there = self._there()
        connected = [sid for sid in there if self._is_connected(sid)]
        self._unanswered = there.difference(connected)
        if self._sio.always_connect:
            self._perhaps_unanswered = set(connected)
        return connected

    def look(self) -> tuple[list[str], list[str]]:
        """Return who of the others is connected by now, and who was and is not any more."""
        there = self._there()
        come = [sid for sid in self._unanswered & there if self._is_connected(sid)]
        gone = list(self._perhaps_unanswered - there)
        self._unanswered = (self._unanswered & there).difference(come)
        self._perhaps_unanswered &= there
        return come, gone

    def _there(self) -> set[str]:
        return {sid for sid, _ in tuple(self._sio.manager.get_participants(self._namespace, None))}

    def _is_connected(self, sid: str) -> bool:
        return bool(self._sio.manager.is_connected(sid, self._namespace))
