"""What happened in a match, as plain, append-only data.

It knows what is worth keeping; it refuses to know what becomes of it (:mod:`gym_p2p.core.record.documents`)
and how it came about (:mod:`gym_p2p.core.record.match_record` writes it).

One thread may append while another reads, without a lock: lists only ever grow and are read by one call
into C that runs no Python code, or up to a length that is taken once; the rest are single values that are
replaced whole. The newest frames may be missing from what is read, but what is there is consistent.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any

import attrs

from gym_p2p.core.latency.series import LatencySeries
from gym_p2p.core.latency.webrtc_stats import ConnectionDetails
from gym_p2p.core.wire.seats import SeatId

__all__ = [
    "Corrections",
    "DesyncEvent",
    "DetectedConnection",
    "Disconnection",
    "EpisodeLog",
    "EpisodeView",
    "Health",
    "MatchLog",
    "PeerLog",
    "ReconnectionAttempt",
    "RollbackEvent",
    "StateDump",
    "SyncTotals",
    "Termination",
    "plain",
]


@attrs.frozen
class DesyncEvent:
    """A checked frame whose checksums differ."""

    frame: int
    ours: str
    theirs: str
    timestamp_ms: int
    verified_frame: int


@attrs.frozen
class StateDump:
    """Both states after a checked frame whose checksums differ.

    Attributes:
        differences: ``(path, ours, theirs)`` as texts, the shallowest first, not necessarily all.
        ours: every field of the state as plain data, by path.
        theirs: the same of the other player.
    """

    differences: tuple[tuple[str, str, str], ...]
    ours: Any
    theirs: Any


@attrs.frozen
class RollbackEvent:
    """A frame that was simulated again because an input of it had been mispredicted."""

    frame: int
    current_frame: int
    player: SeatId
    predicted: bytes
    actual: bytes
    timestamp_ms: int
    frames: int


@attrs.frozen
class Disconnection:
    """A link that broke."""

    timestamp_ms: int
    frame: int | None
    detecting_peer: SeatId
    ice_state: str | None
    dc_state: str | None


@attrs.frozen
class ReconnectionAttempt:
    """The way back, or the vain search for it."""

    timestamp_ms: int
    duration_ms: float
    outcome: str
    attempts: int


@attrs.frozen
class DetectedConnection:
    """The path of a link, and when it was seen to be that."""

    details: ConnectionDetails
    frame: int | None
    timestamp_ms: int


@attrs.frozen
class Health:
    """A link's state as the protocol sees it, by its own pings."""

    rtt_ms: float | None
    latency_ms: float | None
    packets_received: int
    gap_count: int
    status: str


@attrs.frozen
class Termination:
    """How the match ended for this player."""

    reason: str
    partial: bool
    frame: int | None
    disconnected_player: SeatId | None
    timestamp_ms: int


@attrs.define(eq=False)
class Corrections:
    """What guessing cost: counts over an episode, or over several."""

    mispredictions: int = 0
    """Inputs that had been guessed wrong."""
    resimulated: int = 0
    """Frames that were played again."""
    stalls: int = 0
    """Frames that could not be guessed any more and had to be waited for."""


@attrs.frozen(kw_only=True)
class SyncTotals:
    """What guessing cost over all episodes of a match.

    Attributes:
        rollbacks: how often the past was corrected.
        max_frames: the deepest correction, in frames.
        mispredictions: inputs that had been guessed wrong.
        resimulated: frames that were played again.
        stalls: frames that had to be waited for.
    """

    rollbacks: int
    max_frames: int
    mispredictions: int
    resimulated: int
    stalls: int


