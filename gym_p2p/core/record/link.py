"""One link to another player, as it is recorded: its latency, its path, its health.

It knows what was measured; it refuses to know who measures, and what time it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs
from msgspec.structs import astuple

from gym_p2p.core.latency.clock import ClockEstimate
from gym_p2p.core.latency.quality import Quality, QualityMonitor
from gym_p2p.core.latency.series import LatencySeries, Poll
from gym_p2p.core.latency.webrtc_stats import ConnectionDetails, GameTransportCounts, PollStatus
from gym_p2p.core.record.clock_offsets import ClockTrack
from gym_p2p.core.record.parts import Connection, ConnectionPath, Count, DocumentPart, Milliseconds

__all__ = ["PATHS_KEPT", "UNKNOWN_CONNECTION", "Health", "LinkRecord"]

PATHS_KEPT = 1000
"""Of a link whose path changes again and again the first ones, and the newest."""

UNKNOWN_CONNECTION = Connection(type="unknown", connection_details=ConnectionPath())
"""Of a link whose path is not known."""


_OF_A_PATH = (
    *("local_candidate_type", "remote_candidate_type", "protocol", "relay_protocol"),
    *("game_transport", "relayed_by", "relaying_player"),
)
"""What makes two paths of a link differ; anything else of a path is counted on."""
_RELAYED_BY: Mapping[str | None, Literal["service", "player"]] = {"service": "service", "player": "player"}
_NEVER = GameTransportCounts(doubts=0, returns=0, resumed=0)


class Health(DocumentPart, frozen=True, kw_only=True):
    """A link's state as the protocol sees it, by its own pings."""

    rtt: Milliseconds | None
    """The newest round trip, in milliseconds; null is unknown."""
    latency: Milliseconds | None
    """Half of the newest round trip, in milliseconds; null is unknown."""
    packets_received: Count
    """How many messages with inputs had arrived by the newest ping."""
    gap_count: Count
    """How often nothing was heard for long."""
    status: Quality
    """The grade of the round trip."""


@attrs.define(eq=False)
class LinkRecord:
    """One link. One thread may record while another reads; what is read is replaced whole.

    Attributes:
        series: the round trips, kept here and nowhere else.
        connection: its path.
        paths: all that it had, the newest last; again where something else came to carry its game messages.
        health: ``None`` before the first ping came back.
        open: whether it was ever open.
        clock: how the peer's clock stood to ours.
    """

    series: LatencySeries
    _monitor: QualityMonitor
    connection: Connection = attrs.field(default=UNKNOWN_CONNECTION, init=False)
    paths: list[Connection] = attrs.field(factory=list, init=False)
    health: Health | None = attrs.field(default=None, init=False)
    open: bool = attrs.field(default=False, init=False)
    clock: ClockTrack = attrs.field(factory=ClockTrack, init=False)
    packets_received: int = attrs.field(default=0, init=False)
    gap_count: int = attrs.field(default=0, init=False)
    _details: ConnectionDetails | None = attrs.field(default=None, init=False)
    _counts: tuple[GameTransportCounts | None, GameTransportCounts | None] = attrs.field(
        default=(None, None), init=False
    )
    """Over all of the link's connections, and as the newest one said."""
    _answered: bool = attrs.field(default=False, init=False)
    """Whether there was a round trip; our own address as the peer sees it is known only then."""

    def polled(self, poll: Poll, *, frame: int | None) -> None:
        """Record what a poll found: a round trip, an outage, a path if it is another than before.

        Args:
            poll: as it was made.
            frame: of the running episode; ``None`` before the first.
        """
        self.series.add(poll)
        details = poll.connection
        if details is None:
            return
        self.open = True
        details = attrs.evolve(details, game_transport_counts=self._counted(details.game_transport_counts))
        known = self._known(details)
        self._answered |= poll.status is PollStatus.FRESH
        if known is not None and known == self._details:
            return
        self._details = details if known is None else known
        self.connection = connection = Connection(
            type=self._details.type,
            connection_details=ConnectionPath(
                local_candidate_type=self._details.local_candidate_type,
                remote_candidate_type=self._details.remote_candidate_type,
                protocol=self._details.protocol,
                relay_protocol=self._details.relay_protocol,
                detected_at_frame=frame if known is None else self._newest.detected_at_frame,
                timestamp=poll.timestamp_ms if known is None else self._newest.timestamp,
            ),
            game_transport=self._details.game_transport,
            game_transport_counts=self._details.game_transport_counts,
            relayed_by=_RELAYED_BY.get(self._details.relayed_by),
            relaying_player_id=self._details.relaying_player,
        )
        before = self.paths if known is None else self.paths[:-1]
        self.paths = [*before[: PATHS_KEPT - 1], connection]

    def _counted(self, counts: GameTransportCounts | None) -> GameTransportCounts | None:
        """Return the counts of all connections that the link has had; another one begins at nothing again."""
        total, last = self._counts
        if counts is None:
            return total
        was, now, before = (astuple(one or _NEVER) for one in (last, counts, total))
        if any(new < old for old, new in zip(was, now, strict=True)):
            was = astuple(_NEVER)
        told = GameTransportCounts(*(b + n - w for b, n, w in zip(before, now, was, strict=True)))
        self._counts = told, counts
        return told

    @property
    def _newest(self) -> ConnectionPath:
        return self.connection.connection_details

    def _known(self, details: ConnectionDetails) -> ConnectionDetails | None:
        """Return what is known of the newest path by now; ``None`` where a poll found another one.

        What is found out later, or was only supposed before the first answer, makes no other path, and
        neither does what a poll cannot tell.
        """
        before = self._details
        if before is None:
            return None
        if not self._answered:
            before = attrs.evolve(before, type="unknown", local_candidate_type=None, relay_protocol=None)
        old, new = ({name: getattr(of, name) for name in _OF_A_PATH} for of in (before, details))
        if any(None not in {old[name], new[name]} and old[name] != new[name] for name in _OF_A_PATH):
            return None
        told = {name: old[name] if new[name] is None else new[name] for name in _OF_A_PATH}
        kind = before.type if details.type == "unknown" else details.type
        return attrs.evolve(details, type=kind, **told)

    def pinged(self, rtt_ms: float, *, now_ms: int = 0, clock: ClockEstimate | None = None) -> None:
        """Record that one of the protocol's own pings came back, and what is known of the peer's clock by it.

        Args:
            rtt_ms: its round trip.
            now_ms: Unix milliseconds.
            clock: ``None`` where nothing is known.
        """
        self.clock.observe(now_ms, clock)
        self._monitor.observe(rtt_ms)
        assert self._monitor.status is not None  # noqa: S101 - it has just observed
        self.health = Health(
            rtt=rtt_ms,
            latency=rtt_ms / 2,
            packets_received=self.packets_received,
            gap_count=self.gap_count,
            status=self._monitor.status,
        )
