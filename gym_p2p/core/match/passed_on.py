"""What others pass on arrives: the service's, and a third player's, for us or for somebody else.

Knows whether it is true and new, and on which way it counts; refuses to know what it says: that is
:mod:`gym_p2p.core.match.inbox`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from gym_p2p.core.match.forwards import Forwarded, Forwards
from gym_p2p.core.match.outputs import Outputs
from gym_p2p.core.match.peer import Peer, PeerState
from gym_p2p.core.match.reaching import Reaching
from gym_p2p.core.match.refusing import Refusing
from gym_p2p.core.match.rerouting import Rerouting
from gym_p2p.core.match.returning import Returning
from gym_p2p.core.match.ways import SERVICE, Way, WayKind, through
from gym_p2p.core.match.ways_round import WaysRound
from gym_p2p.core.wire.forwarded import ForwardedGame
from gym_p2p.core.wire.fragments import is_fragment
from gym_p2p.core.wire.messages import Continue, decode
from gym_p2p.errors import ProtocolError

__all__ = ["PassedOn"]


class PassedOn:
    """What others pass on to one player of one match.

    Args:
        is_there: takes note of a sign of life that came over a way.
        take: takes in what was wrapped, as if it had come directly; never raises.
    """

    def __init__(
        self,
        *,
        outputs: Outputs,
        returning: Returning,
        rerouting: Rerouting,
        ways_round: WaysRound,
        reaching: Reaching,
        refusing: Refusing,
        forwards: Forwards,
        is_there: Callable[[Peer, Way, float], None],
        take: Callable[[Peer, Way, bytes, float], None],
    ) -> None:
        self._outputs = outputs
        self._returning = returning
        self._rerouting = rerouting
        self._ways_round = ways_round
        self._reaching = reaching
        self._refusing = refusing
        self._forwards = forwards
        self._is_there = is_there
        self._take_wrapped = take

    def by_service(self, peer: Peer, data: bytes, now: float) -> None:
        """Take in what the service passed on of a peer. Whatever the bytes are, nothing is raised."""
        message = self._forwards.by_service(data, peer)
        if message is not None and self._ways_round.allow(WayKind.SERVICE):
            peer.ways.by_service = True
            self._take(peer, SERVICE, message, now)
            peer.ways.by_service = False

    def by_player(self, peer: Peer, _way: Way, message: Forwarded, now: float) -> None:
        """Take in what a third player passed on, or pass on what they send to somebody else.

        Raises:
            ProtocolError: it is not to be passed on by them, or not for us.
        """
        if not self._ways_round.allow(WayKind.PLAYER):
            return
        if message.origin == peer.index:
            onward = self._forwards.pass_on(peer, message, now)
            if onward is not None:
                recipient, told = onward
                self._outputs.send(recipient, message, now)
                if told is not None:
                    self._outputs.emit(told)
            return
        self._take(self._forwards.origin_of(message), through(peer.index), message, now)

    def _take(self, origin: Peer, way: Way, message: Forwarded, now: float) -> None:
        """Take in what was passed on, if it is true.

        A wrong seal is nobody's fault that could be named: who passes it on cannot see that it is wrong.
        """
        introduced = self._forwards.introduced(message)
        if introduced is not None:
            self._reaching.receive(origin, way, introduced, now)
        elif not self._forwards.is_true(message, way):
            return
        elif origin.state is PeerState.GONE:
            self._tell_gone(origin, way, message)
        else:
            self._unwrap(origin, way, message, now)

    def _tell_gone(self, peer: Peer, way: Way, message: Forwarded) -> None:
        """Answer somebody who is gone for us, and takes this way."""
        if isinstance(message, ForwardedGame) or is_fragment(message.message):
            return
        with contextlib.suppress(ProtocolError):
            word = decode(message.message)
            if isinstance(word, Continue):
                self._rerouting.tell_gone(peer, way, word)

    def _unwrap(self, peer: Peer, way: Way, message: Forwarded, now: float) -> None:
        """Take in what was passed on; of control messages those of this change, each in its turn.

        What may have been repeated by who passes it on is no sign of life.
        """
        ways = peer.ways
        if isinstance(message, ForwardedGame):
            is_new = message.number > ways.newest
            ways.newest = max(ways.newest, message.number)
        elif not message.number:
            is_new = message.change > ways.change or (
                message.change == ways.change and peer.control.held_back
            )
        else:
            if peer.control.held_back or way != ways.now or message.change != ways.change:
                return
            if message.number != ways.taken + 1:
                if message.number > ways.taken:
                    self._rerouting.take_gap(peer, now)
                return
            ways.taken, is_new = message.number, True
        if is_new and peer.state is PeerState.AWAY:
            if self._returning.may_wake(peer, way):
                self._returning.woke(peer, way, now)
            else:
                self._refusing.refuse(peer, way, message.message, now)
        if peer.present or peer.state is PeerState.CONNECTING:
            if is_new:
                self._is_there(peer, way, now)
            self._take_wrapped(peer, way, message.message, now)
