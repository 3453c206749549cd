"""How a match goes on: episodes begin, inputs are taken, players are lost, and what follows from each.

Knows what one such step makes due in the others: who is lost may open the barrier, the barrier begins an
episode, and that takes in what came too early. Refuses to know which message or timer brought it about:
those are :mod:`gym_p2p.core.match.inbox` and :mod:`gym_p2p.core.match.match`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gym_p2p.core.match.barrier import Barrier
from gym_p2p.core.match.claims import check_inputs
from gym_p2p.core.match.comparison import Comparison
from gym_p2p.core.match.events import EpisodeBegan, PlayerFinished
from gym_p2p.core.match.input_exchange import InputExchange
from gym_p2p.core.match.membership import DepartureOutput, Departures
from gym_p2p.core.match.outputs import Outputs
from gym_p2p.core.match.peer import Loss, Peer, PeerState
from gym_p2p.core.wire.messages import Inputs, Ready
from gym_p2p.core.wire.past import TookSeat

__all__ = ["Course"]

_RETURNING = PeerState.RETURNING


class Course:
    """The course of one match, at one player.

    Args:
        local: the local player's index.
        peers: all others, in the order of their indices.
        outputs: where requests and events go.
    """

    def __init__(
        self,
        *,
        local: int,
        peers: Mapping[int, Peer],
        outputs: Outputs,
        barrier: Barrier,
        exchange: InputExchange,
        departures: Departures,
        comparison: Comparison,
    ) -> None:
        self._local = local
        self._peers = peers
        self._outputs = outputs
        self._barrier = barrier
        self._exchange = exchange
        self._departures = departures
        self._comparison = comparison

    def pass_barrier(self, now: float) -> None:
        """Begin the next episode, if everybody is there for it."""
        ready = self._barrier.open(now)
        if ready is None:
            return
        delays = {player: one.delay for player, one in ready.items()}
        if self._exchange.history is not None:
            self._exchange.history.begin(ready)
        self._exchange.begin(ready[self._local].episode, delays)
        outcome = self._barrier.agree(ready)
        self._outputs.emit(outcome)
        self.carry_out(self._departures.begin_episode(now), now)
        if isinstance(outcome, EpisodeBegan):
            self._catch_up(now)

    def _catch_up(self, now: float) -> None:
        """Take in what faster peers sent of this episode before it began here."""
        for peer in self._peers.values():
            early, peer.early = peer.early, None
            if early is not None:
                now_by_service, peer.ways.by_service = peer.ways.by_service, peer.ways.early_by_service
                self.take_inputs(peer, early, now)
                peer.ways.by_service = now_by_service
            following = peer.ready.get(self._exchange.episode + 1)
            if following is not None and (peer.state is PeerState.PLAYING or peer.absent):
                self.finished(peer, following)

    def finished(self, peer: Peer, ready: Ready) -> None:
        """Tell how many inputs there are of a player in this episode, by their word at the next barrier."""
        peer.told = PlayerFinished(peer.index, ready.frames)
        self._outputs.emit(peer.told)

    def take_inputs(self, peer: Peer, message: Inputs, now: float) -> None:
        """Take in a player's inputs; those of an episode that has not begun here yet are kept for it.

        Raises:
            ProtocolError: the sender cannot hold, have given, or be ahead as they say.
        """
        if peer.state is _RETURNING:
            return  # ahead of the word that they play on, which comes over another channel
        is_early = message.episode == self._exchange.episode + 1
        if message.episode != self._exchange.episode and not is_early:
            return
        given = 0 if is_early else self._exchange.given
        check_inputs(peer, message, local=self._local, given=given, peers=self._peers)
        if is_early:
            peer.early, peer.ways.early_by_service = message, peer.ways.by_service
            return
        peer.acknowledges(message, self._local)
        peer.reported_at = now
        inputs, start = message.inputs, message.start
        actors = b"" if peer.acted_until is None else self._acted(peer, peer.acted_until, inputs, start)
        arrived = self._exchange.arrived(peer, start, inputs, now, actors)
        if arrived is not None:
            self._outputs.emit(arrived)
            if arrived.inputs:
                return
        if message.inputs and peer.may_acknowledge(now, self._exchange.tick_s):
            self._outputs.send(peer, self._exchange.message(peer, now), now)

    def _acted(self, peer: Peer, seat: TookSeat, inputs: Sequence[bytes], start: int) -> bytes:
        """Return who chose inputs that come from a player who is back, but may be of before."""
        if self._exchange.episode != seat.episode or peer.remote_inputs.count >= seat.frame:
            if self._exchange.episode >= seat.episode:
                peer.acted_until = None
            return b""
        first = seat.frame - len(seat.actors)
        known = seat.actors[max(0, start - first) : max(0, start + len(inputs) - first)]
        if start < first:
            known = bytes(min(first - start, len(inputs))) + known
        actors = known + bytes(len(inputs) - len(known))
        return actors if any(actors) else b""

    def lose(self, peer: Peer, loss: Loss, now: float) -> None:
        """Count a player as gone, once."""
        if peer.state is not PeerState.GONE:
            self.carry_out(self._departures.lose(peer, loss, now), now)

    def carry_out(self, outputs: Iterable[DepartureOutput], now: float) -> None:
        """Send and emit what departures make due, and begin what they let begin."""
        for output in outputs:
            if isinstance(output, tuple):
                self._outputs.send(*output, now)
            else:
                self._outputs.emit(output)
        self._exchange.reconsider()
        for player, peer in self._peers.items():
            if peer.state is PeerState.GONE:
                self._outputs.emit(*self._comparison.leave(player))
        self.pass_barrier(now)
