"""What a peer may say of itself and of us, and what cannot be true: the second kind is a protocol error.

Knows counts of inputs and how far a player can get without those of the others; refuses to know what follows
from a refusal. Each of these claims would be believed otherwise: inputs would never be sent again, frames
never become final, what is kept for a peer would grow without end.

How far ahead can a player be whose inputs we take? They gave the input of frame g + delay in frame g. They
got to frame g with the inputs of everybody up to g - window - 1, or with the default ones of the others'
delayed frames. So of everybody whom they wait for, us among them, they hold at most so many inputs less than
they gave: their delay, their window, and the delay of the one that they wait for.
"""

from __future__ import annotations

from collections.abc import Mapping

from gym_p2p.config.player import MAX_PREDICTION_WINDOW
from gym_p2p.core.match.peer import Peer, PeerState
from gym_p2p.core.wire.messages import MAX_INPUT_DELAY, Inputs
from gym_p2p.errors import ProtocolError

__all__ = ["AHEAD_MOST", "check_frames", "check_inputs"]

_PLAYING = PeerState.PLAYING

AHEAD_MOST = 2 * MAX_INPUT_DELAY + MAX_PREDICTION_WINDOW + 1
"""How many inputs more a player may have given than they hold of somebody whom they wait for."""


def check_inputs(peer: Peer, message: Inputs, *, local: int, given: int, peers: Mapping[int, Peer]) -> None:
    """Check what a message of inputs says beside them.

    Args:
        peer: the sender.
        message: as it came.
        local: our index.
        given: how many inputs we gave in that episode.
        peers: all others.

    Raises:
        ProtocolError: the sender cannot hold, have given, or be ahead as they say.
    """
    received, players = message.received, len(peers) + 1
    if len(received) != players:
        raise ProtocolError("report about another number of players")
    if received[local] > given:
        raise ProtocolError("acknowledges inputs that were not given")
    end = message.start + len(message.inputs)
    if received[peer.index] < end:
        raise ProtocolError("inputs that their sender does not hold")
    if end > received[local] + AHEAD_MOST:
        raise ProtocolError("inputs too far ahead of what was acknowledged")
    # Twice: they may know of one who has left already, and we, who do not, stand still until we do. The least
    # count comes first: this is done for every message, and hardly ever is there more to look at.
    needed = end - 2 * AHEAD_MOST
    if min(received) < needed:
        for player, other in peers.items():
            waited_for = player != peer.index and other.state is _PLAYING
            if waited_for and received[player] < needed:
                raise ProtocolError("inputs too far ahead of what was acknowledged")
    ahead = (received[peer.index] - message.delay) - received[local]
    if not 0 <= message.advantage - ahead <= MAX_INPUT_DELAY:
        raise ProtocolError("impossible frame advantage")


def check_frames(peer: Peer, frames: int, *, given: int) -> None:
    """Check how many inputs a player says to have given in the running episode, which they go from.

    Args:
        peer: they.
        frames: as they say.
        given: how many inputs we gave in it.

    Raises:
        ProtocolError: they take back inputs, or cannot have got so far.
    """
    if frames < peer.remote_inputs.count:
        raise ProtocolError("takes back inputs")
    if frames > given + AHEAD_MOST:
        raise ProtocolError("more inputs than can have been given")
