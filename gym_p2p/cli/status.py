"""What the commands that play tell of a player: where they are, and how it went.

Plain values; refuses to know how they are shown (:mod:`gym_p2p.cli.live`) and who plays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from gym_p2p.core.api.queues import QueueStatus
from gym_p2p.core.wire.seats import SeatId

if TYPE_CHECKING:
    from gym_p2p.play.progress import Progress

__all__ = ["EXIT_CODES", "Status", "Summary", "sync_in_words", "without_samples"]

EXIT_CODES = {
    0: "done: played to the end, nothing differed",
    1: "the match ended early, the players' games differed, or a document could not be written",
    3: "no service, no connection, or another player's side refused",
    4: "all outcomes were the same, but something in the players' states was not",
    130: "Ctrl-C, SIGTERM, SIGHUP (what was played is exported)",
}
"""Of the commands that play: :attr:`Summary.exit_code`, or what an error ends them with."""


@attrs.frozen(kw_only=True)
class Status:
    """Where a player is; ``latency`` maps a peer to the link's statistics without the samples."""

    seat: SeatId | None
    state: str
    episode: int = 0
    frame: int = 0
    frames_total: int = 0
    steps_per_s: float | None = None
    reward: float = 0.0
    checksums_agreed: int = 0
    desyncs: int = 0
    state_desyncs: int = 0
    latency: dict[str, dict[str, Any] | None] = attrs.field(factory=dict)
    picture: str | None = None
    queue: QueueStatus | None = None
    """The place in a queue, while waiting in one."""
    sync: str | None = None
    """The sync mode, and what keeping together has cost so far, in words."""
    paused: str | None = None
    """For whom the match stands, in words."""
    away: tuple[str, ...] = ()
    """Who is away, and who plays for them, in words."""
    relayed: tuple[str, ...] = ()
    """To whom messages do not go directly, in words."""


@attrs.frozen(kw_only=True)
class Summary:
    """How it went."""

    match_id: str | None
    status: Status
    ending: str
    """``done``, ``interrupted``, or why the match ended early."""
    told: str | None = None
    """Who is gone, how, and who says so, in words; ``None`` where nobody is."""
    exports: dict[str, str]
    uploaded: bool
    problems: tuple[str, ...]
    lost: bool = False
    """Whether a document or the recording is nowhere whole."""
    recording: str | None = None
    """Where the match was recorded."""

    @property
    def exit_code(self) -> int:
        """The command's exit code."""
        if self.ending == "interrupted":
            return 130
        if self.ending != "done" or self.status.desyncs or self.lost:
            return 1
        return 4 if self.status.state_desyncs else 0


def sync_in_words(progress: Progress) -> str | None:
    """Return the sync mode, and what it has cost so far; ``None`` before it is agreed."""
    totals = progress.totals
    if progress.sync is None or totals is None:
        return None
    delay = f", input delay {progress.input_delay}" if progress.input_delay else ""
    if progress.sync == "lockstep":
        return f"lockstep{delay}"
    return (
        f"rollback{delay}: {totals.rollbacks} rollbacks (deepest {totals.max_frames}), "
        f"{totals.mispredictions} wrong guesses, {totals.resimulated} frames again, {totals.stalls} stalls"
    )


def without_samples(statistics: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return a link's statistics with the newest round trip (``nowMs``) in place of all of them."""
    if statistics is None:
        return None
    plain = {key: value for key, value in statistics.items() if key != "samples"}
    return {**plain, "nowMs": statistics["samples"][-1]["rttMs"]}
