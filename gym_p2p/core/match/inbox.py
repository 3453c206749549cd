"""What arrives from the peers: bytes to messages, and each to what it is about.

Knows what each message means for which part of the match, and when it may come; refuses to know timers and
the user's requests. Whatever the bytes are, nothing is raised: what the protocol does not allow is counted,
and a peer who sends too much of it is counted as gone.
"""

from __future__ import annotations

from gym_p2p.core.match.barrier import Barrier
from gym_p2p.core.match.catching_up import CatchingUp
from gym_p2p.core.match.checksum_post import ChecksumPost
from gym_p2p.core.match.claims import check_frames
from gym_p2p.core.match.comparison import Comparison
from gym_p2p.core.match.course import Course
from gym_p2p.core.match.deadlines import Deadlines
from gym_p2p.core.match.events import Connected, HandshakeMismatch, ProtocolErrorSeen, Resumed, Source
from gym_p2p.core.match.forwards import Forwards
from gym_p2p.core.match.handshake import Handshake, refusal
from gym_p2p.core.match.input_exchange import InputExchange
from gym_p2p.core.match.keeping import Keeping
from gym_p2p.core.match.leaving import Leaving
from gym_p2p.core.match.membership import Departures
from gym_p2p.core.match.outputs import Outputs
from gym_p2p.core.match.passed_on import PassedOn
from gym_p2p.core.match.peer import PROTOCOL_ERRORS_MOST, Loss, Peer, PeerState
from gym_p2p.core.match.reaching import Reaching
from gym_p2p.core.match.refusing import Refusing
from gym_p2p.core.match.rerouting import Rerouting
from gym_p2p.core.match.return_events import CanReturn
from gym_p2p.core.match.returning import Returning
from gym_p2p.core.match.terms import shown
from gym_p2p.core.match.ways import DIRECT, Way
from gym_p2p.core.match.ways_round import WaysRound
from gym_p2p.core.wire.acting import Keep, Kept, ReadyFor
from gym_p2p.core.wire.forwarded import ForwardedControl, ForwardedGame
from gym_p2p.core.wire.fragments import is_fragment
from gym_p2p.core.wire.messages import (
    ActedFor,
    Cause,
    Checksum,
    Continue,
    Goodbye,
    Hello,
    Holdings,
    Inputs,
    Message,
    Ping,
    Pong,
    Ready,
    Refuse,
    Relay,
    Resume,
    Share,
    StatePart,
    decode,
)
from gym_p2p.core.wire.past import Past, PastWord, Recall, TookSeat
from gym_p2p.errors import ProtocolError

__all__ = ["Inbox"]

_PLAYING = PeerState.PLAYING
_NOT_GREETED = frozenset({PeerState.CONNECTING, PeerState.GREETING})
_BEFORE_HANDSHAKE = frozenset({Hello, Refuse, Goodbye, Continue, Ping, Pong})
_OF_WHO_LOOKS_ON = _BEFORE_HANDSHAKE | {Recall, PastWord, Past, TookSeat, Inputs, ForwardedGame}
"""Of the last two are those that have overtaken a :class:`TookSeat`."""
_NOT_COUNTED = frozenset({Inputs, Ping, Pong, Resume, Continue, ForwardedGame})
"""All but the control messages."""
_PUT_OFF = frozenset({Ready, Checksum, Goodbye, Share, Relay, Holdings, Keep, ActedFor, ReadyFor})
"""What a player who catches up takes in once they have."""
_NOT_FOR_WHO_CATCHES_UP = frozenset({Inputs, StatePart})
_AMID_A_CHANGE = frozenset({Inputs, Ping, Pong, ForwardedGame, Continue})
"""What is taken in over any way: what may come twice and in any order, and what agrees on a way."""


