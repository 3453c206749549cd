"""A player's input is the actions of their seats: between the seats' actions and the bytes that travel.

One seat's input is its action's bytes as they are; those of several seats are length-prefixed, in order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ProtocolError
from gym_p2p.game.env.game import Game
from gym_p2p.game.outcome import Outcome
from gym_p2p.game.spaces.codec import ActionCodec

__all__ = ["SeatInputs"]


class SeatInputs:
    """Who holds which seats of a game, and what that makes of inputs.

    Args:
        game: the game.
        holders: for every seat of the game, in its order, the index of its player.
        local: the local player's index.
    """

    def __init__(self, game: Game, holders: Sequence[int], local: int) -> None:
        self._seats = game.seats
        self._holders = tuple(holders)
        self._codecs = [game.codec(seat) for seat in game.seats]
        self._defaults = [game.codec(seat).encode(game.default_action(seat)) for seat in game.seats]
        self._own = [(game.seats[index], self._codecs[index]) for index in self._held_by(local)]
        self._only = self._own[0] if len(self._own) == 1 else None
        self._one_each = self._holders == tuple(range(len(self._holders)))

    @property
    def players(self) -> int:
        """How many players hold the seats."""
        return len(set(self._holders))

    def players_over(self, outcome: Outcome) -> set[int]:
        """Return the players all of whose seats are over."""
        living = {holder for seat, holder in enumerate(self._holders) if not outcome.over_for(seat)}
        return set(self._holders) - living

    def default_of(self, player: int) -> bytes:
        """Return a player's input where they give none: their seats' default actions."""
        return _joined([self._defaults[index] for index in self._held_by(player)])

    def difference(self, player: int, one: bytes, other: bytes) -> tuple[int, bytes, bytes]:
        """Return a seat (by index) in which two inputs of a player differ, with both actions' bytes.

        It is the first such seat; where the inputs are equal, the player's first one.
        """
        if self._one_each:
            return player, one, other
        held = self._held_by(player)
        rows = list(zip(held, _parts(one, len(held)), _parts(other, len(held)), strict=True))
        return next((row for row in rows if row[1] != row[2]), rows[0])

    def differing(self, player: int, one: bytes, other: bytes) -> list[int]:
        """Return the seats (by index) in which two inputs of a player differ."""
        if self._one_each:
            return [player] if one != other else []
        held = self._held_by(player)
        rows = zip(held, _parts(one, len(held)), _parts(other, len(held)), strict=True)
        return [seat for seat, here, there in rows if here != there]

    def encode(self, actions: Mapping[SeatId, Any]) -> bytes:
        """Return the local player's input of their seats' canonical actions."""
        if self._only is not None:
            seat, codec = self._only
            return codec.encode(actions[seat])
        return _joined([codec.encode(actions[seat]) for seat, codec in self._own])

    def input_of(self, player: int, act: Callable[[SeatId], Any]) -> bytes:
        """Return a player's input of the actions that ``act`` returns for their seats.

        Raises:
            Exception: what ``act`` raises, or that an action is none of its seat.
        """
        parts = []
        for index in self._held_by(player):
            codec = self._codecs[index]
            parts.append(codec.encode(codec.check(act(self._seats[index]))))
        return _joined(parts)

    def by_seat(self, inputs: Sequence[bytes]) -> tuple[bytes, ...]:
        """Return every seat's action bytes of every player's input.

        Raises:
            ProtocolError: a player's input does not hold as many actions as they have seats.
        """
        if self._one_each:
            return tuple(inputs)
        parts = [iter(_parts(data, self._holders.count(player))) for player, data in enumerate(inputs)]
        return tuple([next(parts[player]) for player in self._holders])

    def replaced(
        self, by_seat: Sequence[bytes], players: Sequence[int], act: Callable[[SeatId], Any]
    ) -> tuple[bytes, ...]:
        """Return every seat's action bytes, those of these players' seats as ``act`` returns them."""
        return tuple(
            [
                codec.encode(codec.check(act(seat))) if holder in players else data
                for seat, codec, holder, data in zip(
                    self._seats, self._codecs, self._holders, by_seat, strict=True
                )
            ]
        )

    def decode(self, by_seat: Sequence[bytes]) -> list[Any]:
        """Return every seat's action.

        Raises:
            ProtocolError: some bytes are no action of their seat.
        """
        return list(map(_DECODE, self._codecs, by_seat))

    def _held_by(self, player: int) -> list[int]:
        return [index for index, holder in enumerate(self._holders) if holder == player]


_DECODE = ActionCodec.decode


def _joined(parts: Sequence[bytes]) -> bytes:
    if len(parts) == 1:
        return parts[0]
    return b"".join(len(part).to_bytes(2, "big") + part for part in parts)


def _parts(data: bytes, count: int) -> list[bytes]:
    if count == 1:
        return [data]
    parts, at = [], 0
    for _ in range(count):
        size = int.from_bytes(data[at : at + 2], "big")
        part = data[at + 2 : at + 2 + size]
        if len(data) < at + 2 or len(part) != size:
            raise ProtocolError("malformed action")
        parts.append(part)
        at += 2 + size
    if at != len(data):
        raise ProtocolError("malformed action")
    return parts