@attrs.define(eq=False)
class EpisodeLog:
    """One episode: for every seat the inputs as they were applied, one a frame, from frame 0 on."""

    number: int
    seat_inputs: tuple[list[bytes], ...]
    called: int = attrs.field(default=0, kw_only=True)
    """Its number among the players, who count those that did not begin too."""
    checksums: list[tuple[int, str]] = attrs.field(factory=list)
    desyncs: list[DesyncEvent] = attrs.field(factory=list)
    dumps: dict[int, StateDump] = attrs.field(factory=dict)
    """By frame: of the first difference with some player."""
    rollbacks: list[RollbackEvent] = attrs.field(factory=list)
    corrections: Corrections = attrs.field(factory=Corrections)
    input_delays: list[tuple[int, int]] = attrs.field(factory=list)
    """``(frame, delay)``: the local player's input delay from that frame on."""
    confirmed_frame: int = -1
    verified_frame: int = -1
    ended_ms: int | None = None
    completed: bool = False
    """Whether the environment ended it, and not a reset or a departure."""

    def view(self) -> EpisodeView:
        """Return the episode as it is now. What stands for a frame is read before the frames are counted."""
        verified = self.verified_frame
        confirmed = -1 if self.completed else self.confirmed_frame  # inputs may be given ahead of an end
        hashes = tuple(sorted(dict(self.checksums.copy()).items()))
        desyncs, rollbacks = tuple(self.desyncs.copy()), tuple(self.rollbacks.copy())
        frames = min(len(inputs) for inputs in self.seat_inputs)
        return EpisodeView(
            number=self.number,
            seat_inputs=self.seat_inputs,
            frames=frames,
            hashes=hashes,
            desyncs=desyncs,
            dumps=self.dumps.copy(),
            rollbacks=rollbacks,
            input_delays=tuple(self.input_delays.copy()),
            confirmed_frame=max(confirmed, frames - 1),
            verified_frame=verified,
            ended_ms=self.ended_ms,
        )


@attrs.frozen(kw_only=True)
class EpisodeView:
    """An episode at one moment; the log may go on growing."""

    number: int
    seat_inputs: tuple[list[bytes], ...]
    frames: int
    """The number of frames that every seat's input is recorded of: how far to read ``seat_inputs``."""
    hashes: tuple[tuple[int, str], ...]
    """The checksums by frame, sorted; of a frame that was checked twice the newer one."""
    desyncs: tuple[DesyncEvent, ...]
    dumps: Mapping[int, StateDump]
    rollbacks: tuple[RollbackEvent, ...]
    input_delays: tuple[tuple[int, int], ...]
    confirmed_frame: int
    verified_frame: int
    ended_ms: int | None


@attrs.define(eq=False)
class PeerLog:
    """One link to another player."""

    series: LatencySeries
    connection: DetectedConnection | None = None
    health: Health | None = None
    linked: bool = False


@attrs.define(eq=False, kw_only=True)
class MatchLog:
    """One player's part of a match. The players stand in the order of the seats."""

    game_id: str
    player_id: SeatId
    players: tuple[SeatId, ...]
    peers: dict[SeatId, PeerLog]
    session_start_ms: int
    environment: dict[str, Any]
    config: dict[str, Any]
    episodes: list[EpisodeLog] = attrs.field(factory=list)
    disconnections: list[Disconnection] = attrs.field(factory=list)
    attempts: list[ReconnectionAttempt] = attrs.field(factory=list)
    protocol_errors: dict[str, int] = attrs.field(factory=dict)
    inputs_sent: int = 0
    inputs_received: int = 0
    probe: Any = None
    sync: Any = None
    """How frames are kept together, and why so, as plain data."""
    termination: Termination | None = None

    def views(self) -> list[EpisodeView]:
        """Return every episode as it is now."""
        return [episode.view() for episode in self.episodes.copy()]

    def totals(self) -> SyncTotals:
        """Return what guessing has cost so far."""
        episodes = self.episodes.copy()
        rollbacks = [event.frames for episode in episodes for event in episode.rollbacks.copy()]
        counts = [episode.corrections for episode in episodes]
        return SyncTotals(
            rollbacks=len(rollbacks),
            max_frames=max(rollbacks, default=0),
            mispredictions=sum(count.mispredictions for count in counts),
            resimulated=sum(count.resimulated for count in counts),
            stalls=sum(count.stalls for count in counts),
        )

    def time(self, now_ms: int) -> int:
        """Return ``now_ms``, or the end of the match once it has ended."""
        return now_ms if self.termination is None else self.termination.timestamp_ms


def plain(value: Any) -> Any:
    """Return a copy that is JSON-ready.

    Numbers and arrays of other libraries become JSON's, a number that is not finite ``None``, and what
    JSON has no notion of its text.
    """
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, numbers.Real):
        return _number(value)
    to_list = getattr(value, "tolist", None)
    return plain(to_list()) if callable(to_list) else str(value)


def _number(value: numbers.Real) -> int | float | None:
    if isinstance(value, numbers.Integral):
        return int(value)
    return float(value) if math.isfinite(value) else None
