"""How a match stands, as a person is told: who waits, who is here, the score, the path in a word, the end.

Plain data for the page, whose texts are the page's own. Read from another thread than the playing: single
values and records that are made for that.
"""

from __future__ import annotations

import math
import time
from typing import Any

from gym_p2p.core.latency.quality import Quality
from gym_p2p.core.record.folders import short_id
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.core.wire.messages import Cause
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConnectFailed, MatchOver, NetworkError, NoMatch, PersonGone
from gym_p2p.play.ending import Ending
from gym_p2p.play.progress import Progress, SessionState
from gym_p2p.play.session import Session

__all__ = ["away_in", "ended_by", "phase_of", "reason_of", "standing_in_match", "worst"]

_GOODBYES = {
    "interrupted": "interrupted",
    "desync": "desync",
    "protocol_error": "protocol_error",
    "failed": "peer_failed",
    "environment_failed": "peer_failed",
    "network_failed": "peer_failed",
}
"""What a player who left may have said of it, which is no choice of theirs, and the word for it."""


def standing_in_match(session: Session, seat: SeatId | None) -> dict[str, Any]:
    """Return how a match stands for the person on a seat.

    ``returns`` is whether they come back to it, and the only thing in there that is not the page's.
    """
    progress, recorder = session.progress, session.recorder
    record = None if recorder is None else recorder.record
    return {
        "phase": phase_of(progress),
        "returns": progress.comes_back,
        "seats": _seats(session, seat, record),
        "waiting": _waiting(progress),
        "quality": _quality(record),
        "partner": _partner(progress),
        "away": away_in(progress),
        "before": _result(session, seat, record, ago=1),
        "ending": _ending(session, seat, record) if progress.state in _ENDED else None,
        "code": None if progress.match_id is None else short_id(progress.match_id),
    }


def away_in(progress: Progress) -> dict[str, Any] | None:
    """Return who is away while others act for them, and who acts; ``None`` where nobody is.

    For how long at most is left out: every second would be another state.
    """
    if not progress.away:
        return None
    return {"who": ", ".join(str(one.player) for one in progress.away), "by": progress.away[0].by}


def reason_of(error: BaseException | None, *, met: bool) -> str | None:
    """Return the word for what broke a person's game off; ``None`` where nothing did, or the match says so.

    Args:
        error: with which it ended.
        met: whether there was a match.
    """
    match error:
        case None | PersonGone() | MatchOver():
            return None
        case NoMatch():
            return "nobody_came"
        case ConnectFailed() if not met:
            return "nobody_came"
        case NetworkError():
            return "network_failed"
        case KeyboardInterrupt():
            return "interrupted"
        case _:
            return "failed"


def ended_by(ending: Ending | None) -> str | None:
    """Return the word for what broke a match off; ``None`` where nothing did."""
    if ending is None:
        return None
    said = _GOODBYES.get(ending.stated_reason or "") if ending.reason == Cause.LEFT else None
    return said or ending.reason


_ENDED = {SessionState.BETWEEN, SessionState.OVER, SessionState.CLOSED}


def phase_of(progress: Progress) -> str:
    """Return the word for where a match is."""
    match progress.state:
        case SessionState.NEW:
            return "returning" if progress.comes_back else "waiting"
        case SessionState.PLAYING:
            return "paused" if progress.paused is not None else "playing"
        case SessionState.BETWEEN:
            return "between"
        case SessionState.OVER | SessionState.CLOSED:
            return "over"


def _seats(session: Session, seat: SeatId | None, record: MatchRecord | None) -> list[dict[str, Any]]:
    returns: tuple[float, ...] = ()
    if record is not None and record.episodes:
        returns = record.episodes[-1].totals.returns
    played_by: dict[str, str | None] = {}
    if record is not None:
        played_by = {
            name: one.played_by_seat.get(name, one.played_by)
            for one in record.identities
            for name in one.seats
        }
        played_by |= {one.facts.seat: "policy" for one in record.policies.copy()}  # one that came later
    return [
        {
            "seat": str(name),
            "you": name == seat,
            "score": _score(returns[index]) if index < len(returns) else None,
            "playedBy": played_by.get(str(name)),
        }
        for index, name in enumerate(session.game.seats)
    ]


def _score(value: float) -> float | None:
    return round(value, 2) if math.isfinite(value) else None


def _waiting(progress: Progress) -> dict[str, Any] | None:
    if progress.state is not SessionState.NEW:
        return None
    queue = progress.queue_status
    return {"others": None if queue is None else max(0, queue.waiting - 1)}


def _quality(record: MatchRecord | None) -> str | None:
    """Return the grade of the worst path; ``None`` before one is known."""
    if record is None:
        return None
    grades = [link.health.status for link in record.links.values() if link.health is not None]
    return worst(*grades)


def worst(*grades: str | None) -> str | None:
    """Return the worst of some grades; ``None`` where none is known."""
    known = [Quality(grade) for grade in grades if grade is not None]
    return str(max(known, key=list(Quality).index)) if known else None


def _partner(progress: Progress) -> dict[str, Any] | None:
    paused = progress.paused
    if paused is None:
        return None
    left_s = max(0, math.ceil(paused.since + paused.limit_s - time.monotonic()))
    return {"who": ", ".join(map(str, paused.players)), "why": paused.why, "leftS": left_s}


def _ending(session: Session, seat: SeatId | None, record: MatchRecord | None) -> dict[str, Any]:
    reason = ended_by(session.ending)
    return {"reason": reason, "result": None if reason is not None else _result(session, seat, record)}


def _result(session: Session, seat: SeatId | None, record: MatchRecord | None, *, ago: int = 0) -> str | None:
    """Return ``won``, ``lost`` or ``drawn`` where what one earns another one loses; else ``None``.

    An episode that was broken off has no result, whoever was ahead.

    Args:
        session: of the match.
        seat: whose result it is.
        record: of the match, with its episodes.
        ago: of which episode: so many before the newest.
    """
    if record is None or len(record.episodes) <= ago or seat is None:
        return None
    episode = record.episodes[-1 - ago]
    returns = episode.totals.returns
    if (
        not episode.completed
        or len(returns) != len(session.game.seats)
        or not any(returns)
        or not math.isclose(math.fsum(returns), 0.0, abs_tol=1e-6)
    ):
        return None
    own = returns[session.game.seats.index(seat)]
    return "won" if own > 0 else "lost" if own < 0 else "drawn"
