"""How soon what sets up a connection goes out again where it may have been lost.

Connectivity checks, requests to a TURN server, flights of the DTLS handshake, INIT and COOKIE ECHO of SCTP:
each waits for an answer, and all that follows waits for it. Their own timers begin at half a second to three,
and double: where a third of all is lost, one connection in twelve then takes longer than anybody waits for
it. A handful of small datagrams a second, for as long as that, congests no path that a match could be played
over.
"""

from __future__ import annotations

from typing import Any

import aioice.stun

__all__ = ["FIRST_REPEAT_S", "LONGEST_REPEAT_S", "repeat_after_s", "repeat_soon"]

FIRST_REPEAT_S = 0.15
LONGEST_REPEAT_S = 0.6

STUN_TRIES = 32
"""For 19 s; aioice's seven take 32."""


def repeat_after_s(repeats: int) -> float:
    """Return after how many seconds to send once more what was repeated so often.

    >>> [repeat_after_s(repeats) for repeats in range(5)]
    [0.15, 0.3, 0.6, 0.6, 0.6]
    """
    return min(FIRST_REPEAT_S * float(2 ** min(repeats, 8)), LONGEST_REPEAT_S)


def repeat_soon(client: Any) -> None:
    """Have the requests of a STUN or TURN client over UDP repeated so; those that it never repeats are not.

    Args:
        client: aioice's protocol. A transaction of it sends, and sets its timer then.
    """
    send_stun = client.send_stun

    def send(message: aioice.stun.Message, addr: tuple[str, int]) -> None:
        transaction = client.transactions.get(message.transaction_id)
        if isinstance(transaction, aioice.stun.Transaction):  # else it is an answer, or a measurement
            private: Any = transaction
            private._Transaction__timeout_delay = repeat_after_s(private._Transaction__tries)
            if private._Transaction__tries_max > 1:
                private._Transaction__tries_max = STUN_TRIES
        send_stun(message, addr)

    client.send_stun = send
