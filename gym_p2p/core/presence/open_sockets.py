"""Which connections stand at a service's port: at most so many, and none for long that says nothing.

A connection costs its service a file descriptor, of which a process has a thousand by default, before a
byte was sent on it. Whoever opens many, and is silent, must not keep the others out; and many honest
players may share one address (a laboratory, a proxy), so that an address alone shows nothing.

So a connection that has sent its request is *in*, and stands until it ends, or begins another request and
does not finish it. The silent ones stand for :data:`SILENCE_S`, and give way: where there is no room for
another one, the oldest silent one of the same address goes, else the oldest of all. Only where nobody is
silent a new one is turned away. A honest client sends its request at once, and is not among the oldest for
long enough to be hit.

Knows addresses and time, as arguments; refuses to know sockets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable

import attrs

__all__ = ["SILENCE_S", "OpenSockets"]

SILENCE_S = 10.0
"""From the connection to its first whole request: a slow mobile line needs two or three."""


@attrs.frozen
class _Silent:
    address: str
    since: float


@attrs.define(eq=False)
class OpenSockets:
    """The connections of one port.

    Args:
        most: how many may stand.
        most_of_one: how many of one address.
        reserve: how many of ``most`` are kept for addresses somebody is in from: who is in can come back.
    """

    most: int
    most_of_one: int
    reserve: int = 0
    _address_of: dict[Hashable, str] = attrs.field(init=False, factory=dict)
    _silent: dict[Hashable, _Silent] = attrs.field(init=False, factory=dict)
    """Oldest first."""
    _of_address: Counter[str] = attrs.field(init=False, factory=Counter)
    _in_from: Counter[str] = attrs.field(init=False, factory=Counter)

    def open(self, connection: Hashable, address: str, now: float) -> Hashable | None:
        """Take in a new connection.

        Returns:
            The connection that has to be closed for it: an older one, this very one, or ``None``.
        """
        gives_way = self._gives_way(address)
        if gives_way is None and self._full(address):
            return connection
        if gives_way is not None:
            self.close(gives_way)
        self._address_of[connection] = address
        self._of_address[address] += 1
        self._silent[connection] = _Silent(address, now)
        return gives_way

    def speak(self, connection: Hashable) -> None:
        """Note that a connection has sent a whole request. Idempotent; nothing for one that is gone."""
        silent = self._silent.pop(connection, None)
        if silent is not None:
            self._in_from[silent.address] += 1

    def fall_silent(self, connection: Hashable, now: float) -> None:
        """Note that a connection owes a request again, from now on; nothing for one that does already."""
        address = self._address_of.get(connection)
        if address is not None and connection not in self._silent:
            self._silent[connection] = _Silent(address, now)
            _less(self._in_from, address)

    def close(self, connection: Hashable) -> None:
        """Note that a connection has ended. Idempotent."""
        address = self._address_of.pop(connection, None)
        if address is None:
            return
        _less(self._of_address, address)
        if self._silent.pop(connection, None) is None:
            _less(self._in_from, address)

    def overdue(self, now: float) -> list[Hashable]:
        """Return who has been silent for too long and has to be closed, oldest first."""
        return [connection for connection, silent in self._silent.items() if silent.since + SILENCE_S <= now]

    @property
    def count(self) -> int:
        """How many stand."""
        return len(self._address_of)

    def _full(self, address: str) -> bool:
        room = self.most if self._in_from[address] else self.most - self.reserve
        return self.count >= room or self._of_address[address] >= self.most_of_one

    def _gives_way(self, address: str) -> Hashable | None:
        """Return who gives way to a new connection of an address; ``None`` if there is room or nobody can."""
        if not self._full(address):
            return None
        own = next((c for c, silent in self._silent.items() if silent.address == address), None)
        if own is not None or self._of_address[address] >= self.most_of_one:
            return own
        return next(iter(self._silent), None)


def _less(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
