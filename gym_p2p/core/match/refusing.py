"""A process that is over is heard of after all: it stood still, or was cut off, and others played for it.

Where the match went on without it, it is told that it is out: nobody plays on who is not played with. It
ends, and another one may come back in its place. Two sides that did not see each other may both have played
on. Then the one with more players tells the other; of two as large it is the one with the lowest index.

Knows who is there and what they hold; refuses to know how it came to that:
:mod:`gym_p2p.core.match.keeping`. Times are monotonic seconds, passed in.
"""

from __future__ import annotations

from collections.abc import Mapping

from gym_p2p.core.match.course import Course
from gym_p2p.core.match.input_exchange import InputExchange
from gym_p2p.core.match.membership import Departures
from gym_p2p.core.match.outputs import Outputs
from gym_p2p.core.match.peer import Peer
from gym_p2p.core.match.rerouting import Rerouting
from gym_p2p.core.match.ways import DIRECT, Way
from gym_p2p.core.wire.messages import Cause, Continue, Holdings, Message, decode
from gym_p2p.errors import ProtocolError

__all__ = ["Refusing"]

_TOLD_EVERY_S = 0.5
"""Between two times at which a process is told that it is out: it is asked as often whether it is there."""


class Refusing:
    """The processes of others that are over for one player.

    Args:
        local: our index.
        peers: all others, in the order of their indices.
        outputs: where requests and events go.
        rerouting: by which way it is told.
    """

    def __init__(
        self,
        *,
        local: int,
        peers: Mapping[int, Peer],
        outputs: Outputs,
        rerouting: Rerouting,
        exchange: InputExchange,
        departures: Departures,
        course: Course,
    ) -> None:
        self._local = local
        self._peers = peers
        self._outputs = outputs
        self._rerouting = rerouting
        self._exchange = exchange
        self._departures = departures
        self._course = course
        self._told_at: dict[int, float] = {}

    def refuse(self, away: Peer, way: Way, data: bytes, now: float) -> None:
        """Take in what comes of such a process: tell it so, unless it is us who are out.

        A way is agreed upon as with anybody: what is told takes one, too. Nothing is raised, whatever the
        bytes are.
        """
        if not away.played_for or (way is DIRECT and away.closed_at is not None):
            return
        try:
            message: Message | None = decode(data)
            if isinstance(message, Continue):
                self._rerouting.take_continue(away, way, message, now)
        except ProtocolError:
            message = None
        if self._is_larger_side:
            self._tell(away, way, now)
        elif isinstance(message, Holdings) and message.gone == (self._local,):
            self._course.carry_out(self._departures.receive_holdings(away, message, now), now)

    def _tell(self, away: Peer, way: Way, now: float) -> None:
        """Tell a process that it is out, by the way on which it was heard."""
        if self._told_at.get(away.index, -_TOLD_EVERY_S) + _TOLD_EVERY_S > now:
            return
        self._told_at[away.index] = now
        self._rerouting.follow(away, way, now)
        held = away.index, away.remote_inputs.count, Cause.AWAY
        self._outputs.send(away, Holdings(self._exchange.episode, (held,)), now)

    @property
    def _is_larger_side(self) -> bool:
        """Whether more are here than are away; of two halves it is the one with the lowest index."""
        away = [player for player, peer in self._peers.items() if peer.absent]
        here = [self._local, *[player for player, peer in self._peers.items() if peer.takes_part]]
        return (len(here), -min(here)) > (len(away), -min(away, default=0))
