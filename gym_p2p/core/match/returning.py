"""A player's process ends and another one takes its place: what those do who are there.

Where all players agreed to wait (``rejoin_timeout_s``, the shortest time counts), a player whose process has
ended is not lost but *away*. Nothing is given up and nothing has to be agreed upon: without their inputs
nobody can play on, so the match stands by itself, and whoever waits no longer counts them as gone for all
(:mod:`gym_p2p.core.match.membership`). Their next process has nothing but what the first was known by, and::

    Resume(incarnation 1) over a new link   the old process is over, whatever comes of it still
    Hello, both ways                        who plays something else is refused, and may come again
    Recall(claims=False) -> PastWord, ...   what was played (:mod:`gym_p2p.core.match.catching_up`), while
                                            others act for them and play on, again and again
    Recall(claims=True) -> PastWord, ...    the rest: from the first of these on the match stands for them
    TookSeat                                they play on: from then on they get inputs again, as everybody

Where nobody acts for who is away, the match stands anyway, and they claim the seat at once. Who looks on is
told what everybody holds and nothing else, for that is what nobody ever takes back.

What they themselves did is, for all, what somebody who is there holds of it. An input that the old process
gave and nobody received was never given. Who comes back asks everybody before they give the next one, so none
is given twice.

Why it ends: from the moment they are away time runs, whatever they do and however often they begin anew. Only
:class:`~gym_p2p.core.wire.past.TookSeat` ends it.

A process that merely stood still comes back as it was, over the old link or a new one; then it was the path.

Knows peers and times; refuses to know what follows from a loss. Times are monotonic seconds, passed in.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import msgspec

from gym_p2p.core.match.barrier import Barrier
from gym_p2p.core.match.claims import check_frames
from gym_p2p.core.match.events import Resumed
from gym_p2p.core.match.handshake import Handshake
from gym_p2p.core.match.input_exchange import InputExchange
from gym_p2p.core.match.outputs import Outputs
from gym_p2p.core.match.pace import Pace
from gym_p2p.core.match.peer import Loss, Peer, PeerState
from gym_p2p.core.match.return_events import PlayerAway, PlayerReturned
from gym_p2p.core.match.ways import DIRECT, Way, WayChanged, Why
from gym_p2p.core.match.ways_round import WaysRound
from gym_p2p.core.wire.fragments import MAX_MESSAGE_BYTES
from gym_p2p.core.wire.messages import Cause, Goodbye, encode
from gym_p2p.core.wire.past import PAST_BYTES, Past, PastWord, Recall, TookSeat
from gym_p2p.errors import ProtocolError

__all__ = ["Returning", "nothing_past"]

AWAY_PING_S = 0.5
"""Between two pings to a player who is away, by one way after the other."""

_LEAST_BYTES = 2 * MAX_MESSAGE_BYTES
"""Of what was played in one message: above the longest input, so that every answer brings something new."""

_PROCESS_ENDED = frozenset({Cause.CRASHED, Cause.LOST})
"""Of a player who is lost in another way the process is there, and another one would not do better."""


class Returning:
    """The players who are away from one match, or come back.

    Args:
        local: our index.
        peers: all others, in the order of their indices.
        outputs: where requests and events go.
        ways_round: by which somebody may be heard whose path is lost.
        acts: whether others act for who is away; else the match stands meanwhile.
    """

    def __init__(
        self,
        *,
        local: int,
        peers: Mapping[int, Peer],
        outputs: Outputs,
        handshake: Handshake,
        barrier: Barrier,
        exchange: InputExchange,
        ways_round: WaysRound,
        acts: bool,
    ) -> None:
        self._acts = acts
        self._ways_round = ways_round
        self._local = local
        self._peers = peers
        self._outputs = outputs
        self._handshake = handshake
        self._barrier = barrier
        self._exchange = exchange
        self._pace = Pace()
        self._heard_at: dict[int, float] = {}
        """When something came last of the process that there was, of players who are away."""
        self._came_back_at = -math.inf
        """When somebody took their seat again, last, or we asked everybody who was there."""

    def may_return(self, peer: Peer, loss: Loss | None = None) -> bool:
        """Whether another process of a player's may take the place of the one that there was.

        Args:
            peer: they.
            loss: how they would be gone otherwise; ``None`` where another process is there already.
        """
        history = self._exchange.history
        if peer.rejoin_s <= 0 or history is None or history.full or peer.goodbye is not None:
            return False
        if loss is not None and loss.cause not in _PROCESS_ENDED:
            return False
        if peer.state is PeerState.GONE or not (self._handshake.complete or self._handshake.was_before):
            return False
        return peer.state is PeerState.PLAYING or peer.away_at is not None

    def await_return(self, peer: Peer, loss: Loss, now: float) -> None:
        """Wait for another process of a player's; ``loss`` is how they are gone if none comes."""
        first = peer.away_at is None
        if first:
            peer.away_at, peer.away_loss = now, loss
            self._heard_at[peer.index] = peer.received_at
        peer.state, peer.interrupted, peer.early = PeerState.AWAY, False, None
        self._others_hold_all()
        if first:
            self._outputs.emit(PlayerAway(peer.index, loss.cause, peer.rejoin_s))

    def may_go_on(self, peer: Peer) -> bool:
        """Whether the process of a player who is away may go on as it was, should it be there after all.

        Not where somebody has come back since: who asked everybody who was there may have given an input anew
        which that process alone holds. Nor where others have played for it. One that only looks on has given
        none.
        """
        since = peer.away_at
        if peer.state is not PeerState.AWAY or since is None:
            return False
        return peer.looks_on or (not peer.played_for and self._came_back_at < since)

    def may_wake(self, peer: Peer, way: Way) -> bool:
        """The same, by what comes of it over the link that there was, or a way round."""
        there = peer.closed_at is None if way is DIRECT else not peer.mismatch_told
        return there and self.may_go_on(peer)

    def came_back(self, now: float) -> None:
        """Note that we have come back ourselves, and have asked everybody who was there."""
        self._came_back_at = now

    def woke(self, peer: Peer, way: Way, now: float) -> None:
        """Take note that the process of a player who is away is there after all, by what came over a way."""
        if not (peer.has_greeted and peer.seated):
            peer.state = PeerState.RETURNING if peer.has_greeted else PeerState.GREETING
            peer.opened_at = now
            return
        peer.state, peer.away_at = PeerState.PLAYING, None
        self._exchange.reconsider()
        silent_s = now - peer.received_at
        peer.received_at = now
        self._outputs.emit(Resumed(peer.index, silent_s, way.kind))

    def accept(self, peer: Peer, incarnation: int, now: float, *, over_link: bool) -> None:
        """Begin with another process of a player's, which has shown that it is one, over a link or not."""
        if peer.state is not PeerState.AWAY:
            self.await_return(peer, Loss(Cause.CRASHED), now)
        if over_link and peer.ways.told is not DIRECT:  # the way that led to the process before
            self._outputs.emit(WayChanged(peer.index, DIRECT.kind, DIRECT.via, Why.CARRIES))
        peer.begin_incarnation(incarnation, link_open=over_link)
        if self._acts:
            peer.looks_on = True
        else:
            peer.claim_seat()

    def greeted(self, peer: Peer) -> bool:
        """Let a player catch up whose other process has greeted us; return whether it is one."""
        if peer.away_at is None or peer.state is not PeerState.PLAYING:
            return False
        peer.state = PeerState.RETURNING
        return True

    def turn_away(self, peer: Peer, now: float) -> None:
        """Wait on for a player whose other process plays something else."""
        peer.closed_at = now  # nothing more is taken over this link
        self.await_return(peer, peer.away_loss, now)

    @staticmethod
    def will_not_come(peer: Peer, message: Goodbye) -> bool:
        """Whether a goodbye is of a process that does not know what was played, and ends for good.

        It names no episode, and so no count: how far there is its player those who are left agree on. Who
        plays, or has said goodbye, knows more.
        """
        knows = peer.state is PeerState.PLAYING or peer.goodbye is not None
        return bool(peer.incarnation) and not message.episode and not knows

    def answer(self, peer: Peer, recall: Recall, now: float) -> None:
        """Send a player what they lack of an episode, and of the next ones as far as there is room.

        Who claims their seat by it must have been told before who is gone. Others pass so much on and no
        more: what goes by them waits its turn.

        Raises:
            ProtocolError: they know it, or there is no such episode.
        """
        history = self._exchange.history
        if not peer.incarnation or history is None or history.full:
            raise ProtocolError("asks for what was played")
        if len(recall.held) != len(self._peers) + 1 or not 0 < recall.episode <= self._exchange.episode + 1:
            raise ProtocolError("asks for an episode that there is not")
        if peer.looks_on == recall.claims:
            raise ProtocolError("looks on at what they play, or claims no seat")
        if peer.ways.now is DIRECT:
            self._tell(peer, recall, PAST_BYTES, now)
        else:
            peer.ways.asked = recall
            self._tell_round(peer, now)

    def _tell_round(self, peer: Peer, now: float) -> None:
        recall = peer.ways.asked
        if recall is not None and (peer.ways.now is DIRECT or self._pace.takes(peer, now)):
            peer.ways.asked = None
            self._tell(peer, recall, self._pace.piece_bytes(peer), now)

    def _tell(self, peer: Peer, recall: Recall, piece_bytes: int, now: float) -> None:
        newest, left = self._exchange.episode, piece_bytes
        least = max(_LEAST_BYTES, piece_bytes // 8)
        while True:
            for player, message in self._words(recall, newest):
                self._outputs.send(peer, PastWord(player, message), now)
                left -= len(message)
            past = self._past(recall, newest, more=left > least, budget_bytes=max(left, least))
            past = msgspec.structs.replace(past, away=self._away())
            self._outputs.send(peer, past, now)
            if not past.more:
                return
            left -= sum(len(data) + 3 for inputs in past.inputs for data in inputs)
            recall = Recall(recall.episode + 1, (0,) * len(recall.held), 0, recall.claims)

    def _away(self) -> tuple[int, ...]:
        peers = self._peers.items()
        return tuple([player for player, peer in peers if peer.absent or peer.state is PeerState.GONE])

    def _past(self, recall: Recall, newest: int, *, more: bool, budget_bytes: int) -> Past:
        history = self._exchange.history
        if history is None or recall.episode > newest:
            return nothing_past(recall, newest, returning=False)
        everybodys = None if recall.claims else self._exchange.confirmed
        return history.past(recall, more=more, budget_bytes=budget_bytes, of_newest=everybodys)

    def _words(self, recall: Recall, newest: int) -> Iterator[tuple[int, bytes]]:
        """Yield the words of the barrier before an episode, and of the one that is waited at by now.

        Of this who looks on is told nothing: it may never open.
        """
        history = self._exchange.history
        if history is not None and recall.episode <= newest and not any(recall.held):
            for player, ready in history.episodes[recall.episode - 1].ready.items():
                yield player, encode(ready)
        if recall.claims and recall.episode >= newest:
            for player, ready in self._barrier.words(newest + 1).items():
                yield player, encode(ready)

    def took_seat(self, peer: Peer, message: TookSeat, now: float) -> None:
        """Take note that a player plays on.

        Raises:
            ProtocolError: they were not away, or take back what they gave.
        """
        if peer.state is not PeerState.RETURNING or peer.away_at is None:
            if peer.incarnation:
                return  # for us they were there as soon as they had greeted
            raise ProtocolError("takes a seat that was not left")
        if message.episode == self._exchange.episode:
            check_frames(peer, message.frame, given=self._exchange.given)
        peer.claim_seat()
        away_s, peer.away_at = now - self._heard_at.pop(peer.index, peer.away_at), None
        peer.state, peer.seated = PeerState.PLAYING, True
        self._came_back_at = now
        self._exchange.reconsider()
        peer.acted_until = message if message.actors else None
        left_at = message.left_episode, message.left_frame
        self._outputs.emit(
            PlayerReturned(peer.index, message.episode, message.frame, message.caught_up, away_s, left_at)
        )
        if self._exchange.episode:
            self._outputs.send(peer, self._exchange.message(peer, now), now)

    def handle_timeout(self, now: float) -> None:
        """Ask those who are away whether they are there after all; tell on those who come back.

        Who is away may have stood still, or the path did.
        """
        for peer in self._peers.values():
            if peer.pings.sent_at + AWAY_PING_S <= now and (ways := self._ways_to(peer)):
                ping = peer.pings.next(peer.control.received, now)
                self._outputs.send_over(peer, ways[ping.number % len(ways)], ping, now)
            if peer.greeted:
                self._tell_round(peer, now)

    def overdue(self, now: float) -> Iterator[tuple[Peer, Loss]]:
        """Yield those who were waited for long enough, and how they are gone."""
        for peer in self._peers.values():
            until = _waited_until(peer)
            if until is not None and until <= now:
                yield peer, peer.away_loss

    def due_at(self, peer: Peer) -> float | None:
        """Return when :meth:`handle_timeout` or :meth:`overdue` is wanted for a player; ``None``: never."""
        times = [_waited_until(peer)]
        if self._ways_to(peer):
            times.append(peer.pings.sent_at + AWAY_PING_S)
        if peer.ways.asked is not None and peer.greeted:
            times.append(self._pace.takes_at(peer))
        return min([at for at in times if at is not None], default=None)

    def _ways_to(self, peer: Peer) -> list[Way]:
        """Return the ways on which a player who is away is asked whether they are there after all.

        The one that there was, and the others: they may carry by now, and who passed messages on may be gone.
        """
        if peer.state is not PeerState.AWAY or peer.mismatch_told:
            return []
        was, others = peer.ways.now, self._ways_round.to(peer)
        if was is DIRECT:
            return others if peer.closed_at is not None else [was, *others]
        return [was, *[way for way in others if way != was]]

    def _others_hold_all(self) -> None:
        """Take note that there is one less whose inputs everybody has to hold."""
        self._exchange.reconsider()
        for peer in self._peers.values():
            arrived = self._exchange.arrived(peer, peer.remote_inputs.count, (), 0.0)
            if arrived is not None:
                self._outputs.emit(arrived)


def _waited_until(peer: Peer) -> float | None:
    """Return when a player is not waited for any more, who is away; ``None`` where they are not."""
    if peer.away_at is None or peer.state is PeerState.GONE:
        return None
    return peer.away_at + peer.rejoin_s


def nothing_past(recall: Recall, newest: int, *, returning: bool) -> Past:
    """Return the answer of somebody who holds nothing of what was asked for."""
    none = (0,) * len(recall.held)
    empty: tuple[tuple[bytes, ...], ...] = ((),) * len(recall.held)
    return Past(
        episode=recall.episode,
        newest=newest,
        returning=returning,
        away=(),
        held=none,
        start=none,
        inputs=empty,
        actors=(b"",) * len(recall.held),
        digests=(),
        digest_count=0,
        more=False,
    )
