"""What an honest player could say to a match at this moment, or nearly: it gets further in than any guess.

Knows what the match that hears it holds and expects; refuses to know what becomes of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import structs

from gym_p2p.core.match.match import Match
from gym_p2p.core.wire.messages import (
    Cause,
    Checksum,
    Goodbye,
    Holdings,
    Inputs,
    Ready,
    Relay,
    Share,
    StatePart,
    encode,
)

__all__ = ["SAYINGS", "Saying"]


class Saying(Protocol):
    """Makes what a player says now.

    Args:
        match: the one who hears it.
        player: who says it.
        many: how much of it: inputs, or the players meant as the bits of a number.
        off: added to what is counted; 0 is the truth.
    """

    def __call__(self, match: Match, player: int, many: int, off: int) -> Any: ...


def _held(match: Match, player: int) -> int:
    return match._peers[player].remote_inputs.count


def _inputs_of(match: Match, player: int, many: int, off: int, *, early: bool) -> Inputs:
    """Make inputs that continue what is held of them; what is said beside agrees with it, less ``off``."""
    held = {peer: 0 if early else _held(match, peer) for peer in match._peers}
    given = 0 if early else match._exchange.given
    start = held[player]
    received = {match._local: given, **held, player: start + many + off}
    counts = tuple([max(0, received[one]) for one in sorted(received)])
    delay = match._peers[player].delay
    return Inputs(
        match._exchange.episode + early, start, counts, counts[player] - delay - given, (b"i",) * many, delay
    )


def _inputs(match: Match, player: int, many: int, off: int) -> Inputs:
    return _inputs_of(match, player, many, off, early=False)


def _acknowledgement(match: Match, player: int, many: int, off: int) -> Inputs:
    """Hold more of the hearer's inputs than they have given, and know nothing else that is not so."""
    honest = _inputs_of(match, player, many, 0, early=False)
    received = list(honest.received)
    received[match._local] = max(0, received[match._local] + off)
    return structs.replace(honest, received=tuple(received), advantage=honest.advantage - off)


def _later_inputs(match: Match, player: int, many: int, off: int) -> Inputs:
    """Leave a gap before inputs that are all different, so that it shows which is taken for which."""
    honest = _inputs_of(match, player, many + abs(off) % 64, 0, early=False)
    inputs = tuple([b"i%d" % frame for frame in range(honest.start, honest.start + many)])
    return structs.replace(honest, start=honest.start + abs(off) % 64, inputs=inputs)


def _early_inputs(match: Match, player: int, many: int, off: int) -> Inputs:
    return _inputs_of(match, player, many, off, early=True)


def _ready(match: Match, player: int, many: int, off: int) -> Ready:
    episode = match._barrier.newest(match._exchange.episode) - many // 4
    if many % 2:
        return Ready(max(0, episode + off), None, None, _held(match, player), 0)
    return Ready(max(0, episode), None, None, max(0, _held(match, player) + off), 0)


def _later_ready(match: Match, player: int, many: int, off: int) -> Ready:  # noqa: ARG001 - one shape
    """Wait at a barrier at which nobody can be yet."""
    episode = match._barrier.newest(match._exchange.episode) + 1 + abs(off) % 4
    return Ready(episode, None, None, _held(match, player), 0)


def _checksum(match: Match, player: int, many: int, off: int) -> Checksum:  # noqa: ARG001 - one shape
    return Checksum(match._exchange.episode, max(0, match._exchange.given - 1 + off - many), b"another")


def _goodbye(match: Match, player: int, many: int, off: int) -> Goodbye:
    frames = max(0, _held(match, player) + many + off)
    return Goodbye("normal", match._exchange.episode, frames, None, Cause.LEFT, ())


def _others(match: Match, player: int) -> list[int]:
    return [one for one in match._peers if one != player] or [player]


def _holdings(match: Match, player: int, many: int, off: int) -> Holdings:
    others = [one for at, one in enumerate(_others(match, player)) if many >> at & 1]
    held = [(one, max(0, _held(match, one) + off), list(Cause)[many % len(Cause)]) for one in others]
    return Holdings(match._exchange.episode, tuple(held))


def _share(match: Match, player: int, many: int, off: int) -> Share:
    others = _others(match, player)
    whose = others[many % len(others)]
    return Share(match._exchange.episode, whose, max(0, _held(match, whose) + off), (b"i",) * many, b"")


def _relay(match: Match, player: int, many: int, off: int) -> Relay:
    """Pass on what a third could have said, with no seal that is theirs."""
    others = _others(match, player)
    whose = others[many % len(others)]
    says = _goodbye if many & 2 else _ready
    return Relay(whose, encode(says(match, whose, 0, off)))


def _forged_goodbye(match: Match, player: int, many: int, off: int) -> Relay:
    """Pass on that a third has left, who has not: nothing else in it is wrong, and it has no seal."""
    others = _others(match, player)
    whose = others[many % len(others)]
    return Relay(whose, encode(_goodbye(match, whose, 0, max(0, off) % 4)))


def _state(match: Match, player: int, many: int, off: int) -> StatePart:
    expected = match._comparison._transfers._expected.get(player, (1, 0))
    parts = match._comparison._transfers._parts.get(player, [])
    return StatePart(*expected, max(0, len(parts) + off), max(1, len(parts) + many), b"state")


SAYINGS: Mapping[str, Saying] = {
    "acknowledgement": _acknowledgement,
    "checksum": _checksum,
    "early inputs": _early_inputs,
    "forged goodbye": _forged_goodbye,
    "goodbye": _goodbye,
    "holdings": _holdings,
    "inputs": _inputs,
    "later inputs": _later_inputs,
    "later ready": _later_ready,
    "ready": _ready,
    "relay": _relay,
    "share": _share,
    "state": _state,
}
"""What may be said, by name."""
