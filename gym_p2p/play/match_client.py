"""The user's end of the network half: from signing in to goodbye, every wait with a deadline.

Folds all that is told into the record on the way, knows who the players are, and turns what went wrong
into the error that says so. Refuses to know frames and the environment's steps.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from gym_p2p.core.api.queues import MatchProposed, QueueStatus, Verdict
from gym_p2p.core.api.rooms import MatchFound
from gym_p2p.core.match.events import Connected, EpisodeRefused, Leave, PlayerGone, Refused
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConnectFailed, HandshakeRefused, MatchRefused, NetworkError, PeerLost
from gym_p2p.net.worker.bridge import open_bridge
from gym_p2p.net.worker.messages import (
    AnswerProposal,
    Failed,
    MatchMade,
    Order,
    Plan,
    Proposed,
    Queued,
    QueueNews,
    Seated,
    ServiceSeen,
    Stopped,
    Telling,
    Waiting,
)
from gym_p2p.play.recorder import Recorder

__all__ = ["Line", "Say"]

Say = Callable[[MatchProposed], Verdict]
"""A player's own say about a match that a queue proposes; never raises."""

_log = logging.getLogger(__name__)
_queue_log = _log.getChild("queue")
"""Apart, for whoever shows ``Line.queue_status`` in another way."""
_AWAY = logging.WARNING, "the service at %s is away; trying to reach it again"
_BACK = logging.INFO, "the service at %s is back"
_T = TypeVar("_T")

WAIT_SLICE_S = 0.25
"""No wait is longer in one piece, so that a ``close()`` from another thread is noticed."""

SIGN_IN_LIMIT_S = 30.0
"""Starting the network half and signing in: well above the sign-in's own time-out of 10 s."""

ROOM_MARGIN_S = 5.0
"""Above the time-out of the room, so that the network half's own error arrives first."""

HANDSHAKE_LIMIT_S = 15.0
"""Above the peers' own limit for a handshake, so that theirs tells the reason."""


