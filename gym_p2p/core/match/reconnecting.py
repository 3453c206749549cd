"""A broken path is rebuilt: a new link beside the old one, and the match goes on over it.

A path that carries nothing (:data:`Interrupted`) is no loss for as long as all players agreed to wait, the
shortest ``reconnect_timeout_s`` among them. Nothing is given up meanwhile and nothing has to be agreed upon:
nobody can play frames for which they lack an input, so the match stands by itself, and everything that was
given and not acknowledged is kept. (Of inputs that is no more than the prediction window and the input delay
allow; of control messages see :mod:`gym_p2p.core.match.control_log`.) Others who reach both wait with them.

Either the old link carries again: then nothing has happened. Or the shells make a new one, and::

    new link open     Resume(attempt, proof) over it, from both sides; nothing else is taken in from it
    Resume arrives    the new link is the link, and messages go on over it as over any other way that is
                      taken (gym_p2p.core.match.rerouting); at once, unless they take another way by now

Why a stranger cannot take the place: the proof is a digest under the key that its sender gave the recipient
with the greeting, over the first link, which nobody else read. It is of the attempt, so that one of an
earlier attempt shows nothing, and of what the two ends of this link alone have in common, so that nobody who
stands between two links can pass it on. Who has not greeted yet can be asked for no proof, and is taken on
the service's word, as for the first link.
Why it ends: the time since the last message grows whatever is attempted, and only a message resets it.

Knows peers, proofs and counts; refuses to know how links are made. Times are monotonic seconds, passed in.
"""

from __future__ import annotations

from collections.abc import Mapping

from gym_p2p.core.match.commands import LineClosed, LineOpened
from gym_p2p.core.match.events import Interrupted, LimitChanged, Resumed
from gym_p2p.core.match.outputs import Outputs
from gym_p2p.core.match.peer import Loss, Peer, PeerState
from gym_p2p.core.match.rerouting import Rerouting
from gym_p2p.core.match.seals import Seals
from gym_p2p.core.wire.messages import Resume, decode, encode
from gym_p2p.errors import ProtocolError

__all__ = ["Reconnecting"]


class Reconnecting:
    """The paths of one player to all others that break and are rebuilt.

    Args:
        peers: all others, in the order of their indices.
        outputs: where requests and events go.
        seals: whose keys prove who is at the other end of a new link.
        rerouting: what is begun over it.
    """

    def __init__(
        self, peers: Mapping[int, Peer], *, outputs: Outputs, seals: Seals, rerouting: Rerouting
    ) -> None:
        self._peers = peers
        self._outputs = outputs
        self._seals = seals
        self._rerouting = rerouting
        self._announced: dict[int, int] = {}
        """The incarnation of the process at the other end of a new link, by player."""

    def interrupt(self, peer: Peer, now: float) -> None:
        """Note that nothing arrives from a peer any more."""
        if (peer.playing or peer.state is PeerState.RETURNING) and not peer.interrupted:
            peer.interrupted, peer.ways.interrupted_at = True, now
            peer.told_limit_s = peer.lost_at - peer.received_at
            silent_s = now - peer.received_at
            self._outputs.emit(Interrupted(peer.index, silent_s, peer.told_limit_s, peer.reconnects))

    def line_changed(self, peer: Peer, line: LineClosed | LineOpened, now: float) -> None:
        """Note what the service says of a player's line there; tell for how long they are waited for now."""
        peer.line_closed_at = now if isinstance(line, LineClosed) else None
        peer.line_cut_off = isinstance(line, LineClosed) and line.cut_off
        limit_s = peer.lost_at - peer.received_at
        if peer.interrupted and limit_s != peer.told_limit_s:
            peer.told_limit_s = limit_s
            self._outputs.emit(LimitChanged(peer.index, limit_s))

    def await_new_link(self, peer: Peer, loss: Loss, now: float) -> None:
        """Note that the link to a peer is closed, who may make a new one; else this is how it is gone.

        One over which nothing arrived any more was not closed by the peer but by our own side, which has
        given it up: that says nothing of the peer, and takes nothing from the time that was told.
        """
        if peer.closed_at is None and not peer.interrupted:
            peer.closed_at, peer.closed_loss = now, loss
        self.interrupt(peer, now)

    def introduction(self, peer: Peer, attempt: int, binding: bytes) -> bytes | None:
        """Return what a new link to a peer begins with; ``None`` where nothing comes of it.

        Who is gone would take us for there, again and again, by links that lead to nothing.
        """
        if peer.state is PeerState.GONE:
            return None
        proof = self._seals.proof_for(peer.index, attempt, binding)
        return encode(Resume(attempt, proof, self._seals.incarnation))

    def recognises(self, peer: Peer, attempt: int, binding: bytes, data: bytes) -> bool:
        """Whether what came over a new link of this attempt shows that this very peer is at its other end."""
        try:
            message = decode(data)
        except ProtocolError:
            return False
        if peer.state is PeerState.GONE or not isinstance(message, Resume) or message.attempt != attempt:
            return False
        knows = self._seals.knows(peer.index)  # one who has come back knows who has not greeted it, too
        is_first = peer.state is PeerState.GREETING and peer.away_at is None and not knows
        if not is_first and not self._seals.proves(peer.index, message, binding):
            return False
        self._announced[peer.index] = message.incarnation
        return True

    def announced(self, peer: Peer) -> int:
        """Return which process of the player's was recognised over a new link."""
        return self._announced.get(peer.index, peer.incarnation)

    def replaced(self, peer: Peer, now: float) -> None:
        """Go on over a new link, whose peer was recognised."""
        silent_s = peer.received_something(now)
        if silent_s is not None and peer.away_at is None:
            self._outputs.emit(Resumed(peer.index, silent_s))
        self._rerouting.link_replaced(peer, now)
