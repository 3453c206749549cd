"""What a peer can make its association hold here, and where that ends.

SCTP keeps what arrives until it can be delivered: fragments until the last one is there, what overtook
something that is missing, channels that were opened. The window that it advertises bounds a sender that keeps
to it; aiortc does not hold anybody to it, and looks at everything it holds with every packet that comes.
"""

from __future__ import annotations

from typing import Any

from aiortc.rtcsctptransport import SCTP_DATA_FIRST_FRAG, SCTP_DATA_LAST_FRAG

__all__ = ["MAX_CHANNELS", "MAX_FRAGMENTS", "MAX_GAPS", "MAX_WAITING", "holds_too_much"]

MAX_CHANNELS = 16
"""A match has two; a browser may open one or two of its own."""

MAX_WAITING = 1_200
"""Chunks of a kilobyte each at most. A state that travels is 900, which all wait where the first was lost."""

MAX_FRAGMENTS = 64
"""Nobody who speaks this protocol sends a message that needs two."""

MAX_GAPS = 128
"""In what has come; every acknowledgement names each. Much more than a round trip of the worst path has."""

_WHOLE = SCTP_DATA_FIRST_FRAG | SCTP_DATA_LAST_FRAG


def holds_too_much(sctp: Any) -> bool:
    """Return whether an association holds more than anybody sends who keeps to what is agreed."""
    streams = sctp._inbound_streams
    if len(streams) > MAX_CHANNELS or len(sctp._data_channels) > MAX_CHANNELS:
        return True
    early = sctp._sack_misordered
    if len(early) > MAX_WAITING or (len(early) > MAX_GAPS and _gaps(early) > MAX_GAPS):
        return True
    return any(map(_is_too_much, streams.values()))


def _gaps(early: set[int]) -> int:
    """Return how many gaps there are before numbers that came too early; they wrap around."""
    return sum(1 for number in early if (number - 1) % 2**32 not in early)


def _is_too_much(stream: Any) -> bool:
    """Whether a stream holds too many chunks.

    What is whole leaves at once, or waits for its turn; and what waits for its turn ends every look at those
    behind it. So where fragments are looked at again and again, a fragment is the first.
    """
    held = stream.reassembly
    if len(held) <= MAX_FRAGMENTS:
        return False
    return len(held) > MAX_WAITING or held[0].flags & _WHOLE != _WHOLE
