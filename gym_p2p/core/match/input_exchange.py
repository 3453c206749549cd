"""The inputs of one episode between one player and all others: what is here, who lacks what, who is ahead.

Knows counts of every player's inputs at every player, as far as they were reported, and what has to be sent
on account of them; refuses to know channels, barriers and who is lost. Times are monotonic seconds, passed
in.

One message a frame goes to each peer: everything that it has not acknowledged, what we hold of everyone (our
acknowledgement, and our row of the N by N matrix), and how far we think ourselves ahead.

Why this suffices over a channel that loses, doubles and reorders: a message repeats all from the first
input that its recipient has not acknowledged, so whichever of them arrives fills the gap from its own
beginning; what it has in common with what is here is skipped, and what would leave a gap is not taken.
Acknowledgements are counts that only grow, so that an old one changes none. What is confirmed is the least
entry of the matrix of counts (rows: who reports; columns: whose inputs): below it everybody who plays on
holds everything, and as rows only grow it never falls back while the same players are there. A player of
whom there are no more inputs does not hold it up: their column counts as unlimited where it is complete.

Why it comes to rest: a message without inputs is never answered by itself, and one whose inputs are all known
at most once in a while (:meth:`~gym_p2p.core.match.peer.Peer.may_acknowledge`); the answer has inputs only as
long as its recipient lacks some, or has not reported to hold what it was sent.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from gym_p2p.core.match.confirmed import Confirmed
from gym_p2p.core.match.events import FramesAhead, InputsArrived
from gym_p2p.core.match.history import History
from gym_p2p.core.match.input_buffers import LocalInputs, room_for_inputs
from gym_p2p.core.match.peer import Peer, PeerState
from gym_p2p.core.match.unreported import Unreported
from gym_p2p.core.wire.messages import Inputs, Share

__all__ = ["InputExchange"]

_PLAYING = PeerState.PLAYING

TICK_MOST_S = 0.25
"""A longer time between two inputs is thinking, and no rate."""

AHEAD_INTERVAL_S = 0.25
"""Between two reports of how far we are ahead: half of what it is averaged over at 60 Hz."""

_SHARE_BYTES = 16_384
"""Of inputs in one message; well below what a control message may be."""


class InputExchange:
    """The exchange of one episode after the other.

    Args:
        peers: all others, in the order of their indices.
        paced: whether frames have a time, so that being ahead is worth reporting.

    Attributes:
        episode: the running one, from 1; 0 before the first.
        local: our index.
        delay: the local player's input delay.
        given: how many inputs the local player gave in this episode.
        tick_s: the time between two of the local player's inputs, smoothed.
        history: keeps all inputs for players who come back; ``None`` where nobody does.
    """

    def __init__(self, *, local: int, peers: Mapping[int, Peer], paced: bool) -> None:
        self.episode = 0
        self.delay = 0
        self.tick_s = TICK_MOST_S
        self.history: History | None = None
        self._given_at = -math.inf
        self.local = local
        self._peers = peers
        self._paced = paced
        self._given_before = 0
        self._room_bytes = room_for_inputs(len(peers) + 1)
        self._begin()
        self._ahead_reported_at = 0.0

    def begin(self, episode: int, delays: Mapping[int, int]) -> None:
        """Begin an episode with every player's input delay; forget the one before."""
        self.episode = episode
        self.delay = delays[self.local]
        self._given_before = self.given
        for player, peer in self._peers.items():
            peer.begin_episode(episode)
            peer.delay = delays[player]
        self._begin()

    def _begin(self) -> None:
        self._local_inputs = LocalInputs()
        self.given = 0
        self._held = [0] * (len(self._peers) + 1)
        self._confirmed = Confirmed(len(self._held))
        self._settled = False
        self._confirmed_reported = 0
        self._unreported = Unreported(self._peers)

    def restore(self, history: History) -> None:
        """Hold what was played of the episode that has begun, which we have come back to."""
        inputs = history.episodes[-1].inputs
        for data in inputs[self.local]:
            self._local_inputs.add(data)
        self.given = self._held[self.local] = self._local_inputs.count
        for player, peer in self._peers.items():
            peer.remote_inputs.add(0, inputs[player])
            self._held[player] = peer.remote_inputs.count
        self._confirmed.report(self.local, self._held)
        if len(history.episodes) > 1:
            self._given_before = len(history.episodes[-2].inputs[self.local])
        self.history = history

    def can_be_final(self, episode: int, frame: int) -> bool:
        """Whether a frame of this or the last episode can be final for anybody: it takes our input for it."""
        given = {self.episode: self.given, self.episode - 1: self._given_before}.get(episode, 0)
        return frame < given

    def held(self) -> Sequence[int]:
        """Return how many inputs are here, of every player."""
        return self._held

    def reconsider(self) -> None:
        """Take note that others play on than before, or that it is known how many inputs there are of one."""
        self._settled = False

    @property
    def confirmed(self) -> int:
        """For how many frames everybody who plays on holds every player's input."""
        if not self._settled:
            peers = self._peers.items()
            rows = {player: peer.received for player, peer in peers if peer.state is _PLAYING}
            finals = {player: peer.final for player, peer in peers if peer.final is not None}
            self._settled = self._confirmed.look({**rows, self.local: self._held}, finals)
        return self._confirmed.count

    def unreported_since(self, peer: Peer) -> float | None:
        """Return since when inputs are here that were not reported to a peer; ``None`` if all were."""
        return self._unreported.since(peer.index)

    def lacks_ours(self, peer: Peer) -> bool:
        """Whether a peer has not acknowledged all of our inputs."""
        return peer.acknowledged < self._local_inputs.count

    def add_local_input(self, data: bytes, now: float) -> Sequence[FramesAhead | InputsArrived]:
        """Take the local player's next input; return what follows: how far we are ahead, if that is due.

        Where nobody else plays any more, nothing comes that could report it: then this input is what makes
        its frame one that everybody who plays on has.
        """
        self._local_inputs.add(data)
        self.given = self._held[self.local] = self.given + 1
        if self.history is not None:
            self.history.add(self.local, (data,))
        self.tick_s += (min(TICK_MOST_S, now - self._given_at) - self.tick_s) / 8
        self._given_at = now
        ahead = self._ahead(now) if self._paced else None
        for peer in self._peers.values():
            if peer.state is _PLAYING:
                return [] if ahead is None else [ahead]
        arrived = [self.arrived(peer, peer.remote_inputs.count, (), now) for peer in self._peers.values()]
        return [event for event in (ahead, *arrived) if event is not None]

    def arrived(
        self, peer: Peer, start: int, inputs: Sequence[bytes], now: float, actors: bytes = b""
    ) -> InputsArrived | None:
        """Take inputs of a player; return what is new: inputs, or that everybody holds more by now.

        Args:
            peer: they.
            start: the frame of the first one.
            inputs: they.
            now: the time.
            actors: who chose each; empty: the player.
        """
        fresh = peer.remote_inputs.add(start, inputs)
        actors = actors[len(inputs) - len(fresh) :] if actors else b""
        if fresh:
            if self.history is not None:
                self.history.add(peer.index, fresh, actors=actors)
            self._held[peer.index] = peer.remote_inputs.count
            self._unreported.arrived(now)
        self._confirmed.report(self.local, self._held)
        self._confirmed.report(peer.index, peer.received)
        confirmed = self._confirmed.count if self._settled else self.confirmed
        if confirmed > self._confirmed_reported:
            self._confirmed_reported = confirmed
            self._forget()
        elif not fresh:
            return None
        start = peer.remote_inputs.count - len(fresh)
        return InputsArrived(peer.index, start, tuple(fresh), confirmed, peer.ways.by_service, actors)

    def message(self, peer: Peer, now: float) -> Inputs:
        """Return what is to be sent to a peer now.

        Where it lacks none of our inputs, but has not reported that it holds the others', the newest one is
        repeated: a peer answers an input that it has with what it holds.
        """
        local_inputs, held = self._local_inputs, self._held
        start = peer.acknowledged
        if start >= self.given > 0 and peer.lacks(held):
            start = self.given - 1
        start, inputs = local_inputs.after(start, self._room_bytes)
        peer.inputs_sent_at = now
        self._unreported.told(peer.index)
        ahead = peer.frames_ahead(self.given, self.delay)
        return Inputs(self.episode, start, tuple(held), ahead, inputs, self.delay)

    def shares(self, peer: Peer, whose: Peer) -> Iterator[Share]:
        """Return the inputs of another player that a peer may lack."""
        return self.shares_from(peer.received[whose.index], whose)

    def shares_from(self, start: int, whose: Peer) -> Iterator[Share]:
        """Return another player's inputs from a frame on, as far as they are kept."""
        while start < whose.remote_inputs.count:
            start, inputs = whose.remote_inputs.after(start, _SHARE_BYTES)
            actors = b"" if self.history is None else self.history.actors(whose.index, start, len(inputs))
            yield Share(self.episode, whose.index, start, inputs, actors)
            start += len(inputs)

    def _forget(self) -> None:
        """Drop the inputs that everybody has who may need them; of ours the newest stays, to be repeated.

        Who is away may go on as they were. It is time for that when more is confirmed: once a frame, and not
        with every message.
        """
        peers = self._peers.values()
        rows = [peer.received for peer in peers if peer.takes_part or _may_go_on(peer)]
        rows = rows or [self._held]
        least = rows[0] if len(rows) == 1 else [*map(min, *rows)]
        self._local_inputs.forget(min(least[self.local], self.given - 1))
        for whose, peer in self._peers.items():
            peer.remote_inputs.forget(least[whose])

    def _ahead(self, now: float) -> FramesAhead | None:
        peers = [peer for peer in self._peers.values() if peer.state is _PLAYING]
        for peer in peers:
            if peer.acknowledged:  # before that, one of us has sent without having received
                peer.ahead.add(peer.frames_ahead(self._local_inputs.count, self.delay), peer.advantage)
        if now < self._ahead_reported_at + AHEAD_INTERVAL_S:
            return None
        ahead = [frames for peer in peers if (frames := peer.ahead.frames) is not None]
        if not ahead:
            return None
        self._ahead_reported_at = now
        return FramesAhead(max(ahead))


def _may_go_on(peer: Peer) -> bool:
    """Whether a player is away, and nobody has played for them."""
    return peer.state is PeerState.AWAY and not peer.played_for