class Line:
    """One match's line to the network half. Every method is called with the session's lock held.

    Args:
        plan: what the network half is to do; it starts at once.
        say: this player's say about a match that a queue proposes; ``None`` where the plan does not ask.
        record: makes the recorder, once the match is known.
        check: called before every wait; raises to give up.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        say: Say | None = None,
        record: Callable[[MatchFound], Recorder],
        check: Callable[[], None],
    ) -> None:
        self._plan = plan
        self._say = say
        self._record = record
        self._check = check
        self._free: tuple[SeatId, ...] = plan.seats
        self._bridge = open_bridge(plan)
        self._found: MatchFound | None = None
        self._end: Failed | Stopped | None = None
        self.recorder: Recorder | None = None
        self.about: tuple[Mapping[str, Any] | None, ...] = ()
        """What every player said of himself, once :meth:`meet` has returned; ``None`` for the local one."""
        self.listener: Callable[[Telling], None] = lambda _telling: None
        """Hears everything that is told, from the caller's thread, once it is folded."""
        self.gone: PlayerGone | None = None
        """The first player who left or was lost: no episode begins without him."""
        self.queue_status: QueueStatus | None = None
        """Where this player stands in the queue, as told last; ``None`` while he is in none."""

    @property
    def found(self) -> MatchFound:
        """The match; only once :meth:`meet` has returned."""
        assert self._found is not None  # noqa: S101 - what the docstring says
        return self._found

    def player_id(self, player: int) -> SeatId:
        """Return a player's id."""
        return self.found.players[player].player_id

    @property
    def local(self) -> int:
        """The local player's index."""
        return next(i for i, p in enumerate(self.found.players) if p.player_id == self.found.player_id)

    def meet(self) -> None:
        """Wait until all players of the match are connected and have agreed on what they play.

        Raises:
            NetworkError, PeerError: they will not.
        """
        config = self._plan.config
        in_room = config.queue is None
        where, place = (f"room {config.room!r}", Seated) if in_room else (f"queue {config.queue!r}", Queued)
        self.wait_for(place, SIGN_IN_LIMIT_S, "signing in", "Check server_url, and what the service says.")
        room_s = config.sync.room_timeout_s + ROOM_MARGIN_S
        made = self.wait_for(MatchMade, room_s, f"the {where}", "Start the other players.")
        self._found = made.found
        self.recorder = self._record(made.found)
        limit_s = config.link.connect_timeout_s + HANDSHAKE_LIMIT_S
        connected = self.wait_for(
            Connected, limit_s, "the other players", "Check that UDP passes between the machines."
        )
        self.about = connected.about
        others = ", ".join(str(peer.player_id) for peer in made.found.peers)
        _log.info("connected as %s with %s: %s", made.found.player_id, others, made.found.match_id)

    def command(self, command: Order) -> None:
        """Give the network half a command."""
        self._bridge.command(command)

    def next(self, timeout_s: float = WAIT_SLICE_S) -> Telling | None:
        """Return what is told next, folded into the record; ``None`` if nothing is within the time.

        Who waits on (with a time above 0) after the network half has ended is told its end again.
        """
        if timeout_s > 0:
            self._check()
        told = self._bridge.next(timeout_s)
        if told is None:
            return self._end if timeout_s > 0 else None
        at_ms, telling = told
        self._keep(telling)
        self._fold(at_ms, telling)
        match telling:
            case Waiting(free):
                self._free = free
                if free:
                    seats = ", ".join(map(str, free))
                    _log.info("waiting in room %r for: %s", self._plan.config.room, seats)
            case QueueNews(status):
                _queue_log.info("in queue %r for %.0f s: %s, %d here", *_in_words(status))
            case Proposed(match):
                self._answer(match)
            case ServiceSeen(up):
                url = self._plan.config.server_url
                _log.log(*(_BACK if up else _AWAY), url)
        return telling

    def _answer(self, match: MatchProposed) -> None:
        """Say what becomes of a proposed match.

        Raises:
            MatchRefused: the answer is no, where a refusal is the end.
        """
        verdict = Verdict.ACCEPT if self._say is None else self._say(match)
        self.command(AnswerProposal(match.proposal_id, verdict))
        _log.info("queue %r proposed a match: %s", match.queue, verdict.value)
        if verdict is Verdict.REJECT and self._plan.config.on_refusal == "raise":
            raise MatchRefused(match.queue, match.subjects, match.probe.worst_rtt_ms)

    def _keep(self, telling: Telling) -> None:
        """Keep what stays true, for whoever asks later: nobody may be waiting for it now."""
        if isinstance(telling, QueueNews):
            self.queue_status = telling.status
        elif isinstance(telling, MatchMade | Failed | Stopped):
            self.queue_status = None
        if self.gone is None and isinstance(telling, PlayerGone):
            self.gone = telling
        elif self._end is None and isinstance(telling, Failed | Stopped):
            self._end = telling

    def wait_for(
        self,
        kind: type[_T],
        limit_s: float,
        what: str,
        advice: str,
    ) -> _T:
        """Return the next telling of a kind.

        Raises:
            ConnectFailed: it does not come in time.
            HandshakeRefused, PeerLost, NetworkError: it will not come, and why.
        """
        if self.gone is not None:
            self._raise_if_final(self.gone)
        began = time.monotonic()
        while (waited_s := time.monotonic() - began) < limit_s:
            telling = self.next(min(WAIT_SLICE_S, limit_s - waited_s))
            if isinstance(telling, kind):
                return telling
            if telling is not None:
                self._raise_if_final(telling)
        seen = f"free seats: {', '.join(map(repr, self._free)) or 'none'}"
        if self.queue_status is not None:
            seen = "in queue {!r} for {:.0f} s: {}, {} here".format(*_in_words(self.queue_status))
        raise ConnectFailed(what, waited_s=waited_s, seen=seen, advice=advice)

    def close(self, reason: str, *, lost: SeatId | None = None) -> None:
        """Say goodbye and stop the network half. Idempotent.

        Args:
            reason: why, for the others.
            lost: the player whose loss it is for.
        """
        self.queue_status = None
        index = None
        if lost is not None:
            index = [player.player_id for player in self.found.players].index(lost)
        for at_ms, telling in self._bridge.close(Leave(reason, index)):
            self._fold(at_ms, telling)

    def _fold(self, at_ms: int, telling: Telling) -> None:
        if self.recorder is not None:
            self.recorder.fold(at_ms, telling)
        self.listener(telling)

    def _raise_if_final(self, telling: Telling) -> None:
        match telling:
            case Failed(error):
                raise error
            case Refused(player, differences) | EpisodeRefused(player, differences):
                raise HandshakeRefused(self.player_id(player), differences)
            case PlayerGone(player, reason, _, said, lost):
                raise PeerLost(self.player_id(player if lost is None else lost), said or reason)
            case Stopped():
                raise NetworkError("the network half stopped by itself")


def _in_words(status: QueueStatus) -> tuple[str, float, str, int]:
    return status.queue, status.wait_s, status.state, status.waiting
