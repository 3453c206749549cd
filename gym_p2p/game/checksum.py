"""Checksums of values that have to be the same on every player's machine.

Values are taken by their canonical form (:mod:`gym_p2p.game.canonical`); that of a whole state is taken by
:mod:`gym_p2p.game.state.digest`.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from typing import Any

from gym_p2p.errors import UnsupportedEnvironment
from gym_p2p.game.canonical import canonical_form
from gym_p2p.game.outcome import Outcome

__all__ = ["DIGEST_BYTES", "OutcomeChecksum", "checksum"]

DIGEST_BYTES = 8  # as GGRS's and ample: a match compares some thousands of them


def checksum(value: Any, *, size_bytes: int = DIGEST_BYTES) -> bytes:
    """Return the BLAKE2b digest of a value's canonical form.

    >>> checksum([1, "a"]) == checksum((1, "a"))
    True
    >>> checksum(1) == checksum(1.0)
    False
    >>> checksum(float("nan")) == checksum(-float("nan"))
    True

    Args:
        value: None, booleans, numbers, text, bytes, numpy arrays and scalars, and lists, tuples, dicts
            and sets of these.
        size_bytes: length of the digest, 1 to 64.

    Raises:
        TypeError: something else is in it; the message names the path to it.
    """
    return hashlib.blake2b(canonical_form(value), digest_size=size_bytes).digest()


class OutcomeChecksum:
    """A running digest over the confirmed frames of one episode; make a new one for the next.

    Every frame's joint inputs, rewards and ends go in (:meth:`update`); at the frames that are compared
    between the players, :meth:`digest` covers that frame's observations too. Two players whose digests
    agree have therefore seen the same inputs, rewards and ends up to there, and see the same now.
    """

    __slots__ = ("_frame", "_hasher")

    def __init__(self, seats: int) -> None:
        self._hasher = hashlib.blake2b(digest_size=DIGEST_BYTES)
        # frame, then per seat: length of the input, reward, terminated, truncated
        self._frame = struct.Struct(f"<q{seats}H{seats}d{seats}?{seats}?")

    def update(self, frame: int, inputs: Sequence[bytes], outcome: Outcome) -> None:
        """Take in one confirmed frame: its number, every seat's encoded action, and what came of them."""
        rewards = outcome.rewards
        head = self._frame.pack(
            frame, *map(len, inputs), *rewards, *outcome.terminations, *outcome.truncations
        )
        if sum(rewards) != sum(rewards):
            canonical = [reward if reward == reward else float("nan") for reward in rewards]  # noqa: PLR0124  # false for NaN alone
            head = self._frame.pack(
                frame, *map(len, inputs), *canonical, *outcome.terminations, *outcome.truncations
            )
        self._hasher.update(head + b"".join(inputs))

    def digest(self, outcome: Outcome) -> str:
        """Return 16 hex digits over all updates so far and this outcome's observations.

        May be called before the first update, with what ``reset`` returned.

        Raises:
            UnsupportedEnvironment: something in an observation has no canonical form.
        """
        hasher = self._hasher.copy()
        try:
            hasher.update(checksum(outcome.observations))
        except TypeError as problem:
            raise UnsupportedEnvironment(
                f"the environment's observations, in the order of its seats, cannot be compared: {problem}"
            ) from problem
        return hasher.hexdigest()
