"""The agreement of those who are left about those who are gone.

Knows who is gone, which of their inputs are here, and what each peer reported to hold; refuses to know how it
is sent and what is done with the outcome.

A player who vanishes may have sent the last inputs to some of the others only. Those who are left go on
identically if all of them hold every input that one of them holds. So each of them, once it counts a player
as gone, takes nothing more from that player, sends everyone the inputs that they may lack, and then reports
how many it holds (:class:`~gym_p2p.core.wire.messages.Holdings`, on the ordered channel, hence after the
inputs)::

    a silent link, a closed one, or another's Holdings -> gone; Share..., Holdings to all who are left
    Holdings of all who are left name the same players as gone -> agreed: of each, the most that one holds

Whoever receives such a report counts the players in it as gone too. If somebody vanishes meanwhile, or is
reported to, the set of the gone has grown, and everyone reports once more what they hold: what one of those
vanished had shared is then in the holdings of those who received it.

Why all compute the same: every player makes one report only for a set of the gone, the same to all, after all
that it holds of them. Who has the reports of everyone who is left about one set takes the maximum over the
same numbers as the others do, and holds that many inputs by then, for they came before the reports.

Why it ends: the set of the gone only grows, so that there are at most as many rounds as players. In a round
everyone who is left reports, or falls silent and makes the set grow. A report about a smaller set than ours
decides nothing; ours, about the larger one, is on its way to its sender. One about a larger set makes ours
grow.

(This is the flush of virtual synchrony: Birman and Joseph, "Exploiting virtual synchrony in distributed
systems", 1987.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gym_p2p.core.match.events import InputsArrived, PlayerGone
from gym_p2p.core.match.input_exchange import InputExchange
from gym_p2p.core.match.peer import Peer, PeerState
from gym_p2p.core.wire.messages import Holdings, Share
from gym_p2p.errors import ProtocolError

__all__ = ["DepartureOutput", "Departures"]

DepartureOutput = tuple[Peer, Share | Holdings] | InputsArrived | PlayerGone
"""A message to a peer, or an event; to be carried out in order."""


class Departures:
    """The players who are gone from one match, and the agreements about them."""

    def __init__(self, exchange: InputExchange, peers: Mapping[int, Peer]) -> None:
        self._exchange = exchange
        self._peers = peers
        self._ours: Holdings | None = None
        self._theirs: dict[int, Holdings] = {}
        self.open = False
        """Whether an agreement is being looked for."""

    def lose(self, peer: Peer, now: float) -> Iterator[DepartureOutput]:
        """Count a player as gone, who fell silent or whose link is closed.

        If all promised inputs are here, nothing has to be agreed upon unless something is already; who misses
        something will report it.
        """
        complete = peer.final is not None and peer.remote_inputs.count >= peer.final
        yield from self._drop(peer, now)
        if not complete or self.open:
            yield from self._survey(now)

    def share_all(self) -> Iterator[DepartureOutput]:
        """Give everyone what they may lack of anybody: we leave, and cannot answer any more."""
        for peer in self._peers.values():
            for whose in self._peers.values():
                if peer.present and whose is not peer:
                    yield from ((peer, share) for share in self._exchange.shares(peer, whose))

    def receive_share(self, peer: Peer, message: Share, now: float) -> Iterator[DepartureOutput]:
        """Take a player's inputs as another player holds them.

        Raises:
            ProtocolError: they are the sender's own, or ours.
        """
        whose = self._peers.get(message.player)
        if whose is None or whose is peer:
            raise ProtocolError("inputs of somebody else")
        if message.episode != self._exchange.episode:
            return
        if whose.state is PeerState.GONE:
            yield from self._take(whose, message, now)
        else:
            whose.keep_share(message)

    def receive_holdings(self, peer: Peer, theirs: Holdings, now: float) -> Iterator[DepartureOutput]:
        """Take a report about those whom a player counts as gone, who are gone for us from then on.

        Raises:
            ProtocolError: it names its sender or nobody we know, or inputs that were not shared before.
        """
        if peer.index in theirs.gone or not self._peers.keys() >= set(theirs.gone):
            raise ProtocolError("wrong players")
        for player in theirs.gone:
            if self._peers[player].state is not PeerState.GONE:
                yield from self._drop(self._peers[player], now)
        here = {player: other.remote_inputs.count for player, other in self._peers.items()}
        if theirs.episode == self._exchange.episode and any(here[p] < held for p, held in theirs.held):
            raise ProtocolError("holdings without their inputs")
        self._theirs[peer.index] = theirs
        if self._ours is not None and self._ours.gone == self._gone():
            yield from self._agree(now)
        else:
            yield from self._survey(now)

    def _gone(self) -> tuple[int, ...]:
        return tuple([player for player, peer in self._peers.items() if peer.state is PeerState.GONE])

    def _drop(self, peer: Peer, now: float) -> Iterator[DepartureOutput]:
        """Count a player as gone: from now on their inputs are what others share of them."""
        peer.state = PeerState.GONE
        for share in peer.shares:
            yield from self._take(peer, share, now)
        peer.shares.clear()

    def _take(self, whose: Peer, share: Share, now: float) -> Iterator[DepartureOutput]:
        arrived = self._exchange.arrived(whose, share.start, share.inputs, now)
        if arrived is not None:
            yield arrived

    def _survey(self, now: float) -> Iterator[DepartureOutput]:
        """Share what we hold of those who are gone, report how much that is, and see whether all have."""
        gone = [self._peers[player] for player in self._gone()]
        ours = Holdings(self._exchange.episode, tuple([(one.index, one.remote_inputs.count) for one in gone]))
        self._ours, self.open = ours, True
        for peer in self._peers.values():
            if peer.present:
                for whose in gone:
                    yield from ((peer, share) for share in self._exchange.shares(peer, whose))
                yield peer, ours
        yield from self._agree(now)

    def _agree(self, now: float) -> Iterator[DepartureOutput]:
        """Fix how many inputs there are of each player who is gone, once everybody has reported."""
        reports = self._reports()
        if reports is None or not self.open:
            return
        self.open = False
        for player in self._gone():
            peer = self._peers[player]
            frames = max([dict(holdings.held)[player] for holdings in reports])
            if peer.final != frames:
                peer.final = frames
                yield PlayerGone(player, "peer_lost", frames)
            moved = self._exchange.arrived(peer, peer.remote_inputs.count, (), now)
            if moved is not None:
                yield moved

    def _reports(self) -> Sequence[Holdings] | None:
        """Return our report and everyone's who is left; ``None`` if one is missing or about another set."""
        ours = self._ours
        if ours is None:
            return None
        reports = [ours]
        for player, peer in self._peers.items():
            theirs = self._theirs.get(player)
            if not peer.present:
                continue
            if theirs is None or theirs.gone != ours.gone:
                return None
            # Who is in an earlier episode has nothing of this one, and in a later one needs nothing of it.
            if theirs.episode == ours.episode:
                reports.append(theirs)
        return reports
