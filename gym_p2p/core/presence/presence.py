"""Who is there: subjects, their sockets, and the one socket of each that counts.

An I/O-free machine, and the only one of the service that knows sockets; all others know subjects, and what
they want sent to a subject goes to the socket that it has by then::

    socket:   connected -- register --> the subject's newest -- a newer one registers --> replaced
              connected -- not registered in time --> closed          every state -- disconnected --> gone
    subject:  (absent) -- a socket of it is let in, or registers --> there -- the last one gone --> (absent)

In a laboratory everybody may come in, and says when registering who it is. Where a join token has said so
before, the socket is that subject's for good; then a second socket of a subject comes in only with the
resume token that the first one got when it registered: a participant who reconnects has it, somebody who has
merely seen their link does not. A host that knows its users says itself whose a socket is.

A *place* is what a subject can have one of: seats in a room, or a ticket in a queue. A subject that
reconnects keeps its place, but has merely inherited it from the older socket: a program that was started
anew, and knows nothing of it, may take another one instead.

With pseudonyms, whom all others know is a pseudonym: what comes in as somebody's own id is made one here, and
every subject id below is one.

It draws no tokens (they come in through the constructor), and refuses to know what is played.
"""

from __future__ import annotations

import hmac
from collections import deque
from collections.abc import Callable

import attrs

from gym_p2p.config.public_ids import PUBLIC_ID, is_public_id
from gym_p2p.core.api.replies import Close, Code, Emit, Refused
from gym_p2p.core.api.rooms import Replaced
from gym_p2p.core.presence.pseudonyms import Assigned, Pseudonyms

__all__ = ["Presence", "Registered"]


@attrs.define(eq=False)
class _Subject:
    subject_id: str
    admitted: bool
    """Whether a token, or the host, has said who it is."""
    sockets: set[str] = attrs.field(factory=set)
    """All of which it is known that they are this subject's."""
    socket: str | None = None
    """The newest that has registered."""
    client: str | None = None
    resume_token: str | None = None
    placed_on: str | None = None
    """The socket on which it took its place."""


@attrs.frozen
class Registered:
    """Who a socket is from now on.

    Attributes:
        moved: the subject was there before, on an older socket.
        resume_token: with which its next socket takes this one's place; ``None`` where it needs none.
    """

    subject_id: str
    moved: bool
    resume_token: str | None


