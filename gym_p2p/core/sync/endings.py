"""Where an episode ends because players are gone or went on, and without whom of them it goes on.

Who is gone ends the episode after their last input, unless leavers are played on with their default input.
Whose seats were all over by then is, either way: they had no influence any more. All players who are left
have the same final frames before that end, so all of them go on, or none does.
"""

from __future__ import annotations

from collections.abc import Sequence

from gym_p2p.core.match.events import PlayerFinished, PlayerGone
from gym_p2p.core.match.farewell import OUT
from gym_p2p.core.match.input_buffers import NEVER
from gym_p2p.core.sync.input_track import InputTrack
from gym_p2p.core.sync.outputs import Over
from gym_p2p.core.wire.messages import Cause

__all__ = ["Endings"]

_NOT_GONE = OUT | {"peer_reset"}
"""The ends of those who are there: it is we who are gone, or they went on to the next episode."""


class Endings:
    """The ends that players who gave their last input put to an episode.

    Args:
        tracks: every player's inputs. What is known of a player's is played, also past the end they told.
        continues: whether the episode goes on without whoever is gone.

    Attributes:
        told: for each player who put an end to the episode, that end as it was told.
        vacant: the inputs of those who are gone and are played on.
    """

    __slots__ = ("_continues", "_over_from", "_tracks", "told", "vacant")

    def __init__(self, tracks: Sequence[InputTrack], *, continues: bool) -> None:
        self._tracks = tracks
        self._continues = continues
        self._over_from: dict[int, int] = {}
        self.told: dict[int, Over] = {}
        self.vacant: tuple[InputTrack, ...] = ()

    def finished(self, event: PlayerFinished) -> None:
        """Take in that a player went on to the next episode. That they are gone, or an earlier end, stays."""
        known = self.told.get(event.player)
        if known is None or (known.reason == "peer_reset" and event.frames < known.frame):
            self.told[event.player] = Over(event.frames, "peer_reset", event.player)

    def gone(self, event: PlayerGone) -> None:
        """Take in that a player is gone."""
        track = self._tracks[event.player]
        if event.reason not in OUT and (self._continues or track in self.vacant):
            self._vacate(event.player, event.frames)
            return
        who = event.player if event.lost is None else event.lost
        self.told[event.player] = Over(event.frames, event.reason, who)

    def seats_over(self, player: int, frame: int) -> None:
        """Take note that all seats of a player are over for good from a frame on, by final frames."""
        self._over_from.setdefault(player, frame)

    def taken_back(self, player: int, end: Over) -> bool:
        """Return whether the episode goes on behind an end; then that player is played on from there.

        Args:
            player: who put it.
            end: that end, before which every frame is final.
        """
        if end.reason in _NOT_GONE or self._over_from.get(player, NEVER) > end.frame:
            return False
        self._vacate(player, end.frame)
        return True

    def absent_in(self, frame: int) -> tuple[int, ...]:
        """Return the players who are known to be gone in a frame."""
        return tuple([track.player for track in self.vacant if track.ended_by(frame)])

    def _vacate(self, player: int, frames: int) -> None:
        self.told.pop(player, None)
        track = self._tracks[player]
        track.end(frames)
        if track not in self.vacant:
            self.vacant = (*self.vacant, track)

    def first(self) -> tuple[int, Over]:
        """Return the first of the ends, of which there is at least one, and the player who put it.

        Of two who are gone after the same frame it is the one who said so: everybody knows that before
        anybody can miss the other one.
        """
        over = [
            (player, Over(max(end.frame, self._tracks[player].count), end.reason, end.player))
            for player, end in sorted(self.told.items(), key=lambda item: item[0])
        ]
        return min(over, key=lambda one: (one[1].frame, one[1].reason != Cause.LEFT))
