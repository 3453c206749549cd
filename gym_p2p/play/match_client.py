"""The user's end of the network half: from signing in to goodbye, every wait with a deadline.

Folds every event into the record on the way, knows who the players are, and turns what went wrong
into the error that says so. Refuses to know frames and the environment's steps.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from gym_p2p.core.api.queues import MatchProposed, QueueAck, QueueStatus, Verdict
from gym_p2p.core.api.rooms import JoinAck, MatchFound, RoomStatus, TurnedAway
from gym_p2p.core.match.commands import Leave
from gym_p2p.core.match.events import (
    Connected,
    EpisodeBegan,
    EpisodeRefused,
    HandshakeMismatch,
    InputsArrived,
    PlayerFinished,
    PlayerGone,
)
from gym_p2p.core.match.return_events import ActFor
from gym_p2p.core.match.ways import WayChanged
from gym_p2p.core.wire.messages import Cause
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConnectFailed, HandshakeRefused, MatchRefused, NetworkEnded, PeerLost
from gym_p2p.net.worker.backends import open_bridge
from gym_p2p.net.worker.messages import (
    LinkOpened,
    PlayerPlan,
    ServiceReachable,
    Vote,
    WorkerCommand,
    WorkerEvent,
    WorkerFailed,
    WorkerStopped,
)
from gym_p2p.play.ending import Ending, gone_in_words
from gym_p2p.play.recorder import Recorder
from gym_p2p.play.silences import Silences

__all__ = ["SHORT_WAIT_S", "WAIT_SLICE_S", "MatchClient", "Voter"]

Voter = Callable[[MatchProposed], Verdict]
"""A player's own vote about a match that a queue proposes; never raises."""

_log = logging.getLogger(__name__)
_queue_log = _log.getChild("queue")
"""Apart, for whoever shows ``MatchClient.queue_status`` in another way."""
_AWAY = logging.WARNING, "the service at %s is away; trying to reach it again"
_BACK = logging.INFO, "the service at %s is back"
_T = TypeVar("_T")

_ADVICE = "Start the other players, each in a process or thread of their own."

WAIT_SLICE_S = 0.25
"""No wait is longer in one piece, so that a ``close()`` from another thread is noticed."""

SHORT_WAIT_S = 0.05
"""Before so short a wait it is not asked whether to give up, and nobody is judged by it: half of the least
that :mod:`gym_p2p.core.sync.patience` lets pass."""

SIGN_IN_LIMIT_S = 30.0
"""Starting the network half and signing in: well above the sign-in's own time-out of 10 s."""

ROOM_MARGIN_S = 5.0
"""Above the time-out of the room, so that the network half's own error arrives first."""

HANDSHAKE_LIMIT_S = 15.0
"""Above the peers' own limit for a handshake, so that theirs gives the reason."""


