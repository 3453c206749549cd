"""What players have to agree on before they play: in the handshake, and at the barrier before an episode.

Pure functions: every player computes the same from the same messages. Refuses to know who sent what when.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from gym_p2p.core.match.events import Difference, EpisodeRefused
from gym_p2p.core.match.terms import term_differences
from gym_p2p.core.wire.messages import PROTOCOL_VERSION, Hello, Ready
from gym_p2p.errors import ProtocolError

__all__ = ["Seeds", "barrier_refusal", "episode_seed", "handshake_differences"]


class Seeds:
    """The seeds of a match's episodes: those that a player insists on, and a series after each.

    So an explicit seed makes all episodes after it reproducible, as Gymnasium wants it of ``reset``.

    Args:
        match_seed: what the series begins from before anybody insists on a seed.
    """

    def __init__(self, match_seed: int) -> None:
        self._base = match_seed
        self._drawn = 0

    def agreed(self, ready: Mapping[int, Ready]) -> int:
        """Return the seed of the episode that these players are ready for."""
        insisted = next((r.seed for r in ready.values() if r.seed is not None), None)
        if insisted is not None:
            self._base, self._drawn = insisted, 0
            return insisted
        self._drawn += 1
        return episode_seed(self._base, self._drawn)


def episode_seed(base: int, number: int) -> int:
    """Return the seed of the n-th episode after ``base`` for which nobody insists on one: 31 bits."""
    digest = blake2b(f"{base}/{number}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1


def handshake_differences(ours: Mapping[str, Any], hello: Hello) -> tuple[Difference, ...]:
    """Return what the peer is going to play otherwise than we are.

    Raises:
        ProtocolError: he does not say what he is going to play.
    """
    if hello.version != PROTOCOL_VERSION:
        return (("protocol version", str(PROTOCOL_VERSION), str(hello.version)),)
    must, theirs = ours.get("must", {}), hello.description.get("must")
    if not isinstance(theirs, dict):
        raise ProtocolError("handshake without a description")
    return term_differences(must, theirs)


def barrier_refusal(local: int, ready: Mapping[int, Ready]) -> EpisodeRefused | None:
    """Compare what the players want at the barrier; all players come to the same verdict."""
    for what, wanted in (
        ("seed", {i: str(r.seed) for i, r in ready.items() if r.seed is not None}),
        ("options", {i: json.dumps(r.options, sort_keys=True) for i, r in ready.items() if r.options}),
    ):
        if len(set(wanted.values())) <= 1:
            continue
        own = wanted.get(local)
        other = next(i for i, value in sorted(wanted.items()) if i != local and value != own)
        label = f"{what} of episode {ready[local].episode}"
        return EpisodeRefused(other, ((label, own or "(any)", wanted[other]),))
    return None
