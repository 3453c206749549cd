"""Who is there to be probed: subjects, and the newest socket of each.

Knows names and sockets. It refuses to know what the subjects do.
"""

from __future__ import annotations

import attrs

__all__ = ["Presence", "ProbeSubject"]


@attrs.define(eq=False)
class ProbeSubject:
    """A subject who is there.

    Attributes:
        client: the software that he says he runs; ``None`` for a browser.
        waiting: whether anybody who knows his name may probe him; forgotten with the socket.
    """

    subject_id: str
    socket: str
    client: str | None
    waiting: bool = False


class Presence:
    """The subjects of one service."""

    def __init__(self) -> None:
        self._subjects: dict[str, ProbeSubject] = {}
        self._by_socket: dict[str, ProbeSubject] = {}

    def find(self, subject_id: str) -> ProbeSubject | None:
        """Return a subject who is there."""
        return self._subjects.get(subject_id)

    def on(self, socket: str) -> ProbeSubject | None:
        """Return the subject whose newest socket this is."""
        return self._by_socket.get(socket)

    def arrive(self, socket: str, subject_id: str, client: str | None) -> None:
        """Note a subject's socket; an older one is his no more."""
        subject = self._subjects.get(subject_id)
        if subject is None:
            subject = self._subjects[subject_id] = ProbeSubject(subject_id, socket, client)
        elif subject.socket != socket:
            self._by_socket.pop(subject.socket, None)
            subject.socket, subject.client, subject.waiting = socket, client, False
        self._by_socket[socket] = subject

    def leave(self, socket: str) -> ProbeSubject | None:
        """Forget a socket; return the subject who is gone with it, ``None`` if nobody is."""
        subject = self._by_socket.pop(socket, None)
        if subject is not None:
            del self._subjects[subject.subject_id]
        return subject
