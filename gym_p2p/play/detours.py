"""Which way messages to the other players take, where not simply the direct one: recorded, logged, in words.

Knows what the network half tells of it; refuses to know why a way is taken when.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import attrs

from gym_p2p.core.match.events import PlayerGone
from gym_p2p.core.match.ways import Forwarding, WayChanged, WayKind, Why
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.core.record.ways_taken import PassedOn, WayTaken
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.play.few_lines import FewLines

__all__ = ["Detours", "Relayed"]

_log = logging.getLogger(__name__)

_WHY = {
    Why.NO_DIRECT_PATH: "no direct path",
    Why.LOST: "the direct path is lost",
    Why.BAD: "the direct path is bad",
    Why.OTHER_PLAYER: "they found the direct path wanting",
}


@attrs.frozen
class Relayed:
    """A player to whom others pass messages on.

    As text: ``'right' is reached through the service (no direct path) for 12 s``.

    Attributes:
        player_id: to whom.
        via: the player who passes them on; ``None`` is the service.
        why: in words.
        since: monotonic seconds.
    """

    player_id: SeatId
    via: SeatId | None
    why: str
    since: float

    def __str__(self) -> str:
        by = "the service" if self.via is None else repr(self.via)
        lasts_s = max(0.0, time.monotonic() - self.since)
        return f"{self.player_id!r} is reached through {by} ({self.why}) for {lasts_s:.0f} s"


class Detours:
    """The ways to all other players.

    Args:
        record: of the match.
        players: everybody's id, by their index.

    Attributes:
        relayed: to whom messages do not go directly, by their index.
    """

    def __init__(self, record: MatchRecord, players: Sequence[SeatId]) -> None:
        self._record = record
        self._players = players
        self._lines = FewLines(_log)
        self.relayed: dict[int, Relayed] = {}

    def fold(self, at_ms: int, event: WayChanged | Forwarding | PlayerGone) -> None:
        """Take in what is told of a way, or of whoever is at its other end."""
        match event:
            case WayChanged():
                self._changed(at_ms, event)
            case Forwarding(origin, recipient):
                one, other = self._players[origin], self._players[recipient]
                self._record.passes_on(PassedOn(one, other, at_ms))
                line = "passing messages on from %r to %r, who have no good path to each other"
                self._lines.warn(at_ms / 1e3, line, one, other)
            case PlayerGone(player):
                self._forget(player)

    def _forget(self, player: int) -> None:
        self.relayed.pop(player, None)
        self._count()

    def _changed(self, at_ms: int, event: WayChanged) -> None:
        who = self._players[event.player]
        via = None if event.via is None else self._players[event.via]
        self._record.way_taken(
            WayTaken(
                timestamp=at_ms,
                frame=self._record.frame_now,
                other_peer=who,
                way=event.kind.value,
                via_player_id=via,
                reason=event.why.value,
                loss=event.loss,
                rtt_ms=event.rtt_ms,
            )
        )
        if event.kind is WayKind.DIRECT:
            self._forget(event.player)
            self._lines.warn(at_ms / 1e3, "messages to %r go directly again", who)
        else:
            relayed = Relayed(who, via, _WHY.get(event.why, event.why.value), time.monotonic())
            self.relayed[event.player] = relayed
            seen = "" if event.loss is None else f" ({event.loss:.0%} lost, {_ms(event.rtt_ms)})"
            by = "the service" if via is None else repr(via)
            line = "messages to %r go through %s: %s%s"
            self._lines.warn(at_ms / 1e3, line, who, by, relayed.why, seen)
            self._count()

    def _count(self) -> None:
        self._record.peers_by_service = sum(one.via is None for one in self.relayed.values())


def _ms(rtt_ms: float | None) -> str:
    return "no round trip" if rtt_ms is None else f"{rtt_ms:.0f} ms"
