"""How soon what sets up a connection goes out again where it may have been lost.

Connectivity checks, flights of the DTLS handshake, INIT and COOKIE ECHO of SCTP: each waits for an answer,
and all that follows waits for it. Their own timers begin at half a second to three, and double: where a third
of all is lost, one connection in twelve then takes longer than anybody waits for it. A handful of small
datagrams a second, for as long as that, congests no path that a match could be played over.
"""

from __future__ import annotations

__all__ = ["FIRST_REPEAT_S", "LONGEST_REPEAT_S", "repeat_after_s"]

FIRST_REPEAT_S = 0.15
LONGEST_REPEAT_S = 0.6


def repeat_after_s(repeats: int) -> float:
    """Return after how many seconds to send once more what was repeated so often.

    >>> [repeat_after_s(repeats) for repeats in range(5)]
    [0.15, 0.3, 0.6, 0.6, 0.6]
    """
    return min(FIRST_REPEAT_S * float(2 ** min(repeats, 8)), LONGEST_REPEAT_S)
