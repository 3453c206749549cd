"""Where a session is, for a live view."""

from __future__ import annotations

import enum

import attrs

from gym_p2p.core.api.queues import QueueStatus
from gym_p2p.core.match.events import Disagreement
from gym_p2p.core.record.match_record import SyncTotals
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.play.detours import Relayed
from gym_p2p.play.live_match import LiveMatch
from gym_p2p.play.paused import Paused
from gym_p2p.play.setup import MatchSetup
from gym_p2p.play.standing_in import StoodInFor, stood_in_for

__all__ = ["Progress", "SessionState", "progress_of"]


class SessionState(enum.Enum):
    """Where a session is in its life."""

    NEW = "new"
    PLAYING = "playing"
    BETWEEN = "between episodes"
    OVER = "over"
    CLOSED = "closed"


@attrs.frozen(kw_only=True)
class Progress:
    """Where a match is, for a live view; what needs a match is ``None`` or 0 before there is one."""

    state: SessionState
    match_id: str | None = None
    player_id: SeatId | None = None
    episode: int = 0
    frame: int = 0
    frames_total: int = 0
    checksums_agreed: int = 0
    desyncs: int = 0
    """Checked frames whose outcomes differed."""
    state_desyncs: int = 0
    """Checked frames in whose states something differed, while all outcomes were the same."""
    sync: str | None = None
    """``lockstep`` or ``rollback``, once the players have agreed."""
    confirmed: int = 0
    """How many frames of the episode are final."""
    input_delay: int = 0
    totals: SyncTotals | None = None
    """What guessing has cost over all episodes."""
    comes_back: bool = False
    """Whether this player comes, or has come, back to a match that a process of theirs was killed in."""
    queue_status: QueueStatus | None = None
    """Where this player stands in a queue, while they wait in one."""
    paused: Paused | None = None
    """For whom the match stands, since when and for how long at most; ``None`` where it does not."""
    away: tuple[StoodInFor, ...] = ()
    """Who is away while others act for them, who, and for how long at most; as text in words."""
    relayed: tuple[Relayed, ...] = ()
    """To whom messages do not go directly, through whom, and why; as text in words."""


def progress_of(state: SessionState, setup: MatchSetup, match: LiveMatch | None) -> Progress:
    """Return where a session is, which has a match or is still setting one up."""
    recorder, queue_status = setup.recorder, setup.queue_status
    if recorder is None:
        return Progress(state=state, comes_back=setup.comes_back, queue_status=queue_status)
    runner = None if match is None or match.episode is None else match.episode.runner
    return Progress(
        match_id=recorder.found.match_id,
        player_id=recorder.found.player_id,
        state=state,
        episode=0 if match is None else match.episodes_begun,
        frame=0 if match is None else match.frame,
        frames_total=0 if match is None else match.frames_total,
        checksums_agreed=recorder.checksums_agreed,
        desyncs=recorder.desyncs[Disagreement.OUTCOMES],
        state_desyncs=recorder.desyncs[Disagreement.STATE],
        sync=None if match is None else match.played.choice.mode,
        confirmed=0 if runner is None else runner.rollout.final_count,
        input_delay=0 if runner is None else runner.session.input_delay,
        totals=recorder.record.totals(),
        comes_back=setup.comes_back,
        queue_status=queue_status,
        paused=None if match is None else match.waits.paused,
        away=() if match is None else stood_in_for(match.client, match.played.config),
        relayed=tuple(recorder.ways.relayed.values()),
    )
