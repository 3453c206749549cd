"""What one step of a game gave every seat: a value, safe to keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

__all__ = ["Outcome", "fresh"]


class Outcome(msgspec.Struct, frozen=True):
    """What a ``reset`` or a ``step`` gave, in seat order. Nothing in it is shared with the environment.

    It is compared, recorded and corrected after it was shown, and what is equal in it may be one object. So
    nobody changes what is in it, and whoever might is handed copies: :func:`fresh` of what they are shown.
    """

    observations: tuple[Any, ...]
    rewards: tuple[float, ...]
    terminations: tuple[bool, ...]
    truncations: tuple[bool, ...]
    infos: tuple[dict[Any, Any], ...]
    ended: bool
    """Whether the episode is over for every seat: the next call has to be ``reset``."""
    unborn: frozenset[int] = frozenset()
    """The seats, by index, whose agent has not appeared yet in this episode: they see a blank observation."""

    def over_for(self, seat: int) -> bool:
        """Whether the episode is over for a seat, by its index."""
        return self.terminations[seat] or self.truncations[seat]

    def repeated(self) -> Outcome:
        """Return what a step shows to which no frame belongs: the same again, without rewards."""
        rewards = (0.0,) * len(self.rewards)
        return msgspec.structs.replace(self, rewards=rewards)

    def handed_out(self) -> Outcome:
        """Return a copy for somebody who may change what is in it."""
        return msgspec.structs.replace(self, observations=fresh(self.observations), infos=fresh(self.infos))

    def with_told(self, told: Mapping[str, Any]) -> Outcome:
        """Return the same, whose every info holds something of ours under ``"p2p"``."""
        infos = tuple([{**info, "p2p": dict(told)} for info in self.infos])
        return msgspec.structs.replace(self, infos=infos)

    def cut_short(self, reason: str, player: Any) -> Outcome:
        """Return how an episode ends that the environment does not end: all seats are truncated.

        Every info keeps what the environment said last (an action mask, say).

        Args:
            reason: why; every info holds it under ``"p2p"``.
            player: whose doing it was; ``None`` if nobody's.
        """
        seats = len(self.rewards)
        told = {"reason": reason, "player": player}
        return Outcome(
            observations=self.observations,
            rewards=(0.0,) * seats,
            terminations=(False,) * seats,
            truncations=(True,) * seats,
            infos=self.with_told(told).infos,
            ended=True,
            unborn=self.unborn,
        )


_IMMUTABLE = frozenset({float, int, bool, str, bytes, type(None), np.float32, np.float64, np.int64})


def fresh(value: Any) -> Any:
    """Copy what can be changed in an observation: arrays, and the containers around them.

    Environments may write their next observation into the array that they gave out last, and give one
    array to all seats. An outcome has to stay what it was.
    """
    kind = type(value)
    if kind in _IMMUTABLE:
        return value
    if kind is dict or isinstance(value, dict):
        copied = value.copy() if kind is dict else dict(value.items())
        for key, item in copied.items():
            if type(item) not in _IMMUTABLE:
                copied[key] = fresh(item)
        return copied
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, tuple):
        items = [fresh(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if isinstance(value, list):
        return [fresh(item) for item in value]
    return value
