"""The agreement of those who are left about those who are gone.

Knows who is gone, what is here of him, and who told what he holds; refuses to know how it is sent and what
is done with the outcome.

A player who vanishes may have sent his last inputs to some of the others only. Those who are left go on
identically if all of them hold every input that one of them holds. So each of them, once he counts a player
as gone, takes nothing more from him, sends everyone the inputs that they may lack, and then says how many he
holds (:class:`~gym_p2p.core.wire.messages.Holdings`, on the ordered channel, hence after the inputs)::

    a silent link, a closed one, or another's Holdings -> gone; Share..., Holdings to all who are left
    Holdings of all who are left name the same players as gone -> agreed: of each, the most that one holds

Whoever hears of a player as gone counts him as gone too. If somebody vanishes meanwhile, or is said to, the
set of the gone has grown, and everyone says once more what he holds: what one of those vanished had shared
is then in the holdings of those who received it. Every player says one thing only for a set of the gone, the
same to all; so all who agree on a set compute the same. (This is the flush of virtual synchrony: Birman and
Joseph, "Exploiting virtual synchrony in distributed systems", 1987.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gym_p2p.core.match.events import InputsArrived, PlayerGone
from gym_p2p.core.match.input_exchange import Exchange
from gym_p2p.core.match.peer import Peer, PeerState
from gym_p2p.core.wire.messages import Holdings, Share
from gym_p2p.errors import ProtocolError

__all__ = ["Departures", "Tell"]

Tell = tuple[Peer, Share | Holdings] | InputsArrived | PlayerGone
"""A message to a peer, or an event; to be carried out in order."""


class Departures:
    """The players who are gone from one match, and the agreements about them.

    Args:
        exchange: of the inputs.
        peers: all others, in the order of their indices.
    """

    def __init__(self, exchange: Exchange, peers: Mapping[int, Peer]) -> None:
        self._exchange = exchange
        self._peers = peers
        self._ours: Holdings | None = None
        self._theirs: dict[int, Holdings] = {}
        self._agreed = True

    @property
    def open(self) -> bool:
        """Whether an agreement is being looked for."""
        return not self._agreed

    def lose(self, peer: Peer, now: float) -> Iterator[Tell]:
        """Count a player as gone, who fell silent or whose link is closed.

        If all of what he promised is here, nothing has to be agreed upon unless something is already;
        who misses something will ask.
        """
        complete = peer.final is not None and peer.inbox.count >= peer.final
        yield from self._drop(peer, now)
        if not complete or self.open:
            yield from self._survey(now)

    def share_all(self) -> Iterator[Tell]:
        """Give everyone what he may lack of anybody: we leave, and cannot be asked any more."""
        for peer in self._peers.values():
            for whose in self._peers.values():
                if peer.present and whose is not peer:
                    yield from ((peer, share) for share in self._exchange.shares(peer, whose))

    def shared(self, peer: Peer, message: Share, now: float) -> Iterator[Tell]:
        """Take a player's inputs by another's word.

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
            whose.share(message)

    def told(self, peer: Peer, theirs: Holdings, now: float) -> Iterator[Tell]:
        """Take what a player says of those whom he counts as gone, who are gone for us from then on.

        Raises:
            ProtocolError: he names himself or nobody we know, or did not share what he says he holds.
        """
        if peer.index in theirs.gone or not self._peers.keys() >= set(theirs.gone):
            raise ProtocolError("wrong players")
        for player in theirs.gone:
            if self._peers[player].state is not PeerState.GONE:
                yield from self._drop(self._peers[player], now)
        here = {player: other.inbox.count for player, other in self._peers.items()}
        if theirs.episode == self._exchange.episode and any(here[p] < held for p, held in theirs.held):
            raise ProtocolError("holdings without their inputs")
        self._theirs[peer.index] = theirs
        if self._ours is not None and self._ours.gone == self._gone():
            yield from self._agree(now)
        else:
            yield from self._survey(now)

    def _gone(self) -> tuple[int, ...]:
        return tuple([player for player, peer in self._peers.items() if peer.state is PeerState.GONE])

    def _drop(self, peer: Peer, now: float) -> Iterator[Tell]:
        """Count a player as gone: from now on his inputs are what others share of them."""
        peer.state = PeerState.GONE
        for share in peer.shares:
            yield from self._take(peer, share, now)
        peer.shares.clear()

    def _take(self, whose: Peer, share: Share, now: float) -> Iterator[Tell]:
        arrived = self._exchange.arrived(whose, share.start, share.inputs, now)
        if arrived is not None:
            yield arrived

    def _survey(self, now: float) -> Iterator[Tell]:
        """Share what we hold of those who are gone, say how much that is, and see whether all have."""
        gone = [self._peers[player] for player in self._gone()]
        ours = Holdings(self._exchange.episode, tuple([(peer.index, peer.inbox.count) for peer in gone]))
        self._ours, self._agreed = ours, False
        for peer in self._peers.values():
            if peer.present:
                for whose in gone:
                    yield from ((peer, share) for share in self._exchange.shares(peer, whose))
                yield peer, ours
        yield from self._agree(now)

    def _agree(self, now: float) -> Iterator[Tell]:
        """Tell how many inputs there are of each player who is gone, once everybody has said his word."""
        said = self._said()
        if said is None or self._agreed:
            return
        self._agreed = True
        for player in self._gone():
            peer = self._peers[player]
            frames = max([dict(holdings.held)[player] for holdings in said])
            if peer.final != frames:
                peer.final = frames
                yield PlayerGone(player, "peer_lost", frames)
            moved = self._exchange.arrived(peer, peer.inbox.count, (), now)
            if moved is not None:
                yield moved

    def _said(self) -> Sequence[Holdings] | None:
        """Return what we and everyone left said of those who are gone; ``None`` if somebody means others."""
        ours = self._ours
        if ours is None:
            return None
        said = [ours]
        for player, peer in self._peers.items():
            theirs = self._theirs.get(player)
            if not peer.present:
                continue
            if theirs is None or theirs.gone != ours.gone:
                return None
            # Who is in an earlier episode has nothing of this one, and in a later one needs nothing of it.
            if theirs.episode == ours.episode:
                said.append(theirs)
        return said
