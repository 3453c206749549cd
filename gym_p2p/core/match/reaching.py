"""Who comes back looks for the others by ways round, where no link to them has been made.

A new link shows by what its two ends alone have in common that nobody stands between them
(:mod:`gym_p2p.core.match.reconnecting`). Who passes messages on stands between two players, and may repeat
whatever they sent before, also to and from processes that have ended. So each shows who they are to the very
process that asked::

    who comes back                         who is there
    Resume, proof of themselves alone  ->  nothing follows but an answer
                                       <-  Resume, proof for the process that asked: new, for that one is
    Resume, proof for this process,
    Continue                           ->  takes the match up with them, by the way that it came
                                       <-  Continue

What follows is as over any other way (:mod:`gym_p2p.core.match.rerouting`), sealed by and for these two
processes. Two who come back at the same time ask each other, and each is shown what they asked for.

Why nothing old counts: no number of a process is given twice, so a proof for one is as old as it is at most.
Why it ends: there is one question to each player every :data:`ASK_S` until they are reached, and whoever
comes back gives up in time (:mod:`gym_p2p.core.match.taking_seat`).

Knows proofs, and who may be taken back; refuses to know which ways there are. Times are monotonic seconds,
passed in.
"""

from __future__ import annotations

from collections.abc import Mapping

from gym_p2p.core.match.course import Course
from gym_p2p.core.match.input_exchange import InputExchange
from gym_p2p.core.match.leaving import Leaving
from gym_p2p.core.match.membership import Departures
from gym_p2p.core.match.outputs import Outputs
from gym_p2p.core.match.peer import Peer, PeerState
from gym_p2p.core.match.reconnecting import Reconnecting
from gym_p2p.core.match.rerouting import Rerouting
from gym_p2p.core.match.returning import Returning
from gym_p2p.core.match.seals import Seals
from gym_p2p.core.match.ways import DIRECT, Way
from gym_p2p.core.match.ways_round import WaysRound
from gym_p2p.core.wire.messages import Cause, Holdings, Resume

__all__ = ["ASK_S", "Reaching", "is_met_first", "was_not_reached"]

ASK_S = 0.5
"""Between two questions to a player, by one way after the other: more than most round trips."""

ANSWER_S = 0.2
"""Between two answers to a player at least: whoever passes questions on may repeat them."""


class Reaching:
    """The players whom one who has come back finds, and who are found by them.

    Args:
        peers: all others, in the order of their indices.
    """

    def __init__(
        self,
        peers: Mapping[int, Peer],
        *,
        outputs: Outputs,
        seals: Seals,
        rerouting: Rerouting,
        ways_round: WaysRound,
        returning: Returning,
        departures: Departures,
        course: Course,
        leaving: Leaving,
        exchange: InputExchange,
        reconnecting: Reconnecting,
    ) -> None:
        self._reconnecting = reconnecting
        self._exchange = exchange
        self._peers = peers
        self._outputs = outputs
        self._seals = seals
        self._rerouting = rerouting
        self._ways_round = ways_round
        self._returning = returning
        self._departures = departures
        self._course = course
        self._leaving = leaving
        self._ask_at: dict[int, float] = {}
        self._asked: dict[int, int] = {}
        """How often."""
        self._next_answer_at: dict[int, float] = {}

    def look_for(self, peer: Peer, at: float) -> None:
        """Ask for a player by ways round, from then on and as long as they are not reached."""
        if self._seals.incarnation:
            self._ask_at[peer.index] = at

    @property
    def due_at(self) -> float | None:
        """When :meth:`handle_timeout` is wanted; ``None`` while nobody is looked for."""
        looked_for = [at for player, at in self._ask_at.items() if _is_sought(self._peers[player])]
        return min(looked_for, default=None)

    def handle_timeout(self, now: float) -> None:
        """Ask for whoever is not reached yet."""
        for player, at in self._ask_at.items():
            peer = self._peers[player]
            if at > now or not _is_sought(peer):
                continue
            self._ask_at[player] = now + ASK_S
            asked = self._asked[player] = self._asked.get(player, -1) + 1
            if ways := self._ways_round.to(peer):
                question = self._seals.question_for(player)
                self._outputs.send_introduction(peer, ways[asked % len(ways)], question)

    def receive(self, peer: Peer, way: Way, resume: Resume, now: float) -> None:
        """Take in what shows who a player is, or asks who we are, and came by a way round."""
        if not self._ways_round.allow(way.kind) or peer.state is PeerState.GONE:
            return
        if self._leaving.since is not None:
            return
        if self._seals.answers(peer.index, resume):
            self._shown(peer, way, resume.incarnation, now)
            return
        asks = self._seals.asks(peer.index, resume) and resume.incarnation >= peer.incarnation
        if asks and self._next_answer_at.get(peer.index, now) <= now:
            self._next_answer_at[peer.index] = now + ANSWER_S
            answer = self._seals.answer_for(peer.index, resume.incarnation)
            self._outputs.send_introduction(peer, way, answer)

    @property
    def superseded(self) -> bool:
        """Whether another process of ours has come, as somebody has said."""
        return any(peer.excludes_us is Cause.SUPERSEDED for peer in self._peers.values())

    def replacing(self, player: int, now: float) -> None:
        """Say over the old link to a player what is to be said over it: they were recognised over another."""
        peer = self._peers[player]
        self._supersede(peer, self._reconnecting.announced(peer), now)

    def _supersede(self, peer: Peer, incarnation: int, now: float) -> None:
        """Tell the process of a player's that there was, should it be there, that another one has come.

        To be called before that one is accepted, while the way to the one before is still known.
        """
        if incarnation > peer.incarnation and peer.greeted and peer.closed_at is None:
            held = peer.index, peer.remote_inputs.count, Cause.SUPERSEDED
            self._outputs.send(peer, Holdings(self._exchange.episode, (held,)), now)

    def meet(self, peer: Peer, incarnation: int, way: Way, now: float) -> None:
        """Begin with a process of a player's that is the first that we meet."""
        was_not_reached(peer)
        peer.incarnation = incarnation
        self._rerouting.greet(peer, way, now)

    def accept(self, peer: Peer, incarnation: int, way: Way, now: float) -> None:
        """Take up the match with another process of a player's, which has shown that it is one."""
        self._returning.accept(peer, incarnation, now, over_link=way is DIRECT)
        self._rerouting.greet(peer, way, now)
        self._course.carry_out(self._departures.share_away(peer, now), now)

    def _shown(self, peer: Peer, way: Way, incarnation: int, now: float) -> None:
        if is_met_first(peer, incarnation):
            self.meet(peer, incarnation, way, now)
        elif incarnation > peer.incarnation and self._returning.may_return(peer):
            self._supersede(peer, incarnation, now)
            self.accept(peer, incarnation, way, now)


def is_met_first(peer: Peer, incarnation: int) -> bool:
    """Whether a process of a player's that shows up is the first that we meet: none before has greeted us."""
    newer = peer.state is PeerState.GREETING and peer.away_at is None and incarnation > peer.incarnation
    return newer or peer.state is PeerState.CONNECTING


def was_not_reached(peer: Peer) -> None:
    """Have no way to a player any more: what there was has ended before their greeting came."""
    seated = peer.seated
    peer.begin_incarnation(peer.incarnation, link_open=False)
    peer.state, peer.seated = PeerState.CONNECTING, seated


def _is_sought(peer: Peer) -> bool:
    return peer.state is PeerState.CONNECTING
