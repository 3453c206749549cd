"""Which way messages to a player take: directly, by a third player, or by the service; and when that changes.

Directly, as long as that carries. What takes another way is the same: the same messages, in the same order,
wrapped and sealed (:mod:`gym_p2p.core.match.forwards`). A way is left

- when nothing has arrived over it for a while (:data:`LEFT_AFTER_S` beyond the notice),
- the direct one also when it is bad (:mod:`gym_p2p.core.link.condition`), for as long as others do better,
- any other one as soon as the direct one has been good again for a while, which is pinged beside it.

A way that does not answer gives way to the next of those that there are
(:mod:`gym_p2p.core.match.ways_round`), round and round; all of it ends with the player, from whom nothing
arrives for too long (:attr:`Peer.lost_at`).

How two agree. Whoever takes another way sends ``Continue(count, change)`` over it, with the next number of
a change, and no other control message before the other side's of the same number is here::

    Continue, higher change     take that way, too; answer it; go on from their count
    Continue, the same change   over the same way: go on from their count. Over another one: both chose at
                                once, and the lower player's choice counts
    Continue, lower change      late: nothing

Why each control message arrives once, in order: what comes before the other side's ``Continue`` of this
change is of before, and is dropped; who sends one has left whatever was before it, so that its count is
final; and what follows one is in order, because each way is: a link's channel by itself, and what others pass
on by its numbers, which begin anew with every change. A gap in them is mended by one more change to the same
way (:mod:`gym_p2p.core.match.gap_repairs`), and so is a count in their pings that stays behind ours. That is
how what was dropped, by a line that broke or for want of budget, arrives: nobody who passes it on repeats it.
Why both end on the same way: numbers only grow, the higher one wins, and of two equal ones the same.

Game messages may be lost and doubled, and change their way without any of this. Inputs go directly as well
wherever there is a link: what arrives first counts.

Knows ways, counts and times; refuses to know how links are made, and how the service is reached. Times are
monotonic seconds, passed in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.gap_repairs import GapRepairs
from gym_p2p.core.match.handshake import Handshake
from gym_p2p.core.match.input_exchange import InputExchange
from gym_p2p.core.match.outputs import Outputs
from gym_p2p.core.match.peer import Peer, PeerState
from gym_p2p.core.match.peer_timers import PING_INTERVAL_S
from gym_p2p.core.match.pings import Pings
from gym_p2p.core.match.seals import Seals
from gym_p2p.core.match.ways import DIRECT, SERVICE, DirectPathLost, Way, WayChanged, WayKind, Why
from gym_p2p.core.match.ways_round import WaysRound
from gym_p2p.core.wire.messages import Continue

__all__ = ["BESIDE_S", "INSIST_S", "LEFT_AFTER_S", "RETRY_AFTER_S", "TRY_S", "Rerouting"]

LEFT_AFTER_S = 0.5
"""Beyond the notice (``disconnect_notice_s``): most paths that fall silent carry again by then."""

TRY_S = 1.0
"""For a way to answer before the next one is tried: more than two round trips of what can be played over."""

INSIST_S = 0.5
"""For what we said last to be acknowledged over a way round, before it is said again; and between two looks
for another way in place of one whose third player is gone."""

BESIDE_S = 0.2
"""Between two pings over the direct link while messages take another way."""

RETRY_AFTER_S = 10.0
"""After no better way was found than one that is bad, until it may be found bad again."""

BEHIND_S = 2 * PING_INTERVAL_S
"""For so long a player's count of our control messages may stay behind: their pings take turns with ours."""

_GREETING = PeerState.GREETING