class MatchClient:
    """One match's client of the network half. Every method is called with the session's lock held.

    Args:
        plan: what the network half is to do; it starts at once.
        vote: this player's vote about a match that a queue proposes; ``None`` where the plan has none.
        record: makes the recorder, once the match is known.
        check: called before every wait but short ones; raises to give up.
    """

    def __init__(
        self,
        plan: PlayerPlan,
        *,
        vote: Voter | None = None,
        record: Callable[[MatchFound], Recorder],
        check: Callable[[], None],
    ) -> None:
        self._plan = plan
        self._vote = vote
        self._record = record
        self._check = check
        self._free: tuple[SeatId, ...] = plan.seats
        self._turned_away: TurnedAway | None = None
        self._bridge = open_bridge(plan)
        self._recorder: Recorder | None = None
        self._end: WorkerFailed | WorkerStopped | None = None
        self.command: Callable[[WorkerCommand], None] = self._bridge.command
        """Gives the network half a command."""
        self.run_after_owner = self._bridge.run_after_owner
        """Tells it what to run should this process be killed."""
        self.listener: Callable[[WorkerEvent], None] = lambda _event: None
        """Takes every event, on the caller's thread, once it is folded into the record."""
        self.fold: Callable[[WorkerEvent], None] = lambda _event: None
        """Takes every event before that, too: what is kept of the match follows it."""
        self.gone: PlayerGone | None = None
        """The first player who left or was lost: no episode begins without them."""
        self._departures: dict[int, PlayerGone] = {}
        self._silences = Silences()
        self.silent = self._silences.of
        """From whom nothing arrives now."""
        self.queue_status: QueueStatus | None = None
        """Where this player stands in the queue, by the newest status; ``None`` while they are in none."""
        self.acts_for: set[int] = set()
        """The players who are away and whose inputs are to be given here."""
        self._ready: set[int] = set()
        """Who waits for the next episode."""
        self._open: set[int] = set()
        """To whom there is a channel."""

    def meet(self) -> tuple[Recorder, Sequence[Mapping[str, Any] | None]]:
        """Wait until all players of the match are connected and have agreed on what they play.

        Returns:
            The record of the match, and what every player sent about themselves, in the match's order
            (``None`` for the local one).

        Raises:
            NetworkError, PeerError: they will not.
        """
        config = self._plan.config
        in_room = config.queue is None
        where, place = (
            (f"room {config.room!r}", JoinAck) if in_room else (f"queue {config.queue!r}", QueueAck)
        )
        self.wait_for(
            place, SIGN_IN_LIMIT_S, "signing in", "Check the service's address, and what the service says."
        )
        room_s = config.sync.room_timeout_s + ROOM_MARGIN_S
        found = self.wait_for(MatchFound, room_s, f"the {where}", _ADVICE)
        self._recorder = recorder = self._record(found)
        limit_s = config.link.connect_timeout_s + HANDSHAKE_LIMIT_S
        connected = self.wait_for(
            Connected, limit_s, "the other players", "Check that UDP passes between the machines."
        )
        others = ", ".join(str(peer.player_id) for peer in found.peers)
        _log.info("connected as %s with %s: %s", found.player_id, others, found.match_id)
        return recorder, connected.about

    def receive(self, timeout_s: float = WAIT_SLICE_S) -> WorkerEvent | None:
        """Return the next event, folded into the record; ``None`` if there is none within the time.

        Who waits on (with a time above 0) after the network half has ended gets its end again.
        """
        if timeout_s > SHORT_WAIT_S:
            self._check()
        stamped = self._bridge.receive(timeout_s)
        if stamped is None:
            return self._end if timeout_s > 0 else None
        at_ms, event = stamped
        if type(event) is InputsArrived and self._recorder is not None:  # nearly always
            self._recorder.inputs_arrived(event)
            self.listener(event)
            return event
        self._take(at_ms, event)
        if self._recorder is None:
            self._follow_queue(event)
        return event

    @property
    def ended(self) -> bool:
        """Whether the network half has ended: nothing comes any more."""
        return self._end is not None

    def drain(self) -> None:
        """Take in all events that are there, without waiting."""
        while self.receive(0) is not None:
            pass

    def wait_for(
        self,
        kind: type[_T],
        limit_s: float,
        what: str,
        advice: str,
        *,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> _T:
        """Return the next event of a kind.

        Args:
            kind: its class.
            limit_s: the longest wait for it.
            what: what is waited for, in words.
            advice: what to do if it does not come.
            meanwhile: called now and then.

        Raises:
            ConnectFailed: it does not come in time.
            HandshakeRefused, PeerLost, NetworkError: it will not come, and why.
        """
        if self.gone is not None:
            self._raise_if_final(self.gone)
        began = time.monotonic()
        while (waited_s := time.monotonic() - began) < limit_s:
            meanwhile()
            event = self.receive(min(WAIT_SLICE_S, limit_s - waited_s))
            if isinstance(event, kind):
                return event
            if event is not None:
                self._raise_if_final(event)
        raise ConnectFailed(what, waited_s=waited_s, seen=self._seen(), advice=advice)

    def close(self, ending: Ending, *, comes_back: bool = False) -> None:
        """Say goodbye, for the others to know how it ended here, and stop the network half. Idempotent.

        Args:
            ending: how it ended.
            comes_back: whether another process of this player's may come: nothing is said then.
        """
        self.queue_status = None
        cause, lost = ending.loss, ending.player
        leave = Leave(ending.reason, cause=Cause.CRASHED if comes_back else Cause.LEFT)
        if cause is not None and lost is not None:
            leave = Leave(ending.reason, self._player_ids.index(lost), cause)
        self._bridge.close(leave, lambda stamped: self._take(*stamped))

    def ending(self, reason: str, player: int) -> Ending:
        """Return the end that a player's going on or being gone puts to an episode.

        Args:
            reason: that of the session.
            player: whose doing it was, or who was lost.
        """
        told = [gone for gone in self._departures.values() if player in {gone.player, gone.lost}]
        gone = next((gone for gone in told if gone.reason == reason), None)
        if gone is None:
            return Ending(reason, self.player_id(player))
        return Ending(
            reason,
            self.player_id(player),
            stated_reason=gone.stated_reason,
            source=gone.source,
            source_player=self._teller(gone),
        )

    def _teller(self, gone: PlayerGone) -> SeatId | None:
        """Return who stands between a player who is gone and us; ``None`` where nobody does."""
        if gone.lost is not None:
            return self.player_id(gone.player)
        return None if gone.via is None else self.player_id(gone.via)

    @property
    def gone_count(self) -> int:
        """How many players are gone."""
        return len(self._departures)

    @property
    def gone_names(self) -> list[SeatId]:
        """Who is gone, in the order of the players."""
        return [self.player_id(player) for player in sorted(self._departures)]

    @property
    def not_ready(self) -> list[int]:
        """Who is connected and has not called ``reset`` yet; the others' indices."""
        found = self._found
        others = [found.players.index(peer) for peer in found.peers]
        return [player for player in others if player not in self._ready and player not in self._departures]

    def player_id(self, player: int) -> SeatId:
        """Return a player's id by their index; only once the match is known."""
        return self._player_ids[player]

    @property
    def _player_ids(self) -> list[SeatId]:
        return [player.player_id for player in self._found.players]

    @property
    def recorder(self) -> Recorder:
        """The record of the match; only once that is known."""
        assert self._recorder is not None  # noqa: S101 - players have an index from when the match is known
        return self._recorder

    @property
    def _found(self) -> MatchFound:
        return self.recorder.found

    def _seen(self) -> str:
        """Return who is here, in words."""
        if self._recorder is None or self.queue_status is not None:
            seen = f"free seats: {', '.join(map(repr, self._free)) or 'none'}"
            if self.queue_status is not None:
                seen = "in queue {!r} for {:.0f} s: {}, {} here".format(*_in_words(self.queue_status))
            return seen if self._turned_away is None else f"{seen}; {self._turned_away}"
        found = self._recorder.found
        others = [found.players.index(peer) for peer in found.peers]
        told = []
        for what, players in (("connected", self._open), ("ready for the next episode", self._ready)):
            missing = [repr(self.player_id(player)) for player in others if player not in players]
            told.append(f"not {what}: {', '.join(missing) or 'nobody'}")
        return "; ".join(told)

    def _follow_queue(self, event: WorkerEvent) -> None:
        """See to what happens on the way to a match.

        Raises:
            MatchRefused: this player votes against a proposed match, where a refusal is the end.
        """
        match event:
            case JoinAck() | RoomStatus():
                self._free = event.seats_free
                if self._free:
                    seats = ", ".join(map(str, self._free))
                    _log.info("waiting in room %r for: %s", self._plan.config.room, seats)
            case TurnedAway():
                self._turned_away = event
                _log.warning("%s", event)
            case QueueStatus():
                _queue_log.info("in queue %r for %.0f s: %s, %d here", *_in_words(event))
            case MatchProposed():
                self._cast_vote(event)
            case ServiceReachable(up):
                _log.log(*(_BACK if up else _AWAY), self._plan.config.server_url)

    def _cast_vote(self, match: MatchProposed) -> None:
        verdict = Verdict.ACCEPT if self._vote is None else self._vote(match)
        self.command(Vote(match.proposal_id, verdict))
        _log.info("queue %r proposed a match: %s", match.queue, verdict.value)
        if verdict is Verdict.REJECT and self._plan.config.on_refusal == "raise":
            raise MatchRefused(match.queue, match.subjects, match.probe.worst_rtt_ms)

    def _take(self, at_ms: int, event: WorkerEvent) -> None:
        """Fold an event into the record; keep what stays true, for nobody may be waiting for it now."""
        match event:
            case QueueStatus():
                self.queue_status = event
            case MatchFound():
                self.queue_status = None
            case WorkerFailed() | WorkerStopped():
                self.queue_status = None
                self._end = self._end or event
            case PlayerGone(player):
                self.gone = self.gone or event
                self._departures[player] = event
            case PlayerFinished(player):
                self._ready.add(player)
            case EpisodeBegan() | EpisodeRefused():
                self._ready.clear()
            case ActFor(player, True):
                self.acts_for.add(player)
            case ActFor(player):
                self.acts_for.discard(player)
            case LinkOpened(player) | WayChanged(player):
                self._open.add(player)
        self._silences.take(event)
        self.fold(event)
        if isinstance(event, MatchFound) and self._plan.returns is not None:
            self._recorder = self._record(event)
        if self._recorder is not None:
            self._recorder.fold(at_ms, event)
        self.listener(event)

    def _raise_if_final(self, event: WorkerEvent) -> None:
        match event:
            case WorkerFailed(error):
                raise error
            case HandshakeMismatch(player, differences) | EpisodeRefused(player, differences):
                raise HandshakeRefused(self.player_id(player), differences)
            case PlayerGone(player, _, _, _, lost):
                raise PeerLost(self.player_id(player if lost is None else lost), gone_in_words(event))
            case WorkerStopped():
                raise NetworkEnded("the network half stopped by itself")


def _in_words(status: QueueStatus) -> tuple[str, float, str, int]:
    return status.queue, status.wait_s, status.state, status.waiting
