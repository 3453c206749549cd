"""Actions of one seat as exact, compact bytes, and as JSON.

Knows the seat's action space. Everything that a user hands in goes through :meth:`ActionCodec.check`, and
everything that a peer sends through :meth:`ActionCodec.decode`; what both return has the same types, so that
every player's copy of the environment is stepped with the same objects.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from gym_p2p.errors import InvalidAction, ProtocolError, UnsupportedEnvironment
from gym_p2p.game.spaces.composites import encoding_of
from gym_p2p.game.spaces.leaves import ActionProblem, Malformed, UnsupportedSpace

__all__ = ["MAX_ACTION_BYTES", "ActionCodec"]

MAX_ACTION_BYTES = 512
"""Two unacknowledged inputs and their header have to fit a message of 1,160 bytes."""

_MAX_TABLE = 4096  # actions of a Discrete that are looked up instead of worked out


class ActionCodec:
    """Checks, encodes and decodes the actions of one seat.

    >>> codec = ActionCodec(spaces.MultiDiscrete([3, 300]), seat="left")
    >>> codec.encode(codec.check([2, 7])).hex()
    '02000700'
    >>> codec.decode(bytes.fromhex("02000700"))
    array([2, 7])

    Attributes:
        space: the action space.
        max_bytes: no encoded action is longer. Where the space sets no limit (``Sequence``) this is
            :data:`MAX_ACTION_BYTES`, and longer actions are invalid.

    Raises:
        UnsupportedEnvironment: this kind of space cannot be sent, or its actions can be too long.
    """

    __slots__ = ("_bytes_of", "_encoding", "_of_bytes", "_seat", "max_bytes", "space")

    def __init__(self, space: spaces.Space[Any], *, seat: Any = "player") -> None:
        self.space = space
        self._seat = seat
        try:
            self._encoding = encoding_of(space)
        except UnsupportedSpace as problem:
            raise UnsupportedEnvironment(
                f"seat {seat!r}: its actions cannot be sent, the action space has {problem}"
            ) from None
        limit = self._encoding.max_bytes
        if limit is not None and limit > MAX_ACTION_BYTES:
            raise UnsupportedEnvironment(
                f"seat {seat!r}: an action of {space} takes up to {limit} bytes, and at most "
                f"{MAX_ACTION_BYTES} fit a message; use a smaller dtype or fewer components"
            )
        self.max_bytes = MAX_ACTION_BYTES if limit is None else limit
        self._bytes_of: dict[Any, bytes] = {}
        self._of_bytes: dict[bytes, Any] = {}
        if isinstance(space, spaces.Discrete) and int(space.n) <= _MAX_TABLE:
            self._fill_tables(space)

    def default(self) -> Any:
        """Return the canonical action nearest to zero, as a fresh object."""
        return self._encoding.default()

    def check(self, action: Any) -> Any:
        """Return the canonical form of an action, sharing nothing with it.

        Plain ints, numpy integers, arrays of one and nested lists are taken where only one action can be
        meant; numbers are converted to the space's dtype where that loses nothing but a float's precision,
        and a float that is a few roundings beyond a bound becomes that bound.

        Raises:
            InvalidAction: anything else, and everything outside the space; the message says what came
                and what is wanted.
        """
        if type(action) is int or type(action) is np.int64:
            data = self._bytes_of.get(action)
            if data is not None:
                return self._of_bytes[data]
        try:
            canonical = self._encoding.check(action)
        except ActionProblem as problem:
            raise self._refused(f"{problem}{problem.advice}") from None
        if self._encoding.max_bytes is None:
            size = len(self.encode(canonical))
            if size > MAX_ACTION_BYTES:
                raise InvalidAction(
                    self._seat, f"action: takes {size} bytes, at most {MAX_ACTION_BYTES} fit a message"
                )
        return canonical

    def encode(self, action: Any) -> bytes:
        """Return a canonical action's bytes. What is not canonical has to go through ``check`` first."""
        if self._bytes_of:
            return self._bytes_of[action]
        out = bytearray()
        self._encoding.write(action, out)
        return bytes(out)

    def decode(self, data: bytes) -> Any:
        """Return the action that these bytes are, as a fresh object.

        Raises:
            ProtocolError: they are not the bytes of exactly one action of this space.
        """
        try:
            if self._of_bytes:
                return self._of_bytes[data]
            if len(data) <= self.max_bytes:
                action, end = self._encoding.read(data, 0)
                if end == len(data):
                    return action
        except (KeyError, Malformed):
            pass
        raise ProtocolError("malformed action")

    def to_json(self, action: Any) -> Any:
        """Return a canonical action as plain JSON data that :meth:`from_json` turns back exactly.

        Leaves have the form of the space's own ``to_jsonable``; a ``Dict`` becomes an object and a
        ``Tuple`` a list, of one action's parts. Infinities are the texts ``"inf"`` and ``"-inf"``.
        """
        return self._encoding.to_json(action)

    def from_json(self, data: Any) -> Any:
        """Return the canonical action of a JSON form.

        Raises:
            InvalidAction: it is none of this space's actions.
        """
        try:
            action = self._encoding.from_json(data)
        except ActionProblem as problem:
            raise self._refused(str(problem)) from None
        return self.check(action)

    def _refused(self, what: str) -> InvalidAction:
        return InvalidAction(self._seat, f"action{what}" if what.startswith("[") else f"action: {what}")

    def _fill_tables(self, space: Any) -> None:
        for number in range(int(space.start), int(space.start) + int(space.n)):
            action = self._encoding.check(number)
            out = bytearray()
            self._encoding.write(action, out)
            self._bytes_of[number] = bytes(out)
            self._of_bytes[bytes(out)] = action