class Inbox:
    """What arrives at one player of one match."""

    def __init__(
        self,
        *,
        outputs: Outputs,
        handshake: Handshake,
        barrier: Barrier,
        exchange: InputExchange,
        departures: Departures,
        comparison: Comparison,
        checksum_post: ChecksumPost,
        course: Course,
        leaving: Leaving,
        returning: Returning,
        keeping: Keeping,
        refusing: Refusing,
        rerouting: Rerouting,
        ways_round: WaysRound,
        reaching: Reaching,
        forwards: Forwards,
        deadlines: Deadlines,
    ) -> None:
        self.catching_up: CatchingUp | None = None
        """Asks for what was played, while we have come back and do not know it."""
        self._caught_up = False
        """Whether we have come back, and know it."""
        self._outputs = outputs
        self._handshake = handshake
        self._barrier = barrier
        self._exchange = exchange
        self._departures = departures
        self._comparison = comparison
        self._checksum_post = checksum_post
        self._course = course
        self._leaving = leaving
        self._returning = returning
        self._keeping = keeping
        self._rerouting = rerouting
        self._deadlines = deadlines
        self.passed_on = PassedOn(
            outputs=outputs,
            returning=returning,
            rerouting=rerouting,
            ways_round=ways_round,
            reaching=reaching,
            refusing=refusing,
            forwards=forwards,
            is_there=self._is_there,
            take=self._take,
        )
        """Takes in what others pass on."""
        self._handlers = {
            Hello: self._on_hello,
            Refuse: self._on_refuse,
            Ready: self._on_ready,
            Checksum: self._on_checksum,
            Goodbye: self._on_goodbye,
            Share: self._on_hearsay,
            Relay: self._on_hearsay,
            Holdings: self._on_holdings,
            StatePart: self._on_state_part,
            Inputs: self._on_inputs,
            Resume: self._on_resume,
            Recall: self._on_recall,
            PastWord: self._on_past,
            Past: self._on_past,
            TookSeat: self._on_took_seat,
            Keep: keeping.take_keep,
            Kept: keeping.take_kept,
            ActedFor: keeping.take_acted,
            ReadyFor: keeping.take_ready,
        }
        self._of_a_way = {
            Continue: self._on_continue,
            ForwardedGame: self.passed_on.by_player,
            ForwardedControl: self.passed_on.by_player,
            Ping: self._on_ping,
            Pong: self._on_pong,
        }
        """What means something for the way that it came."""

    def receive(self, peer: Peer, data: bytes, now: float) -> None:
        """Take in one message, or a piece of one, that came directly from a peer who is present."""
        self._is_there(peer, DIRECT, now)
        self._take(peer, DIRECT, data, now)

    def _is_there(self, peer: Peer, way: Way, now: float) -> None:
        """Take note of a sign of life."""
        silent_s = peer.received_something(now)
        if silent_s is not None:
            self._deadlines.forget()
            if peer.away_at is None:
                self._outputs.emit(Resumed(peer.index, silent_s, way.kind))
        if not (peer.ways.now is DIRECT is way and not peer.control.held_back):
            self._rerouting.heard(peer, way, now)

    def _take(self, peer: Peer, way: Way, data: bytes, now: float) -> None:
        try:
            if peer.ways.now is DIRECT is way and not peer.control.held_back:
                whole = peer.reassembler.add(data)
            else:
                whole = self._amid_a_change(peer, way, data)
            if whole is None:
                return
            message = decode(whole)
            if type(message) is Inputs and peer.state is _PLAYING and self.catching_up is None:
                self._on_inputs(peer, message, now)  # nearly always
            else:
                self._handle(peer, way, message, now)
        except ProtocolError as error:
            self._complain(peer, error, now)

    def _amid_a_change(self, peer: Peer, way: Way, data: bytes) -> bytes | None:
        """Return a whole message of those that count now; what was sent before a change does not."""
        if way == peer.ways.now and not peer.control.held_back:
            return peer.reassembler.add(data)
        return data if not is_fragment(data) and type(decode(data)) in _AMID_A_CHANGE else None

    def _complain(self, peer: Peer, error: ProtocolError, now: float) -> None:
        self._deadlines.forget()
        peer.protocol_errors += 1
        self._outputs.emit(ProtocolErrorSeen(peer.index, error.problem, peer.protocol_errors))
        if peer.protocol_errors >= PROTOCOL_ERRORS_MOST:
            self._course.lose(peer, Loss(Cause.REMOVED), now)

    def _handle(self, peer: Peer, way: Way, message: Message, now: float) -> None:
        if peer.state in _NOT_GREETED and type(message) not in _BEFORE_HANDSHAKE:
            if isinstance(message, ForwardedGame):
                return  # for us we had greeted each other: it has overtaken their greeting
            raise ProtocolError("message before the handshake")
        if type(message) not in _NOT_COUNTED:
            peer.control.received += 1
        if type(message) is Goodbye:  # whatever becomes of it here: they wait to be told that it came
            self._outputs.acknowledge_control(peer, now)
        if peer.looks_on and type(message) not in _OF_WHO_LOOKS_ON:
            raise ProtocolError("message of somebody who looks on")
        if self.catching_up is not None and self._is_put_off(peer, message, self.catching_up):
            return
        self.handle(peer, way, message, now)

    def _is_put_off(self, peer: Peer, message: Message, catching_up: CatchingUp) -> bool:
        """Whether a message is not for now, while we catch up; who is gone by it is not asked any more."""
        if isinstance(message, Holdings):
            if peer.index in message.gone or self._exchange.local in message.gone:
                return False
            catching_up.are_gone(message)
        if type(message) in _PUT_OFF:
            catching_up.put_off_or_drop(peer, message)
        return type(message) in _PUT_OFF or type(message) in _NOT_FOR_WHO_CATCHES_UP

    def handle(self, peer: Peer, way: Way, message: Message, now: float) -> None:
        """Take in a message that may come now.

        Raises:
            ProtocolError: its sender cannot mean that.
        """
        if (handler := self._handlers.get(type(message))) is not None:
            handler(peer, message, now)  # type: ignore[operator]  # the table pairs them
        else:
            self._of_a_way[type(message)](peer, way, message, now)  # type: ignore[operator]  # as above
        if isinstance(message, Ping | Pong) and peer.ways.now is DIRECT is way:
            self._deadlines.pinged(peer)
        elif not isinstance(message, Inputs):
            self._deadlines.forget()

    def end_catching_up(self, now: float) -> None:
        """Take in every message as it comes, from now on."""
        self.catching_up, self._caught_up = None, True
        self._returning.came_back(now)

    def handle_late(self, peer: Peer, message: Message, now: float) -> None:
        """Take in a message that was put off, which was sent when it was allowed. Nothing is raised."""
        passed = self._exchange.episode + isinstance(message, Ready)
        if isinstance(message, Ready | Checksum) and message.episode < passed:
            return  # others have played on meanwhile
        try:
            self.handle(peer, DIRECT, message, now)
        except ProtocolError as error:
            peer.protocol_errors += 1
            self._outputs.emit(ProtocolErrorSeen(peer.index, error.problem, peer.protocol_errors))

    def _on_hello(self, peer: Peer, message: Hello, now: float) -> None:
        outcome = self._handshake.receive(peer, message)
        if isinstance(outcome, HandshakeMismatch):
            self._outputs.send(peer, refusal(outcome.differences), now)
            if peer.away_at is not None:  # the match goes on: they may come again as who they were
                self._returning.turn_away(peer, now)
                return
        if self._returning.greeted(peer) and self.catching_up is None and not peer.looks_on:
            self._course.carry_out(self._departures.brief(peer), now)
        if self.catching_up is not None:
            self.catching_up.look(now)
            if not isinstance(outcome, HandshakeMismatch):
                return
        if outcome is not None:
            self._outputs.emit(outcome)
        if isinstance(outcome, Connected):
            if self._handshake.rejoin_s:
                self._outputs.emit(CanReturn(self._handshake.rejoin_s, self._handshake.keys))
            else:
                self._exchange.history = None
        self._course.pass_barrier(now)

    def _on_refuse(self, peer: Peer, message: Refuse, now: float) -> None:  # noqa: ARG002 - handlers have one shape
        if peer.refused or self._exchange.episode:
            raise ProtocolError("refusal after the handshake")
        peer.refused = True
        if not peer.mismatch_told:
            peer.mismatch_told = True
            swapped = tuple(shown((what, ours, theirs)) for what, theirs, ours in message.differences)
            self._outputs.emit(HandshakeMismatch(peer.index, swapped))

    def _on_inputs(self, peer: Peer, message: Inputs, now: float) -> None:
        self._course.take_inputs(peer, message, now)
        if peer.ways.now is DIRECT:
            self._deadlines.inputs_arrived(now)
        else:
            self._deadlines.forget()

    def _on_ready(self, peer: Peer, message: Ready, now: float) -> None:
        if (peer.incarnation or self._caught_up) and peer.ready.get(message.episode) == message:
            return  # they said so before they were away, or we were
        if message.episode == self._exchange.episode + 1:
            check_frames(peer, message.frames, given=self._exchange.given)
        self._barrier.receive(peer, message, self._exchange.episode)
        if message.episode == self._exchange.episode + 1:
            self._course.finished(peer, message)
        self._course.pass_barrier(now)

    def _on_goodbye(self, peer: Peer, message: Goodbye, now: float) -> None:
        if self._returning.will_not_come(peer, message):
            self._course.lose(peer, Loss(Cause.LEFT, Source.GOODBYE, words=message), now)
            return
        if peer.looks_on:
            raise ProtocolError("message of somebody who looks on")
        self._checksum_post.flush(now)  # they wait for ours before they go
        self._course.carry_out(self._departures.leave(peer, message, now), now)
        self._outputs.emit(*self._comparison.leave(peer.index))

    def _on_checksum(self, peer: Peer, message: Checksum, now: float) -> None:  # noqa: ARG002 - one shape
        if not self._exchange.can_be_final(message.episode, message.frame):
            if self._leaving.since is not None:
                return  # they play on without us
            raise ProtocolError("checksum of a frame that cannot be final")
        self._outputs.emit(*self._comparison.add(peer.index, message))

    def _on_state_part(self, peer: Peer, message: StatePart, now: float) -> None:  # noqa: ARG002 - one shape
        self._outputs.emit(*self._comparison.add_state(peer.index, message))

    def _on_resume(self, peer: Peer, message: Resume, now: float) -> None:  # noqa: ARG002 - one shape
        raise ProtocolError("introduction over a link that is in use")

    def _on_continue(self, peer: Peer, way: Way, message: Continue, now: float) -> None:
        try:
            self._rerouting.take_continue(peer, way, message, now)
        except ProtocolError:  # what they lack is not to be had any more: there is no going on
            self._course.lose(peer, Loss(Cause.LOST), now)
            raise

    def _on_recall(self, peer: Peer, message: Recall, now: float) -> None:
        claimed_now = message.claims and peer.looks_on
        if claimed_now:
            peer.claim_seat()
        if self.catching_up is not None:
            self.catching_up.answer(peer, message, now)
            return
        if claimed_now:
            self._course.carry_out(self._departures.brief(peer), now)
        self._returning.answer(peer, message, now)

    def _on_past(self, peer: Peer, message: Past | PastWord, now: float) -> None:
        if self._caught_up:
            return  # an answer that took so long that others were asked
        if self.catching_up is None:
            raise ProtocolError("past that was not asked for")
        if isinstance(message, Past):
            self.catching_up.take_past(peer, message, now)
        else:
            self.catching_up.take_word(message)

    def _on_took_seat(self, peer: Peer, message: TookSeat, now: float) -> None:
        self._returning.took_seat(peer, message, now)
        if self.catching_up is not None:
            self.catching_up.knows_now(peer, now)

    def _on_ping(self, peer: Peer, way: Way, message: Ping, now: float) -> None:
        peer.control.acknowledge(message.control_count)
        micros = int(now * 1e6)
        pong = Pong(message.number, message.sent_us, micros, micros)
        if way == peer.ways.now:
            self._outputs.send(peer, pong, now)
            self._rerouting.lags(peer, message.control_count, now)
        elif way is DIRECT:
            self._outputs.send_beside(peer, pong)

    def _on_pong(self, peer: Peer, way: Way, message: Pong, now: float) -> None:
        if way == peer.ways.now:
            if (pinged := peer.pings.receive(peer.index, message, now)) is not None:
                self._outputs.emit(pinged)
        elif way is DIRECT and peer.ways.beside is not None:
            peer.ways.beside.receive(peer.index, message, now)

    def _on_hearsay(self, peer: Peer, message: Share | Relay, now: float) -> None:
        if not (isinstance(message, Share) and self._keeping.puts_off(peer, message)):
            self._course.carry_out(self._departures.receive_hearsay(peer, message, now), now)

    def _on_holdings(self, peer: Peer, message: Holdings, now: float) -> None:
        self._course.carry_out(self._departures.receive_holdings(peer, message, now), now)
