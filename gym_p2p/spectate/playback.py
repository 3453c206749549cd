"""An episode as a spectator plays it, and its digests beside those of the players.

Knows outcomes, snapshots and digests; refuses to know how the frames arrive, and what a difference means.
"""

from __future__ import annotations

import logging
from typing import Any

import attrs

from gym_p2p.core.spectating.messages import EpisodeShown
from gym_p2p.errors import UnsupportedEnvironment
from gym_p2p.game.checksum import OutcomeChecksum
from gym_p2p.game.env.game import Game
from gym_p2p.game.outcome import Outcome
from gym_p2p.game.state.snapshot import Snapshots, snapshots_named
from gym_p2p.spectate.watch_client import ReceivedEpisode

__all__ = ["STATE", "ShownEpisode", "comparing_snapshots"]

_log = logging.getLogger(__name__)

STATE = "the state"
"""What is compared where what ``step`` returned was the same."""

_OWN_DIGESTS_KEPT = 64


@attrs.define(eq=False)
class ShownEpisode:
    """The episode that is shown.

    Attributes:
        received: what the players did.
        outcome: what the newest shown frame gave here, at first what ``reset`` gave.
        checked_every: frames between two that the players compare; ``None`` if that is not known.
        snapshots: how states are compared; ``None`` if they are not.
        frame: how many frames are shown.
    """

    received: ReceivedEpisode
    outcome: Outcome
    checked_every: int | None
    snapshots: Snapshots | None
    frame: int = 0
    _digests: OutcomeChecksum = attrs.field(init=False)
    _own: dict[int, tuple[str, str | None]] = attrs.field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        """Digest what ``reset`` gave."""
        self._digests = OutcomeChecksum(len(self.outcome.rewards))
        self._own[-1] = self._digests.digest(self.outcome), None
        self.received.digests[-1] = self.received.begun.digest

    def play_next(self, game: Game) -> list[Any]:
        """Play the next frame that was received; return every seat's action.

        Raises:
            ProtocolError: some bytes are no action of their seat.
        """
        by_seat = self.received.frames.popleft()
        actions = [game.codec(seat).decode(data) for seat, data in zip(game.seats, by_seat, strict=True)]
        with game.shown():
            self.outcome = outcome = game.step(actions)
        self._digests.update(self.frame, by_seat, outcome)
        every = self.checked_every
        if every is not None and (outcome.ended or (self.frame + 1) % every == 0):
            self._own[self.frame] = self._digests.digest(outcome), self._state()
            if len(self._own) > _OWN_DIGESTS_KEPT:
                del self._own[next(iter(self._own))]
        self.frame += 1
        return actions

    def shown_before(self, begun: EpisodeShown) -> bool:
        """Whether nothing of the match lies between what is shown of this episode and one that begins."""
        over = self.received.over
        return over is not None and (over.frames, over.episode + 1) == (self.frame, begun.episode)

    def compared(self) -> list[tuple[int, str, str, str]]:
        """Return and forget what can be compared: frame, what it is of, theirs, ours."""
        rows: list[tuple[int, str, str, str]] = []
        for frame in [number for number in self._own if number in self.received.digests]:
            theirs = self.received.digests.pop(frame).hex()
            shown, state = self._own.pop(frame)
            their_shown, their_state = theirs[: len(shown)], theirs[len(shown) :]
            if state is None or not their_state or their_shown != shown:
                rows.append((frame, "what step returned", their_shown, shown))
            else:
                rows.append((frame, STATE, their_state, state))
        return rows

    def _state(self) -> str | None:
        if self.snapshots is None:
            return None
        snapshot = self.snapshots.save()
        try:
            return self.snapshots.checksum(snapshot)
        finally:
            self.snapshots.free(snapshot)


def comparing_snapshots(game: Game, strategy: str | None, hooks: tuple[Any, Any] | None) -> Snapshots | None:
    """Return how a game is saved to compare its states with the players'; ``None`` if it cannot be.

    Args:
        game: the spectator's copy.
        strategy: the name of the players' way; ``None`` where they compare none.
        hooks: as the players have them.
    """
    if strategy is None or (strategy == "hooks" and hooks is None):
        return None
    try:
        return snapshots_named(game, strategy, hooks=hooks)
    except UnsupportedEnvironment as error:
        _log.warning("states are not compared: %s", error)
        return None
