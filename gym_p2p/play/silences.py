"""From whom nothing arrives now, since when, and for how long that may last.

Knows what the network half tells of it; refuses to know what follows.
"""

from __future__ import annotations

import time

import attrs

from gym_p2p.core.match.events import Interrupted, LimitChanged, PlayerGone, Resumed
from gym_p2p.core.match.return_events import PlayerAway, PlayerReturned
from gym_p2p.net.worker.messages import WorkerEvent

__all__ = ["Silence", "Silences"]


@attrs.frozen
class Silence:
    """Nothing arrives from a player.

    Attributes:
        since: since when, on ``time.monotonic``'s clock.
        limit_s: how long it may last.
        away: whether another process of theirs is waited for, and no path.
    """

    since: float
    limit_s: float
    away: bool = False


class Silences:
    """The silences of one match.

    Attributes:
        of: by player.
    """

    def __init__(self) -> None:
        self.of: dict[int, Silence] = {}

    def take(self, event: WorkerEvent) -> None:
        """Take in an event; most have nothing to do with it."""
        match event:
            case PlayerAway(player, _, limit_s):
                self.of[player] = Silence(time.monotonic(), limit_s, away=True)
            case Interrupted(player, silent_s, limit_s) if not self._is_away(player):
                self.of[player] = Silence(time.monotonic() - silent_s, limit_s)
            case LimitChanged(player, limit_s) if player in self.of and not self._is_away(player):
                self.of[player] = Silence(self.of[player].since, limit_s)
            case Resumed(player) | PlayerReturned(player) | PlayerGone(player):
                self.of.pop(player, None)

    def _is_away(self, player: int) -> bool:
        """Whether it is a process that is waited for: its links may break and come back as it catches up."""
        silence = self.of.get(player)
        return silence is not None and silence.away
