"""The agreement of those who are left about those who are gone.

Knows who is gone, which of their inputs and barriers are here, and what each peer reported to hold; refuses
to know how it is sent and what is done with the outcome.

A player who vanishes may have sent the last messages to some of the others only. Those who are left go on
identically if all of them hold everything that one of them holds. So each of them, once it counts a player as
gone, takes nothing more from that player, sends everyone what they may lack, and then reports how many inputs
it holds (:class:`~gym_p2p.core.wire.messages.Holdings`, on the ordered channel, hence after all that)::

    a silent link, a closed one, a peer given up, another's Holdings -> gone; Share, Relay, Holdings to all
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

Around a barrier those who are left may be in two episodes, one after the other. Who is gone is missing in the
last episode for which one of those left holds their ``Ready``: up to there it is begun as if they were there,
and no later one begins. Everybody comes to hold the same messages, by relaying them as the inputs are
shared; so all begin such an episode, or none does. It need not be waited for the agreement: a ``Ready`` that
opened a barrier here is relayed by us, or by who relayed it to us, or both are gone. What a report says is of
the episode that its sender was in. Of a later one its sender had nothing but what others told, and of an
earlier one nobody wants anything who has passed the barrier, nor who waits at it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from gym_p2p.core.match.barrier import Barrier
from gym_p2p.core.match.claims import check_frames
from gym_p2p.core.match.events import InputsArrived, PlayerFinished, PlayerGone, Source
from gym_p2p.core.match.farewell import agreed_loss, gone_event, reported_cause
from gym_p2p.core.match.handshake import Handshake
from gym_p2p.core.match.input_buffers import NEVER
from gym_p2p.core.match.input_exchange import InputExchange
from gym_p2p.core.match.peer import Loss, Peer, PeerState
from gym_p2p.core.match.seals import Seals
from gym_p2p.core.wire.messages import Cause, Goodbye, Holdings, Ready, Relay, Share, decode, encode
from gym_p2p.errors import ProtocolError

__all__ = ["DepartureOutput", "Departures"]

DepartureOutput = tuple[Peer, Share | Relay | Holdings] | InputsArrived | PlayerFinished | PlayerGone
"""A message to a peer, or an event; to be carried out in order."""


class Departures:
    """The players who are gone from one match, and the agreements about them.

    Args:
        local: the local player's index.
        peers: all others, in the order of their indices.
        handshake: no episode can begin before it is complete: who is gone by then is missed at once.
        seals: of goodbyes.
    """

    def __init__(
        self,
        *,
        local: int,
        peers: Mapping[int, Peer],
        exchange: InputExchange,
        barrier: Barrier,
        handshake: Handshake,
        seals: Seals,
    ) -> None:
        self._local = local
        self._peers = peers
        self._exchange = exchange
        self._barrier = barrier
        self._handshake = handshake
        self._seals = seals
        self._ours: Holdings | None = None
        self._theirs: dict[int, Holdings] = {}
        self._agreed: Mapping[int | None, Holdings] = {}
        self.open = False
        """Whether an agreement is being looked for."""

    def leave(self, peer: Peer, message: Goodbye, now: float) -> Iterator[DepartureOutput]:
        """Take a player's goodbye, whose last inputs may still be on the way.

        Raises:
            ProtocolError: it is not the first, or of an episode that they cannot be in.
        """
        newest = max([self._exchange.episode, *peer.ready])
        if peer.goodbye is not None or not newest - 1 <= message.episode <= newest:
            raise ProtocolError("wrong goodbye")
        if message.episode <= self._exchange.episode:
            gave = message.frames if message.episode == self._exchange.episode else 0
            check_frames(peer, gave, given=self._exchange.given)
        peer.state = PeerState.LEAVING if peer.state is PeerState.PLAYING else PeerState.GONE
        peer.goodbye = message
        peer.final = peer.promised(self._exchange.episode)
        yield from self._tell(peer)
        yield from self._take(peer, 0, (), now)

    def lose(self, peer: Peer, loss: Loss, now: float) -> Iterator[DepartureOutput]:
        """Count a player as gone, who fell silent, say, or whose link is closed.

        If all that they promised is here, nothing has to be agreed upon unless something is already; who
        misses something will report it.
        """
        if not self._handshake.complete:
            peer.loss = loss
            peer.state = PeerState.GONE
            peer.final = peer.final or 0
            yield from self._tell(peer)
            return
        complete = peer.has_handed_over(self._exchange.episode)
        yield from self._drop(peer, loss, now)
        if not complete or self.open:
            yield from self._survey(now)

    def _excluded_by(self, peer: Peer, cause: Cause, now: float) -> Iterator[DepartureOutput]:
        """Take that a peer counts us as gone: the match goes on without us.

        Nothing is agreed upon with anybody, for that agreement is theirs: who hears of it in time follows
        it, and a report of ours could set them against each other. What was played up to here becomes final
        once nobody is left whose word would be waited for.
        """
        peer.state, peer.excludes_us = PeerState.GONE, cause
        peer.final = peer.remote_inputs.count
        yield from self._tell(peer)
        yield from self._take(peer, 0, (), now)
        if self.open and not any(one.takes_part for one in self._peers.values()):
            yield from self._agree(now)  # on those who were gone before: nobody is left who could report

    def lacks_report_of(self, peer: Peer) -> bool:
        """Whether a player has still to report about those whom we count as gone."""
        ours, theirs = self._ours, self._theirs.get(peer.index)
        return self.open and ours is not None and (theirs is None or theirs.gone != ours.gone)

    def share_all(self) -> Iterator[DepartureOutput]:
        """Give everyone what they may lack of anybody: we leave, and cannot answer any more."""
        for peer in self._peers.values():
            if peer.takes_part:
                yield from self.shares(peer, [whose for whose in self._peers.values() if whose is not peer])

    def receive_hearsay(self, peer: Peer, message: Share | Relay, now: float) -> Iterator[DepartureOutput]:
        """Take what another player holds of a player.

        Raises:
            ProtocolError: it is of the sender, or of us, or nothing that the player can have said.
        """
        whose = self._peers.get(message.player)
        if whose is None or whose is peer:
            raise ProtocolError("inputs of somebody else")
        heard = message if isinstance(message, Share) else self._word(message)
        if isinstance(heard, Goodbye):
            self._keep_words(whose, heard, peer)
        elif whose.state is PeerState.GONE or whose.absent:
            yield from self._hear(whose, heard, now)
        elif isinstance(heard, Ready) or heard.episode >= self._exchange.episode:
            whose.keep_hearsay(heard)

    def receive_holdings(self, peer: Peer, theirs: Holdings, now: float) -> Iterator[DepartureOutput]:
        """Take a report about those whom a player counts as gone, who are gone for us from then on.

        If we are among them, the match goes on without us.

        Raises:
            ProtocolError: it names its sender or nobody we know, or inputs that were not shared before.
        """
        causes = {player: cause for player, _, cause in theirs.held}
        if self._local in causes:
            yield from self._excluded_by(peer, causes[self._local], now)
            return
        if peer.index in theirs.gone or not self._peers.keys() >= set(theirs.gone):
            raise ProtocolError("wrong players")
        losses = {player: Loss(cause, Source.PEER, peer.index) for player, cause in causes.items()}
        if not self._handshake.complete:
            for player, loss in losses.items():
                yield from self.lose(self._peers[player], loss, now)
            return
        for player, loss in losses.items():
            if self._peers[player].state is not PeerState.GONE:
                yield from self._drop(self._peers[player], loss, now)
        if theirs.episode == self._exchange.episode:
            for player, held, _ in theirs.held:
                yield from self._take_kept(self._peers[player], held, now)
                if self._peers[player].remote_inputs.count < held:
                    if self._ours is None or self._ours.gone != self._gone():
                        yield from self._survey(now)  # they are gone, whatever else was said of them
                    raise ProtocolError("holdings without their inputs")
        self._theirs[peer.index] = theirs
        if self._ours is not None and self._ours.gone == self._gone():
            yield from self._agree(now)
        else:
            yield from self._survey(now)

    def share_away(self, away: Peer, now: float) -> Iterator[DepartureOutput]:
        """Give everyone what they may lack of a player who is away, and take what they gave us of theirs.

        Who is away gives nothing by themselves: without it some could play on and some not.
        """
        for peer in self._peers.values():
            if peer.takes_part and peer is not away:
                yield from self.shares(peer, [away])
        hearsay, away.hearsay = away.hearsay, []
        for message in hearsay:
            yield from self._hear(away, message, now)

    def brief(self, peer: Peer) -> Iterator[DepartureOutput]:
        """Tell a player who has come back who is gone, and give them what there is of those."""
        gone = [self._peers[player] for player in self._gone()]
        if gone and all(one.excludes_us is None for one in gone):  # else it is us who are gone
            yield from self.shares(peer, gone)
            yield peer, self._report(gone)

    def come_back(self, now: float) -> Iterator[DepartureOutput]:
        """Agree with the others about those who are gone, of whom we have learnt since we came back."""
        for peer in self._peers.values():
            peer.final = None if peer.state is PeerState.GONE and peer.goodbye is None else peer.final
        if self._gone():
            yield from self._survey(now)

    def begin_episode(self, now: float) -> Iterator[DepartureOutput]:
        """See who is missing in the episode that has just begun."""
        for peer in self._peers.values():
            if peer.state is PeerState.LEAVING:
                yield from self._tell(peer)
            elif peer.absent:
                yield from self._take_kept(peer, NEVER, now)
            elif peer.state is PeerState.GONE and not self.open:
                yield from self._fix(peer, now)

    def _gone(self) -> tuple[int, ...]:
        return tuple([player for player, peer in self._peers.items() if peer.state is PeerState.GONE])

    def _drop(self, peer: Peer, loss: Loss, now: float) -> Iterator[DepartureOutput]:
        """Count a player as gone: from now on what there is of them is what others share.

        Unless they left they are told so, should they be there: nobody plays on who is not played with.
        """
        if peer.goodbye is None:
            held = ((peer.index, peer.remote_inputs.count, loss.cause),)
            if loss.source is not Source.GOODBYE:
                yield peer, Holdings(self._exchange.episode, held)
            if peer.passed_on is not None:
                peer.goodbye, peer.carrier = peer.passed_on
        peer.state, peer.loss = PeerState.GONE, loss
        peer.early = None
        hearsay, peer.hearsay = peer.hearsay, []
        for message in hearsay:
            yield from self._hear(peer, message, now)

    def _word(self, relay: Relay) -> Ready | Goodbye:
        """Return what is passed on of a player.

        Raises:
            ProtocolError: it is nothing that is passed on, or further ahead than whoever passes it on takes.
        """
        word = decode(relay.message)
        if not isinstance(word, Ready | Goodbye):
            raise ProtocolError("relay of another kind of message")
        if word.episode > self._barrier.newest(self._exchange.episode):
            raise ProtocolError("relay of another episode")
        return word

    def _keep_words(self, whose: Peer, goodbye: Goodbye, carrier: Peer) -> None:
        """Keep a goodbye that another passed on.

        Raises:
            ProtocolError: it bears no seal for us that is its sender's.
        """
        if not self._seals.is_theirs(whose.index, goodbye, local=self._local):
            raise ProtocolError("goodbye that is not its sender's")
        if whose.state is PeerState.GONE and whose.goodbye is None:
            whose.goodbye, whose.carrier = goodbye, carrier.index
        whose.passed_on = whose.passed_on or (goodbye, carrier.index)

    def _hear(self, whose: Peer, heard: Share | Ready, now: float) -> Iterator[DepartureOutput]:
        """Take what another player holds of one who is gone; what is of a later episode is kept for it."""
        episode = self._exchange.episode
        match heard:
            case Ready() if heard.episode > episode:
                whose.ready.setdefault(heard.episode, heard)
                if heard.episode == episode + 1 and whose.absent and whose.told is None:
                    whose.told = PlayerFinished(whose.index, heard.frames)
                    yield whose.told
            case Share() if heard.episode == episode:
                yield from self._take(whose, heard.start, heard.inputs, now, heard.actors)
            case Share() if heard.episode > episode:
                whose.keep_hearsay(heard)

    def _take(
        self, whose: Peer, start: int, inputs: Sequence[bytes], now: float, actors: bytes = b""
    ) -> Iterator[DepartureOutput]:
        self._exchange.reconsider()
        arrived = self._exchange.arrived(whose, start, inputs, now, actors)
        if arrived is not None:
            yield arrived

    def _take_kept(self, whose: Peer, most: int, now: float) -> Iterator[DepartureOutput]:
        """Take what was shared of this episode before it began here; beyond a report it may be here alone."""
        for one in whose.hearsay:
            if isinstance(one, Share) and one.episode == self._exchange.episode:
                fit = max(0, most - one.start)
                yield from self._take(whose, one.start, one.inputs[:fit], now, one.actors[:fit])

    def shares(self, peer: Peer, of: Iterable[Peer]) -> Iterator[DepartureOutput]:
        """Give a peer what it may lack of others."""
        for whose in of:
            yield from ((peer, share) for share in self._exchange.shares(peer, whose))
            words: list[Ready | Goodbye] = [*whose.ready.values()]
            if whose.goodbye is not None:
                words.append(whose.goodbye)
            yield from ((peer, Relay(whose.index, encode(word))) for word in words)

    def _survey(self, now: float) -> Iterator[DepartureOutput]:
        """Share what we hold of those who are gone, report how much that is, and see whether all have."""
        gone = [self._peers[player] for player in self._gone()]
        self._ours = ours = self._report(gone)
        self.open = True
        for peer in self._peers.values():
            if peer.takes_part:
                yield from self.shares(peer, gone)
                yield peer, ours
        yield from self._agree(now)

    def _report(self, gone: Iterable[Peer]) -> Holdings:
        held = tuple([(one.index, one.remote_inputs.count, reported_cause(one)) for one in gone])
        return Holdings(self._exchange.episode, held)

    def _agree(self, now: float) -> Iterator[DepartureOutput]:
        """Fix how many inputs there are of each player who is gone, once everybody has reported."""
        reports = self._reports()
        if reports is None or not self.open:
            return
        self.open, self._agreed = False, reports
        for player in reports[None].gone:
            yield from self._fix(self._peers[player], now)

    def _fix(self, peer: Peer, now: float) -> Iterator[DepartureOutput]:
        """Fix how many inputs there are of a player who is gone in the running episode.

        Who is not in the agreement had handed everything over before they went.
        """
        episode = self._exchange.episode
        if any(peer.index in report.gone for report in self._agreed.values()):
            peer.final = max(
                [
                    held
                    for report in self._agreed.values()
                    if report.episode == episode
                    for player, held, _ in report.held
                    if player == peer.index
                ],
                default=0,
            )
            peer.loss = agreed_loss(peer, self._agreed)
        if peer.final is not None:
            yield from self._take_kept(peer, peer.final, now)
        hearsay = peer.hearsay
        peer.hearsay = [one for one in hearsay if isinstance(one, Share) and one.episode > episode]
        yield from self._tell(peer)
        yield from self._take(peer, peer.remote_inputs.count, (), now)

    def _tell(self, peer: Peer) -> Iterator[DepartureOutput]:
        """Say how a player who is gone or leaves ends in the running episode, unless that was said."""
        episode, frames = self._exchange.episode, peer.final
        if frames is None:
            return
        event: PlayerFinished | PlayerGone
        if peer.excludes_us is None and self._handshake.complete and peer.goes_on_after(episode):
            event = PlayerFinished(peer.index, frames)
        else:
            event = gone_event(peer, frames, local=self._local, players=len(self._peers) + 1)
        if event != peer.told:
            peer.told = event
            yield event

    def _reports(self) -> Mapping[int | None, Holdings] | None:
        """Return our report and everyone's who is left; ``None`` if one is missing or about another set."""
        ours = self._ours
        if ours is None:
            return None
        reports: dict[int | None, Holdings] = {None: ours}
        for player, peer in self._peers.items():
            theirs = self._theirs.get(player)
            if not peer.takes_part:
                continue
            if theirs is None or theirs.gone != ours.gone:
                return None
            reports[player] = theirs
        return reports
