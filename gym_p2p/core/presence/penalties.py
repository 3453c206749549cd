"""For how long somebody is held back who misbehaves: not at first, then short, and longer each time.

What it means to be held back is for others to say: an address is slowed down, for many may share it; a
subject is not let in, for its token is its own.
"""

from __future__ import annotations

from collections import OrderedDict

import attrs

__all__ = ["FORGET_S", "MOST_KEYS", "MOST_S", "Penalties"]

MOST_S = 300.0
FORGET_S = 60.0
"""Of good behaviour, after which all is forgotten."""
MOST_KEYS = 10_000
"""Held at once: who has many networks of addresses misbehaves from each, and costs no more than this."""


@attrs.define(eq=False)
class _Held:
    times: int = 0
    until: float = 0.0
    forget_at: float = 0.0


@attrs.define(eq=False)
class Penalties:
    """Who is held back, by a key.

    Attributes:
        forgiven: how often one may misbehave before, within :data:`FORGET_S`.
        first_s: for how long the first time; twice as long each time more, up to :data:`MOST_S`.
    """

    forgiven: int
    first_s: float
    _held: OrderedDict[str, _Held] = attrs.field(init=False, factory=OrderedDict)
    """In the order of when each misbehaved last."""

    def count(self, key: str, now: float) -> None:
        """Note that one has misbehaved."""
        self._forget(now)
        held = self._held.setdefault(key, _Held())
        if held.forget_at <= now:
            held.times = 0
        held.times += 1
        counted = held.times - self.forgiven
        if counted > 0:
            held.until = now + min(MOST_S, self.first_s * 2.0 ** min(counted - 1, 30))
        held.forget_at = max(now, held.until) + FORGET_S
        self._held.move_to_end(key)
        if len(self._held) > MOST_KEYS:
            self._held.popitem(last=False)

    def wait_s(self, key: str, now: float) -> float | None:
        """Return for how long one is still held back, or ``None``."""
        self._forget(now)
        held = self._held.get(key)
        return held.until - now if held is not None and now < held.until else None

    def _forget(self, now: float) -> None:
        """Drop those at the front who are forgotten: nobody stays for long behind one who is not."""
        while self._held and next(iter(self._held.values())).forget_at <= now:
            self._held.popitem(last=False)