class Presence:
    """The subjects of one service.

    Args:
        register_timeout_s: a socket that has not registered by then is closed; ``None`` keeps it.
        resume_tokens: draws a new, unguessable text.
        pseudonyms: under which the subjects are known; ``None``: under their own ids.
        closes_replaced: whether a socket whose place a newer one takes is closed. Where the sockets are a
            host's, which has other uses for them, it is told and no more.
    """

    def __init__(
        self,
        *,
        register_timeout_s: float | None = None,
        resume_tokens: Callable[[], str] = lambda: "",
        pseudonyms: Pseudonyms | None = None,
        closes_replaced: bool = True,
    ) -> None:
        self._register_timeout_s = register_timeout_s
        self._closes_replaced = closes_replaced
        self._resume_tokens = resume_tokens
        self._pseudonyms = pseudonyms
        self._sockets: dict[str, _Subject | None] = {}
        """Whose each is, as far as is known."""
        self._register_by: dict[str, float] = {}
        """Until when each of these sockets has to say who it is, the earliest first."""
        self._subjects: dict[str, _Subject] = {}
        self._outputs: deque[Emit | Close] = deque()

    # ---- who is there

    def __contains__(self, socket: object) -> bool:
        return socket in self._sockets

    @property
    def socket_count(self) -> int:
        """Sockets that are connected."""
        return len(self._sockets)

    def subject_on(self, socket: str) -> str | None:
        """Return whose newest registered socket this is, or ``None``."""
        subject = self._sockets.get(socket)
        return subject.subject_id if subject is not None and subject.socket == socket else None

    def admitted_on(self, socket: str) -> str | None:
        """Return whose a socket is by its join token or its host; ``None`` where neither says so."""
        subject = self._sockets.get(socket)
        return subject.subject_id if subject is not None and subject.admitted else None

    def socket_of(self, subject_id: str) -> str | None:
        """Return a subject's newest registered socket, or ``None``."""
        subject = self._subjects.get(subject_id)
        return None if subject is None else subject.socket

    def is_there(self, subject_id: str) -> bool:
        """Return whether a subject has registered and can be reached."""
        return self.socket_of(subject_id) is not None

    def client_of(self, subject_id: str) -> str | None:
        """Return a subject's software, by its own account; ``None`` for a browser."""
        subject = self._subjects.get(subject_id)
        return None if subject is None else subject.client

    # ---- names

    def known_as(self, own_id: str) -> str:
        """Return as whom others know a subject, by what it is called itself."""
        return own_id if self._pseudonyms is None else self._pseudonyms.of(own_id)

    def addressed(self, name: str) -> str:
        """Return as whom others know whom somebody addresses, by a pseudonym or by their own id."""
        return name if self._pseudonyms is None else self._pseudonyms.addressed(name)

    def own_id(self, subject_id: str) -> str:
        """Return what a subject is called itself, for the operator; what is nobody's stays as it is."""
        return subject_id if self._pseudonyms is None else self._pseudonyms.subject(subject_id) or subject_id

    # ---- places

    def take_place(self, subject_id: str) -> None:
        """Note that a subject takes its place on the socket that it has now."""
        subject = self._subjects.get(subject_id)
        if subject is not None:
            subject.placed_on = subject.socket

    def has_inherited(self, subject_id: str) -> bool:
        """Return whether the place that a subject has was taken on an older socket."""
        subject = self._subjects.get(subject_id)
        return subject is not None and subject.placed_on != subject.socket

    # ---- what sockets do

    def connected(
        self, socket: str, now: float, *, subject_id: str | None = None, resume_token: object = None
    ) -> Refused | None:
        """Let a socket in, or say why not; a refused one leaves no trace.

        Args:
            socket: the new one.
            now: monotonic seconds.
            subject_id: who it is by its token, by its own id; ``None`` where it has yet to say so itself.
            resume_token: what it showed as such.
        """
        if subject_id is None:
            self._sockets[socket] = None
        else:
            subject_id = self.known_as(subject_id)
            subject = self._subjects.get(subject_id)
            if subject is None:
                subject = self._subjects[subject_id] = _Subject(subject_id, admitted=True)
            elif not _resumes(subject, resume_token):
                return Refused(Code.DUPLICATE_SESSION, "this subject is connected already")
            self._tie(socket, subject)
        if self._register_timeout_s is not None:
            self._register_by[socket] = now + self._register_timeout_s
        return None

    def identify(self, socket: str, subject_id: str) -> None:
        """Note whose a socket is, as its host says by its own id; it has yet to be registered."""
        if self._sockets.get(socket) is None and socket in self._sockets:
            subject_id = self.known_as(subject_id)
            subject = self._subjects.setdefault(subject_id, _Subject(subject_id, admitted=True))
            subject.admitted = True
            self._tie(socket, subject)

    def register(self, socket: str, subject_id: object, client: str | None = None) -> Registered | Refused:
        """Tie a socket to a subject; an older socket of that subject is notified and closed.

        Args:
            socket: which one.
            subject_id: who it says it is, as it came; where a token has said so, that counts instead.
            client: its software, by its own account.
        """
        known = self._sockets.get(socket)
        if known is not None and known.admitted:
            subject_id = known.subject_id
        elif not isinstance(subject_id, str) or not is_public_id(subject_id):
            return Refused(Code.BAD_REQUEST, f"subject_id: wanted {PUBLIC_ID}")
        elif known is None:
            subject_id = self.known_as(subject_id)
        elif self._is_called(known.subject_id, subject_id):
            subject_id = known.subject_id
        else:  # whoever that is, or is not, gets no pseudonym by this
            return Refused(Code.WRONG_STATE, "this socket has registered another subject")
        self._register_by.pop(socket, None)
        subject = self._subjects.get(subject_id)
        if subject is None:
            subject = self._subjects[subject_id] = _Subject(subject_id, admitted=False)
        older = subject.socket
        if older != socket:
            self._tie(socket, subject)
            subject.socket, subject.client = socket, client
        elif client is not None:  # of a socket that its host has registered
            subject.client = client
        moved = older not in {None, socket}
        if older is not None and moved:
            self._replace(subject, older)
        if subject.admitted:
            subject.resume_token = self._resume_tokens()
        return Registered(subject_id, moved, subject.resume_token)

    def disconnected(self, socket: str) -> str | None:
        """Forget a socket; return the subject that is gone with it, ``None`` if none is. Idempotent."""
        self._register_by.pop(socket, None)
        subject = self._sockets.pop(socket, None)
        if subject is None:
            return None
        subject.sockets.discard(socket)
        if not subject.sockets:
            del self._subjects[subject.subject_id]
        if subject.socket != socket:
            return None
        subject.socket = subject.placed_on = None
        return subject.subject_id

    # ---- time and outputs

    def handle_timeout(self, now: float) -> None:
        """Do what has come due by ``now``."""
        for socket, deadline in list(self._register_by.items()):
            if deadline <= now:
                del self._register_by[socket]
                self._outputs.append(Close(socket, "not registered in time"))

    def next_timeout(self) -> float | None:
        """Return when :meth:`handle_timeout` wants to be called, or ``None``."""
        return next(iter(self._register_by.values()), None)

    def poll(self) -> Assigned | Emit | Close | None:
        """Return the next request to carry out, or ``None``; a pseudonym before whatever names it."""
        assigned = None if self._pseudonyms is None else self._pseudonyms.poll()
        if assigned is not None:
            return assigned
        return self._outputs.popleft() if self._outputs else None

    # ---- inside

    def _is_called(self, subject_id: str, own_id: str) -> bool:
        """Return whether a subject is called so itself."""
        if self._pseudonyms is None:
            return subject_id == own_id
        return self._pseudonyms.is_of(subject_id, own_id)

    def _tie(self, socket: str, subject: _Subject) -> None:
        self._sockets[socket] = subject
        subject.sockets.add(socket)

    def _replace(self, subject: _Subject, older: str) -> None:
        """Let an older socket know that it counts no more; it is untied when it is gone."""
        self._outputs.append(Emit(older, Replaced(subject_id=subject.subject_id)))
        if self._closes_replaced:
            self._outputs.append(Close(older, "replaced by a newer socket of the same subject"))


def _resumes(subject: _Subject, resume_token: object) -> bool:
    if subject.resume_token is None or not isinstance(resume_token, str):
        return False
    return hmac.compare_digest(subject.resume_token.encode(), resume_token.encode(errors="surrogatepass"))
