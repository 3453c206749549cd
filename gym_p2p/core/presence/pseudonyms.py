"""Under which names everybody but the operator knows the subjects of a service.

A *subject* is who a participant is to whoever invited them: what a join token says, or what they register as.
Others have no need of it. With pseudonyms it ends where the service meets it: peers, spectators, upload
tokens, documents and the queues' decisions know a subject by its pseudonym alone, which is the same whenever
the subject comes back.

Where a pseudonym comes from, the first one that will do: what was given out before; what whoever runs the
service has chosen; a keyed hash of the subject, which nobody without the key can compute. No two subjects
have one pseudonym, and none is the id of a subject.

What somebody calls *themselves* is always a subject: so nobody becomes another by registering their
pseudonym. Whom somebody *addresses* may be called by either.

An I/O-free machine: what it gives out comes out of :meth:`Pseudonyms.poll`, to be kept. It knows ids; it
refuses to know who may see which.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
from collections import deque
from collections.abc import Callable, Mapping

import attrs

from gym_p2p.config.public_ids import is_public_id

__all__ = ["MOST_KEPT", "Assigned", "Pseudonyms", "keyed_pseudonym"]

MOST_KEPT = 100_000
"""Beyond so many subjects their pseudonyms are computed and not kept: without join tokens, anybody may
register under new names all day long."""
_CHARS = 10
"""Of base32: 50 bits, so that among 100,000 subjects two have the same in one of 200,000 studies; those get
other ones."""


@attrs.frozen
class Assigned:
    """Event: a subject has got its pseudonym; to be kept, so that it has it for good.

    Attributes:
        problem: why it has not the pseudonym that was chosen for it; ``None`` if it has, or none was.
    """

    subject_id: str
    pseudonym: str
    problem: str | None = None


def keyed_pseudonym(key: bytes, subject_id: str, attempt: int) -> str:
    """Return the pseudonym of a subject that a key gives; those of further attempts are others.

    HMAC-SHA256 (RFC 2104), so that it shows nothing of the subject to who has not the key.

    >>> keyed_pseudonym(bytes(32), "ann", 0)
    'p-o2hvks72mp'
    """
    digest = hmac.digest(key, f"{attempt}:{subject_id}".encode(), hashlib.sha256)
    return "p-" + base64.b32encode(digest).decode("ascii").lower()[:_CHARS]


class Pseudonyms:
    """The pseudonyms of one service's subjects.

    Args:
        derive: makes one of a subject and the number of the attempt, 0 at first: always the same one, and one
            that can be an id. It takes few attempts to come to one that nobody has.
        choose: returns what whoever runs the service has chosen for a subject; ``None`` for none.
        known: those that were given out before, by subject.
    """

    def __init__(
        self,
        derive: Callable[[str, int], str],
        *,
        choose: Callable[[str], object] = lambda _subject: None,
        known: Mapping[str, str] | None = None,
    ) -> None:
        self._derive = derive
        self._choose = choose
        self._pseudonym_of = dict(known or {})
        self._subject_of = {pseudonym: subject for subject, pseudonym in self._pseudonym_of.items()}
        self._outputs: deque[Assigned] = deque()

    def of(self, subject_id: str) -> str:
        """Return a subject's pseudonym; it is given one if it has none yet."""
        known = self._pseudonym_of.get(subject_id)
        if known is not None:
            return known
        if len(self._pseudonym_of) >= MOST_KEPT:
            return self._derived(subject_id)
        chosen = self._choose(subject_id)
        problem = None if chosen is None else self._problem(chosen, subject_id)
        pseudonym = chosen if isinstance(chosen, str) and problem is None else self._derived(subject_id)
        self._pseudonym_of[subject_id] = pseudonym
        self._subject_of[pseudonym] = subject_id
        self._outputs.append(Assigned(subject_id, pseudonym, problem))
        return pseudonym

    def is_of(self, pseudonym: str, subject_id: str) -> bool:
        """Return whether a subject is known by this pseudonym; nobody is given one by that."""
        return pseudonym == (self._pseudonym_of.get(subject_id) or self._derived(subject_id))

    def addressed(self, name: str) -> str:
        """Return the pseudonym of whom somebody calls by it, or as a subject; nobody is given one by that."""
        if name in self._subject_of:
            return name
        return self._pseudonym_of.get(name) or self._derived(name)

    def subject(self, pseudonym: str) -> str | None:
        """Return whose pseudonym this is; ``None`` if nobody's who is kept."""
        return self._subject_of.get(pseudonym)

    def poll(self) -> Assigned | None:
        """Return the next one that was given out, or ``None``."""
        return self._outputs.popleft() if self._outputs else None

    def _derived(self, subject_id: str) -> str:
        candidates = (self._derive(subject_id, attempt) for attempt in itertools.count())
        return next(one for one in candidates if self._problem(one, subject_id) is None)

    def _problem(self, pseudonym: object, subject_id: str) -> str | None:
        """Say why this cannot be a subject's pseudonym; ``None`` if it can."""
        if not is_public_id(pseudonym):
            return "it can be nobody's id"
        if pseudonym == subject_id or pseudonym in self._pseudonym_of:
            return "it is the id of a subject"
        if pseudonym in self._subject_of:
            return "it is another subject's"
        return None
