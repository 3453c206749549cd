"""The links that people are given: who may open which page, until when. No I/O, no clock, no randomness.

A link is for one person and one seat; it is spent once their match is over. A *door* is for whoever comes: it
gives everybody a link of their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import attrs

__all__ = ["Link", "Links"]

_MOST_GIVEN = 10_000
"""Links that a door has given and nobody has used yet; the oldest makes room."""


@attrs.frozen(kw_only=True)
class Link:
    """A link.

    Attributes:
        code: who it is for, as it stands in the documents.
        token: what the link's address has in it; whoever knows it has the seat.
        expires_at: until when the seat can be taken, in Unix seconds; ``None`` for ever.
        door: whether it gives links away.
    """

    code: str
    token: str = attrs.field(repr=False)
    expires_at: float | None = None
    door: bool = False

    def has_expired(self, now_unix: float) -> bool:
        """Return whether it was to be opened before."""
        return self.expires_at is not None and self.expires_at <= now_unix


class Links:
    """All links of a host.

    Args:
        links: that are there from the beginning.
        make: returns a link for somebody who comes through a door.
    """

    def __init__(self, links: Iterable[Link], make: Callable[[], Link]) -> None:
        self._by_digest: dict[bytes, Link] = {}
        self._given: dict[bytes, None] = {}
        self._make = make
        for link in links:
            self._by_digest[_digest(link.token)] = link

    def find(self, token: str) -> Link | None:
        """Return the link with that token; how long it takes says nothing of one that is nearly right."""
        return self._by_digest.get(_digest(token))

    def give(self) -> Link:
        """Return a new link for somebody who comes through a door."""
        link = self._make()
        digest = _digest(link.token)
        self._by_digest[digest] = link
        self._given[digest] = None
        while len(self._given) > _MOST_GIVEN:
            oldest = next(iter(self._given))
            del self._given[oldest], self._by_digest[oldest]
        return link

    def used(self, link: Link) -> None:
        """Note that somebody has taken a link's seat: it is not to make room."""
        self._given.pop(_digest(link.token), None)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
