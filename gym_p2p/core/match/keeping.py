"""The match goes on while players are away: one of those who are there gives their inputs.

A match is its confirmed inputs, and nobody plays on without a player's. So while they are away the *keeper*,
the player with the lowest index of those who play, gives them in their name: as theirs, to all. For everybody
they are inputs like any other, and nothing else has to be agreed upon.

For that two things have to be sure. The keeper has to know every input of the player that anybody holds, or
there would be two of one frame. And their process has to be over for everybody, or it would give inputs of
the same frames. So the keeper asks all who are there, twice, before they give the first one. By
*process* such a one is meant here that has given inputs, or was to: one that looks on is none::

    Keep(commits=False) -> Kept   once they are away for the recipient, too, and the sender is their keeper
    Keep(commits=True)  -> Kept   as before; all that the recipient holds comes first, and from then on that
                                  process is over for them, and they take those inputs from the keeper alone
    everybody has answered        ActedFor, ReadyFor to all

The first question binds nobody: where somebody still sees the player, the match stands, as without a keeper,
until all do or nobody does. Who answered the second one takes only another process of that player's. So does
who has taken such an input, or given one.

* The player comes back: their next process looks on first, and nothing changes. Then it claims the seat, of
  everybody who is there: whom it asks takes nothing more in the player's name, and the keeper gives nothing
  more, before they tell it what they hold. So an input counts that one of them holds, and what did not reach
  all comes from the player now.
* The keeper goes, or somebody with a lower index comes back: another one is the keeper, and asks anew. What
  one of them lacks is given again, from what they hold by their answer on.
* Two who do not see each other hold each other for away, and each plays on. When they hear of each other, the
  side with more players tells the other one that it is out (:mod:`gym_p2p.core.match.refusing`).

Why it ends: a question is asked of everybody once for each process of theirs and of the player's, and a
player is away for no longer than they are waited for.

Knows who is there and what they hold; refuses to know how an input is chosen, and links.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import msgspec

from gym_p2p.core.match.barrier import Barrier
from gym_p2p.core.match.claims import AHEAD_MOST
from gym_p2p.core.match.commands import GiveFor
from gym_p2p.core.match.course import Course
from gym_p2p.core.match.input_exchange import InputExchange
from gym_p2p.core.match.membership import Departures
from gym_p2p.core.match.outputs import Outputs
from gym_p2p.core.match.peer import Peer, PeerState
from gym_p2p.core.match.return_events import ActFor
from gym_p2p.core.wire.acting import Keep, Kept, ReadyFor
from gym_p2p.core.wire.messages import ActedFor, Ready, Share, decode, encode
from gym_p2p.errors import ProtocolError

__all__ = ["Keeping"]


@attrs.define(eq=False)
class _Keep:
    """One player who is away, whose keeper we are."""

    incarnation: int
    asked: dict[int, tuple[int, bool]] = attrs.field(factory=dict)
    """The newest question to each player: which process of theirs it was, and whether it commits."""
    answered: dict[int, tuple[int, bool]] = attrs.field(factory=dict)
    """The same of answers."""
    held: dict[int, Kept] = attrs.field(factory=dict)
    """What each player held by their last answer."""
    acting: bool = False


class Keeping:
    """The players who are away from one match, as far as somebody gives their inputs.

    Args:
        local: our index.
        peers: all others, in the order of their indices.
        outputs: where requests and events go.

    Attributes:
        acts: whether anybody does; else the match stands while somebody is away.
        seated: whether we play: whoever has come back does not before they have caught up.
    """

    def __init__(
        self,
        *,
        acts: bool,
        local: int,
        peers: Mapping[int, Peer],
        outputs: Outputs,
        barrier: Barrier,
        exchange: InputExchange,
        departures: Departures,
        course: Course,
    ) -> None:
        self.acts = acts
        self._local = local
        self._peers = peers
        self._outputs = outputs
        self._barrier = barrier
        self._exchange = exchange
        self._departures = departures
        self._course = course
        self.seated = True
        self._keeps: dict[int, _Keep] = {}
        self._questions: dict[tuple[int, int], Keep] = {}
        """Of each player who asks about one the newest question that was not answered yet.

        Who is the keeper may be known to some later than to others, who ask meanwhile, too.
        """
        self._early: dict[int, ActedFor] = {}
        """Inputs of the next episode, in one message for each player."""

    @property
    def keeper(self) -> int | None:
        """Who gives the inputs of all who are away; ``None`` where nobody is there who could.

        Not we, where the match goes on without us.
        """
        playing = [player for player, peer in self._peers.items() if peer.state is PeerState.PLAYING]
        if self.seated and all(peer.excludes_us is None for peer in self._peers.values()):
            playing.append(self._local)
        return min(playing, default=None)

    # Whenever something has changed.

    def look(self, now: float) -> None:
        """Ask, answer, and begin or end to give inputs, as things stand."""
        if not self.acts:
            return
        away = [peer for peer in self._peers.values() if peer.absent]
        for player in [one for one in self._keeps if self._peers[one] not in away]:
            self._stop(player)
        if not away:
            return
        keeper = self.keeper
        for peer in away:
            self._take_early(peer, now)
            if keeper != self._local:
                self._stop(peer.index)
                self._answer(peer, keeper, now)
        if keeper == self._local:
            self._keep(away, now)

    def _keep(self, away: list[Peer], now: float) -> None:
        """Give the inputs of all who are away, once everybody has answered about each of them.

        Before that somebody may be away for us alone, and see one who is away for us.
        """
        agreed = [peer for peer in away if self._is_agreed(peer, now)]
        for peer in agreed:
            keep = self._keeps[peer.index]
            if not keep.acting and len(agreed) == len(away):
                self._begin(keep, peer, now)
            if keep.acting:
                self._say_ready(peer, now)

    def _is_agreed(self, away: Peer, now: float) -> bool:
        """Whether everybody has answered both questions about a player who is away; ask on."""
        keep = self._keeps.get(away.index)
        if keep is None or keep.incarnation != away.claimed:
            self._stop(away.index)
            keep = self._keeps[away.index] = _Keep(away.claimed)
        agreed = [self._agrees(keep, away, peer, now) for peer in self._voters(away)]  # all of them are asked
        return all(agreed)

    def _begin(self, keep: _Keep, away: Peer, now: float) -> None:
        keep.acting = away.played_for = True
        for player, kept in keep.held.items():
            self._bring(self._peers[player], away, kept, now)
        self._outputs.emit(ActFor(away.index, acts=True))

    def _voters(self, away: Peer) -> list[Peer]:
        """Return everybody who may hold inputs of a player who is away, and who stays."""
        return [
            peer
            for peer in self._peers.values()
            if peer.takes_part and peer is not away and peer.state is not PeerState.LEAVING
        ]

    def _agrees(self, keep: _Keep, away: Peer, peer: Peer, now: float) -> bool:
        """Whether a player has answered both questions; ask them the next one if they have not."""
        answered = keep.answered.get(peer.index)
        if answered == (peer.incarnation, True):
            return True
        question = peer.incarnation, answered == (peer.incarnation, False)
        if keep.asked.get(peer.index) != question and peer.state is not PeerState.GREETING:
            keep.asked[peer.index] = question
            self._outputs.send(peer, Keep(away.index, keep.incarnation, commits=question[1]), now)
        return False

    def _stop(self, player: int) -> None:
        keep = self._keeps.pop(player, None)
        if keep is not None and keep.acting:
            self._outputs.emit(ActFor(player, acts=False))

    def _say_ready(self, away: Peer, now: float) -> None:
        """Be at the barrier for a player, too, once we are there ourselves."""
        episode = self._barrier.waits_before
        if episode is None or episode in away.ready:
            return
        word = Ready(episode, None, None, away.remote_inputs.count, away.delay)
        away.ready[episode] = word
        self._outputs.broadcast(self._peers.values(), ReadyFor(away.index, encode(word)), now)
        self._course.finished(away, word)
        self._course.pass_barrier(now)

    def _answer(self, away: Peer, keeper: int | None, now: float) -> None:
        """Answer the keeper who has asked about a player, unless one looks on here that is over for them."""
        question = None if keeper is None else self._questions.get((keeper, away.index))
        if keeper is None or question is None:
            return
        if away.state is not PeerState.AWAY and away.incarnation <= question.incarnation:
            return
        del self._questions[keeper, away.index]
        asking = self._peers[keeper]
        if question.commits:
            away.is_over(question.incarnation)
            away.played_for = True
            self._course.carry_out(self._departures.shares(asking, [away]), now)
        held = away.remote_inputs.count
        answer = Kept(away.index, away.claimed, question.commits, self._exchange.episode, held)
        self._outputs.send(asking, answer, now)

    def _take_early(self, away: Peer, now: float) -> None:
        """Take what the keeper gave of the running episode before it began here."""
        early = self._early.get(away.index)
        if early is not None and early.episode <= self._exchange.episode:
            del self._early[away.index]
            if early.episode == self._exchange.episode:
                self._arrived(away, early, now)

    # What the user's half gives.

    def give(self, command: GiveFor, now: float) -> None:
        """Give an input in the name of a player who is away."""
        keep, away = self._keeps.get(command.player), self._peers.get(command.player)
        episode = self._exchange.episode
        if keep is None or away is None or not keep.acting or command.episode != episode:
            return
        if command.frame != away.remote_inputs.count or episode + 1 in away.ready:
            return
        actors = bytes([command.actor])
        message = ActedFor(episode, away.index, command.frame, (command.data,), actors)
        self._arrived(away, message, now)
        self._outputs.broadcast(self._peers.values(), message, now)

    # What arrives.

    def take_keep(self, peer: Peer, message: Keep, now: float) -> None:  # noqa: ARG002 - handlers have one shape
        """Take the question of somebody who is to give a player's inputs.

        Raises:
            ProtocolError: it is about the sender, about us, or nobody.
        """
        self._whose(peer, message.player)
        self._questions[peer.index, message.player] = message

    def take_kept(self, peer: Peer, message: Kept, now: float) -> None:
        """Take an answer; one that was not asked for any more changes nothing.

        Raises:
            ProtocolError: it is about the sender, about us, or nobody.
        """
        away = self._whose(peer, message.player)
        keep = self._keeps.get(away.index)
        question = peer.incarnation, message.commits
        if keep is None or keep.asked.get(peer.index) != question:
            return
        if message.incarnation > away.claimed:
            away.is_over(message.incarnation)  # a process that we have not seen; it is over as well
        elif message.incarnation == keep.incarnation or not message.commits:
            keep.answered[peer.index] = question
            if message.commits:
                keep.held[peer.index] = message
                if keep.acting:
                    self._bring(peer, away, message, now)

    def _bring(self, peer: Peer, away: Peer, kept: Kept, now: float) -> None:
        """Give a player what they lack of one who is away, by what they say to hold."""
        if kept.episode > self._exchange.episode:
            return
        held = kept.held if kept.episode == self._exchange.episode else 0
        for share in self._exchange.shares_from(held, away):
            message = ActedFor(share.episode, share.player, share.start, share.inputs, share.actors)
            self._outputs.send(peer, message, now)
        for word in away.ready.values():
            if word.episode > kept.episode:
                self._outputs.send(peer, ReadyFor(away.index, encode(word)), now)

    def take_acted(self, peer: Peer, message: ActedFor, now: float) -> None:
        """Take inputs that the keeper gives in the name of a player who is away.

        Those of somebody else are not taken: they were sent before another one was the keeper, or the player
        came back.

        Raises:
            ProtocolError: that player was never away, or the inputs are too far ahead.
        """
        away = self._whose(peer, message.player)
        if not self._may_act(peer, away):
            return
        episode, end = self._exchange.episode, message.start + len(message.inputs)
        given = self._exchange.given if message.episode == episode else 0
        if end > given + AHEAD_MOST and message.episode >= episode:
            raise ProtocolError("inputs too far ahead of ours")
        away.played_for = True
        if message.episode == episode:
            self._arrived(away, message, now)
        elif message.episode == episode + 1:
            self._keep_early(message)

    def take_ready(self, peer: Peer, message: ReadyFor, now: float) -> None:
        """Take the word at a barrier that the keeper says for a player who is away.

        Raises:
            ProtocolError: that player was never away, or nobody can have said such a word.
        """
        away = self._whose(peer, message.player)
        word = decode(message.message)
        if not isinstance(word, Ready) or word.seed is not None or word.options is not None:
            raise ProtocolError("word that nobody says for another one")
        episode = self._exchange.episode
        if word.episode > self._barrier.newest(episode) or word.frames > self._exchange.given + AHEAD_MOST:
            raise ProtocolError("word at a barrier that nobody can be at")
        if not self._may_act(peer, away) or word.episode <= episode or word.episode in away.ready:
            return
        away.played_for = True
        away.ready[word.episode] = word
        if word.episode == episode + 1:
            self._course.finished(away, word)
        self._course.pass_barrier(now)

    def puts_off(self, peer: Peer, message: Share) -> bool:
        """Keep inputs that a player shares of another one, where they do not count before that one is gone.

        Of one who is away, and whose process is over, the keeper decides; the keeper takes what others have
        before they begin.
        """
        whose = self._peers.get(message.player)
        if whose is None or whose is peer or not whose.absent or not self.acts:
            return False
        keep = self._keeps.get(whose.index)
        if not (whose.played_for and peer.index != self.keeper if keep is None else keep.acting):
            return False
        whose.keep_hearsay(message)
        return True

    def _whose(self, peer: Peer, player: int) -> Peer:
        whose = self._peers.get(player)
        if whose is None or whose is peer:
            raise ProtocolError("acts for themselves, for us, or for nobody")
        return whose

    def _may_act(self, peer: Peer, whose: Peer) -> bool:
        never_away = whose.state is PeerState.PLAYING and not (whose.incarnation or whose.played_for)
        if not self.acts or never_away:
            raise ProtocolError("acts for a player who is there")
        return whose.absent and peer.index == self.keeper

    def _arrived(self, away: Peer, message: ActedFor, now: float) -> None:
        arrived = self._exchange.arrived(away, message.start, message.inputs, now, message.actors)
        if arrived is not None:
            self._outputs.emit(arrived)

    def _keep_early(self, message: ActedFor) -> None:
        early = self._early.get(message.player)
        if early is None or early.episode != message.episode:
            self._early[message.player] = message
            return
        known = early.start + len(early.inputs) - message.start
        if 0 <= known < len(message.inputs):
            inputs = early.inputs + message.inputs[known:]
            actors = _all_of(early) + _all_of(message)[known:]
            self._early[message.player] = msgspec.structs.replace(early, inputs=inputs, actors=actors)


def _all_of(message: ActedFor) -> bytes:
    """Return who chose each of the inputs, also where it was the player all of them."""
    return message.actors or bytes(len(message.inputs))