class Rerouting:
    """The ways of one player to all others.

    Args:
        local: the local player's index.
        peers: all others, by index.
        ways_round: those that there are.
        rtt_most_s: above this a direct path's round trip is bad.
    """

    def __init__(
        self,
        *,
        local: int,
        peers: Mapping[int, Peer],
        outputs: Outputs,
        exchange: InputExchange,
        handshake: Handshake,
        seals: Seals,
        sync: SyncConfig,
        ways_round: WaysRound,
        rtt_most_s: float,
    ) -> None:
        self._local = local
        self._peers = peers
        self._outputs = outputs
        self._exchange = exchange
        self._handshake = handshake
        self._seals = seals
        self._silent_s = sync.disconnect_notice_s
        self._lost_s = sync.disconnect_timeout_s
        self._rtt_most_s = rtt_most_s
        self._ways_round = ways_round

    # What the shell says.

    def begin_by_service(self, peer: Peer, now: float) -> None:
        """Play with somebody to whom there is no direct path yet."""
        if peer.state is PeerState.CONNECTING and SERVICE in self._ways_round.to(peer):
            self.greet(peer, SERVICE, now)

    def greet(self, peer: Peer, way: Way, now: float) -> None:
        """Begin with a player, or with another process of theirs, on the way on which it was found."""
        if way is not DIRECT:
            self._greet(peer, now)
            self._take(peer, way, Why.NO_DIRECT_PATH, now)
            return
        peer.opened(now)
        peer.ways.link_open = True
        self._outputs.send(peer, self._handshake.hello(peer), now)

    def link_opened(self, peer: Peer, now: float) -> None:
        """Note that there is a direct link, the first one or another, while messages take another way."""
        ways = peer.ways
        ways.link_open, ways.direct_heard_at, ways.lost_told = True, now, False
        if peer.interrupted or peer.control.held_back:
            self._take(peer, DIRECT, peer.ways.why_direct, now)
        else:
            ways.beside = _due_beside(peer.pings.over_another_path(ways.beside), now)

    def link_replaced(self, peer: Peer, now: float) -> None:
        """Go on over a new direct link, which has shown whose it is."""
        peer.is_there()
        if peer.ways.now is DIRECT:
            peer.ways.link_open = True
            self._take(peer, DIRECT, Why.LOST, now)
        else:
            self.link_opened(peer, now)

    def link_closed(self, peer: Peer) -> bool:
        """Note that the direct link is closed; return whether messages take another way anyway."""
        peer.ways.link_open = False
        around = peer.ways.now is not DIRECT and not peer.control.held_back
        if around:
            self._tell_lost(peer)
        return around

    # Time.

    def due_at(self, peer: Peer) -> float:
        """Return when :meth:`handle_timeout` is wanted for a peer who is present."""
        ways = peer.ways
        if not self._ways_round.are_any or not self._may_change(peer):
            return math.inf
        if peer.control.held_back:
            at = ways.tried_at + TRY_S
        elif ways.now is DIRECT:
            return ways.interrupted_at + LEFT_AFTER_S if peer.interrupted else math.inf
        else:
            at = ways.heard_at + self._silent_s + LEFT_AFTER_S
            if ways.owed_since is not None:
                at = min(at, max(ways.owed_since, ways.tried_at) + INSIST_S)
            if not self._ways_round.leads_on(ways.now):
                at = min(at, ways.tried_at + INSIST_S)
            at = min(at, ways.gaps.due_at)
        return at if ways.beside is None or not ways.link_open else min(at, ways.beside.sent_at + BESIDE_S)

    def handle_timeout(self, peer: Peer, now: float) -> None:
        """Do what is due for a peer who is present."""
        if self.due_at(peer) > now:
            return
        ways = peer.ways
        if ways.beside is not None and ways.link_open and ways.beside.sent_at + BESIDE_S <= now:
            self._outputs.send_beside(peer, ways.beside.next(peer.control.received, now))
            self._judge_direct(peer, now)
        if self.due_at(peer) > now:
            return
        heard = now < ways.heard_at + self._silent_s and self._ways_round.leads_on(ways.now)
        if ways.now is not DIRECT and heard and not peer.control.held_back:
            self.mend(peer, now)
        else:
            self._try_next(peer, now)

    def pinged(self, peer: Peer, now: float) -> None:
        """See whether the direct path is bad: a ping was just sent over it."""
        ways = peer.ways
        if not self._ways_round.are_any or ways.now is not DIRECT or not self._may_change(peer):
            return
        condition = peer.pings.condition
        ways.suspect = condition.is_suspect(self._rtt_most_s, now)
        if not ways.suspect or peer.interrupted or now < ways.not_bad_before:
            return
        bad = condition.bad(self._rtt_most_s, now)
        others = [] if bad is None else self._ways_round.to(peer)
        if bad is not None and others:
            self._take(peer, others[0], Why.BAD, now)
            ways.seen = bad.loss, bad.rtt_ms

    def woke_up(self, now: float) -> None:
        """Note that we stood still ourselves until now: nobody was silent."""
        for peer in self._peers.values():
            ways = peer.ways
            peer.received_at = ways.heard_at = ways.tried_at = ways.interrupted_at = now

    # What arrives.

    def heard(self, peer: Peer, way: Way, now: float) -> None:
        """Note that something came over a way, while messages do not simply go directly."""
        if way == peer.ways.now:
            peer.ways.heard_at = now
        if way is DIRECT:
            peer.ways.direct_heard_at = now

    def take_continue(self, peer: Peer, way: Way, message: Continue, now: float) -> None:
        """Take in that a player takes a way; send what they lack of our control messages.

        Raises:
            ProtocolError: what they lack is not to be had any more.
        """
        ways = peer.ways
        if way.kind is WayKind.PLAYER and not message.control_count and self._handshake.gives_key(peer):
            return  # what they lack is our greeting with its key, which nobody else may read
        if peer.state is PeerState.CONNECTING:
            self._greet(peer, now)
        if message.change < ways.change:
            return
        if message.change == ways.change:
            if way != ways.now:
                if self._local < peer.index:
                    return
                self._go(peer, way, peer.ways.why_followed(way, interrupted=peer.interrupted), now)
            elif not peer.control.held_back:
                return
        else:
            ways.change = message.change
            self._go(peer, way, peer.ways.why_followed(way, interrupted=peer.interrupted), now)
        self._agree(peer, message.control_count, now)

    def follow(self, peer: Peer, way: Way, now: float) -> None:
        """Take the way on which somebody is heard, of whom none other is known to carry."""
        if peer.control.held_back or way != peer.ways.now:
            self._take(peer, way, peer.ways.why_followed(way, interrupted=peer.interrupted), now)

    def tell_gone(self, peer: Peer, way: Way, message: Continue) -> None:
        """Send what waits for somebody to take a way, who is gone for us by now: it tells them so.

        They stood still, say, and hear nothing else of us: they would wait for the match to go on.

        Raises:
            ProtocolError: what they lack is not to be had any more.
        """
        if way == peer.ways.now and message.change == peer.ways.change and peer.control.held_back:
            for data in peer.control.resume(message.control_count):
                self._outputs.send_control(peer, data)

    def lags(self, peer: Peer, control_count: int, now: float) -> None:
        """Send what was lost on the way round, if the count in a player's pings stays behind ours."""
        ways = peer.ways
        if ways.now is DIRECT or peer.control.held_back or control_count >= peer.control.sent:
            ways.behind = None
        elif ways.behind is None or ways.behind[0] != control_count:
            ways.behind = control_count, now
        elif ways.behind[1] + BEHIND_S <= now:
            self.mend(peer, now)

    def take_gap(self, peer: Peer, now: float) -> None:
        """Begin the same way anew, now or soon, for a control message of theirs was lost on it."""
        peer.ways.gaps.seen(now)
        if peer.ways.gaps.due_at <= now:
            self.mend(peer, now)

    def mend(self, peer: Peer, now: float) -> None:
        """Begin the same way anew: a control message was lost on it."""
        if not peer.control.held_back:
            peer.ways.gaps.mended(now)
            self._take(peer, peer.ways.now, peer.ways.why, now)

    # How a way is taken.

    def _may_change(self, peer: Peer) -> bool:
        leaves = peer.state is PeerState.LEAVING and peer.reconnect_s > 0
        return peer.reconnects or leaves or (peer.state is _GREETING and peer.ways.now is not DIRECT)

    def _greet(self, peer: Peer, now: float) -> None:
        """Begin with somebody whom nothing goes directly to: our greeting waits for them to answer."""
        peer.opened(now)
        peer.control.held_back = True
        self._outputs.send(peer, self._handshake.hello(peer), now)

    def _take(self, peer: Peer, way: Way, why: Why, now: float) -> None:
        peer.ways.change += 1
        self._go(peer, way, why, now)

    def _go(self, peer: Peer, way: Way, why: Why, now: float) -> None:
        """Send over a way from now on, beginning with how much is here of what came."""
        ways = peer.ways
        if way != ways.now:
            self._change_pings(peer, way, now)
            ways.gaps = GapRepairs()
        ways.had_direct = ways.had_direct or (ways.now is DIRECT and ways.link_open)
        ways.now, ways.why, ways.seen = way, why, (None, None)
        ways.tried_at = ways.heard_at = now
        ways.taken, ways.behind, ways.suspect = 0, None, False
        peer.restart_way()
        if peer.state is _GREETING:
            self._greet_on(peer, way, now)
        self._outputs.send_continue(peer, Continue(peer.control.received, ways.change))
        if peer.playing and self._exchange.episode:
            self._outputs.send(peer, self._exchange.message(peer, now), now)

    def _greet_on(self, peer: Peer, way: Way, now: float) -> None:
        """See to a way that is taken before the other side has greeted us."""
        if not self._seals.knows(peer.index):
            peer.opened_at = now  # their greeting is waited for once they have answered
        elif way is not DIRECT:  # who seals what follows has to be known, and what told them may be lost
            self._outputs.send_introduction(peer, way, self._seals.answer_for(peer.index, peer.incarnation))

    def _change_pings(self, peer: Peer, way: Way, now: float) -> None:
        """Measure the way that is taken, and the direct one beside it."""
        ways = peer.ways
        before = peer.pings
        if way is DIRECT:
            peer.pings, ways.beside = before.over_another_path(ways.beside), None
        else:
            peer.pings = before.over_another_path(ways.beside)
            if ways.now is DIRECT:
                ways.beside = _due_beside(before, now)
        peer.pings.sent_at = now - PING_INTERVAL_S

    def _agree(self, peer: Peer, control_count: int, now: float) -> None:
        """Go on over a way that both have taken."""
        ways = peer.ways
        for data in peer.control.resume(control_count):
            self._outputs.send_control(peer, data)
        peer.is_there()
        ways.heard_at, ways.carries_since, ways.taken = now, now, 0
        if ways.told != ways.now:
            ways.told = ways.now
            told = WayChanged(peer.index, ways.now.kind, ways.now.via, ways.why, *ways.seen)
            self._outputs.emit(told)
        if ways.now is not DIRECT and not ways.link_open and ways.had_direct:
            self._tell_lost(peer)

    def _try_next(self, peer: Peer, now: float) -> None:
        """Take the next way that there is; the one that carries nothing comes last."""
        ways = peer.ways
        others = self._ways_round.to(peer)
        if ways.now is not DIRECT and ways.link_open and now < ways.direct_heard_at + self._silent_s:
            others = [DIRECT, *others]
        if ways.now is DIRECT and not others:
            ways.interrupted_at = ways.tried_at = now  # until there is one
            return
        round_ = [way for way in others if way != ways.now]
        if ways.now in others:
            after = others.index(ways.now) + 1
            round_ = [*others[after:], *others[:after]]
        if not round_:
            ways.tried_at = ways.heard_at = now
            if peer.control.held_back and ways.now in others:  # what begins it may have been lost
                self._take(peer, ways.now, ways.why, now)
            return
        if ways.why is Why.BAD and round_[0] is DIRECT:
            ways.not_bad_before = now + RETRY_AFTER_S
        self._take(peer, round_[0], Why.LOST if ways.why is not Why.NO_DIRECT_PATH else ways.why, now)

    def _judge_direct(self, peer: Peer, now: float) -> None:
        """Go directly again, if that carries well; want another link, if nothing comes over this one."""
        ways = peer.ways
        assert ways.beside is not None  # noqa: S101 - it was just pinged
        condition = ways.beside.condition
        good = condition.is_good(self._rtt_most_s, now) if ways.had_direct else condition.carries()
        if good and not peer.control.held_back:
            self._take(peer, DIRECT, peer.ways.why_direct, now)
        elif ways.direct_heard_at + self._lost_s <= now:
            self._tell_lost(peer)

    def _tell_lost(self, peer: Peer) -> None:
        if not peer.ways.lost_told:
            peer.ways.lost_told = True
            self._outputs.emit(DirectPathLost(peer.index))


def _due_beside(pings: Pings, now: float) -> Pings:
    """Have the next ping beside sent now, and not be late: that would look as if we had stood still."""
    pings.sent_at = now - BESIDE_S
    return pings
