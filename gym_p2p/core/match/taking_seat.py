"""A player who has come back takes the match up where it stands, plays it again, and takes the seat.

::

    ASKING         --somebody has answered-->      LOOKING_ON      where others act for us: the user's half
                                                                   gets what everybody holds
    LOOKING_ON     --LearnMore-->                  ASKING
    ASKING         --everybody has answered-->     PLAYING_AGAIN   the user's half gets every episode
    PLAYING_AGAIN  --TakeSeat, nothing differs-->  SEATED          the others get TookSeat
    any but SEATED --give_up()-->                  FAILED

While the user's half plays again, the match takes in whatever comes as at any other time. Of its digests
those are compared that the others had; none is sent before the seat is taken, and then only the newest, which
others may still wait for.

Knows the parts of a match and the order in which they are brought to where the others are; refuses to know
how that was found out (:mod:`gym_p2p.core.match.catching_up`). Times are monotonic seconds, passed in.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping

from gym_p2p.core.match.barrier import Barrier
from gym_p2p.core.match.catching_up import CatchingUp
from gym_p2p.core.match.commands import LearnMore, TakeSeat
from gym_p2p.core.match.comparison import Comparison
from gym_p2p.core.match.course import Course
from gym_p2p.core.match.events import Desynced, Disagreement
from gym_p2p.core.match.handshake import Handshake
from gym_p2p.core.match.history import History
from gym_p2p.core.match.input_exchange import InputExchange
from gym_p2p.core.match.membership import Departures
from gym_p2p.core.match.outputs import Outputs
from gym_p2p.core.match.peer import Peer
from gym_p2p.core.match.return_events import CanReturn, PastComplete, PastSoFar, ReturnFailed, SeatTaken
from gym_p2p.core.wire.messages import Checksum, Message
from gym_p2p.core.wire.past import ACTORS_MOST, TookSeat

__all__ = ["TakingSeat"]

_DIGESTS_OF_FRAMES = 256
"""Of so many newest frames the others may wait for our digests: more than they can have played beyond the
newest that our process before sent one of."""


class _State(enum.Enum):
    ASKING = "asking"
    LOOKING_ON = "looking on"
    PLAYING_AGAIN = "playing again"
    SEATED = "seated"
    FAILED = "failed"


class TakingSeat:
    """One player's way back to the seat.

    Args:
        catching_up: asks for what was played.
        limit_s: how long it may take until everybody has answered.
        on_known: called once it is known what was played: from then on messages are taken in as they come.
        handle: takes in a message that was put off; never raises.

    Attributes:
        knows: whether it is known what was played; before it is, no word can be said of it.
    """

    def __init__(
        self,
        catching_up: CatchingUp,
        *,
        local: int,
        peers: Mapping[int, Peer],
        outputs: Outputs,
        handshake: Handshake,
        barrier: Barrier,
        exchange: InputExchange,
        departures: Departures,
        comparison: Comparison,
        course: Course,
        limit_s: float,
        on_known: Callable[[float], None],
        handle: Callable[[Peer, Message, float], None],
    ) -> None:
        self._limit_s = limit_s
        self._began_at: float | None = None
        self._on_known = on_known
        self._catching_up = catching_up
        self._local = local
        self._peers = peers
        self._outputs = outputs
        self._handshake = handshake
        self._barrier = barrier
        self._exchange = exchange
        self._departures = departures
        self._comparison = comparison
        self._course = course
        self._handle = handle
        self._state = _State.ASKING
        self._differs: Desynced | None = None
        self.knows = False

    @property
    def asks(self) -> bool:
        """Whether it is not known yet what was played, and may be."""
        return self._state is _State.ASKING or self._state is _State.LOOKING_ON

    @property
    def found_no_way(self) -> bool:
        """Whether it will never be known what was played; the others count us as gone, or wait for us."""
        return self._state is _State.FAILED and not self.knows

    def give_up(self) -> None:
        """Ask for nothing any more, and take no seat that is not taken: we leave."""
        if not self.seated:
            self._state = _State.FAILED
            self._catching_up.failed = True

    @property
    def seated(self) -> bool:
        """Whether the seat is taken."""
        return self._state is _State.SEATED

    @property
    def until(self) -> float | None:
        """When :meth:`look` is wanted at the latest; ``None`` while nobody has been reached, and later on."""
        began_at, again_at = self._began_at, self._catching_up.ask_again_at
        if self._state is not _State.ASKING or began_at is None:
            return None
        limit_at = began_at + self._limit_s
        return limit_at if again_at is None else min(limit_at, again_at)

    def look(self, now: float) -> None:
        """Take the match up once everything is known."""
        if not self.asks:
            return
        catching_up = self._catching_up
        self._began_at = now if self._began_at is None else self._began_at
        catching_up.look(now)
        answered = catching_up.complete or catching_up.rests
        if not answered and self._began_at + self._limit_s <= now:
            catching_up.give_up()
        if catching_up.failed:
            self._state = _State.FAILED
        elif catching_up.complete:
            self._take_up(now)
        elif catching_up.rests and self._state is _State.ASKING:
            self._tell_so_far()

    def go_on(self, command: LearnMore | TakeSeat, now: float) -> None:
        """Carry out a request of the user's half, which has played again what it was told."""
        if isinstance(command, TakeSeat):
            self._take(command.caught_up, now)
        elif self._state is _State.LOOKING_ON:
            self._state, self._began_at = _State.ASKING, now
            self._catching_up.ask_on(claims=command.claims)
            self.look(now)

    def _tell_so_far(self) -> None:
        past = self._catching_up.episodes(self._barrier)
        if past is None:
            self._state = _State.FAILED
            return
        self._state = _State.LOOKING_ON
        self._outputs.emit(*past)
        self._add_digests()
        self._outputs.emit(PastSoFar())

    def _add_digests(self) -> None:
        """Have those of the others compared with ours, as soon as these are here."""
        digests = self._catching_up.digests
        for player, checksum in digests:
            self._outputs.emit(*self._comparison.add(player, checksum))
        digests.clear()

    def _take_up(self, now: float) -> None:
        catching_up, outputs = self._catching_up, self._outputs
        past = catching_up.episodes(self._barrier)
        if past is None:
            self._state = _State.FAILED
            return
        self._state, self.knows = _State.PLAYING_AGAIN, True
        self._on_known(now)
        handshake = self._handshake
        outputs.emit(handshake.close(), CanReturn(handshake.rejoin_s, handshake.keys), *past)
        self._restore(catching_up.history)
        self._add_digests()
        words = catching_up.next_words()
        own = words.get(self._local)
        outputs.emit(PastComplete(self._exchange.episode, waits=own is not None))
        if own is not None:
            self._barrier.wait(own, now)
            outputs.broadcast(self._peers.values(), own, now)
        for player, peer in self._peers.items():
            if player in words:
                peer.ready[words[player].episode] = words[player]
                self._course.finished(peer, words[player])
        for peer, message in catching_up.put_off:
            self._handle(peer, message, now)
        self._course.carry_out(self._departures.come_back(now), now)

    def _restore(self, history: History) -> None:
        """Be in the episode that the others are in, with all that they hold."""
        self._exchange.history = history
        if not history.episodes:
            return
        number, ready = len(history.episodes), history.episodes[-1].ready
        self._exchange.begin(number, {player: one.delay for player, one in ready.items()})
        self._exchange.restore(history)
        for player, peer in self._peers.items():
            peer.ready[number] = ready[player]

    def compare(self, checksum: Checksum) -> None:
        """Compare a digest of what was played again."""
        for event in self._comparison.add(self._local, checksum):
            self._outputs.emit(event)
            if isinstance(event, Desynced) and event.of is Disagreement.OUTCOMES:
                self._differs = self._differs or event

    def _take(self, caught_up: int, now: float) -> None:
        """Take the seat, unless something differs: what was played again is another game then."""
        if self._state is not _State.PLAYING_AGAIN:
            return
        differs = self._differs
        if differs is not None:
            self._state = _State.FAILED
            where = f"frame {differs.frame} of episode {differs.episode}"
            self._outputs.emit(ReturnFailed(f"played again, {where} does not come out as the others have it"))
            return
        self._state = _State.SEATED
        episode, given = self._exchange.episode, self._exchange.given
        history = self._exchange.history
        left_at, tail = (episode, given), b""
        if history is not None:
            left_at, tail = history.left_at(self._local, given), history.tail(self._local, given, ACTORS_MOST)
        took_seat = TookSeat(episode, given, caught_up, *left_at, tail)
        self._outputs.tell_all(self._peers.values(), took_seat, now)
        for checksum in self._newest_digests():
            self._outputs.broadcast(self._peers.values(), checksum, now)
        for peer in self._peers.values():
            if peer.playing and episode:
                self._outputs.send(peer, self._exchange.message(peer, now), now)
        self._outputs.emit(SeatTaken(episode, given, left_at))

    def _newest_digests(self) -> list[Checksum]:
        history = self._exchange.history
        played = [] if history is None else history.episodes
        return [
            Checksum(number, frame, digest)
            for number, one in list(enumerate(played, 1))[-2:]
            for frame, digest in one.digests
            if frame + _DIGESTS_OF_FRAMES >= len(one.inputs[self._local])
        ]
