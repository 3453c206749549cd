"""Collects one player's final frames as the results show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gym_p2p.game.checksum import OutcomeChecksum
from gym_p2p.game.env.game import Game
from gym_p2p.game.outcome import Outcome
from gym_p2p.simulation.results import ConfirmedFrame

__all__ = ["FrameCollector"]


class FrameCollector:
    """One player's; a :class:`~gym_p2p.play.played_match.EpisodeSink`."""

    def __init__(self, game: Game, index: int) -> None:
        self.confirmed: list[ConfirmedFrame] = []
        self._game = game
        self._index = index
        self._codecs = [game.codec(seat) for seat in game.seats]
        self._checksum = OutcomeChecksum(len(game.seats))

    def begin_episode(self, seed: int, options: Mapping[str, Any] | None, first_outcome: Outcome) -> None:
        """Nothing is collected of it."""

    def frame(self, by_seat: Sequence[bytes], outcome: Outcome) -> None:
        """Collect a frame."""
        number, seat = len(self.confirmed), self._index
        self._checksum.update(number, by_seat, outcome)
        actions = [codec.to_json(codec.decode(d)) for codec, d in zip(self._codecs, by_seat, strict=True)]
        self.confirmed.append(
            ConfirmedFrame(
                frame=number,
                actions=dict(zip(self._game.seats, actions, strict=True)),
                observation=outcome.observations[seat],
                reward=outcome.rewards[seat],
                terminated=outcome.terminations[seat],
                truncated=outcome.truncations[seat],
                checksum=self._checksum.digest(outcome),
            )
        )

    def checksum(self, frame: int, digest: str) -> None:
        """Every frame has its own here."""

    def end_episode(self, *, completed: bool) -> None:
        """Nothing follows."""
