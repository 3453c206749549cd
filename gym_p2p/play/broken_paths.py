"""Paths that break and come back, or do not, as the record keeps them.

Knows what the network half tells of a path, in its order; refuses to know how paths are rebuilt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from gym_p2p.core.match.events import Interrupted, PlayerGone, Resumed, Source
from gym_p2p.core.match.return_events import PlayerAway, PlayerReturned
from gym_p2p.core.match.ways import WayKind
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.core.record.parts import Disconnection, ReconnectionAttempt
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.net.worker.messages import PathBroken, PathRebuilt, PathTried

__all__ = ["BrokenPaths"]


_OVER: Mapping[WayKind, Literal["service", "player"]] = {WayKind.SERVICE: "service", WayKind.PLAYER: "player"}


class BrokenPaths:
    """The paths of one player to all others.

    Args:
        record: of the match.
        players: everybody's id, by their index.
    """

    def __init__(self, record: MatchRecord, players: Sequence[SeatId]) -> None:
        self._record = record
        self._players = players
        self._states: dict[int, PathBroken] = {}
        self._silent_since_ms: dict[int, float] = {}
        self._tried: dict[int, PathRebuilt | PathTried] = {}
        self._away: set[int] = set()
        """Whose process has ended, and who may come back."""

    def fold(
        self,
        at_ms: int,
        event: Interrupted
        | Resumed
        | PlayerAway
        | PlayerReturned
        | PlayerGone
        | PathBroken
        | PathRebuilt
        | PathTried,
    ) -> None:
        """Take in what is told of a path."""
        player = event.player
        match event:
            case PlayerAway():  # it was no path, or there is nobody at its other end
                self._away.add(player)
                self._gave_up(player, at_ms)
            case PlayerReturned():
                self._away.discard(player)
            case Interrupted() | PathRebuilt() if player in self._away:
                pass  # of a process that catches up
            case PathBroken():
                self._states[player] = event
            case PathRebuilt() if player not in self._silent_since_ms:  # only they had lost sight of us
                self._tried[player] = event
                self._attempted(player, at_ms, 0.0, "success")
            case PathRebuilt() | PathTried():
                self._tried[player] = event
            case Interrupted(_, silent_s):
                self._record.links[self._players[player]].gap_count += 1
                self._silent_since_ms[player] = at_ms - silent_s * 1e3
                self._disconnected(player, at_ms, "interrupted")
            case Resumed(_, silent_s, over):
                self._away.discard(player)
                self._silent_since_ms.pop(player, None)
                self._attempted(player, at_ms, silent_s * 1e3, "success", over)
            case PlayerGone():
                self._gave_up(player, at_ms)
                if event.source is not Source.GOODBYE:
                    self._disconnected(player, at_ms, "closed")

    def _gave_up(self, player: int, at_ms: int) -> None:
        since_ms = self._silent_since_ms.pop(player, None)
        if since_ms is not None and player in self._tried:
            self._attempted(player, at_ms, at_ms - since_ms, "timeout")

    def _disconnected(self, player: int, at_ms: int, dc_state: str) -> None:
        states = self._states.pop(player, None)
        self._record.link_broke(
            Disconnection(
                timestamp=at_ms,
                frame=self._record.frame_now,
                detecting_peer=self._record.player_id,
                ice_state=None if states is None else states.ice_state,
                dc_state=dc_state if states is None or states.dc_state == "open" else states.dc_state,
                other_peer=self._players[player],
            )
        )

    def _attempted(
        self,
        player: int,
        at_ms: int,
        duration_ms: float,
        outcome: Literal["success", "timeout"],
        way: WayKind = WayKind.DIRECT,
    ) -> None:
        tried = self._tried.pop(player, None)
        rebuilt = tried if isinstance(tried, PathRebuilt) else None
        over: Literal["old_connection", "new_connection", "service", "player"] | None = None
        if outcome == "success":
            over = _OVER.get(way, "old_connection" if rebuilt is None else "new_connection")
        self._record.link_attempted(
            ReconnectionAttempt(
                timestamp=at_ms,
                duration=duration_ms,
                outcome=outcome,
                attempts=1 if tried is None else tried.attempts,
                other_peer=self._players[player],
                over=over,
                local_candidate_type=None if rebuilt is None else rebuilt.local_candidate_type,
                remote_candidate_type=None if rebuilt is None else rebuilt.remote_candidate_type,
            )
        )
