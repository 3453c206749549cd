"""Where an episode ends because players are gone or went on: what they said of it, and the first of it."""

from __future__ import annotations

from collections.abc import Sequence

from gym_p2p.core.match.events import PlayerFinished, PlayerGone
from gym_p2p.core.sync.input_track import InputTrack
from gym_p2p.core.sync.outputs import Over
from gym_p2p.core.wire.messages import Cause

__all__ = ["Endings"]


class Endings:
    """The ends that players who gave their last input put to an episode.

    Args:
        tracks: every player's inputs. What is known of a player's is played, also past the end they told.

    Attributes:
        told: for each player who put an end to the episode, that end as it was told.
    """

    __slots__ = ("_tracks", "told")

    def __init__(self, tracks: Sequence[InputTrack]) -> None:
        self._tracks = tracks
        self.told: dict[int, Over] = {}

    def finished(self, event: PlayerFinished) -> None:
        """Take in that a player went on to the next episode. That they are gone, or an earlier end, stays."""
        known = self.told.get(event.player)
        if known is None or (known.reason == "peer_reset" and event.frames < known.frame):
            self.told[event.player] = Over(event.frames, "peer_reset", event.player)

    def gone(self, event: PlayerGone) -> None:
        """Take in that a player is gone, without whom the episode does not go on."""
        who = event.player if event.lost is None else event.lost
        self.told[event.player] = Over(event.frames, event.reason, who)

    def first(self) -> Over:
        """Return the first of the ends, of which there is at least one.

        Of two who are gone after the same frame it is the one who said so: everybody knows that before
        anybody can miss the other one.
        """
        over = [
            Over(max(end.frame, self._tracks[player].count), end.reason, end.player)
            for player, end in sorted(self.told.items(), key=lambda item: item[0])
        ]
        return min(over, key=lambda one: (one.frame, one.reason != Cause.LEFT))
