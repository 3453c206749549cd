"""Who sits where, and who is let in: without I/O, on Unix time that is passed in.

States of a link::

    FREE  --its page comes, and there is room-->  SEATED
    SEATED  --the seat is given up before a match began-->  FREE
    SEATED  --the match is over, as its players had it-->  OVER
    SEATED  --the host's programs broke it off-->  FREE, once its page is told

People meet in the service's queue, or, where programs play beside them, in rooms that this hands out: the
first one of a match opens a room, and whoever gives up before it began makes room for somebody else.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import attrs

from gym_p2p.hosting.links import Link

__all__ = ["Answer", "Enter", "House", "Refuse", "Why"]


class Why(enum.Enum):
    """Why somebody does not get, or get back, a seat."""

    FULL = "full"
    EXPIRED = "expired"
    OVER = "over"
    CRASHED = "crashed"
    CLOSING = "closing"


@attrs.frozen
class Enter:
    """They have a seat.

    Attributes:
        new: whether it was free until now, and its process is to be started.
        room: where its match meets; ``None`` in the queue.
        place: which of that room's people they are, from 0.
        first: whether the programs of that room are to be started, too.
    """

    new: bool
    room: str | None = None
    place: int = 0
    first: bool = False


@attrs.frozen
class Refuse:
    """They do not.

    Attributes:
        why: the reason.
        state: what the page is told first: of a match that is over what it was told last, of a process that
            died that the link is still good; else ``None``.
    """

    why: Why
    state: Mapping[str, Any] | None = None


Answer = Enter | Refuse


@attrs.define(eq=False)
class _Room:
    name: str
    people: dict[str, int]


@attrs.define(eq=False, kw_only=True)
class House:
    """The seats of a host.

    Args:
        seats: how many people may sit here at once.
        people: how many of them play a match with programs; ``None`` where people meet in the queue.
        room_prefix: what the names of rooms begin with.
    """

    seats: int
    people: int | None = None
    room_prefix: str = "room"
    closing: bool = attrs.field(default=False, init=False)
    _seated: dict[str, _Room | None] = attrs.field(factory=dict, init=False)
    _over: dict[str, Refuse] = attrs.field(factory=dict, init=False)
    _begun: set[str] = attrs.field(factory=set, init=False)
    _open: list[_Room] = attrs.field(factory=list, init=False)
    _rooms: int = attrs.field(default=0, init=False)

    @property
    def taken(self) -> int:
        """How many seats are taken."""
        return len(self._seated)

    def spend(self, code: str, state: Mapping[str, Any]) -> None:
        """Note that a link was spent before, and what its page was told last."""
        self._begun.add(code)
        self._over[code] = Refuse(Why.OVER, state)

    def has_begun(self, code: str) -> bool:
        """Return whether a match has begun with this link."""
        return code in self._begun

    def visit(self, link: Link, now_unix: float, *, hears: bool = True) -> Answer:
        """Return what becomes of somebody who opens a link, which is no door.

        Args:
            link: it.
            now_unix: Unix seconds.
            hears: whether they are told why there is no seat: what is told once is not used up before.
        """
        if link.code in self._seated:
            return Enter(new=False)
        if link.code in self._over:
            told = self._over[link.code]
            if hears and link.code not in self._begun:  # told once: a reload tries again
                del self._over[link.code]
            return told
        if self.closing:
            return Refuse(Why.CLOSING)
        if link.has_expired(now_unix):
            return Refuse(Why.EXPIRED)
        if len(self._seated) >= self.seats:
            return Refuse(Why.FULL)
        return self._seat(link.code)

    def began(self, code: str) -> None:
        """Note that a seat's match has begun: its link is spent, and its room full."""
        self._begun.add(code)
        room = self._seated.get(code)
        if room is not None:
            self._close(room)

    def ended(
        self, code: str, state: Mapping[str, Any] | None = None, *, crashed: bool = False, spends: bool = True
    ) -> str | None:
        """Note that a seat is free again.

        Args:
            code: of its link.
            state: what its page was told last; ``None`` where nobody knows.
            crashed: whether its process died: the page is told so, once, and may come again.
            spends: whether its match, if one had begun, was what the link is for.

        Returns:
            The room whose programs nobody waits for any more; ``None`` where there is none such.
        """
        if code not in self._seated:
            return None
        room = self._seated.pop(code)
        if crashed:
            self._over[code] = Refuse(Why.CRASHED, {"phase": "over", "again": True})
        elif code in self._begun and spends:
            self._over[code] = Refuse(Why.OVER, state)
        if crashed or not spends:
            self._begun.discard(code)
        if room is None:
            return None
        del room.people[code]
        if room.people:
            return None
        self._close(room)
        return room.name

    def give_up(self, room: str) -> list[str]:
        """Let nobody else into a room whose match will not begin; return who waits there."""
        given_up = [one for one in self._open if one.name == room]
        self._open = [one for one in self._open if one not in given_up]
        return [code for one in given_up for code in one.people]

    def _close(self, room: _Room) -> None:
        if room in self._open:
            self._open.remove(room)

    def _seat(self, code: str) -> Enter:
        if self.people is None:
            self._seated[code] = None
            return Enter(new=True)
        room = next((one for one in self._open if len(one.people) < self.people), None)
        first = room is None
        if room is None:
            self._rooms += 1
            room = _Room(f"{self.room_prefix}.{self._rooms}", {})
            self._open.append(room)
        place = min(set(range(self.people)) - set(room.people.values()))
        room.people[code] = place
        self._seated[code] = room
        return Enter(new=True, room=room.name, place=place, first=first)
