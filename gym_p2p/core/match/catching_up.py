"""A player comes back in a new process: what it asks the others for, until it knows what they know.

It knows who it is, by the keys that its player had before, and nothing of the match. So it asks. Where others
act for its player meanwhile, it looks on first, as often as that brings much. Then it claims the seat, of one
player after the other::

    anybody        every episode from the beginning, as far as everybody holds it: what that was goes to the
                   user's half, which plays it again; then what everybody holds beyond it, and so on
    claiming:
    first one      every episode from the beginning: words at barriers, inputs of all players, digests
    each other     the last two episodes: perhaps they hold more of them
    all again      now and then, whether somebody is away who does not answer us
    everybody has answered, or is gone -> the episodes are told to the user's half, who plays them again

Every player who is there has to be asked: an input of ours that only one of them holds was given all the
same, and they may have played with it. Who is away themselves holds nothing that counts.

What the others send of the running match while we claim (they wait at barriers, agree about who is gone,
leave) is put off until it can be taken in as if we had been there all the time. While we look on they send
nothing but answers, and their goodbyes.

Why it ends: an answer brings something new, or is the last of that player's. Who does not answer is away for
the others, or lost, in time; and where everybody who is left has come back, too, nobody knows the match any
more.

Knows messages; refuses to know links, and how frames are played. Times are monotonic seconds, passed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from gym_p2p.core.match.barrier import Barrier
from gym_p2p.core.match.events import EpisodeBegan, EpisodeRefused, Source
from gym_p2p.core.match.history import DIGEST_BYTES, History, PlayedEpisode
from gym_p2p.core.match.outputs import Outputs
from gym_p2p.core.match.peer import Loss, Peer, PeerState
from gym_p2p.core.match.reaching import was_not_reached
from gym_p2p.core.match.return_events import PastEpisode, PlayerAway, ReturnFailed
from gym_p2p.core.match.returning import nothing_past
from gym_p2p.core.wire.messages import Cause, Checksum, Goodbye, Holdings, Message, Ready, Relay, decode
from gym_p2p.core.wire.past import Past, PastWord, Recall
from gym_p2p.errors import ProtocolError

__all__ = ["CatchingUp", "Comeback"]

_PUT_OFF_MOST = 4096
"""Messages of all others together, while what was played is asked for: a few of each are sent."""

ASK_AGAIN_S = 0.5
"""Between two questions to somebody who has told all, whether one who does not answer us is away by now."""

_NOT_GREETED = frozenset({PeerState.CONNECTING, PeerState.GREETING})


@attrs.frozen
class Comeback:
    """What a new process has of the one before.

    Attributes:
        incarnation: which process of the player's it is, from 1.
        keys: what the other players are known by, by index.
    """

    incarnation: int
    keys: Mapping[int, bytes] = attrs.field(repr=False)


class CatchingUp:
    """One player's way back into a match.

    Args:
        local: our index.
        peers: all others, in the order of their indices.
        outputs: where requests and events go.
        history: where what was played is put together.
        looks_on: whether others act for us, until we claim the seat.

    Attributes:
        history: as far as it was put together.
        claims: whether we claim the seat.
        rests: whether all that everybody holds is known, and :meth:`ask_on` is awaited.
        complete: whether everything is known.
        failed: whether it never will be.
        put_off: what came meanwhile, in order.
        digests: the others', in the order in which each sent them.
    """

    def __init__(
        self,
        *,
        local: int,
        peers: Mapping[int, Peer],
        outputs: Outputs,
        history: History,
        looks_on: bool = False,
    ) -> None:
        self._looks_on = looks_on
        self.claims = not looks_on
        self.rests = False
        self._local = local
        self._peers = peers
        self._outputs = outputs
        self.history = history
        self._done: set[int] = set()
        self._knew_nothing: set[int] = set()
        self._asked: tuple[int, int] | None = None
        """A player and an episode."""
        self._asked_once: set[tuple[int, int]] = set()
        """Players, and which process of theirs it was."""
        self._digests_here: dict[tuple[int, int, int], int] = {}
        """How many, by player, process of theirs and episode: whoever is asked again tells of the others."""
        self._away: dict[int, set[int]] = {}
        """Who is away, by everybody's account who has answered."""
        self.ask_again_at: float | None = None
        """When :meth:`look` is wanted: somebody may be away by now for those who were asked before."""
        self._words: dict[int, dict[int, Ready]] = {}
        """By episode and player."""
        self.complete = False
        self.failed = False
        self.put_off: list[tuple[Peer, Message]] = []
        self.digests: list[tuple[int, Checksum]] = []
        self._outcomes: list[EpisodeBegan | EpisodeRefused] = []
        """Of the barriers before all episodes that there were, in order."""
        self._told: dict[int, tuple[int, ...]] = {}
        """Of each episode that was told how many inputs of every player."""
        self._told_over = 0
        """The newest one that was told as over."""

    def ask_on(self, *, claims: bool) -> None:
        """Ask for what was played since; claim the seat, or look on."""
        self.rests, self.claims = False, self.claims or claims

    def next_words(self) -> Mapping[int, Ready]:
        """Return what players said at the barrier after the running episode."""
        return self._words.get(len(self.history.episodes) + 1, {})

    def knows_now(self, peer: Peer, now: float) -> None:
        """Ask a player again who knew nothing: they have taken their seat, and know what the others do."""
        if peer.index in self._knew_nothing:
            self._knew_nothing.discard(peer.index)
            self._done.discard(peer.index)
            self.look(now)

    def put_off_or_drop(self, peer: Peer, message: Message) -> None:
        """Keep a message until everything is known; who says goodbye is asked no more.

        What else comes while we look on was sent to somebody else of ours, and comes with the answers, too.

        Raises:
            ProtocolError: there are too many.
        """
        if not (self.claims or isinstance(message, Goodbye | Holdings | Relay)):
            return
        if len(self.put_off) >= _PUT_OFF_MOST:
            raise ProtocolError("too much at once")
        self.put_off.append((peer, message))
        if isinstance(message, Goodbye) and peer.state is not PeerState.GONE:
            peer.state, peer.loss = PeerState.GONE, Loss(Cause.LEFT, Source.GOODBYE, words=message)

    def are_gone(self, report: Holdings) -> None:
        """Ask those no more who are gone by somebody's account."""
        for player, _, cause in report.held:
            peer = self._peers.get(player)
            if peer is not None and peer.state is not PeerState.GONE:
                peer.state, peer.loss = PeerState.GONE, Loss(cause, Source.PEER)

    @staticmethod
    def lose(peer: Peer, loss: Loss) -> None:
        """Count a player as gone; what there is of them is agreed on once everything is known.

        Who has not greeted us may have been followed by another process, or may be: that is for those to say
        who play with them.
        """
        if peer.state is PeerState.GREETING:
            was_not_reached(peer)
        else:
            peer.state, peer.loss = PeerState.GONE, loss

    def answer(self, peer: Peer, recall: Recall, now: float) -> None:
        """Tell somebody who has come back, too, that nothing is known here."""
        self._outputs.send(peer, nothing_past(recall, 0, returning=True), now)

    def take_word(self, word: PastWord) -> None:
        """Take a player's word at a barrier.

        Raises:
            ProtocolError: it is none, or nobody's.
        """
        if self.failed:
            return
        ready = decode(word.message)
        if not isinstance(ready, Ready) or word.player > len(self._peers):
            raise ProtocolError("word of another kind")
        if not 0 < ready.episode <= len(self.history.episodes) + 2:
            raise ProtocolError("word at another barrier")
        known = self._words.setdefault(ready.episode, {})
        if word.player not in known:
            known[word.player] = ready
            self.history.took(len(word.message))

    def take_past(self, peer: Peer, past: Past, now: float) -> None:
        """Take an answer; ask on.

        Raises:
            ProtocolError: it is none to what was asked.
        """
        if self.failed:
            return
        if self._asked != (peer.index, past.episode):
            if (peer.index, peer.incarnation) in self._asked_once:
                return  # it took them so long that another one was asked
            raise ProtocolError("past that was not asked for")
        if past.returning:
            self._knew_nothing.add(peer.index)
            if peer.away_at is None:
                peer.state, peer.away_at, peer.seated = PeerState.RETURNING, now, False
                peer.looks_on = self._looks_on and peer.claimed < peer.incarnation
            self._finish(peer, now)
            return
        peer.claim_seat()
        self._away[peer.index] = set(past.away)
        if past.episode <= past.newest:
            self.history.merge(past)
        for frame, digest in past.digests:
            self.digests.append((peer.index, Checksum(past.episode, frame, digest)))
        self.history.took(DIGEST_BYTES * len(past.digests))
        of = peer.index, peer.incarnation, past.episode
        self._digests_here[of] = self._digests_here.get(of, 0) + len(past.digests)
        if self.history.full:
            self._fail("there is more of the match than anybody keeps for who comes back")
        elif past.more:
            self._asked = peer.index, past.episode + 1
            self._digests_here[peer.index, peer.incarnation, past.episode + 1] = 0  # all of them come
        elif not self._has_all_of(past, self._digests_here[of]):
            self._recall(peer, past.episode, now)
        elif past.episode < past.newest:
            self._recall(peer, past.episode + 1, now)
        else:
            self._finish(peer, now)

    def look(self, now: float) -> None:
        """Ask whoever is next; to be called whenever somebody has greeted us, or is gone."""
        if self.complete or self.failed:
            return
        if any(peer.excludes_us is not None for peer in self._peers.values()):
            self._fail("the others play on without this player, who came back too late")
            return
        if self.rests:
            return
        if self._asked is not None and self._answers(self._peers[self._asked[0]]):
            return
        self._asked = None
        there = [peer for peer in self._peers.values() if peer.state is not PeerState.GONE]
        if not self.claims and any(peer.index not in self._knew_nothing for peer in there):
            self._look_on(now)
            return
        self.claims = True
        waiting = [peer for peer in there if peer.index not in self._done and not self._is_away(peer)]
        for peer in waiting:
            if _may_be_asked(peer):
                first = not (self._done - self._knew_nothing)
                newest = len(self.history.episodes)
                self._recall(peer, max(1, newest if first else newest - 1), now)
                return
        if waiting:
            self._ask_again(waiting, now)
        elif any(peer.index in self._done and peer.index not in self._knew_nothing for peer in there):
            self._complete(there, now)
        else:
            self._fail("nobody is left who knows the match")

    def _look_on(self, now: float) -> None:
        """Ask anybody who may know the match for what everybody holds."""
        for peer in self._peers.values():
            if _may_be_asked(peer) and peer.index not in self._knew_nothing:
                self._recall(peer, max(1, len(self.history.episodes)), now)
                return

    def _ask_again(self, waiting: Sequence[Peer], now: float) -> None:
        """Ask those once more, now and then, for whom somebody was there who does not answer us."""
        due_at = self.ask_again_at
        if due_at is not None and now < due_at:
            return
        self.ask_again_at = now + ASK_AGAIN_S
        missed, known = {peer.index for peer in waiting}, self._done - self._knew_nothing
        for peer in self._peers.values() if due_at is not None else ():
            if peer.index in known and _may_be_asked(peer) and not missed <= self._away[peer.index]:
                self._recall(peer, max(1, len(self.history.episodes)), now)
                return

    def _complete(self, there: Sequence[Peer], now: float) -> None:
        self.complete = True
        for peer in there:
            if peer.state in _NOT_GREETED:
                peer.state, peer.away_at, peer.closed_at = PeerState.AWAY, now, now
                self._outputs.emit(PlayerAway(peer.index, peer.away_loss.cause, peer.rejoin_s))

    def give_up(self) -> None:
        """Ask no more: it takes too long."""
        if not self.failed:
            self._fail("nobody who knows the match could be reached in time")

    def episodes(self, barrier: Barrier) -> Sequence[PastEpisode] | None:
        """Return the episodes that were begun, by what the players said at the barriers.

        Returns:
            ``None`` where somebody's word is missing, whom nobody can have begun an episode without: then
            :class:`~gym_p2p.core.match.return_events.ReturnFailed` was emitted.
        """
        for number, played in enumerate(self.history.episodes, 1):
            if number <= len(self._outcomes):
                continue
            played.ready = dict(sorted(self._words.get(number, {}).items()))
            if len(played.ready) != len(self._peers) + 1:
                self._fail("the others do not tell how an episode began")
                return None
            self._outcomes.append(barrier.agree(played.ready))
        newest_told = max(self._told, default=0)
        return [
            self._episode(outcome, self.history.episodes[number - 1])
            for number, outcome in enumerate(self._outcomes, 1)
            if number >= newest_told and number > self._told_over and isinstance(outcome, EpisodeBegan)
        ]

    def _episode(self, began: EpisodeBegan, played: PlayedEpisode) -> PastEpisode:
        start = self._told.get(began.episode, (0,) * len(played.inputs))
        self._told[began.episode] = played.held
        given = {player: ready.frames for player, ready in self._words.get(began.episode + 1, {}).items()}
        least = min(given.values()) if len(given) == len(played.inputs) else None
        self._told_over = self._told_over if least is None else began.episode
        return PastEpisode(
            began.episode,
            began.seed,
            began.options,
            began.delays,
            start,
            tuple([tuple(one[first:]) for one, first in zip(played.inputs, start, strict=True)]),
            tuple(
                [
                    one.between(first, count)
                    for one, first, count in zip(played.acted, start, played.held, strict=True)
                ]
            ),
            least,
            left_first=least is not None and given[self._local] == least,
        )

    def _answers(self, peer: Peer) -> bool:
        """Whether the answer of a player who was asked may come: that process is there, and is heard of."""
        return peer.present and not peer.interrupted and (peer.index, peer.incarnation) in self._asked_once

    def _is_away(self, peer: Peer) -> bool:
        """Whether somebody is away for everybody who is here: nothing counts that they alone hold.

        Who has come back, too, says nothing of that: they play with nobody yet.
        """
        here = [one for one in self._peers.values() if one.present and one.index not in self._knew_nothing]
        told = [self._away.get(other.index) for other in here]
        away = peer.state in _NOT_GREETED or peer.state is PeerState.AWAY
        return away and bool(told) and all(one is not None and peer.index in one for one in told)

    def _has_all_of(self, past: Past, digests_here: int) -> bool:
        if past.episode > past.newest:
            return True
        held = self.history.episodes[past.episode - 1].held
        known = all(ours >= theirs for ours, theirs in zip(held, past.held, strict=True))
        return known and digests_here >= past.digest_count

    def _recall(self, peer: Peer, episode: int, now: float) -> None:
        self._asked, self.ask_again_at = (peer.index, episode), None
        self._asked_once.add((peer.index, peer.incarnation))
        there = episode <= len(self.history.episodes)
        held = self.history.episodes[episode - 1].held if there else (0,) * (len(self._peers) + 1)
        digests_here = self._digests_here.get((peer.index, peer.incarnation, episode), 0)
        self._outputs.send(peer, Recall(episode, held, digests_here, self.claims), now)

    def _finish(self, peer: Peer, now: float) -> None:
        self._asked = None
        if self.claims:
            self._done.add(peer.index)
        else:
            self.rests = peer.index not in self._knew_nothing
        self.look(now)

    def _fail(self, why: str) -> None:
        self.complete, self.failed = False, True
        self._outputs.emit(ReturnFailed(why))


def _may_be_asked(peer: Peer) -> bool:
    greeted = peer.state is PeerState.PLAYING or peer.state is PeerState.RETURNING
    return greeted and not peer.interrupted
